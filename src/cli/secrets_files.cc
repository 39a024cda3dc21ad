// bastide secrets set|unset|rotate|rekey: encrypted values in files, changed in place.
#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdio>

#include "base/crypto.h"
#include "cli/secrets_commands.h"
#include "cli/secrets_kms.h"
#include "secrets/place.h"
#include "sys/file.h"

namespace bastide::cli {
namespace {

Result<void> replace_file(const std::string& file, std::string_view text) {
  struct stat st {};
  const mode_t mode = ::stat(file.c_str(), &st) == 0 ? st.st_mode & 07777 : 0644;
  return sys::write_file(file, text, mode);
}

Result<int> run_set(Context& context, const Arguments& a) {
  const std::string file = a.get("FILE");
  const auto format = TRY(secrets::format_of(file));
  if (a.flag("--value-stdin") == !a.get("--value").empty())
    return error("Invalid", "give the value on standard input (--value-stdin), or by --value");
  std::string value = a.get("--value");
  if (a.flag("--value-stdin")) {
    value = TRY(secrets_input(""));
    if (value.ends_with('\n') && !a.flag("--raw")) {
      value.pop_back();
      std::fprintf(stderr, "bastide: stripped one newline at the end; --raw keeps it\n");
    }
  }
  const std::string text = sys::exists(file) ? TRY(sys::read_file(file, 16u << 20)) : "";
  const auto kms = TRY(SecretsKms::open(context, a));
  auto token = kms->encrypt(value);
  wipe(value);
  if (!token) return std::move(token).error();
  const std::string changed = TRY(secrets::set_value(text, format, a.get("KEY"), *token));
  TRY(replace_file(file, changed));
  std::fprintf(stderr, "bastide: %s of %s is encrypted under %s\n", a.get("KEY").c_str(), file.c_str(),
               kms->key_text().c_str());
  return 0;
}

Result<int> run_unset(Context&, const Arguments& a) {
  const std::string file = a.get("FILE");
  const auto format = TRY(secrets::format_of(file));
  const std::string text = TRY(sys::read_file(file, 16u << 20));
  const std::string changed = TRY(secrets::unset_value(text, format, a.get("KEY")));
  TRY(replace_file(file, changed));
  return 0;
}

// Whole files change or none of them: nothing is written before every value was made.
Result<int> rewrite(const Arguments& a, const char* what,
                    const std::function<Result<std::string>(const secrets::Token&)>& another,
                    const std::function<void(const std::vector<secrets::Token>&)>& before) {
  const auto files = TRY(secrets_files(a.all("PATH")));
  std::vector<std::pair<std::string, std::string>> changed;
  size_t values = 0, renewed = 0;
  for (const auto& file : files) {
    const std::string text = TRY(sys::read_file(file, 16u << 20));
    if (!secrets::has_token(text)) continue;
    auto tokens = secrets::find_tokens(text);
    if (!tokens) return std::move(tokens).error().context(file);
    before(*tokens);
    std::map<std::string, std::string> made;  // equal values stay equal
    auto out = secrets::rewrite_tokens(text, [&](const secrets::Token& token) -> Result<std::string> {
      ++values;
      auto& fresh = made[token.text];
      if (fresh.empty()) fresh = TRY(another(token));
      if (fresh != token.text) ++renewed;
      return fresh;
    });
    if (!out) return std::move(out).error().context(file);
    if (*out != text) changed.emplace_back(file, std::move(*out));
  }
  for (const auto& [file, text] : changed) {
    TRY(replace_file(file, text));
    std::printf("%s\n", file.c_str());
  }
  std::fprintf(stderr, "bastide: %s %zu of %zu encrypted values, in %zu files\n", what, renewed, values,
               changed.size());
  return 0;
}

Result<int> run_rotate(Context& context, const Arguments& a) {
  const auto kms = TRY(SecretsKms::open(context, a));
  return rewrite(
      a, "renewed", [&](const secrets::Token& token) { return kms->renew(token, a.flag("--force")); },
      [](const auto&) {});
}

Result<int> run_rekey(Context& context, const Arguments& a) {
  const auto from = TRY(SecretsKms::open(context, a));
  const auto to = TRY(SecretsKms::open(context, a, "to-"));
  if (a.get("--to-key-id").empty() && a.get("--to-env").empty())
    return error("Invalid", "name the other key: --to-key-id or --to-env");
  return rewrite(
      a, "moved",
      [&](const secrets::Token& token) -> Result<std::string> {
        std::string plaintext =
            TRY(secrets::open_token(token, [&](std::string_view c) { return from->decrypt(c); }));
        auto out = to->encrypt(plaintext);
        wipe(plaintext);
        return out;
      },
      [&](const auto& tokens) { from->prefetch(tokens); });
}

}  // namespace

Command secrets_set_command() {
  auto options = secrets_options();
  options.push_back({"FILE", Option::Kind::positional, "A .json, .yaml or .env file", "", true});
  options.push_back({"KEY", Option::Kind::positional, "Where: a.b.c, or NAME", "", true});
  options.push_back({"--value-stdin", Option::Kind::flag, "Read the value from standard input"});
  options.push_back({"--value", Option::Kind::value, "The value; others can see it in the process list"});
  options.push_back({"--raw", Option::Kind::flag, "Keep a newline at the end"});
  return {"secrets set", "Encrypts a value into a configuration file",
          "pwgen 32 1 | bastide secrets set config/stage.json db.password --value-stdin --env stage",
          std::move(options), run_set};
}
Command secrets_unset_command() {
  return {"secrets unset",
          "Takes a value out of a configuration file",
          "bastide secrets unset config/stage.json db.password",
          {{"FILE", Option::Kind::positional, "A .json, .yaml or .env file", "", true},
           {"KEY", Option::Kind::positional, "Where: a.b.c, or NAME", "", true}},
          run_unset};
}
Command secrets_rotate_command() {
  auto options = secrets_options();
  options.push_back({"PATH", Option::Kind::positionals, "Files and folders", "", true});
  options.push_back(
      {"--force", Option::Kind::flag, "New ciphertexts also where the key did not rotate since"});
  return {"secrets rotate", "Encrypts values anew whose key has rotated since",
          "bastide secrets rotate config/", std::move(options), run_rotate};
}
Command secrets_rekey_command() {
  auto options = secrets_options();
  for (auto& option : secrets_options("to-")) options.push_back(std::move(option));
  options.push_back({"PATH", Option::Kind::positionals, "Files and folders", "", true});
  return {"secrets rekey", "Moves encrypted values to another key, environment or account",
          "bastide secrets rekey --env stage --to-env prod config/prod.json", std::move(options), run_rekey};
}

}  // namespace bastide::cli
