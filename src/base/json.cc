#include "base/json.h"

#include <fmt/format.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <cmath>

#include "base/bytes.h"

namespace bastide::json {
namespace {

constexpr size_t kMaxDepth = 64;

// Builds a Value from RapidJSON's events.
class Builder {
 public:
  bool Null() { return add(Value()); }
  bool Bool(bool b) { return add(Value(b)); }
  bool Int(int i) { return add(Value(int64_t{i})); }
  bool Uint(unsigned i) { return add(Value(int64_t{i})); }
  bool Int64(int64_t i) { return add(Value(i)); }
  bool Uint64(uint64_t i) {
    return i <= static_cast<uint64_t>(INT64_MAX) ? add(Value(static_cast<int64_t>(i)))
                                                 : add(Value(static_cast<double>(i)));
  }
  bool Double(double d) { return add(Value(d)); }
  bool RawNumber(const char*, rapidjson::SizeType, bool) { return false; }
  bool String(const char* s, rapidjson::SizeType n, bool) { return add(Value(std::string(s, n))); }
  bool StartObject() { return open(Value(Object{})); }
  bool StartArray() { return open(Value(Array{})); }
  bool Key(const char* s, rapidjson::SizeType n, bool) {
    keys_.back().assign(s, n);
    if (open_.back().find(keys_.back()) == nullptr) return true;
    why = "repeated member \"" + keys_.back() + "\"";
    return false;
  }
  bool EndObject(rapidjson::SizeType) { return close(); }
  bool EndArray(rapidjson::SizeType) { return close(); }

  Value root;
  std::string why;

 private:
  bool open(Value v) {
    if (open_.size() >= kMaxDepth) {
      why = fmt::format("nested deeper than {} levels", kMaxDepth);
      return false;
    }
    open_.push_back(std::move(v));
    keys_.emplace_back();
    return true;
  }
  bool close() {
    Value done = std::move(open_.back());
    open_.pop_back();
    keys_.pop_back();
    return add(std::move(done));
  }
  bool add(Value v) {
    if (open_.empty()) root = std::move(v);
    else if (open_.back().is_array()) open_.back().array().push_back(std::move(v));
    else open_.back().object().emplace_back(std::move(keys_.back()), std::move(v));
    return true;
  }

  std::vector<Value> open_;
  std::vector<std::string> keys_;
};

void append(std::string& out, const Value& v, int indent) {
  const auto line = [&](int depth) {
    if (indent < 0) return;
    out += '\n';
    out.append(static_cast<size_t>(depth) * 2, ' ');
  };
  const int inner = indent < 0 ? -1 : indent + 1;
  if (v.is_null()) out += "null";
  else if (v.is_bool()) out += v.boolean() ? "true" : "false";
  else if (v.is_int()) fmt::format_to(std::back_inserter(out), "{}", v.integer());
  else if (v.is_double()) {
    const double d = v.number();
    if (!std::isfinite(d)) out += "null";
    else if (d == std::floor(d) && std::fabs(d) < 1e15) fmt::format_to(std::back_inserter(out), "{:.1f}", d);
    else fmt::format_to(std::back_inserter(out), "{}", d);
  } else if (v.is_string()) append_string(out, v.string());
  else if (v.is_array()) {
    out += '[';
    bool first = true;
    for (const Value& e : v.array()) {
      if (!first) out += ',';
      first = false;
      line(inner);
      append(out, e, inner);
    }
    if (!first) line(indent);
    out += ']';
  } else {
    out += '{';
    bool first = true;
    for (const auto& [key, value] : v.object()) {
      if (!first) out += ',';
      first = false;
      line(inner);
      append_string(out, key);
      out += indent < 0 ? ":" : ": ";
      append(out, value, inner);
    }
    if (!first) line(indent);
    out += '}';
  }
}

}  // namespace

bool Value::boolean() const { CHECK(is_bool()); return std::get<bool>(v_); }
int64_t Value::integer() const { CHECK(is_int()); return std::get<int64_t>(v_); }
double Value::number() const {
  CHECK(is_number());
  return is_int() ? static_cast<double>(std::get<int64_t>(v_)) : std::get<double>(v_);
}
const std::string& Value::string() const { CHECK(is_string()); return std::get<std::string>(v_); }
const Array& Value::array() const { CHECK(is_array()); return std::get<Array>(v_); }
Array& Value::array() { CHECK(is_array()); return std::get<Array>(v_); }
const Object& Value::object() const { CHECK(is_object()); return std::get<Object>(v_); }
Object& Value::object() { CHECK(is_object()); return std::get<Object>(v_); }

const Value* Value::find(std::string_view key) const {
  if (!is_object()) return nullptr;
  for (const auto& [k, v] : object()) {
    if (k == key) return &v;
  }
  return nullptr;
}
Value* Value::find(std::string_view key) { return const_cast<Value*>(std::as_const(*this).find(key)); }

Value& Value::operator[](std::string_view key) {
  if (is_null()) v_ = Object{};
  if (Value* found = find(key)) return *found;
  return object().emplace_back(std::string(key), Value()).second;
}

bool Value::remove(std::string_view key) {
  return is_object() && std::erase_if(object(), [&](const Member& m) { return m.first == key; }) > 0;
}

void Value::push(Value element) {
  if (is_null()) v_ = Array{};
  array().push_back(std::move(element));
}

std::string Value::get(std::string_view key, std::string_view fallback) const {
  const Value* v = find(key);
  return v && v->is_string() ? v->string() : std::string(fallback);
}
int64_t Value::get_int(std::string_view key, int64_t fallback) const {
  const Value* v = find(key);
  return v && v->is_int() ? v->integer() : fallback;
}
bool Value::get_bool(std::string_view key, bool fallback) const {
  const Value* v = find(key);
  return v && v->is_bool() ? v->boolean() : fallback;
}
const Array& Value::get_array(std::string_view key) const {
  static const Array none;
  const Value* v = find(key);
  return v && v->is_array() ? v->array() : none;
}
const Object& Value::get_object(std::string_view key) const {
  static const Object none;
  const Value* v = find(key);
  return v && v->is_object() ? v->object() : none;
}

bool Value::operator==(const Value& other) const {
  if (is_number() && other.is_number()) return is_int() && other.is_int() ? integer() == other.integer() : number() == other.number();
  if (!is_object() || !other.is_object()) return v_ == other.v_;
  if (object().size() != other.object().size()) return false;
  return std::all_of(object().begin(), object().end(), [&](const Member& m) {
    const Value* theirs = other.find(m.first);
    return theirs && *theirs == m.second;
  });
}

Result<Value> parse(std::string_view text) {
  Builder builder;
  rapidjson::MemoryStream stream(text.data(), text.size());
  rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>> reader;
  const auto outcome =
      reader.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(stream, builder);
  if (!outcome.IsError()) return std::move(builder.root);
  const size_t at = std::min(outcome.Offset(), text.size());
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n');
  const size_t start = text.substr(0, at).rfind('\n') + 1;  // npos + 1 == 0
  const std::string why = builder.why.empty() ? rapidjson::GetParseError_En(outcome.Code()) : builder.why;
  return error("Invalid", fmt::format("line {}, column {}: {}", line, at - start + 1, why));
}

std::string print(const Value& value) {
  std::string out;
  append(out, value, -1);
  return out;
}

std::string pretty(const Value& value) {
  std::string out;
  append(out, value, 0);
  out += '\n';
  return out;
}

void append_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<uint8_t>(c) < 0x20) fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<int>(c));
        else out += c;
    }
  }
  out += '"';
}

}  // namespace bastide::json
