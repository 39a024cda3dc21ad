#include "aws/policy_pattern.h"

#include <utility>

#include "base/bytes.h"

namespace bastide::aws {
namespace {

const char* next_character(const char* s, const char* end) {
  ++s;
  while (s < end && (static_cast<uint8_t>(*s) & 0xC0) == 0x80) ++s;
  return s;
}

}  // namespace

ConditionKey condition_key(std::string_view name) {
  static constexpr std::pair<std::string_view, GlobalKey> kKeys[] = {
      {"aws:principalarn", GlobalKey::principal_arn},
      {"aws:principalaccount", GlobalKey::principal_account},
      {"aws:principaltype", GlobalKey::principal_type},
      {"aws:userid", GlobalKey::user_id},
      {"aws:username", GlobalKey::user_name},
      {"aws:sourceip", GlobalKey::source_ip},
      {"aws:currenttime", GlobalKey::current_time},
      {"aws:epochtime", GlobalKey::epoch_time},
      {"aws:securetransport", GlobalKey::secure_transport},
      {"aws:multifactorauthpresent", GlobalKey::mfa_present},
      {"aws:multifactorauthage", GlobalKey::mfa_age},
      {"aws:requestedregion", GlobalKey::requested_region},
      {"aws:tokenissuetime", GlobalKey::token_issue_time},
      {"aws:sourceidentity", GlobalKey::source_identity},
      {"aws:useragent", GlobalKey::user_agent},
      {"aws:resourceaccount", GlobalKey::resource_account},
      {"aws:principalisawsservice", GlobalKey::is_aws_service},
      {"aws:principalservicename", GlobalKey::service_name},
      {"aws:viaawsservice", GlobalKey::via_aws_service},
  };
  static constexpr std::string_view kTag = "aws:principaltag/";
  ConditionKey key;
  key.name = lower(name);
  if (key.name.starts_with(kTag)) {
    key.global = GlobalKey::principal_tag;
    key.tag = key.name.substr(kTag.size());
    return key;
  }
  for (const auto& [known, global] : kKeys) {
    if (key.name == known) key.global = global;
  }
  return key;
}

bool glob(const uint16_t* p, const uint16_t* pe, std::string_view text) {
  const char* s = text.data();
  const char* const se = s + text.size();
  const uint16_t* star = nullptr;
  const char* mark = nullptr;
  while (s < se) {
    if (p < pe && *p == kAnyRun) {
      star = ++p;
      if (star == pe) return true;
      mark = s;
    } else if (p < pe && *p == kAnyOne) {
      ++p;
      s = next_character(s, se);
    } else if (p < pe && *p == static_cast<uint8_t>(*s)) {
      ++p;
      ++s;
    } else if (star) {
      p = star;
      mark = next_character(mark, se);
      s = mark;
    } else {
      return false;
    }
  }
  while (p < pe && *p == kAnyRun) ++p;
  return p == pe;
}

Pattern::Pattern(std::string_view text, Options options) : fold_(options.fold) {
  any_ = options.wildcards && text == "*";
  const std::string folded = options.fold && !options.variables ? lower(text) : std::string(text);
  const auto literal = [&](char c) {
    if (options.fold && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (rest_.empty() && variables_.empty()) {
      prefix_ += c;
    } else {
      rest_.push_back(static_cast<uint8_t>(c));
    }
  };
  for (size_t i = 0; i < folded.size(); ++i) {
    const char c = folded[i];
    if (options.variables && c == '$' && i + 1 < folded.size() && folded[i + 1] == '{') {
      const size_t end = folded.find('}', i);
      if (end != std::string::npos) {
        const std::string_view inside = std::string_view(folded).substr(i + 2, end - i - 2);
        if (inside == "*" || inside == "?" || inside == "$") {
          literal(inside[0]);
        } else {
          add_variable(inside);
        }
        i = end;
        continue;
      }
    }
    if (options.wildcards && c == '*') {
      rest_.push_back(kAnyRun);
    } else if (options.wildcards && c == '?') {
      rest_.push_back(kAnyOne);
    } else {
      literal(c);
    }
  }
}

void Pattern::add_variable(std::string_view inside) {
  Variable variable{rest_.size(), {}, false, {}};
  const size_t comma = inside.find(',');
  variable.key = condition_key(trim(inside.substr(0, comma)));
  if (comma != std::string_view::npos) {
    std::string_view fallback = trim(inside.substr(comma + 1));
    if (fallback.size() >= 2 && fallback.front() == '\'' && fallback.back() == '\'') {
      fallback = fallback.substr(1, fallback.size() - 2);
    }
    variable.has_fallback = true;
    variable.fallback = fallback;
  }
  variables_.push_back(std::move(variable));
}

bool Pattern::matches(std::string_view value, const KeySource& keys) const {
  if (any_) return true;
  if (!value.starts_with(prefix_)) return false;
  value.remove_prefix(prefix_.size());
  if (!variables_.empty()) return matches_expanded(value, keys);
  return glob(rest_.data(), rest_.data() + rest_.size(), value);
}

bool Pattern::matches_expanded(std::string_view value, const KeySource& keys) const {
  std::vector<uint16_t> units;
  std::vector<std::string> found;
  size_t from = 0;
  for (const auto& variable : variables_) {
    units.insert(units.end(), rest_.begin() + static_cast<ptrdiff_t>(from),
                 rest_.begin() + static_cast<ptrdiff_t>(variable.at));
    from = variable.at;
    found.clear();
    keys.find(variable.key, found);
    if (found.size() != 1 && !variable.has_fallback) return false;
    std::string text = found.size() == 1 ? found[0] : variable.fallback;
    if (fold_) text = lower(text);
    for (const char c : text) units.push_back(static_cast<uint8_t>(c));
  }
  units.insert(units.end(), rest_.begin() + static_cast<ptrdiff_t>(from), rest_.end());
  return glob(units.data(), units.data() + units.size(), value);
}

}  // namespace bastide::aws
