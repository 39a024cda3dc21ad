#include "secrets/plaintext.h"

#include <algorithm>

#include "base/bytes.h"
#include "secrets/text.h"

namespace bastide::secrets {
namespace {

bool word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

size_t run_of(std::string_view text, size_t at, bool (*good)(char)) {
  size_t n = 0;
  while (at + n < text.size() && good(text[at + n])) ++n;
  return n;
}

struct Form {
  std::string_view prefix;
  size_t least;  // characters after it
  const char* what;
};
constexpr Form kForms[] = {
    {"AKIA", 16, "an AWS access key id"},
    {"ASIA", 16, "an AWS session's access key id"},
    {"ghp_", 30, "a GitHub token"},
    {"gho_", 30, "a GitHub token"},
    {"github_pat_", 30, "a GitHub token"},
    {"glpat-", 18, "a GitLab token"},
    {"xoxb-", 20, "a Slack token"},
    {"xoxp-", 20, "a Slack token"},
    {"sk_live_", 16, "a payment provider's live key"},
    {"rk_live_", 16, "a payment provider's live key"},
    {"AIza", 33, "a Google API key"},
    {"npm_", 34, "an npm token"},
};

std::string known_form(std::string_view line) {
  for (const auto& form : kForms) {
    for (size_t at = line.find(form.prefix); at != std::string_view::npos;
         at = line.find(form.prefix, at + 1)) {
      if (at > 0 && word(line[at - 1])) continue;
      if (run_of(line, at + form.prefix.size(), word) >= form.least) return form.what;
    }
  }
  return "";
}

bool secret_name(std::string_view name) {
  const std::string low = lower(name);
  for (const char* part : {"password", "passwd", "secret", "api_key", "apikey", "api-key", "private_key",
                           "privatekey", "access_token", "auth_token", "client_secret"}) {
    const size_t at = low.find(part);
    if (at == std::string::npos) continue;
    // secretName, password_file, secret_arn, ...: names of things that hold one
    const std::string rest = low.substr(at + std::string_view(part).size());
    for (const char* other : {"_file", "file", "_path", "path", "_arn", "arn", "_name", "name", "_id", "id",
                              "_length", "length", "_policy", "policy", "_url", "url", "s_", "manager"}) {
      if (rest == other) return false;
    }
    return true;
  }
  return false;
}

// A literal that somebody could have meant.
bool literal(std::string_view value) {
  if (value.size() < 6 || value.size() > 4096) return false;
  if (value.find(kPrefix) != std::string_view::npos ||
      value.find(kEnvelopePrefix) != std::string_view::npos ||
      value.find(kReferencePrefix) != std::string_view::npos)
    return false;
  for (const char* reference : {"${", "{{", "<%", "$(", "arn:aws:", "process.env", "os.environ", "getenv",
                                "!Ref", "!Sub", "encrypt-at-up::"}) {
    if (value.find(reference) != std::string_view::npos) return false;
  }
  const std::string low = lower(value);
  for (const char* example : {"changeme", "example", "placeholder", "redacted", "xxxxxx", "******", "<"}) {
    if (low.find(example) != std::string::npos) return false;
  }
  return std::none_of(value.begin(), value.end(),
                      [](char c) { return c == ' ' || c == '(' || c == ')' || c == ';'; }) &&
         value[0] != '$';
}

// NAME = VALUE, "NAME": "VALUE", NAME: VALUE
std::string named_value(std::string_view line, bool code) {
  const size_t split_at = line.find_first_of(":=");
  if (split_at == std::string_view::npos || split_at == 0) return "";
  std::string_view name = trim(line.substr(0, split_at));
  while (!name.empty() && (name.back() == '"' || name.back() == '\'')) name.remove_suffix(1);
  size_t start = name.size();
  while (start > 0 && (word(name[start - 1]) || name[start - 1] == '.')) --start;
  name = name.substr(start);
  if (!secret_name(name)) return "";
  std::string_view value = trim(line.substr(split_at + 1));
  if (value.starts_with("=") || value.starts_with(":")) value = trim(value.substr(1));
  bool quoted = false;
  if (!value.empty() && (value[0] == '"' || value[0] == '\'')) {
    const size_t end = value.find(value[0], 1);
    if (end == std::string_view::npos) return "";
    value = value.substr(1, end - 1);
    quoted = true;
  } else {
    value = trim(value.substr(0, value.find_first_of("#,")));
  }
  if ((code && !quoted) || !literal(value)) return "";
  return std::string(name);
}

bool configuration(std::string_view name) {
  const std::string low = lower(name.substr(name.rfind('/') + 1));
  for (const char* end : {".json", ".yaml", ".yml", ".env", ".properties", ".toml", ".ini", ".conf", ".cfg",
                          ".tfvars", ".xml"}) {
    if (low.ends_with(end)) return true;
  }
  return low.starts_with(".env");
}

}  // namespace

std::vector<Suspect> find_plaintext(std::string_view file_name, std::string_view text) {
  std::vector<Suspect> out;
  if (text.substr(0, 8000).find('\0') != std::string_view::npos) return out;
  const bool code = !configuration(file_name);
  size_t number = 0;
  for (const auto line : split(text, '\n')) {
    ++number;
    if (out.size() == kMaxSuspects) break;
    if (line.size() > 16'384 || line.find("secrets:ignore") != std::string_view::npos) continue;
    if (line.find("-----BEGIN ") != std::string_view::npos &&
        line.find("PRIVATE KEY-----") != std::string_view::npos) {
      out.push_back({number, "a private key in clear"});
      continue;
    }
    if (const auto form = known_form(line); !form.empty()) {
      out.push_back({number, form + " in clear"});
      continue;
    }
    if (const auto name = named_value(line, code); !name.empty())
      out.push_back({number, "a secret in clear (" + name + ")"});
  }
  return out;
}

}  // namespace bastide::secrets
