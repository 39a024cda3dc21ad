// Patterns of policies: * and ? as wildcards, ${key} variables, ${*} ${?} ${$} as plain characters.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bastide::aws {

// A condition key by name, resolved once. Names are not case-sensitive.
enum class GlobalKey : uint8_t {
  other,
  principal_arn,
  principal_account,
  principal_type,
  principal_tag,
  user_id,
  user_name,
  source_ip,
  current_time,
  epoch_time,
  secure_transport,
  mfa_present,
  mfa_age,
  requested_region,
  token_issue_time,
  source_identity,
  user_agent,
  resource_account,
  is_aws_service,
  service_name,
  via_aws_service,
};
struct ConditionKey {
  GlobalKey global = GlobalKey::other;
  std::string name;  // lower case
  std::string tag;   // of aws:PrincipalTag/..., lower case
};
ConditionKey condition_key(std::string_view name);

// Where the values of a request's condition keys come from.
class KeySource {
 public:
  virtual ~KeySource() = default;
  // Appends the key's values; nothing when the request does not have it.
  virtual void find(const ConditionKey& key, std::vector<std::string>& values) const = 0;
};

class Pattern {
 public:
  struct Options {
    bool wildcards = true;
    bool variables = true;
    bool fold = false;  // lower-cases the pattern; the caller lower-cases what it matches
  };
  Pattern(std::string_view text, Options options);

  // A variable without value and default matches nothing.
  bool matches(std::string_view value, const KeySource& keys) const;
  bool any() const { return any_; }

 private:
  struct Variable {
    size_t at;  // where in rest_ its value goes
    ConditionKey key;
    bool has_fallback = false;
    std::string fallback;
  };
  void add_variable(std::string_view inside);
  bool matches_expanded(std::string_view value, const KeySource& keys) const;

  bool any_ = false;
  bool fold_ = false;
  std::string prefix_;          // literal characters before the first wildcard or variable
  std::vector<uint16_t> rest_;  // bytes, kAnyRun, kAnyOne
  std::vector<Variable> variables_;
};

inline constexpr uint16_t kAnyRun = 0x100;
inline constexpr uint16_t kAnyOne = 0x101;
// Linear memory, at most pattern times text steps. ? stands for one character (UTF-8).
bool glob(const uint16_t* pattern, const uint16_t* pattern_end, std::string_view text);

}  // namespace bastide::aws
