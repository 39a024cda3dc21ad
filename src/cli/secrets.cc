// bastide secrets encrypt|decrypt: `kmscrypt::` tokens in any text, as gruntkms writes them.
#include <fmt/format.h>

#include <cstdio>

#include "base/crypto.h"
#include "cli/secrets_commands.h"
#include "cli/secrets_kms.h"
#include "sys/file.h"

namespace bastide::cli {
namespace {

void say_how_it_ends(const std::string& plaintext) {
  if (plaintext.find_last_of(" \t\r\n") == plaintext.size() - 1) {
    std::fprintf(stderr, "bastide: the value ends in white space, which is kept\n");
  }
}

Result<int> run_encrypt(Context& context, const Arguments& a) {
  std::string plaintext = a.get("--plaintext");
  if (plaintext.empty()) plaintext = TRY(secrets_input(""));
  if (plaintext.ends_with('\n') && !a.flag("--raw") && a.get("--plaintext").empty()) {
    plaintext.pop_back();
    std::fprintf(stderr, "bastide: stripped one newline at the end; --raw keeps it\n");
  }
  if (plaintext.empty()) return error("Invalid", "nothing to encrypt");
  say_how_it_ends(plaintext);
  const auto kms = TRY(SecretsKms::open(context, a));
  auto token = kms->encrypt(plaintext);
  wipe(plaintext);
  if (!token) return std::move(token).error();
  std::fprintf(stderr, "bastide: encrypted under %s\n", kms->key_text().c_str());
  std::printf("%s\n", token->c_str());
  return 0;
}

Result<int> run_decrypt(Context& context, const Arguments& a) {
  std::string text = a.get("--ciphertext");
  if (text.empty()) text = TRY(secrets_input(a.get("FILE")));
  std::string plain = text;
  if (secrets::has_token(text) || secrets::has_reference(text)) {
    const auto tokens = TRY(secrets::find_tokens(text));
    const auto kms = TRY(SecretsKms::open(context, a));
    kms->prefetch(tokens);
    plain = TRY(secrets::replace_tokens(
        text, [&](std::string_view c) { return kms->decrypt(c); },
        [&](const std::string& id) { return kms->fetch(id); }));
  }
  if (!a.get("--ciphertext").empty()) plain += '\n';
  const auto written = sys::write_all(1, plain);
  wipe(plain);
  TRY(written);
  return 0;
}

}  // namespace

Command secrets_encrypt_command() {
  auto options = secrets_options();
  options.push_back({"--plaintext", Option::Kind::value,
                     "The value, instead of standard input; others can see it in the process list"});
  options.push_back({"--raw", Option::Kind::flag, "Keep a newline at the end"});
  return {"secrets encrypt", "Encrypts standard input under an environment's key; prints kmscrypt::...",
          "echo -n s3cret | bastide secrets encrypt --env stage", std::move(options), run_encrypt};
}
Command secrets_decrypt_command() {
  auto options = secrets_options();
  options.push_back({"--ciphertext", Option::Kind::value, "The text, instead of standard input"});
  options.push_back({"FILE", Option::Kind::positional, "A file, instead of standard input"});
  return {"secrets decrypt", "Replaces every encrypted value in any text by its plaintext",
          "bastide secrets decrypt --env stage < config/stage.json", std::move(options), run_decrypt};
}

}  // namespace bastide::cli
