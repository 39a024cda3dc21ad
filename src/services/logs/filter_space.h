// Space-delimited filter patterns: [ip, user, ..., status=4*, bytes>1000 && bytes<9000]. Pure; thread-safe
// once parsed.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace re2 {
class RE2;
}

namespace bastide::services {

class SpacePattern {
 public:
  static Result<SpacePattern> parse(std::string_view text);  // with its brackets
  // The fields by name where it matches: "$ip" -> "127.0.0.1".
  bool matches(std::string_view message, std::map<std::string, std::string>* fields = nullptr) const;

 private:
  struct Condition {
    std::string op, text;  // op empty: nothing is asked
    bool numeric = false;
    double number = 0;
    std::shared_ptr<const re2::RE2> pattern;
  };
  struct Field {
    std::string name;
    bool rest = false;                        // "..."
    std::vector<std::vector<Condition>> any;  // alternatives of conditions that all hold
  };
  static bool holds(const Condition& c, const std::string& value);
  std::vector<Field> fields_;
};

// %...% of a filter pattern: RE2 with what AWS allows. InvalidParameterException.
Result<std::shared_ptr<const re2::RE2>> filter_regex(std::string_view text);
// The parts of a message between spaces; [..] and ".." are one each.
std::vector<std::string> space_fields(std::string_view message);

}  // namespace bastide::services
