// One operator of a Condition block with one key and its values.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "aws/policy_pattern.h"
#include "base/json.h"
#include "base/result.h"

namespace bastide::aws {

class Condition {
 public:
  // Errors say which operator, key or value is not understood.
  static Result<Condition> compile(std::string_view op, std::string_view key, const json::Value& values,
                                   bool variables);
  bool holds(const KeySource& keys) const;
  const ConditionKey& key() const { return key_; }

 private:
  enum class Type : uint8_t { string, ignore_case, number, date, boolean, binary, ip, arn, null };
  enum class Order : uint8_t { equal, less, less_equal, greater, greater_equal };
  enum class Set : uint8_t { single, all, any };
  struct Network {
    std::array<uint8_t, 16> address{};
    int bits = 0;  // of the IPv6-mapped form
  };
  struct ArnPattern {
    bool any = false;
    std::vector<Pattern> segments;  // six
  };

  Result<void> add_value(const std::string& value, bool wildcards, bool variables);
  bool one_matches(const std::string& value, const KeySource& keys) const;  // any of the policy's values
  bool ordered(double difference) const;
  static bool parse_network(const std::string& text, Network& network);

  Type type_ = Type::string;
  Order order_ = Order::equal;
  Set set_ = Set::single;
  bool negated_ = false;
  bool if_exists_ = false;
  ConditionKey key_;
  std::vector<Pattern> patterns_;
  std::vector<double> numbers_;
  std::vector<std::string> texts_;
  std::vector<Network> networks_;
  std::vector<ArnPattern> arns_;
};

}  // namespace bastide::aws
