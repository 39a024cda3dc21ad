#include "model/check.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"

namespace bastide::model {
namespace {

constexpr size_t kMaxShown = 1024;  // bytes of a wrong value in a message
constexpr size_t kMaxDepth = 64;

std::string shown(std::string_view value) {
  if (value.size() <= kMaxShown) return std::string(value);
  size_t end = kMaxShown;
  while (end > 0 && (static_cast<uint8_t>(value[end]) & 0xc0) == 0x80) --end;
  return std::string(value.substr(0, end)) + "...";
}

std::string lower_first(std::string_view name) {
  std::string out(name);
  if (!out.empty() && out[0] >= 'A' && out[0] <= 'Z') out[0] = static_cast<char>(out[0] + ('a' - 'A'));
  return out;
}

// Smithy counts a string's length in Unicode scalar values.
int64_t utf8_length(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; });
}

void check_length(const Type& type, int64_t length, std::string_view value, Check& check) {
  if (length < type.min) {
    check.broken(type, value, fmt::format("Member must have length greater than or equal to {}", type.min));
  }
  if (length > type.max) {
    check.broken(type, value, fmt::format("Member must have length less than or equal to {}", type.max));
  }
}

template <class N>
void check_range(const Type& type, N number, Check& check) {
  if (number < static_cast<N>(type.min)) {
    check.broken(type, fmt::format("{}", number),
                 fmt::format("Member must have value greater than or equal to {}", type.min));
  }
  if (number > static_cast<N>(type.max)) {
    check.broken(type, fmt::format("{}", number),
                 fmt::format("Member must have value less than or equal to {}", type.max));
  }
}

void check_string(const Type& type, const std::string& value, Check& check) {
  if (type.enum_count != 0) {
    const bool known = std::binary_search(type.enums, type.enums + type.enum_count, std::string_view(value),
                                          [](std::string_view a, std::string_view b) { return a < b; });
    if (!known) {
      std::vector<std::string_view> all(type.enums, type.enums + type.enum_count);
      check.broken(type, value, "Member must satisfy enum value set: [" + join(all, ", ") + "]");
    }
  }
  const auto bytes = static_cast<int64_t>(value.size());
  if (bytes > type.max || bytes < type.min || type.min > 0)
    check_length(type, utf8_length(value), value, check);
  if (type.pattern != nullptr && !matches(*type.pattern, value)) {
    check.broken(type, value,
                 fmt::format("Member must satisfy regular expression pattern: {}", type.pattern->text));
  }
}

std::string list_text(const Type& type, const void* list, const ListAccess& access) {
  if (type.element->kind != Kind::string || type.element->sensitive) return "[...]";
  std::string out = "[";
  for (size_t i = 0; i < access.size(list) && out.size() < kMaxShown; ++i) {
    if (i > 0) out += ", ";
    out += *static_cast<const std::string*>(access.at(list, i));
  }
  return out + "]";
}

}  // namespace

std::string Check::path(const char* last) const {
  std::string out;
  const auto dot = [&] {
    if (!out.empty()) out += '.';
  };
  for (const Step& step : path_) {
    dot();
    if (step.member != nullptr)
      out += style_ == Style::coral ? lower_first(step.member) : std::string(step.member);
    else if (step.index != 0)
      out += style_ == Style::coral ? fmt::format("{}.member", step.index) : std::to_string(step.index);
    else
      out += std::string(step.key) + ".member";
  }
  if (last != nullptr) {
    dot();
    out += style_ == Style::coral ? lower_first(last) : std::string(last);
  }
  return out;
}

void Check::missing(const Field& field) {
  if (full()) return;
  const bool ec2 = style_ == Style::ec2;
  absent_.push_back(path(ec2 ? field.query_wire : field.name));
  if (ec2 && problems_.empty()) ec2_code_ = "MissingParameter";
  problems_.push_back(
      ec2 ? fmt::format("The request must contain the parameter {}", absent_.back())
          : fmt::format("Value null at '{}' failed to satisfy constraint: Member must not be null",
                        absent_.back()));
}

bool Check::below_absent(std::string_view place) const {
  return std::any_of(absent_.begin(), absent_.end(), [&](const std::string& absent) {
    return place.starts_with(absent) && (place.size() == absent.size() || place[absent.size()] == '.');
  });
}

void Check::broken(const Type& type, std::string_view value, std::string_view constraint) {
  if (full()) return;
  const std::string place = path(nullptr);
  if (below_absent(place)) return;
  if (style_ == Style::ec2) {
    if (problems_.empty()) ec2_code_ = "InvalidParameterValue";
    problems_.push_back(
        type.sensitive
            ? fmt::format("Value for parameter {} is invalid. {}", place, constraint)
            : fmt::format("Value ({}) for parameter {} is invalid. {}", shown(value), place, constraint));
    return;
  }
  problems_.push_back(type.sensitive
                          ? fmt::format("Value at '{}' failed to satisfy constraint: {}", place, constraint)
                          : fmt::format("Value '{}' at '{}' failed to satisfy constraint: {}", shown(value),
                                        place, constraint));
}

Result<void> Check::result() const {
  if (problems_.empty()) return {};
  if (style_ == Style::ec2) return error(ec2_code_, problems_.front());
  return error(std::string(kConstraint),
               fmt::format("{} validation error{} detected: {}", problems_.size(),
                           problems_.size() == 1 ? "" : "s", join(problems_, "; ")));
}

void validate(const Type& type, const void* value, Check& check) {
  if (check.depth() > kMaxDepth || check.full()) return;
  switch (type.kind) {
    case Kind::string:
      return check_string(type, *static_cast<const std::string*>(value), check);
    case Kind::blob:
      return check_length(type, static_cast<int64_t>(static_cast<const std::string*>(value)->size()),
                          "java.nio.HeapByteBuffer", check);
    case Kind::int32:
      return check_range<int64_t>(type, *static_cast<const int32_t*>(value), check);
    case Kind::int64:
      return check_range<int64_t>(type, *static_cast<const int64_t*>(value), check);
    case Kind::float64:
      return check_range<double>(type, *static_cast<const double*>(value), check);
    case Kind::boolean:
    case Kind::timestamp:
    case Kind::document:
      return;
    case Kind::structure:
      for (uint16_t i = 0; i < type.field_count; ++i) {
        const Field& field = type.fields[i];
        const void* member = member_of(field, value);
        if (member == nullptr) continue;
        const Entered entered(check, field);
        validate(*field.type, member, check);
      }
      return;
    case Kind::list: {
      const auto& access = *static_cast<const ListAccess*>(type.container);
      const size_t size = access.size(value);
      const auto length = static_cast<int64_t>(size);
      if (length < type.min || length > type.max)
        check_length(type, length, list_text(type, value, access), check);
      for (size_t i = 0; i < size; ++i) {
        const Entered entered(check, i + 1);
        validate(*type.element, access.at(value, i), check);
      }
      return;
    }
    case Kind::map: {
      const auto& access = *static_cast<const MapAccess*>(type.container);
      check_length(type, static_cast<int64_t>(access.size(value)), "{...}", check);
      struct Context {
        const Type& type;
        Check& check;
      } context{type, check};
      access.each(value, &context, [](void* p, const std::string& key, const void* element) {
        auto& [map, inner] = *static_cast<Context*>(p);
        const Entered entered(inner, std::string_view(key));
        validate(*map.key, &key, inner);
        validate(*map.element, element, inner);
      });
      return;
    }
  }
}

}  // namespace bastide::model
