// The tables that describe model types: what the generator writes beside each struct, and what the one codec
// walks to read, validate and write them in every protocol. Constant data, made before main() runs.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/time.h"

namespace bastide::model {

struct Empty {};  // an operation without input or output

// An optional T that may contain itself; used as std::optional is.
template <class T>
class Box {
 public:
  Box() = default;
  Box(std::nullopt_t) {}
  Box(T value) : p_(std::make_unique<T>(std::move(value))) {}
  Box(const Box& other) : p_(other.p_ ? std::make_unique<T>(*other.p_) : nullptr) {}
  Box(Box&&) noexcept = default;
  Box& operator=(Box other) noexcept {
    p_ = std::move(other.p_);
    return *this;
  }
  bool has_value() const { return p_ != nullptr; }
  explicit operator bool() const { return has_value(); }
  T& emplace() { return *(p_ = std::make_unique<T>()); }
  void reset() { p_.reset(); }
  T& operator*() { return *p_; }
  const T& operator*() const { return *p_; }
  T* operator->() { return p_.get(); }
  const T* operator->() const { return p_.get(); }
  T& value() { return *p_; }
  const T& value() const { return *p_; }
  T value_or(T fallback) const { return p_ ? *p_ : std::move(fallback); }

 private:
  std::unique_ptr<T> p_;
};

enum class Kind : uint8_t {
  string,
  blob,
  boolean,
  int32,
  int64,
  float64,
  timestamp,
  structure,
  list,
  map,
  document
};
enum class TimeFormat : uint8_t { by_protocol, unix_seconds, iso8601, http_date };
enum class Place : uint8_t { body, uri, query, header, headers, status };  // headers: a map, by prefix

// How the codec reaches a member: makes it present, or finds it (null where it is absent). A required member
// is a plain T and has none.
struct Access {
  void* (*emplace)(void*);
  const void* (*get)(const void*);
};
struct ListAccess {
  void* (*push)(void*);
  size_t (*size)(const void*);
  const void* (*at)(const void*, size_t);
};
struct MapAccess {
  void* (*put)(void*, std::string_view key);
  size_t (*size)(const void*);
  void (*each)(const void*, void* context,
               void (*visit)(void* context, const std::string& key, const void* value));
};

// A regular expression of the model, in RE2's syntax; compiled at its first use and kept.
struct Pattern {
  const char* text;  // as AWS writes it: for messages
  const char* re2;
  mutable std::atomic<const void*> compiled{nullptr};
};

struct Type;

struct Field {
  const char* name;        // the model's member name
  const char* wire;        // JSON and XML name; header or query parameter name
  const char* query_wire;  // name in query and ec2 requests
  const Type* type;
  const Access* access;  // null: a plain member
  uint32_t offset;
  Place place;
  TimeFormat time;
  bool required;
  bool payload;    // this member alone is the body
  bool attribute;  // an XML attribute
  bool flattened;
  bool idempotency_token;
  const char* xml_prefix;  // namespace prefix and URI that the element declares, or null
  const char* xml_namespace;
};

struct Type {
  Kind kind;
  bool flattened;
  bool sensitive;
  bool streaming;
  bool is_union;
  TimeFormat time;
  uint16_t field_count;
  uint16_t enum_count;
  const char* name;
  const Field* fields;
  const Type* element;  // of a list; the values of a map
  const Type* key;
  const void* container;     // ListAccess or MapAccess
  const char* element_name;  // XML and query name of a list's element, of a map's value
  const char* key_name;
  const char* const* enums;  // sorted by bytes
  const Pattern* pattern;
  int64_t min;  // length of strings, blobs, lists and maps; value of numbers
  int64_t max;
};

struct ErrorShape {
  const char* name;
  const char* code;
  uint16_t status;
  bool sender;
};

struct Service;

struct Operation {
  const char* name;
  const char* method;
  const char* uri;
  const Type* input;
  const Type* output;
  const char* input_element;  // root element of a REST XML request, or null
  const char* input_namespace;
  const char* output_element;  // root element of a REST XML answer, or null
  const char* result_wrapper;  // "AssumeRoleResult", or null
  const ErrorShape* const* errors;
  uint16_t error_count;
  uint16_t status;         // of an answer, in the protocols that say so
  bool unsigned_allowed;   // the model says that it may come without a signature
  bool checksum_required;  // a request must carry a checksum of its body
  std::shared_ptr<void> (*make_input)();
  std::shared_ptr<void> (*make_output)();
  const Service* service;
};

// Every operation that AWS's model has; `implemented` is null for those that are not built.
struct OperationName {
  const char* name;
  const char* method;
  const char* uri;  // empty in protocols without one
  const Operation* implemented;
};

enum Protocol : uint8_t { kQuery = 1, kEc2 = 2, kJson = 4, kRestXml = 8, kRestJson = 16, kCbor = 32 };

struct Service {
  const char* name;  // "elbv2"
  uint8_t protocols;
  const char* json_version;   // "1.1"
  const char* target_prefix;  // "TrentService", or ""
  const char* api_version;
  const char* xml_namespace;
  const char* endpoint_prefix;  // "elasticloadbalancing"
  const char* signing_name;
  const char* service_id;
  bool global;                      // one endpoint for all regions
  bool query_compatible;            // JSON and CBOR errors carry the code of the query protocol too
  const OperationName* operations;  // sorted by name
  uint16_t operation_count;
  const ErrorShape* errors;  // sorted by code
  uint16_t error_count;
};

// Every service that has a model.
const std::vector<const Service*>& services();
const Service* find_service(std::string_view name);
const OperationName* find_operation(const Service& service, std::string_view name);
const ErrorShape* find_error(const Service& service, std::string_view code);

extern const Type kEmptyType;

// What the generated tables point to.
template <class T>
std::shared_ptr<void> make_shared_of() {
  return std::make_shared<T>();
}
template <class O>
struct AccessOf {
  static void* emplace(void* p) { return &static_cast<O*>(p)->emplace(); }
  static const void* get(const void* p) {
    const auto& o = *static_cast<const O*>(p);
    return o ? static_cast<const void*>(&*o) : nullptr;
  }
  static constexpr Access access{emplace, get};
};
template <class T>
struct ListOf {
  using List = std::vector<T>;
  static void* push(void* p) { return &static_cast<List*>(p)->emplace_back(); }
  static size_t size(const void* p) { return static_cast<const List*>(p)->size(); }
  static const void* at(const void* p, size_t i) { return &(*static_cast<const List*>(p))[i]; }
  static constexpr ListAccess access{push, size, at};
};
template <class T>
struct MapOf {
  using Map = std::map<std::string, T>;
  static void* put(void* p, std::string_view key) { return &(*static_cast<Map*>(p))[std::string(key)]; }
  static size_t size(const void* p) { return static_cast<const Map*>(p)->size(); }
  static void each(const void* p, void* context, void (*visit)(void*, const std::string&, const void*)) {
    for (const auto& [key, value] : *static_cast<const Map*>(p)) visit(context, key, &value);
  }
  static constexpr MapAccess access{put, size, each};
};

}  // namespace bastide::model
