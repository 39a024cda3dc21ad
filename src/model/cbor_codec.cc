#include "model/cbor_codec.h"

#include <bit>
#include <bitset>
#include <cmath>
#include <limits>

#include "base/bytes.h"

namespace bastide::model {
namespace {

constexpr int kMaxDepth = 64;
enum Major : uint8_t { kUnsigned, kNegative, kBytes, kText, kArray, kMap, kTag, kSimple };

Error fail(std::string_view what) { return error(std::string(kMalformed), "CBOR: " + std::string(what)); }

struct Head {
  uint8_t major = 0;
  uint8_t info = 0;
  uint64_t value = 0;
  bool indefinite() const { return info == 31; }
  bool is_break() const { return major == kSimple && info == 31; }
  bool is_null() const { return major == kSimple && (info == 22 || info == 23); }
};

class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}
  bool done() const { return at_ == bytes_.size(); }

  Result<Head> peek() {
    const size_t before = at_;
    auto head = next();
    at_ = before;
    return head;
  }

  Result<Head> next() {
    if (done()) return fail("unexpected end");
    const auto first = static_cast<uint8_t>(bytes_[at_++]);
    Head head{static_cast<uint8_t>(first >> 5), static_cast<uint8_t>(first & 31), 0};
    if (head.info < 24) {
      head.value = head.info;
    } else if (head.info < 28) {
      const size_t size = size_t{1} << (head.info - 24);
      if (bytes_.size() - at_ < size) return fail("unexpected end");
      for (size_t i = 0; i < size; ++i) head.value = head.value << 8 | static_cast<uint8_t>(bytes_[at_++]);
    } else if (head.info != 31 || head.major < kBytes || head.major == kTag) {
      return fail("a reserved length");
    }
    return head;
  }

  // The bytes of a byte or text string whose head was read.
  Result<std::string> string(const Head& head) {
    std::string out;
    if (!head.indefinite()) {
      TRY(append(out, head.value));
      return out;
    }
    for (;;) {
      const Head chunk = TRY(next());
      if (chunk.is_break()) return out;
      if (chunk.major != head.major || chunk.indefinite()) return fail("a chunk of another kind");
      TRY(append(out, chunk.value));
    }
  }

  // Whether an array or map goes on after `count` elements.
  Result<bool> more(const Head& head, uint64_t count) {
    if (!head.indefinite()) return count < head.value;
    if (done()) return fail("unexpected end");
    if (static_cast<uint8_t>(bytes_[at_]) != 0xff) return true;
    ++at_;
    return false;
  }

  Result<void> skip(int depth = 0) {
    if (depth > kMaxDepth) return fail("nested too deeply");
    const Head head = TRY(next());
    switch (head.major) {
      case kBytes:
      case kText:
        TRY(string(head));
        return {};
      case kArray:
      case kMap:
        for (uint64_t i = 0;; ++i) {
          const bool goes_on = TRY(more(head, i));
          if (!goes_on) return {};
          TRY(skip(depth + 1));
          if (head.major == kMap) TRY(skip(depth + 1));
        }
      case kTag:
        return skip(depth + 1);
      default:
        if (head.is_break()) return fail("an unexpected break");
        return {};
    }
  }

 private:
  Result<void> append(std::string& out, uint64_t size) {
    if (bytes_.size() - at_ < size) return fail("unexpected end");
    out.append(bytes_.substr(at_, size));
    at_ += size;
    return {};
  }

  std::string_view bytes_;
  size_t at_ = 0;
};

double half(uint64_t bits) {
  const int exponent = static_cast<int>(bits >> 10 & 31);
  const double mantissa = static_cast<double>(bits & 1023);
  double value = 0;
  if (exponent == 0)
    value = std::ldexp(mantissa, -24);
  else if (exponent == 31)
    value =
        mantissa == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  else
    value = std::ldexp(mantissa + 1024, exponent - 25);
  return (bits & 0x8000) != 0 ? -value : value;
}

Result<int64_t> integer_of(const Head& head) {
  if (head.major > kNegative || head.value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    return fail("an integer was expected");
  const auto magnitude = static_cast<int64_t>(head.value);
  return head.major == kUnsigned ? magnitude : -1 - magnitude;
}

Result<double> number_of(const Head& head) {
  if (head.major == kSimple) {
    if (head.info == 25) return half(head.value);
    if (head.info == 26) return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(head.value)));
    if (head.info == 27) return std::bit_cast<double>(head.value);
    return fail("a number was expected");
  }
  const auto integer = TRY(integer_of(head));
  return static_cast<double>(integer);
}

const Field* find_field(const Type& type, std::string_view key) {
  for (uint16_t i = 0; i < type.field_count; ++i) {
    if (key == type.fields[i].name) return &type.fields[i];
  }
  return nullptr;
}

class Reader {
 public:
  Reader(std::string_view bytes, Check* check) : in_(bytes), check_(check) {}

  Result<void> document(const Type& type, void* out) {
    TRY(value(type, out));
    if (!in_.done()) return fail("something follows the message");
    return {};
  }

 private:
  Result<void> value(const Type& type, void* out) {
    const Head head = TRY(in_.next());
    switch (type.kind) {
      case Kind::structure:
        return structure(head, type, out);
      case Kind::list:
        return list(head, type, out);
      case Kind::map:
        return map(head, type, out);
      case Kind::string:
      case Kind::blob: {
        if (head.major != (type.kind == Kind::string ? kText : kBytes)) return fail("a string was expected");
        auto text = TRY(in_.string(head));
        if (type.kind == Kind::string && !valid_utf8(text)) return fail("a text that is not UTF-8");
        *static_cast<std::string*>(out) = std::move(text);
        return {};
      }
      case Kind::boolean:
        if (head.major != kSimple || (head.info != 20 && head.info != 21))
          return fail("a boolean was expected");
        *static_cast<bool*>(out) = head.info == 21;
        return {};
      case Kind::int32: {
        const auto number = TRY(integer_of(head));
        if (number < std::numeric_limits<int32_t>::min() || number > std::numeric_limits<int32_t>::max())
          return fail("an integer out of range");
        *static_cast<int32_t*>(out) = static_cast<int32_t>(number);
        return {};
      }
      case Kind::int64:
        *static_cast<int64_t*>(out) = TRY(integer_of(head));
        return {};
      case Kind::float64:
        *static_cast<double*>(out) = TRY(number_of(head));
        return {};
      case Kind::timestamp: {
        if (head.major != kTag || head.value != 1) return fail("a timestamp was expected");
        const Head number = TRY(in_.next());
        const double seconds = TRY(number_of(number));
        if (!(std::fabs(seconds) < 1e13)) return fail("a timestamp out of range");
        *static_cast<Millis*>(out) = std::llround(seconds * 1000);
        return {};
      }
      case Kind::document:
        return fail("documents are not part of this protocol");
    }
    return fail("unexpected kind");
  }

  Result<void> structure(const Head& head, const Type& type, void* out) {
    if (head.major != kMap) return fail("a structure was expected");
    if (++depth_ > kMaxDepth) return fail("nested too deeply");
    std::bitset<256> seen;
    for (uint64_t i = 0;; ++i) {
      const bool goes_on = TRY(in_.more(head, i));
      if (!goes_on) break;
      const std::string name = TRY(key());
      const Field* field = find_field(type, name);
      const bool null = TRY(skip_null());
      if (null) continue;
      if (field == nullptr) {
        TRY(in_.skip());
        continue;
      }
      const auto index = static_cast<size_t>(field - type.fields);
      if (seen[index]) return fail("repeated member " + name);
      seen.set(index);
      if (check_ != nullptr) check_->enter(*field);
      auto read = value(*field->type, make_member(*field, out));
      if (check_ != nullptr) check_->leave();
      TRY(std::move(read));
    }
    --depth_;
    for (uint16_t i = 0; check_ != nullptr && i < type.field_count; ++i) {
      if (type.fields[i].required && !seen[i]) check_->missing(type.fields[i]);
    }
    return {};
  }

  Result<void> list(const Head& head, const Type& type, void* out) {
    if (head.major != kArray) return fail("a list was expected");
    if (++depth_ > kMaxDepth) return fail("nested too deeply");
    const auto& access = *static_cast<const ListAccess*>(type.container);
    for (uint64_t i = 0;; ++i) {
      const bool goes_on = TRY(in_.more(head, i));
      if (!goes_on) break;
      const bool null = TRY(skip_null());
      if (null) continue;
      void* element = access.push(out);
      if (check_ != nullptr) check_->enter(access.size(out));
      auto read = value(*type.element, element);
      if (check_ != nullptr) check_->leave();
      TRY(std::move(read));
    }
    --depth_;
    return {};
  }

  Result<void> map(const Head& head, const Type& type, void* out) {
    if (head.major != kMap) return fail("a map was expected");
    if (++depth_ > kMaxDepth) return fail("nested too deeply");
    for (uint64_t i = 0;; ++i) {
      const bool goes_on = TRY(in_.more(head, i));
      if (!goes_on) break;
      const std::string name = TRY(key());
      const bool null = TRY(skip_null());
      if (null) continue;
      void* element = static_cast<const MapAccess*>(type.container)->put(out, name);
      if (check_ != nullptr) check_->enter(std::string_view(name));
      auto read = value(*type.element, element);
      if (check_ != nullptr) check_->leave();
      TRY(std::move(read));
    }
    --depth_;
    return {};
  }

  Result<std::string> key() {
    const Head head = TRY(in_.next());
    if (head.major != kText) return fail("a key that is no text");
    auto name = TRY(in_.string(head));
    if (!valid_utf8(name)) return fail("a text that is not UTF-8");
    return name;
  }

  Result<bool> skip_null() {
    const Head head = TRY(in_.peek());
    if (!head.is_null()) return false;
    TRY(in_.next());
    return true;
  }

  Input in_;
  Check* check_;
  int depth_ = 0;
};

void append_head(std::string& out, Major major, uint64_t value) {
  const auto first = static_cast<uint8_t>(major << 5);
  int size = 0;
  if (value < 24) {
    out += static_cast<char>(first | value);
    return;
  }
  if (value <= 0xff) {
    out += static_cast<char>(first | 24);
    size = 1;
  } else if (value <= 0xffff) {
    out += static_cast<char>(first | 25);
    size = 2;
  } else if (value <= 0xffffffff) {
    out += static_cast<char>(first | 26);
    size = 4;
  } else {
    out += static_cast<char>(first | 27);
    size = 8;
  }
  for (int shift = (size - 1) * 8; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
}

void append_text(std::string& out, std::string_view text) {
  append_head(out, kText, text.size());
  out += text;
}

void append_integer(std::string& out, int64_t number) {
  if (number >= 0)
    append_head(out, kUnsigned, static_cast<uint64_t>(number));
  else
    append_head(out, kNegative, static_cast<uint64_t>(-1 - number));
}

void append_double(std::string& out, double number) {
  out += static_cast<char>(0xfb);
  const auto bits = std::bit_cast<uint64_t>(number);
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(bits >> shift & 0xff);
}

}  // namespace

Result<void> read_cbor(std::string_view bytes, const Type& type, void* out, Check* check) {
  static constexpr std::string_view kNothing("\xa0", 1);
  return Reader(bytes.empty() ? kNothing : bytes, check).document(type, out);
}

void write_cbor(std::string& out, const Type& type, const void* value) {
  switch (type.kind) {
    case Kind::structure: {
      uint64_t count = 0;
      for (uint16_t i = 0; i < type.field_count; ++i) count += member_of(type.fields[i], value) != nullptr;
      append_head(out, kMap, count);
      for (uint16_t i = 0; i < type.field_count; ++i) {
        const void* member = member_of(type.fields[i], value);
        if (member == nullptr) continue;
        append_text(out, type.fields[i].name);
        write_cbor(out, *type.fields[i].type, member);
      }
      return;
    }
    case Kind::list: {
      const auto& access = *static_cast<const ListAccess*>(type.container);
      const size_t size = access.size(value);
      append_head(out, kArray, size);
      for (size_t i = 0; i < size; ++i) write_cbor(out, *type.element, access.at(value, i));
      return;
    }
    case Kind::map: {
      const auto& access = *static_cast<const MapAccess*>(type.container);
      append_head(out, kMap, access.size(value));
      struct Context {
        std::string& out;
        const Type& element;
      } context{out, *type.element};
      access.each(value, &context, [](void* p, const std::string& key, const void* v) {
        auto& c = *static_cast<Context*>(p);
        append_text(c.out, key);
        write_cbor(c.out, c.element, v);
      });
      return;
    }
    case Kind::string:
      return append_text(out, *static_cast<const std::string*>(value));
    case Kind::blob:
      append_head(out, kBytes, static_cast<const std::string*>(value)->size());
      out += *static_cast<const std::string*>(value);
      return;
    case Kind::boolean:
      out += static_cast<char>(*static_cast<const bool*>(value) ? 0xf5 : 0xf4);
      return;
    case Kind::int32:
      return append_integer(out, *static_cast<const int32_t*>(value));
    case Kind::int64:
      return append_integer(out, *static_cast<const int64_t*>(value));
    case Kind::float64:
      return append_double(out, *static_cast<const double*>(value));
    case Kind::timestamp: {
      const Millis time = *static_cast<const Millis*>(value);
      append_head(out, kTag, 1);
      if (time % 1000 == 0) return append_integer(out, time / 1000);
      return append_double(out, static_cast<double>(time) / 1000);
    }
    case Kind::document:
      out += static_cast<char>(0xf6);
  }
}

void write_cbor_texts(std::string& out,
                      std::initializer_list<std::pair<std::string_view, std::string_view>> texts) {
  append_head(out, kMap, texts.size());
  for (const auto& [key, text] : texts) {
    append_text(out, key);
    append_text(out, text);
  }
}

std::string cbor_text(std::string_view bytes, std::string_view key) {
  Input in(bytes);
  const auto head = in.next();
  if (!head || head->major != kMap) return {};
  for (uint64_t i = 0;; ++i) {
    const auto goes_on = in.more(*head, i);
    if (!goes_on || !*goes_on) return {};
    const auto name = in.next();
    if (!name || name->major != kText) return {};
    const auto text = in.string(*name);
    if (!text) return {};
    if (*text == key) {
      const auto value = in.next();
      if (!value || value->major != kText) return {};
      return in.string(*value).value_or("");
    }
    if (!in.skip()) return {};
  }
}

}  // namespace bastide::model
