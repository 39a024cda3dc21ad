// bastide secrets encrypt|decrypt: `kmscrypt::` tokens in any text, as gruntkms writes them.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "base/bytes.h"
#include "base/crypto.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "secrets/text.h"
#include "sys/file.h"

namespace bastide::cli {
namespace {

constexpr size_t kMaxPlaintext = 4096;  // KMS's own limit for Encrypt
constexpr size_t kMaxText = 16u << 20;

Result<std::string> input(const Arguments& a, const std::string& option) {
  if (!a.get(option).empty()) return a.get(option);
  if (::isatty(0)) std::fprintf(stderr, "bastide: reading from the terminal; end with Ctrl-D\n");
  return sys::read_all(0, kMaxText);
}

Result<json::Value> encryption_context(const Arguments& a) {
  json::Value context = json::object();
  for (const auto& pair : a.all("--context")) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) return error("Invalid", "--context wants KEY=VALUE, not '" + pair + "'");
    context[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return context;
}

// Whose key: the environment's own account, or the profile given.
Result<std::string> profile_of(const Arguments& a) {
  if (!a.get("--profile").empty()) return a.get("--profile");
  if (!a.get("--env").empty()) return a.get("--env");
  return error("Invalid", "name the environment whose key it is: --env stage");
}

Result<int> run_encrypt(Context& context, const Arguments& a) {
  const std::string profile = TRY(profile_of(a));
  std::string plaintext = TRY(input(a, "--plaintext"));
  if (plaintext.ends_with('\n') && !a.flag("--raw") && a.get("--plaintext").empty()) {
    plaintext.pop_back();
    std::fprintf(stderr, "bastide: stripped one newline at the end; --raw keeps it\n");
  }
  if (plaintext.empty()) return error("Invalid", "nothing to encrypt");
  if (plaintext.size() > kMaxPlaintext) return error("TooLarge", fmt::format("{} bytes: KMS encrypts at most {} at once", plaintext.size(), kMaxPlaintext));
  const std::string key = a.get("--key-id").empty() ? "alias/bastide-" + a.get("--env") : a.get("--key-id");
  json::Value request = json::object({{"KeyId", key}, {"Plaintext", base64(plaintext)}});
  const auto bound = TRY(encryption_context(a));
  if (!bound.object().empty()) request["EncryptionContext"] = bound;
  const auto answer = context.call(profile, "kms", "Encrypt", request);
  wipe(plaintext);
  if (!answer) return Error(answer.error());
  std::printf("%s\n", secrets::make_token(TRY(unbase64(answer->get("CiphertextBlob")))).c_str());
  return 0;
}

Result<int> run_decrypt(Context& context, const Arguments& a) {
  const std::string profile = TRY(profile_of(a));
  const std::string text = TRY(input(a, "--ciphertext"));
  const auto bound = TRY(encryption_context(a));
  std::string plain = TRY(secrets::replace_tokens(text, [&](std::string_view ciphertext) -> Result<std::string> {
    json::Value request = json::object({{"CiphertextBlob", base64(ciphertext)}});
    if (!bound.object().empty()) request["EncryptionContext"] = bound;
    const auto answer = TRY(context.call(profile, "kms", "Decrypt", request));
    return unbase64(answer.get("Plaintext"));
  }));
  const auto written = sys::write_all(1, plain);
  wipe(plain);
  TRY(written);
  return 0;
}

std::vector<Option> key_options() {
  return {{"--env", Option::Kind::value, "The environment whose key it is"},
          {"--profile", Option::Kind::value, "Whose credentials; the environment's own by default"},
          {"--context", Option::Kind::values, "Encryption context, KEY=VALUE; repeat it"}};
}

}  // namespace

Command secrets_encrypt_command() {
  auto options = key_options();
  options.push_back({"--key-id", Option::Kind::value, "Another key: id, ARN or alias (alias/bastide-ENV by default)"});
  options.push_back({"--plaintext", Option::Kind::value, "The value, instead of standard input"});
  options.push_back({"--raw", Option::Kind::flag, "Keep a newline at the end"});
  return {"secrets encrypt", "Encrypts standard input under an environment's key; prints kmscrypt::...", "echo -n s3cret | bastide secrets encrypt --env stage", std::move(options), run_encrypt};
}
Command secrets_decrypt_command() {
  auto options = key_options();
  options.push_back({"--ciphertext", Option::Kind::value, "The text, instead of standard input"});
  return {"secrets decrypt", "Replaces every kmscrypt:: token in any text by its plaintext", "bastide secrets decrypt --env stage < config/stage.json", std::move(options), run_decrypt};
}

}  // namespace bastide::cli
