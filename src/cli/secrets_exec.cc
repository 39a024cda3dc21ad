// bastide secrets exec|exec-file: a command with decrypted values, by exec: it keeps the signals and the exit
// status, and nothing reaches a disk.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/bytes.h"
#include "base/crypto.h"
#include "cli/secrets_commands.h"
#include "cli/secrets_kms.h"
#include "sys/file.h"

extern char** environ;

namespace bastide::cli {
namespace {

Result<int> become(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  return sys::system_error(words[0]);
}

class Opener {
 public:
  Opener(Context& context, const Arguments& a) : context_(context), arguments_(a) {}
  Result<std::string> open(const std::string& text) {
    if (!secrets::has_token(text) && !secrets::has_reference(text)) return text;
    const auto tokens = TRY(secrets::find_tokens(text));
    if (!kms_) kms_ = TRY(SecretsKms::open(context_, arguments_));
    kms_->prefetch(tokens);
    return secrets::replace_tokens(
        text, [&](std::string_view c) { return kms_->decrypt(c); },
        [&](const std::string& id) { return kms_->fetch(id); });
  }

 private:
  Context& context_;
  const Arguments& arguments_;
  std::unique_ptr<SecretsKms> kms_;
};

// NAME=value lines; quotes around a whole value fall away.
Result<void> load_env_file(const std::string& file, std::vector<std::pair<std::string, std::string>>& out) {
  const std::string text = TRY(sys::read_file(file, 1u << 20));
  size_t number = 0;
  for (const auto raw : split(text, '\n')) {
    ++number;
    std::string_view line = trim(raw);
    if (line.empty() || line.starts_with('#')) continue;
    if (line.starts_with("export ")) line = trim(line.substr(7));
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos || equals == 0)
      return error("Invalid", file + ", line " + std::to_string(number) + ": not NAME=value");
    std::string_view value = trim(line.substr(equals + 1));
    if (value.size() > 1 && (value[0] == '"' || value[0] == '\'') && value.back() == value[0])
      value = value.substr(1, value.size() - 2);
    out.emplace_back(std::string(trim(line.substr(0, equals))), std::string(value));
  }
  return {};
}

Result<int> run_exec(Context& context, const Arguments& a) {
  std::vector<std::pair<std::string, std::string>> variables;
  for (char** v = environ; *v != nullptr; ++v) {
    const std::string_view line = *v;
    const size_t equals = line.find('=');
    if (equals != std::string_view::npos && (secrets::has_token(line) || secrets::has_reference(line)))
      variables.emplace_back(line.substr(0, equals), line.substr(equals + 1));
  }
  for (const auto& file : a.all("--env-file")) TRY(load_env_file(file, variables));
  Opener opener(context, a);
  for (auto& [name, value] : variables) {
    auto plain = opener.open(value);
    if (!plain) return std::move(plain).error().context("the variable " + name);
    ::setenv(name.c_str(), plain->c_str(), 1);
    wipe(*plain);
  }
  return become(a.all("COMMAND"));
}

Result<int> run_exec_file(Context& context, const Arguments& a) {
  const std::string file = a.get("FILE");
  Opener opener(context, a);
  const std::string text = TRY(sys::read_file(file, 16u << 20));
  auto plain = opener.open(text);
  if (!plain) return std::move(plain).error().context(file);
  sys::Fd memory = TRY(sys::memory_file("secrets", *plain, true));
  wipe(*plain);
  const int kept = memory.release();
  if (::fcntl(kept, F_SETFD, 0) != 0) return sys::system_error("fcntl");
  const std::string path = "/proc/self/fd/" + std::to_string(kept);
  auto words = a.all("COMMAND");
  bool named = false;
  for (auto& word : words) {
    if (word.find("{}") == std::string::npos) continue;
    word = replace_all(word, "{}", path);
    named = true;
  }
  if (!a.get("--as").empty()) {
    ::setenv(a.get("--as").c_str(), path.c_str(), 1);
  } else if (!named) {
    return error("Invalid", "say where the command finds the file: {} among its words, or --as NAME");
  }
  return become(std::move(words));
}

}  // namespace

Command secrets_exec_command() {
  auto options = secrets_options();
  options.push_back(
      {"--env-file", Option::Kind::values, "NAME=value lines to add to the environment; repeat it"});
  options.push_back({"COMMAND", Option::Kind::positionals, "After --: the command and its words", "", true});
  return {"secrets exec", "Runs a command with the encrypted values of its environment in clear",
          "bastide secrets exec --env-file stage.env -- ./server --port 80", std::move(options), run_exec};
}
Command secrets_exec_file_command() {
  auto options = secrets_options();
  options.push_back({"FILE", Option::Kind::positional, "The file with encrypted values", "", true});
  options.push_back({"--as", Option::Kind::value, "The variable that names the decrypted file"});
  options.push_back({"COMMAND", Option::Kind::positionals,
                     "After --: the command; {} is the decrypted file, in memory only", "", true});
  return {"secrets exec-file", "Runs a command with a decrypted file that is in memory only",
          "bastide secrets exec-file config/stage.json -- ./server --config {}", std::move(options),
          run_exec_file};
}

}  // namespace bastide::cli
