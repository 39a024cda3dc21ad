// Runs a fuzz target without libFuzzer: every file of a corpus, then mutations of them.
//   http_parser_fuzz CORPUS [SECONDS [SEED]]
// The seed is printed first: with it, a run that failed is repeated exactly.
#include <fmt/format.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "sys/file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

using namespace bastide;

namespace {

constexpr size_t kMaxInput = 16u << 10;

class Mutator {
 public:
  Mutator(const std::vector<std::string>& corpus, uint64_t seed) : corpus_(corpus), random_(seed) {}

  std::string next() {
    std::string out = corpus_[below(corpus_.size())];
    for (size_t i = 1 + below(6); i > 0; --i) change(out);
    if (out.size() > kMaxInput) out.resize(kMaxInput);
    return out;
  }

 private:
  size_t below(size_t n) { return n == 0 ? 0 : std::uniform_int_distribution<size_t>(0, n - 1)(random_); }

  void change(std::string& text) {
    static const std::vector<std::string> kWords = {"\r\n",
                                                    "\n",
                                                    "\r",
                                                    "\r\n\r\n",
                                                    ":",
                                                    " ",
                                                    "\t",
                                                    ";",
                                                    ",",
                                                    "0",
                                                    "f",
                                                    std::string(1, '\0'),
                                                    "\x7f",
                                                    "\xff",
                                                    "HTTP/1.1",
                                                    "HTTP/1.0",
                                                    "chunked",
                                                    "Content-Length: ",
                                                    "Transfer-Encoding: ",
                                                    "Host: a\r\n",
                                                    "&",
                                                    "%",
                                                    "=",
                                                    "Expect: 100-continue\r\n",
                                                    "Connection: close\r\n"};
    const size_t at = below(text.size() + 1);
    switch (below(6)) {
      case 0:
        text.insert(at, kWords[below(kWords.size())]);
        break;
      case 1:
        text.erase(at, 1 + below(8));
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
        break;
      case 3:
        text.insert(at, text.substr(below(text.size() + 1), below(64)));
        break;
      case 4: {
        const auto& other = corpus_[below(corpus_.size())];
        text = text.substr(0, at) + other.substr(below(other.size() + 1));
        break;
      }
      case 5:
        text.insert(at, std::string(below(300), text.empty() ? 'a' : text[below(text.size())]));
        break;
    }
  }

  const std::vector<std::string>& corpus_;
  std::mt19937_64 random_;
};

void try_one(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    fmt::print(stderr, "usage: {} CORPUS [SECONDS [SEED]]\n", argv[0]);
    return 2;
  }
  const auto seconds = parse_int(argc > 2 ? argv[2] : "5");
  const auto seed = argc > 3 ? parse_int(argv[3]) : Result<int64_t>(Clock::system().wall());
  const auto names = sys::list_folder(argv[1]);
  if (!seconds || !seed || !names) {
    fmt::print(stderr, "{}\n", !names ? names.error().message : "SECONDS and SEED are numbers");
    return 2;
  }
  fmt::print("seed {}\n", seed.value());
  std::vector<std::string> corpus;
  for (const auto& name : names.value()) {
    auto text = sys::read_file(std::string(argv[1]) + "/" + name, kMaxInput);
    if (!text) continue;
    try_one(*text);
    corpus.push_back(std::move(*text));
  }
  if (corpus.empty()) corpus.emplace_back();
  Mutator mutator(corpus, static_cast<uint64_t>(seed.value()));
  int64_t count = 0;
  for (const Millis end = Clock::system().steady() + seconds.value() * kSecond;
       Clock::system().steady() < end;) {
    for (int i = 0; i < 200; ++i, ++count) try_one(mutator.next());
  }
  fmt::print("{} inputs of the corpus, {} mutations: nothing found\n", corpus.size(), count);
  return 0;
}
