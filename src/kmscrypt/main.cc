// kmscrypt: decrypts `kmscrypt::` tokens in any text, at an app's boot, with the credentials of the
// container's role.
//
//   kmscrypt decrypt < config.json
//   kmscrypt exec --file '/app/config/$ENVIRONMENT.json' --as APP_CONFIG -- /app/server
//
// exec puts the plaintext into a sealed memory file and its path into the variable APP_CONFIG, then becomes
// the command: nothing reaches a disk, a process list or an environment.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/crypto.h"
#include "kmscrypt/kms.h"
#include "secrets/text.h"
#include "sys/file.h"

namespace {

using namespace bastide;

constexpr size_t kMaxText = 16u << 20;
constexpr const char* kHelp =
    "kmscrypt: decrypts kmscrypt:: tokens in any text with the container's own credentials\n"
    "\n"
    "  kmscrypt decrypt < FILE                                  plaintext on standard output\n"
    "  kmscrypt exec --file PATH --as NAME [...] -- COMMAND     runs COMMAND; the variable NAME holds the "
    "path of the\n"
    "                                                           decrypted text (in memory only). PATH may "
    "hold $VARIABLES\n"
    "\n"
    "awssecret::NAME and awssecret::NAME#MEMBER become what Secrets Manager holds under that name.\n"
    "Both take --context KEY=VALUE, once for each (in exec: before the --as that it is for).\n"
    "Credentials: AWS_ACCESS_KEY_ID; AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN;\n"
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI; the instance's role (IMDSv2).\n"
    "Endpoint: AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, or AWS's own. Region: AWS_REGION.\n"
    "Example: kmscrypt exec --file '/app/config/$ENVIRONMENT.json' --as APP_CONFIG -- /app/server\n";

using Bound = std::map<std::string, std::string>;

Result<void> add_context(Bound& bound, const std::string& pair) {
  const size_t equals = pair.find('=');
  if (equals == std::string::npos || equals == 0)
    return error("--context wants KEY=VALUE, not '" + pair + "'");
  bound[pair.substr(0, equals)] = pair.substr(equals + 1);
  return {};
}

Result<std::string> plain_text(const std::string& text, const Bound& bound) {
  if (!secrets::has_token(text) && !secrets::has_reference(text)) return text;
  auto kms = TRY(kmscrypt::Kms::from_environment());
  kms.context = bound;
  return secrets::replace_tokens(
      text, [&](std::string_view ciphertext) { return kms.decrypt(ciphertext); },
      [&](const std::string& id) { return kms.secret(id); });
}

// $NAME and ${NAME}; an unset one is an error, since it would read the wrong file.
Result<std::string> expand(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$') {
      out += text[i];
      continue;
    }
    const bool braced = i + 1 < text.size() && text[i + 1] == '{';
    size_t end = i + 1 + (braced ? 1 : 0);
    const size_t start = end;
    while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '_'))
      ++end;
    const std::string name = text.substr(start, end - start);
    const char* value = std::getenv(name.c_str());
    if (!value) return error("the variable " + name + " of --file " + text + " is not set");
    out += value;
    i = braced ? end : end - 1;
  }
  return out;
}

Result<int> run_decrypt(int argc, char** argv) {
  Bound bound;
  for (int at = 2; at < argc; at += 2) {
    if (at + 1 == argc || std::strcmp(argv[at], "--context") != 0)
      return error(std::string("unknown option ") + argv[at] + "; see kmscrypt --help");
    TRY(add_context(bound, argv[at + 1]));
  }
  const std::string text = TRY(sys::read_all(0, kMaxText));
  std::string plain = TRY(plain_text(text, bound));
  const auto written = sys::write_all(1, plain);
  wipe(plain);
  TRY(written);
  return 0;
}

Result<int> run_exec(int argc, char** argv) {
  std::string file;
  Bound bound;
  bool given = false;
  int at = 2;
  for (; at < argc && std::strcmp(argv[at], "--") != 0; at += 2) {
    if (at + 1 >= argc) return error(std::string(argv[at]) + " wants a value");
    if (std::strcmp(argv[at], "--file") == 0) {
      file = TRY(expand(argv[at + 1]));
    } else if (std::strcmp(argv[at], "--context") == 0) {
      TRY(add_context(bound, argv[at + 1]));
    } else if (std::strcmp(argv[at], "--as") == 0) {
      if (file.empty()) return error("--as follows the --file that it is for");
      const std::string text = TRY(sys::read_file(file, kMaxText));
      std::string plain = TRY(plain_text(text, bound));
      sys::Fd memory = TRY(sys::memory_file("kmscrypt", plain, true));
      wipe(plain);
      // The command inherits it; its /proc/self/fd opens it anew at its start, as often as it likes.
      const int kept = memory.release();
      if (::fcntl(kept, F_SETFD, 0) != 0) return sys::system_error("fcntl");
      ::setenv(argv[at + 1], ("/proc/self/fd/" + std::to_string(kept)).c_str(), 1);
      file.clear();
      given = true;
    } else {
      return error(std::string("unknown option ") + argv[at] + "; see kmscrypt --help");
    }
  }
  if (!given || at + 1 >= argc)
    return error("exec wants --file PATH --as NAME -- COMMAND; see kmscrypt --help");
  ::execv(argv[at + 1], argv + at + 1);
  return sys::system_error(argv[at + 1]);
}

}  // namespace

int main(int argc, char** argv) {
  ::prctl(PR_SET_DUMPABLE, 0);  // no core dump with plaintext in it
  const std::string command = argc > 1 ? argv[1] : "--help";
  if (command == "--help" || command == "help") {
    std::fputs(kHelp, argc > 1 ? stdout : stderr);
    return argc > 1 ? 0 : 64;
  }
  Result<int> outcome = error("unknown command " + command + "; see kmscrypt --help");
  if (command == "decrypt") outcome = run_decrypt(argc, argv);
  if (command == "exec") outcome = run_exec(argc, argv);
  if (outcome) return *outcome;
  std::fprintf(stderr, "kmscrypt: %s\n", outcome.error().message.c_str());
  return 1;
}
