// A strict JSON pull parser (RFC 8259) over bytes that somebody else bounded; 64 levels deep.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace bastide::model {

class JsonText {
 public:
  enum class Token { object, array, string, number, boolean, null, bad };
  explicit JsonText(std::string_view text) : text_(text) {}

  Token peek();
  // Each consumes a value of its kind, which peek() announced.
  Result<std::string> string();
  Result<std::string_view> number();  // its text
  Result<bool> boolean();
  Result<void> null();
  Result<std::string_view> skip();  // a value of any kind; its text

  // Objects: open, then member() until it says false (the key is then in `key`, the value follows).
  Result<void> open_object() { return open('{'); }
  Result<bool> member(bool first, std::string& key);
  Result<void> open_array() { return open('['); }
  Result<bool> element(bool first);
  Result<void> end();  // nothing but blanks is left

  Error fail(std::string_view what) const;

 private:
  void blanks();
  Result<void> open(char bracket);
  Result<void> string_into(std::string& out);

  static constexpr int kMaxDepth = 64;
  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

void append_json_number(std::string& out, double value);

}  // namespace bastide::model
