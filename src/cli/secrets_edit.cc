// bastide secrets edit: a file in the editor with its values in clear, in memory only. Values stand between
// marks; those that did not change keep their ciphertext.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "base/crypto.h"
#include "base/json.h"
#include "cli/secrets_commands.h"
#include "cli/secrets_kms.h"
#include "sys/file.h"

namespace bastide::cli {
namespace {

constexpr std::string_view kOpen = "<<secret>>", kClose = "<</secret>>";

// A folder of our own on a file system that is memory; both are gone when it ends.
class Scratch {
 public:
  static Result<Scratch> make(const std::string& name, std::string_view text) {
    std::string pattern = "/dev/shm/bastide-edit-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
      return error("no place in memory for the editor's file: /dev/shm cannot be written");
    }
    Scratch s;
    s.folder_ = pattern;
    s.file_ = pattern + "/" + name;
    TRY(sys::write_file(s.file_, text, 0600));
    return s;
  }
  Scratch(Scratch&& other) noexcept
      : folder_(std::exchange(other.folder_, "")), file_(std::move(other.file_)) {}
  ~Scratch() {
    if (folder_.empty()) return;
    if (const auto gone = sys::remove_tree(folder_); !gone)
      std::fprintf(stderr, "bastide: %s\n", gone.error().message.c_str());
  }
  const std::string& file() const { return file_; }

 private:
  Scratch() = default;
  std::string folder_, file_;
};

Result<void> run_editor(const std::string& file) {
  const char* editor = std::getenv("VISUAL");
  if (editor == nullptr || *editor == '\0') editor = std::getenv("EDITOR");
  if (editor == nullptr || *editor == '\0') editor = "vi";
  const std::string line = std::string(editor) + " \"$1\"";
  const pid_t child = ::fork();
  if (child < 0) return sys::system_error("fork");
  if (child == 0) {
    ::execl("/bin/sh", "sh", "-c", line.c_str(), "sh", file.c_str(), nullptr);
    ::_exit(127);
  }
  const auto before = ::signal(SIGINT, SIG_IGN);  // it is the editor's
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ::signal(SIGINT, before);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return error(std::string("the editor '") + editor + "' did not end well; nothing was changed");
}

// From marks back to tokens; `known` are the values that were there.
Result<std::string> close_up(std::string_view text, bool in_json,
                             const std::map<std::string, std::string>& known, SecretsKms& kms, size_t& made) {
  std::string out;
  size_t at = 0;
  for (;;) {
    const size_t open = text.find(kOpen, at);
    if (open == std::string_view::npos) break;
    const size_t close = text.find(kClose, open);
    if (close == std::string_view::npos)
      return error("Invalid", "a <<secret>> is not closed by <</secret>>; nothing was changed");
    std::string plain(text.substr(open + kOpen.size(), close - open - kOpen.size()));
    if (in_json) {
      const auto value = json::parse("\"" + plain + "\"");
      if (!value || !value->is_string())
        return error("Invalid", "a value is no text inside a JSON string; nothing was changed");
      wipe(plain);
      plain = value->string();
    }
    out += text.substr(at, open - at);
    if (const auto it = known.find(plain); it != known.end()) {
      out += it->second;
    } else if (!plain.empty()) {
      auto token = kms.encrypt(plain);
      wipe(plain);
      if (!token) return std::move(token).error();
      out += *token;
      ++made;
    }
    at = close + kClose.size();
  }
  return out + std::string(text.substr(at));
}

Result<int> run_edit(Context& context, const Arguments& a) {
  const std::string file = a.get("FILE");
  const std::string text = sys::exists(file) ? TRY(sys::read_file(file, 16u << 20)) : "";
  if (text.find(kOpen) != std::string::npos)
    return error("Invalid", file + " has the mark <<secret>> already");
  const auto tokens = TRY(secrets::find_tokens(text));
  const auto kms = TRY(SecretsKms::open(context, a));
  kms->prefetch(tokens);
  const bool in_json = json::parse(text).ok();
  std::map<std::string, std::string> known;
  std::string shown;
  size_t at = 0;
  for (const auto& token : tokens) {
    auto plain = secrets::open_token(token, [&](std::string_view c) { return kms->decrypt(c); });
    if (!plain) return std::move(plain).error().context(token.place());
    known.emplace(*plain, text.substr(token.begin, token.end - token.begin));
    std::string inside = in_json ? TRY(secrets::escape_for_json(*plain)) : *plain;
    if (inside.find(kClose) != std::string::npos)
      return error("Invalid", token.place() + ": the value has the mark <</secret>> in it");
    shown += text.substr(at, token.begin - at);
    shown += std::string(kOpen) + inside + std::string(kClose);
    at = token.end;
  }
  shown += text.substr(at);
  const std::string name = file.substr(file.rfind('/') + 1);
  const auto scratch = TRY(Scratch::make(name, shown));
  TRY(run_editor(scratch.file()));
  std::string edited = TRY(sys::read_file(scratch.file(), 16u << 20));
  if (edited == shown) {
    std::fprintf(stderr, "bastide: nothing was changed\n");
    return 0;
  }
  wipe(shown);
  size_t made = 0;
  const bool json_now = json::parse(edited).ok();
  if (in_json && !json_now) return error("Invalid", "it is no JSON any more; nothing was changed");
  const std::string closed = TRY(close_up(edited, json_now, known, *kms, made));
  wipe(edited);
  for (const auto& [plain, token] : known) wipe(const_cast<std::string&>(plain));
  struct stat st {};
  const mode_t mode = ::stat(file.c_str(), &st) == 0 ? st.st_mode & 07777 : 0644;
  TRY(sys::write_file(file, closed, mode));
  std::fprintf(stderr, "bastide: %zu values were encrypted under %s\n", made, kms->key_text().c_str());
  return 0;
}

}  // namespace

Command secrets_edit_command() {
  auto options = secrets_options();
  options.push_back({"FILE", Option::Kind::positional,
                     "The file; values stand between <<secret>> and <</secret>>", "", true});
  return {"secrets edit", "Opens a file in $EDITOR with its values in clear, in memory only",
          "EDITOR=nano bastide secrets edit config/stage.json --env stage", std::move(options), run_edit};
}

}  // namespace bastide::cli
