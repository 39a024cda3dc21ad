#include "model/json_codec.h"

#include <bitset>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/bytes.h"
#include "base/check.h"
#include "model/json_text.h"
#include "model/scalar.h"

namespace bastide::model {
namespace {

using Token = JsonText::Token;

std::string_view token_name(Token token) {
  switch (token) {
    case Token::string:
      return "STRING_VALUE";
    case Token::number:
      return "NUMBER_VALUE";
    case Token::boolean:
      return "TRUE_VALUE";
    default:
      return "NULL_VALUE";
  }
}

// As AWS's own services word it.
Error wrong_kind(const JsonText& in, Token token, std::string_view wanted) {
  if (token == Token::bad) return in.fail("Unexpected end of input or character");
  if (token == Token::object || token == Token::array)
    return in.fail("Start of structure or list found where not expected.");
  return in.fail(std::string(token_name(token)) + " can not be converted to " + std::string(wanted));
}

enum class Names { wire, model };

const char* name_of(const Field& field, Names names) {
  return names == Names::wire ? field.wire : field.name;
}

const Field* find_field(const Type& type, std::string_view key, size_t expected, Names names) {
  // Clients mostly send members in the model's order: look at the next one first.
  if (expected < type.field_count && key == name_of(type.fields[expected], names))
    return &type.fields[expected];
  for (uint16_t i = 0; i < type.field_count; ++i) {
    if (key == name_of(type.fields[i], names)) return &type.fields[i];
  }
  return nullptr;
}

class Reader {
 public:
  Reader(std::string_view text, Names names, Check* check) : in_(text), names_(names), check_(check) {}

  Result<void> document(const Type& type, void* out) {
    TRY(value(type, out));
    return in_.end();
  }

 private:
  Result<void> value(const Type& type, void* out) {
    const Token token = in_.peek();
    switch (type.kind) {
      case Kind::structure:
        return structure(type, out, token);
      case Kind::list:
        return list(type, out, token);
      case Kind::map:
        return map(type, out, token);
      case Kind::string:
        if (token != Token::string) return wrong_kind(in_, token, "a String");
        *static_cast<std::string*>(out) = TRY(in_.string());
        return {};
      case Kind::blob: {
        if (token != Token::string) return wrong_kind(in_, token, "a Blob");
        const auto text = TRY(in_.string());
        auto bytes = unbase64(text);
        if (!bytes) return in_.fail("Invalid Base64 in a blob");
        *static_cast<std::string*>(out) = std::move(bytes).value();
        return {};
      }
      case Kind::boolean:
        if (token != Token::boolean) return wrong_kind(in_, token, "a Boolean");
        *static_cast<bool*>(out) = TRY(in_.boolean());
        return {};
      case Kind::int32: {
        const auto number = TRY(integer(token, "an Integer"));
        if (number < std::numeric_limits<int32_t>::min() || number > std::numeric_limits<int32_t>::max()) {
          return in_.fail("NUMBER_VALUE can not be converted to an Integer");
        }
        *static_cast<int32_t*>(out) = static_cast<int32_t>(number);
        return {};
      }
      case Kind::int64:
        *static_cast<int64_t*>(out) = TRY(integer(token, "a Long"));
        return {};
      case Kind::float64:
        *static_cast<double*>(out) = TRY(real(token, "a Double"));
        return {};
      case Kind::timestamp:
        return timestamp(out, token);
      case Kind::document: {
        const auto text = TRY(in_.skip());
        auto parsed = json::parse(text);
        if (!parsed) return in_.fail(parsed.error().message);
        *static_cast<json::Value*>(out) = std::move(parsed).value();
        return {};
      }
    }
    return in_.fail("Unexpected token");
  }

  Result<void> structure(const Type& type, void* out, Token token) {
    if (token != Token::object) return wrong_kind(in_, token, "a structure");
    TRY(in_.open_object());
    std::bitset<256> seen;
    std::string key;
    size_t expected = 0;
    for (bool first = true;; first = false) {
      const bool more = TRY(in_.member(first, key));
      if (!more) break;
      const Field* field = find_field(type, key, expected, names_);
      if (field == nullptr) {
        TRY(in_.skip());
        continue;
      }
      const auto index = static_cast<size_t>(field - type.fields);
      expected = index + 1;
      if (in_.peek() == Token::null) {
        TRY(in_.null());
        continue;
      }
      if (seen[index]) return in_.fail("Repeated member " + key);
      seen.set(index);
      if (check_ != nullptr) check_->enter(*field);
      auto read = value(*field->type, make_member(*field, out));
      if (check_ != nullptr) check_->leave();
      TRY(std::move(read));
    }
    if (check_ == nullptr) return {};
    for (uint16_t i = 0; i < type.field_count; ++i) {
      const bool elsewhere = names_ == Names::wire && type.fields[i].place != Place::body;
      if (type.fields[i].required && !seen[i] && !elsewhere) check_->missing(type.fields[i]);
    }
    return {};
  }

  Result<void> list(const Type& type, void* out, Token token) {
    if (token != Token::array) {
      return token == Token::object ? in_.fail("Start of structure or map found where not expected.")
                                    : wrong_kind(in_, token, "a List");
    }
    const auto& access = *static_cast<const ListAccess*>(type.container);
    TRY(in_.open_array());
    for (bool first = true;; first = false) {
      const bool more = TRY(in_.element(first));
      if (!more) return {};
      if (in_.peek() == Token::null) {
        TRY(in_.null());
        continue;
      }
      void* element = access.push(out);
      if (check_ != nullptr) check_->enter(access.size(out));
      auto read = value(*type.element, element);
      if (check_ != nullptr) check_->leave();
      TRY(std::move(read));
    }
  }

  Result<void> map(const Type& type, void* out, Token token) {
    if (token != Token::object) return wrong_kind(in_, token, "a Map");
    const auto& access = *static_cast<const MapAccess*>(type.container);
    TRY(in_.open_object());
    std::string key;
    for (bool first = true;; first = false) {
      const bool more = TRY(in_.member(first, key));
      if (!more) return {};
      if (in_.peek() == Token::null) {
        TRY(in_.null());
        continue;
      }
      const size_t before = access.size(out);
      void* element = access.put(out, key);
      if (access.size(out) == before) return in_.fail("Repeated member " + key);
      const std::string kept = key;
      if (check_ != nullptr) check_->enter(std::string_view(kept));
      auto read = value(*type.element, element);
      if (check_ != nullptr) check_->leave();
      TRY(std::move(read));
    }
  }

  Result<int64_t> integer(Token token, std::string_view wanted) {
    if (token != Token::number) return wrong_kind(in_, token, wanted);
    const auto text = TRY(in_.number());
    int64_t number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (ec == std::errc{} && end == text.data() + text.size()) return number;
    double wide = 0;
    std::from_chars(text.data(), text.data() + text.size(), wide);
    if (wide != std::floor(wide) || std::fabs(wide) >= 9.2e18) {
      return in_.fail("NUMBER_VALUE can not be converted to " + std::string(wanted));
    }
    return static_cast<int64_t>(wide);
  }

  Result<double> real(Token token, std::string_view wanted) {
    if (token == Token::string) {
      const auto text = TRY(in_.string());
      if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
      if (text == "Infinity") return std::numeric_limits<double>::infinity();
      if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
      return in_.fail("STRING_VALUE can not be converted to " + std::string(wanted));
    }
    if (token != Token::number) return wrong_kind(in_, token, wanted);
    const auto text = TRY(in_.number());
    double number = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc{}) {
      return in_.fail("NUMBER_VALUE can not be converted to " + std::string(wanted));
    }
    return number;
  }

  Result<void> timestamp(void* out, Token token) {
    if (token == Token::string) {
      const auto text = TRY(in_.string());
      auto time = parse_iso8601(text);
      if (!time) return in_.fail("STRING_VALUE can not be converted to milliseconds since epoch");
      *static_cast<Millis*>(out) = time.value();
      return {};
    }
    const auto seconds = TRY(real(token, "milliseconds since epoch"));
    if (!(std::fabs(seconds) < 1e13))
      return in_.fail("NUMBER_VALUE can not be converted to milliseconds since epoch");
    *static_cast<Millis*>(out) = std::llround(seconds * 1000);
    return {};
  }

  JsonText in_;
  Names names_;
  Check* check_;
};

class Writer {
 public:
  Writer(std::string& out, Names names) : out_(out), names_(names) {}

  void value(const Type& type, const void* v) {
    switch (type.kind) {
      case Kind::structure:
        return structure(type, v);
      case Kind::list:
        return list(type, v);
      case Kind::map:
        return map(type, v);
      case Kind::string:
        return json::append_string(out_, *static_cast<const std::string*>(v));
      case Kind::blob:
        out_ += '"';
        out_ += base64(*static_cast<const std::string*>(v));
        out_ += '"';
        return;
      case Kind::float64:
        return append_json_number(out_, *static_cast<const double*>(v));
      case Kind::timestamp:
        return time(*static_cast<const Millis*>(v), type.time);
      default:
        append_scalar(out_, type, v);
    }
  }

 private:
  void time(Millis t, TimeFormat format) {
    append_time(out_, t, names_ == Names::model ? TimeFormat::unix_seconds : format, TimeFormat::unix_seconds,
                true);
  }

  void structure(const Type& type, const void* v) {
    out_ += '{';
    bool first = true;
    for (uint16_t i = 0; i < type.field_count; ++i) {
      const Field& field = type.fields[i];
      if (field.place != Place::body && names_ == Names::wire) continue;
      const void* member = member_of(field, v);
      if (member == nullptr) continue;
      if (!first) out_ += ',';
      first = false;
      json::append_string(out_, name_of(field, names_));
      out_ += ':';
      if (field.type->kind == Kind::timestamp)
        time(*static_cast<const Millis*>(member), field.time);
      else
        value(*field.type, member);
    }
    out_ += '}';
  }

  void list(const Type& type, const void* v) {
    const auto& access = *static_cast<const ListAccess*>(type.container);
    out_ += '[';
    for (size_t i = 0, size = access.size(v); i < size; ++i) {
      if (i > 0) out_ += ',';
      value(*type.element, access.at(v, i));
    }
    out_ += ']';
  }

  void map(const Type& type, const void* v) {
    struct Context {
      Writer& writer;
      const Type& element;
      bool first;
    } context{*this, *type.element, true};
    out_ += '{';
    static_cast<const MapAccess*>(type.container)
        ->each(v, &context, [](void* p, const std::string& key, const void* e) {
          auto& c = *static_cast<Context*>(p);
          if (!c.first) c.writer.out_ += ',';
          c.first = false;
          json::append_string(c.writer.out_, key);
          c.writer.out_ += ':';
          c.writer.value(c.element, e);
        });
    out_ += '}';
  }

  std::string& out_;
  Names names_;
};

Result<void> read(std::string_view text, const Type& type, void* out, Names names, Check* check) {
  if (!valid_utf8(text)) return error(std::string(kMalformed), "Invalid UTF-8");
  return Reader(text, names, check).document(type, out);
}

}  // namespace

Result<void> read_json(std::string_view text, const Type& type, void* out, Check* check) {
  return read(text, type, out, Names::wire, check);
}

void write_json(std::string& out, const Type& type, const void* value) {
  Writer(out, Names::wire).value(type, value);
}

Result<void> read_json_value(const json::Value& value, const Type& type, void* out, Check* check) {
  return read(value.is_null() ? "{}" : json::print(value), type, out, Names::model, check);
}

json::Value write_json_value(const Type& type, const void* value) {
  std::string text;
  Writer(text, Names::model).value(type, value);
  auto parsed = json::parse(text);
  if (!parsed) return {};  // only strings that are no UTF-8 come here: a service's error
  return std::move(parsed).value();
}

}  // namespace bastide::model
