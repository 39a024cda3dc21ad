// kmscrypt: decrypts `kmscrypt::` values at boot, inside the container, with the task role's credentials.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "helper/exec.h"
#include "secrets/text.h"

namespace {

using namespace bastide;

constexpr const char* kHelp = R"(kmscrypt: encrypted values (kmscrypt::...) in any text, decrypted by AWS KMS

  kmscrypt decrypt [options] < FILE      print the text with its values decrypted
  kmscrypt exec [options] -- CMD ARGS    run CMD with everything it needs decrypted:
                                         variables that hold encrypted values, and the file of --file

  --file FILE         for exec: a text to decrypt; $NAME and ${NAME} stand for variables
  --env NAME          for exec: put the text into this variable (also --out-env);
                      without it, KMSCRYPT_FILE names an anonymous file with the text
  --context KEY=VALUE the encryption context; may be repeated
  --ca FILE           trusted authorities (PEM); else AWS_CA_BUNDLE, SSL_CERT_FILE, the system's
  --help

Credentials: AWS_ACCESS_KEY_ID and its like, or AWS_CONTAINER_CREDENTIALS_RELATIVE_URI / _FULL_URI.
Endpoint: AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, or AWS's own for AWS_REGION.
In a text that is JSON, plaintexts are escaped. Exit status 1 when anything cannot be decrypted.
)";

int fail(const std::string& message) {
  std::fprintf(stderr, "kmscrypt: %s\n", message.c_str());
  return 1;
}

std::string authorities() {
  for (const char* name : {"AWS_CA_BUNDLE", "SSL_CERT_FILE"}) {
    const char* value = std::getenv(name);
    if (value && *value) return value;
  }
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  std::string ca = authorities();
  kmscrypt::Context context;
  kmscrypt::ExecOptions options;
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "--help" || verb == "-h" || verb == "help") {
    std::fputs(kHelp, stdout);
    return 0;
  }
  if (verb != "decrypt" && verb != "exec") return fail("say decrypt or exec; see kmscrypt --help");
  int i = 2;
  for (; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--") {
      ++i;
      break;
    }
    if (word == "--help") {
      std::fputs(kHelp, stdout);
      return 0;
    }
    const bool for_exec = word == "--file" || word == "--env" || word == "--out-env";
    if ((!for_exec && word != "--context" && word != "--ca") || (for_exec && verb != "exec")) {
      return fail("unknown option " + word + "; see kmscrypt --help");
    }
    if (i + 1 == argc) return fail(word + " needs a value");
    const std::string value = argv[++i];
    if (word == "--file") options.file = value;
    if (word == "--env" || word == "--out-env") options.variable = value;
    if (word == "--ca") ca = value;
    if (word == "--context") {
      const auto equals = value.find('=');
      if (equals == std::string::npos) return fail("--context needs KEY=VALUE");
      context[value.substr(0, equals)] = value.substr(equals + 1);
    }
  }
  for (; i < argc; ++i) options.command.emplace_back(argv[i]);
  kmscrypt::Kms kms(ca, context);
  if (verb == "exec") {
    if (options.command.empty()) return fail("exec needs a command after --");
    if (!options.variable.empty() && options.file.empty()) return fail("--env needs --file");
    return fail(kmscrypt::exec(kms, options).message);
  }
  if (!options.command.empty()) return fail("decrypt reads standard input and takes no file");
  ::signal(SIGPIPE, SIG_IGN);
  const auto text = kmscrypt::read_stream(0, "standard input");
  if (!text) return fail(text.error().message);
  const auto plain = secrets::replace_tokens(*text, [&](std::string_view c) { return kms.decrypt(c); });
  if (!plain) return fail(plain.error().message);
  if (std::fwrite(plain->data(), 1, plain->size(), stdout) != plain->size() || std::fflush(stdout) != 0) {
    return fail("the output could not be written");
  }
  return 0;
}
