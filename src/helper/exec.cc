#include "helper/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "base/bytes.h"
#include "base/crypto.h"
#include "secrets/text.h"

extern char** environ;

namespace bastide::kmscrypt {
namespace {

constexpr size_t kMaxText = 16u << 20;
constexpr size_t kMaxVariable = 128 << 10;  // what Linux allows one string of the environment

Error system_error(const std::string& what) { return error(what + ": " + std::strerror(errno)); }

bool name_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// A file without a name that the program inherits: its path.
Result<std::string> anonymous_file(std::string_view text) {
  const int fd = ::memfd_create("config", MFD_ALLOW_SEALING);
  if (fd < 0) return system_error("an anonymous file");
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0) return system_error("an anonymous file");
    text.remove_prefix(static_cast<size_t>(n));
  }
  if (::fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
    return system_error("an anonymous file");
  }
  return "/proc/self/fd/" + std::to_string(fd);
}

}  // namespace

Result<std::string> read_stream(int fd, const std::string& name) {
  std::string out;
  char buffer[16 << 10];
  while (true) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(name);
    if (n == 0) return out;
    out.append(buffer, static_cast<size_t>(n));
    if (out.size() > kMaxText) return error(name + ": more than 16 MiB");
  }
}

Result<std::string> expand(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text[i] != '$') {
      out += text[i++];
      continue;
    }
    const bool braces = i + 1 < text.size() && text[i + 1] == '{';
    size_t end = i + (braces ? 2 : 1);
    std::string name;
    while (end < text.size() && name_character(text[end])) name += text[end++];
    if (name.empty() || (braces && (end == text.size() || text[end++] != '}')))
      return error("a bad variable in " + text);
    const char* value = std::getenv(name.c_str());
    if (!value) return error("the variable " + name + " in " + text + " is not set");
    out += value;
    i = end;
  }
  return out;
}

Error exec(Kms& kms, const ExecOptions& options) {
  const auto decrypt = [&](std::string_view c) { return kms.decrypt(c); };
  // Variables that hold encrypted values.
  std::vector<std::pair<std::string, std::string>> changed;
  for (char** e = environ; *e; ++e) {
    const std::string_view entry(*e);
    const auto equals = entry.find('=');
    if (equals == std::string_view::npos || !secrets::has_token(entry.substr(equals + 1))) continue;
    auto text = secrets::replace_tokens(entry.substr(equals + 1), decrypt);
    const std::string name(entry.substr(0, equals));
    if (!text) return std::move(text).error().context("variable " + name);
    changed.emplace_back(name, std::move(*text));
  }
  if (!options.file.empty()) {
    const auto path = expand(options.file);
    if (!path) return path.error();
    const int fd = ::open(path->c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return system_error(*path);
    auto raw = read_stream(fd, *path);
    ::close(fd);
    if (!raw) return std::move(raw).error();
    auto text = secrets::replace_tokens(*raw, decrypt);
    if (!text) return std::move(text).error().context(*path);
    if (options.variable.empty()) {
      auto file = anonymous_file(*text);
      wipe(*text);
      if (!file) return std::move(file).error();
      changed.emplace_back("KMSCRYPT_FILE", std::move(*file));
    } else {
      if (text->size() >= kMaxVariable)
        return error(*path + " is too large for a variable; leave --env out and read $KMSCRYPT_FILE");
      changed.emplace_back(options.variable, std::move(*text));
    }
  }
  for (auto& [name, value] : changed) {
    if (value.find('\0') != std::string::npos)
      return error("variable " + name + ": the plaintext holds a zero byte");
    ::setenv(name.c_str(), value.c_str(), 1);
    wipe(value);
  }
  std::vector<char*> argv;
  for (const auto& a : options.command) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  return system_error(options.command[0]);
}

}  // namespace bastide::kmscrypt
