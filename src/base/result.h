// Result<T>: a value or an Error; TRY hands the error to the caller. Errors are values here: external input
// never throws. TRY initialises a local or stands alone (as part of a larger expression g++ 12 leaks):
//
//   auto text = TRY(read_file(path));
//   TRY(write_file(path, text));
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace bastide {

// What went wrong. A *fault* is an answer meant for the client of an AWS API: its code is AWS's error code and
// its message is written for that client. Everything else is internal: the wire answers InternalFailure and
// logs the message. Internal codes that callers test for: "NotFound", "Exists", "Timeout", "Closed",
// "TooLarge", "Invalid", "Denied"; others are free text or empty.
struct Error {
  std::string code;
  std::string message;
  bool fault = false;
  int status = 0;     // HTTP status of a fault; 0: as the service's model says, else 400
  std::string extra;  // a fault's encoded detail, such as the encoded authorization message

  // Prepends "what: " to the message.
  Error&& context(std::string_view what) && {
    message.insert(0, std::string(what) + ": ");
    return std::move(*this);
  }
};

inline Error error(std::string message) { return Error{{}, std::move(message)}; }
inline Error error(std::string code, std::string message) { return Error{std::move(code), std::move(message)}; }
inline Error fault(std::string code, std::string message, int status = 0) {
  return Error{std::move(code), std::move(message), true, status};
}

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}
  template <class U>
    requires(!std::is_same_v<std::remove_cvref_t<U>, T> && std::is_convertible_v<U &&, T> &&
             !std::is_same_v<std::remove_cvref_t<U>, Error> &&
             !std::is_same_v<std::remove_cvref_t<U>, Result<T>>)
  Result(U&& value) : v_(std::in_place_index<0>, std::forward<U>(value)) {}
  Result(Error e) : v_(std::in_place_index<1>, std::move(e)) {}

  bool ok() const { return v_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { CHECK(ok()); return *std::get_if<0>(&v_); }
  const T& value() const& { CHECK(ok()); return *std::get_if<0>(&v_); }
  T&& value() && { CHECK(ok()); return std::move(*std::get_if<0>(&v_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T value_or(T fallback) && { return ok() ? std::move(*this).value() : std::move(fallback); }

  Error& error() & { CHECK(!ok()); return *std::get_if<1>(&v_); }
  const Error& error() const& { CHECK(!ok()); return *std::get_if<1>(&v_); }
  Error&& error() && { CHECK(!ok()); return std::move(*std::get_if<1>(&v_)); }

 private:
  std::variant<T, Error> v_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error e) : e_(std::move(e)) {}

  bool ok() const { return !e_; }
  explicit operator bool() const { return ok(); }
  void value() const { CHECK(ok()); }

  Error& error() & { CHECK(!ok()); return *e_; }
  const Error& error() const& { CHECK(!ok()); return *e_; }
  Error&& error() && { CHECK(!ok()); return std::move(*e_); }

 private:
  std::optional<Error> e_;
};

}  // namespace bastide

#define TRY(...)                                                       \
  __extension__({                                                      \
    auto&& try_result = (__VA_ARGS__);                                 \
    if (!try_result) [[unlikely]] return std::move(try_result).error(); \
    std::move(try_result).value();                                     \
  })
