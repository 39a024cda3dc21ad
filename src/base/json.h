// JSON values (RFC 8259). Objects keep the order in which members came; a repeated member is an error.
// Parsing is bounded: 64 levels deep; sizes are bounded by whoever read the bytes.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace bastide::json {

class Value;
using Array = std::vector<Value>;
using Member = std::pair<std::string, Value>;
using Object = std::vector<Member>;

class Value {
 public:
  Value() = default;
  Value(std::nullptr_t) {}
  Value(bool b) : v_(b) {}
  Value(int i) : v_(int64_t{i}) {}
  Value(int64_t i) : v_(i) {}
  Value(size_t i) : v_(static_cast<int64_t>(i)) {}
  Value(double d) : v_(d) {}
  Value(const char* s) : v_(std::string(s)) {}
  Value(std::string s) : v_(std::move(s)) {}
  Value(std::string_view s) : v_(std::string(s)) {}
  Value(Array a) : v_(std::move(a)) {}
  Value(Object o) : v_(std::move(o)) {}
  // An object: json::Value({{"a", 1}, {"b", "x"}}) is written json::object({{"a", 1}, {"b", "x"}}).

  bool is_null() const { return v_.index() == 0; }
  bool is_bool() const { return v_.index() == 1; }
  bool is_int() const { return v_.index() == 2; }
  bool is_double() const { return v_.index() == 3; }
  bool is_number() const { return is_int() || is_double(); }
  bool is_string() const { return v_.index() == 4; }
  bool is_array() const { return v_.index() == 5; }
  bool is_object() const { return v_.index() == 6; }

  // Of the right kind or a CHECK.
  bool boolean() const;
  int64_t integer() const;
  double number() const;
  const std::string& string() const;
  const Array& array() const;
  Array& array();
  const Object& object() const;
  Object& object();

  // Members of an object; nothing is found in any other kind.
  const Value* find(std::string_view key) const;
  Value* find(std::string_view key);
  bool has(std::string_view key) const { return find(key) != nullptr; }
  Value& operator[](std::string_view key);  // makes an object of a null, and the member where it is missing
  bool remove(std::string_view key);        // whether it was there
  void push(Value element);                 // makes an array of a null

  // A member by kind, with a fallback where it is missing or of another kind.
  std::string get(std::string_view key, std::string_view fallback = "") const;
  int64_t get_int(std::string_view key, int64_t fallback = 0) const;
  bool get_bool(std::string_view key, bool fallback = false) const;
  const Array& get_array(std::string_view key) const;    // empty where missing
  const Object& get_object(std::string_view key) const;  // empty where missing

  bool operator==(const Value& other) const;  // the order of members does not matter

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> v_;
};

inline Value object(std::initializer_list<Member> members = {}) { return Value(Object(members)); }
inline Value array(std::initializer_list<Value> elements = {}) { return Value(Array(elements)); }

Result<Value> parse(std::string_view text);  // errors name line and column
std::string print(const Value& value);       // compact
std::string pretty(const Value& value);      // two spaces, a final newline
void append_string(std::string& out, std::string_view text);  // quoted and escaped

}  // namespace bastide::json
