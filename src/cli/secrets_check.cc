// bastide secrets check: secrets in clear, and encrypted values that nobody here can decrypt. Status 2 where
// there are any: ready as a git hook.
#include <cstdio>

#include "base/bytes.h"
#include "cli/secrets_commands.h"
#include "cli/secrets_kms.h"
#include "secrets/plaintext.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::cli {
namespace {

constexpr int kFound = 2;

struct Source {
  std::string name, text;
};

// What the next commit would hold, not what lies in the folder.
Result<std::vector<Source>> staged() {
  std::vector<Source> out;
  const std::string names =
      TRY(sys::run_ok({.argv = {"git", "diff", "--cached", "--name-only", "--diff-filter=ACMR", "-z"}}));
  for (const auto name : split(names, '\0')) {
    if (name.empty()) continue;
    auto text = TRY(sys::run_ok({.argv = {"git", "show", ":" + std::string(name)}}));
    out.push_back({std::string(name), std::move(text)});
  }
  return out;
}

Result<int> run_check(Context& context, const Arguments& a) {
  std::vector<Source> sources;
  if (a.flag("--staged")) {
    sources = TRY(staged());
  } else {
    auto paths = a.all("PATH");
    if (paths.empty()) paths = {"."};
    const auto files = TRY(secrets_files(paths));
    for (const auto& file : files) {
      auto text = TRY(sys::read_file(file, 16u << 20));
      sources.push_back({file, std::move(text)});
    }
  }
  size_t found = 0, values = 0;
  std::unique_ptr<SecretsKms> kms;
  const auto tell = [&](const std::string& name, size_t line, const std::string& what) {
    std::printf("%s:%zu: %s\n", name.c_str(), line, what.c_str());
    ++found;
  };
  for (const auto& source : sources) {
    for (const auto& suspect : secrets::find_plaintext(source.name, source.text))
      tell(source.name, suspect.line, suspect.what);
    if (!secrets::has_token(source.text)) continue;
    const auto tokens = secrets::find_tokens(source.text);
    if (!tokens) {
      tell(source.name, 1, tokens.error().message);
      continue;
    }
    values += tokens->size();
    if (a.flag("--offline") || tokens->empty()) continue;
    if (!kms) kms = TRY(SecretsKms::open(context, a));
    kms->prefetch(*tokens);
    for (const auto& token : *tokens) {
      const auto plain = secrets::open_token(token, [&](std::string_view c) { return kms->decrypt(c); });
      if (!plain)
        tell(source.name, token.line,
             "an encrypted value that cannot be decrypted: " + plain.error().message);
    }
  }
  std::fprintf(stderr, "bastide: %zu files, %zu encrypted values%s; %zu problems\n", sources.size(), values,
               a.flag("--offline") ? " (not tried)" : "", found);
  return found == 0 ? 0 : kFound;
}

}  // namespace

Command secrets_check_command() {
  auto options = secrets_options();
  options.push_back({"PATH", Option::Kind::positionals, "Files and folders; the current folder by default"});
  options.push_back({"--staged", Option::Kind::flag, "What git would commit next, instead of files"});
  options.push_back({"--offline", Option::Kind::flag, "Do not try to decrypt"});
  return {
      "secrets check",
      "Finds secrets in clear and encrypted values that cannot be decrypted; status 2 where there are any",
      "bastide secrets check --staged", std::move(options), run_check};
}

}  // namespace bastide::cli
