// Encrypted values in git: a diff driver that shows what changed in clear, a merge driver that takes equal
// values as equal however they are encrypted, and their set-up.
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <map>

#include "base/bytes.h"
#include "base/crypto.h"
#include "cli/secrets_commands.h"
#include "cli/secrets_kms.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::cli {
namespace {

Result<int> run_textconv(Context& context, const Arguments& a) {
  const std::string text = TRY(sys::read_file(a.get("FILE"), 16u << 20));
  std::string shown = text;
  const auto tokens = secrets::find_tokens(text);
  if (tokens && !tokens->empty()) {
    if (const auto kms = SecretsKms::open(context, a)) {
      (*kms)->prefetch(*tokens);
      // Whoever may not decrypt sees the diff of the ciphertexts.
      if (auto plain = secrets::replace_tokens(text, [&](std::string_view c) { return (*kms)->decrypt(c); }))
        shown = std::move(*plain);
    }
  }
  const auto written = sys::write_all(1, shown);
  wipe(shown);
  TRY(written);
  return 0;
}

// https://git-scm.com/docs/gitattributes#_defining_a_custom_merge_driver
Result<int> run_merge(Context& context, const Arguments& a) {
  const std::vector<std::string> names = {a.get("BASE"), a.get("OURS"), a.get("THEIRS")};
  std::vector<std::string> texts;
  for (const auto& name : names) {
    auto text = TRY(sys::read_file(name, 16u << 20));
    texts.push_back(std::move(text));
  }
  // One token for each value, ours before theirs: then lines that mean the same are the same.
  std::map<std::string, std::string> token_of;
  std::unique_ptr<SecretsKms> kms;
  for (const size_t i : {1u, 2u, 0u}) {
    const auto tokens = secrets::find_tokens(texts[i]);
    if (!tokens || tokens->empty()) continue;
    if (!kms) {
      auto opened = SecretsKms::open(context, a);
      if (!opened) {
        std::fprintf(stderr, "bastide: merging without decrypting: %s\n", opened.error().message.c_str());
        break;
      }
      kms = std::move(*opened);
    }
    kms->prefetch(*tokens);
    texts[i] = TRY(secrets::rewrite_tokens(texts[i], [&](const secrets::Token& token) -> Result<std::string> {
      auto plain = secrets::open_token(token, [&](std::string_view c) { return kms->decrypt(c); });
      if (!plain) return token.text;
      const std::string digest = sha256(*plain);
      wipe(*plain);
      return token_of.try_emplace(digest, token.text).first->second;
    }));
  }
  std::string folder = "/tmp/bastide-merge-XXXXXX";
  if (const char* given = ::getenv("TMPDIR"); given != nullptr && *given == '/')
    folder = std::string(given) + "/bastide-merge-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) return sys::system_error(folder);
  std::vector<std::string> files;
  for (size_t i = 0; i < names.size(); ++i) {
    files.push_back(folder + "/" + std::to_string(i));
    TRY(sys::write_file(files.back(), texts[i]));
  }
  const auto merged = sys::run({.argv = {"git", "merge-file", "-p", "-L", "ours", "-L", "base", "-L",
                                         "theirs", files[1], files[0], files[2]}});
  TRY(sys::remove_tree(folder));
  if (!merged) return merged.error();
  if (merged->status >= 128) return error("git merge-file: " + std::string(trim(merged->errors)));
  TRY(sys::write_file(names[1], merged->output, 0644));
  return merged->status == 0 ? 0 : 1;
}

Result<int> run_git_setup(Context& context, const Arguments& a) {
  const std::string top(trim(TRY(sys::run_ok({.argv = {"git", "rev-parse", "--show-toplevel"}}))));
  const std::string me = "'" + context.program() + "' secrets ";
  const std::string home = " --home '" + context.home() + "'";
  for (const auto& [key, value] :
       std::map<std::string, std::string>{{"diff.kmscrypt.textconv", me + "textconv" + home},
                                          {"diff.kmscrypt.cachetextconv", "false"},
                                          {"merge.kmscrypt.name", "values encrypted by KMS"},
                                          {"merge.kmscrypt.driver", me + "merge" + home + " %O %A %B"}}) {
    TRY(sys::run_ok({.argv = {"git", "config", key, value}}));
  }
  auto patterns = a.all("PATTERN");
  if (patterns.empty()) patterns = {"config/*"};
  const std::string file = top + "/.gitattributes";
  std::string text = sys::exists(file) ? TRY(sys::read_file(file, 1u << 20)) : "";
  for (const auto& pattern : patterns) {
    const std::string line = pattern + " diff=kmscrypt merge=kmscrypt\n";
    if (text.find(line) != std::string::npos) continue;
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
    text += line;
    std::printf("%s", line.c_str());
  }
  TRY(sys::write_file(file, text, 0644));
  if (!a.flag("--hook")) return 0;
  const std::string hooks(trim(TRY(sys::run_ok({.argv = {"git", "rev-parse", "--git-path", "hooks"}}))));
  if (sys::exists(hooks + "/pre-commit"))
    return error("Exists", hooks + "/pre-commit exists; add to it: " + me + "check --staged");
  TRY(sys::make_folders(hooks, 0755));
  TRY(sys::write_file(hooks + "/pre-commit", "#!/bin/sh\nexec " + me + "check" + home + " --staged\n", 0755));
  return 0;
}

}  // namespace

Command secrets_textconv_command() {
  auto options = secrets_options();
  options.push_back({"FILE", Option::Kind::positional, "The file", "", true});
  return {"secrets textconv", "Git's diff driver: the file in clear, where one may decrypt it",
          "git config diff.kmscrypt.textconv 'bastide secrets textconv'", std::move(options), run_textconv};
}
Command secrets_merge_command() {
  auto options = secrets_options();
  for (const char* name : {"BASE", "OURS", "THEIRS"})
    options.push_back({name, Option::Kind::positional, "A file that git names", "", true});
  return {"secrets merge", "Git's merge driver: equal values are equal, however they are encrypted",
          "git config merge.kmscrypt.driver 'bastide secrets merge %O %A %B'", std::move(options), run_merge};
}
Command secrets_git_setup_command() {
  return {"secrets git-setup",
          "Sets up git's diff and merge drivers in this repository",
          "bastide secrets git-setup 'config/*.json' --hook",
          {{"PATTERN", Option::Kind::positionals,
            "Which files, as .gitattributes names them (config/* by default)"},
           {"--hook", Option::Kind::flag, "Install 'secrets check --staged' as pre-commit hook"}},
          run_git_setup};
}

}  // namespace bastide::cli
