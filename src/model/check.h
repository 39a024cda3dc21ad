// What is wrong with a message, in AWS's words. Readers report members that are missing or malformed;
// validate() walks a struct and reports every constraint of the model that it breaks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/type.h"

namespace bastide::model {

// Codes of the errors that reading gives; the wire turns them into the codes of the service at hand.
inline constexpr std::string_view kMalformed = "Malformed";    // cannot be parsed
inline constexpr std::string_view kConstraint = "Constraint";  // breaks the model's constraints
// EC2 names these itself: "MissingParameter", "InvalidParameterValue".

class Check {
 public:
  enum class Style { coral, ec2 };  // "1 validation error detected: ..." or EC2's own sentences
  explicit Check(Style style = Style::coral) : style_(style) {}

  // The place in the message: members by their wire name, then elements by their index from 1.
  void enter(const Field& field) {
    path_.push_back({style_ == Style::ec2 ? field.query_wire : field.name, 0, {}});
  }
  void enter(size_t index) { path_.push_back({nullptr, index, {}}); }
  void enter(std::string_view key) { path_.push_back({nullptr, 0, key}); }
  void leave() { path_.pop_back(); }
  size_t depth() const { return path_.size(); }

  void missing(const Field& field);
  void broken(const Type& type, std::string_view value, std::string_view constraint);
  bool full() const { return problems_.size() >= kMaxProblems; }
  // Everything found, as one error.
  Result<void> result() const;

 private:
  static constexpr size_t kMaxProblems = 50;
  struct Step {
    const char* member;
    size_t index;
    std::string_view key;
  };
  std::string path(const char* last) const;
  bool below_absent(std::string_view place) const;

  Style style_;
  std::vector<Step> path_;
  std::vector<std::string> problems_;
  std::vector<std::string> absent_;  // nothing more is said about what is not there
  std::string ec2_code_;
};

class Entered {
 public:
  template <class Where>
  Entered(Check& check, const Where& where) : check_(check) {
    check_.enter(where);
  }
  ~Entered() { check_.leave(); }

 private:
  Check& check_;
};

// Lengths, ranges, patterns, enums, of everything in `value`.
void validate(const Type& type, const void* value, Check& check);

// Whether all of `text` matches; compiled at the first use. Thread-safe.
bool matches(const Pattern& pattern, std::string_view text);
// "" or why RE2 refuses it: for the test of the tables.
std::string pattern_error(const Pattern& pattern);

inline const void* member_of(const Field& field, const void* object) {
  const void* at = static_cast<const char*>(object) + field.offset;
  return field.access == nullptr ? at : field.access->get(at);
}
inline void* make_member(const Field& field, void* object) {
  void* at = static_cast<char*>(object) + field.offset;
  return field.access == nullptr ? at : field.access->emplace(at);
}

}  // namespace bastide::model
