#include "model/scalar.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "base/bytes.h"
#include "model/check.h"

namespace bastide::model {
namespace {

Error malformed(std::string_view text, std::string_view wanted) {
  return error(std::string(kMalformed), fmt::format("'{}' is not {}", text.substr(0, 64), wanted));
}

template <class N>
void append_number(std::string& out, N number) {
  char buffer[40];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, number).ptr);
}

template <class N>
Result<void> read_number(std::string_view text, void* out, std::string_view wanted) {
  N number{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc{} || end != text.data() + text.size()) return malformed(text, wanted);
  *static_cast<N*>(out) = number;
  return {};
}

}  // namespace

void append_time(std::string& out, Millis time, TimeFormat format, TimeFormat fallback, bool quoted) {
  if (format == TimeFormat::by_protocol) format = fallback;
  if (format == TimeFormat::unix_seconds) {
    const Millis magnitude = time < 0 ? -time : time;
    if (time < 0) out += '-';
    append_number(out, magnitude / 1000);
    if (magnitude % 1000 != 0) {
      out += fmt::format(".{:03}", magnitude % 1000);
      while (out.back() == '0') out.pop_back();
    }
    return;
  }
  if (quoted) out += '"';
  out += format == TimeFormat::http_date ? http_date(time) : iso8601(time);
  if (quoted) out += '"';
}

void append_scalar(std::string& out, const Type& type, const void* value, TimeFormat time) {
  switch (type.kind) {
    case Kind::string:
      out += *static_cast<const std::string*>(value);
      return;
    case Kind::blob:
      out += base64(*static_cast<const std::string*>(value));
      return;
    case Kind::boolean:
      out += *static_cast<const bool*>(value) ? "true" : "false";
      return;
    case Kind::int32:
      return append_number(out, *static_cast<const int32_t*>(value));
    case Kind::int64:
      return append_number(out, *static_cast<const int64_t*>(value));
    case Kind::float64: {
      const double number = *static_cast<const double*>(value);
      if (std::isnan(number))
        out += "NaN";
      else if (std::isinf(number))
        out += number > 0 ? "Infinity" : "-Infinity";
      else
        append_number(out, number);
      return;
    }
    case Kind::timestamp:
      return append_time(out, *static_cast<const Millis*>(value),
                         time == TimeFormat::by_protocol ? type.time : time, TimeFormat::iso8601);
    case Kind::document:
      out += json::print(*static_cast<const json::Value*>(value));
      return;
    default:
      return;
  }
}

Result<void> read_scalar(std::string_view text, const Type& type, void* out, TimeFormat time) {
  switch (type.kind) {
    case Kind::string:
      *static_cast<std::string*>(out) = text;
      return {};
    case Kind::blob: {
      auto bytes = unbase64(text);
      if (!bytes) return malformed(text, "base64");
      *static_cast<std::string*>(out) = std::move(bytes).value();
      return {};
    }
    case Kind::boolean:
      if (!iequals(text, "true") && !iequals(text, "false")) return malformed(text, "a boolean");
      *static_cast<bool*>(out) = iequals(text, "true");
      return {};
    case Kind::int32:
      return read_number<int32_t>(text, out, "an integer");
    case Kind::int64:
      return read_number<int64_t>(text, out, "a long");
    case Kind::float64: {
      auto& number = *static_cast<double*>(out);
      if (text == "NaN")
        number = std::numeric_limits<double>::quiet_NaN();
      else if (text == "Infinity")
        number = std::numeric_limits<double>::infinity();
      else if (text == "-Infinity")
        number = -std::numeric_limits<double>::infinity();
      else
        return read_number<double>(text, out, "a double");
      return {};
    }
    case Kind::timestamp: {
      if (time == TimeFormat::by_protocol) time = type.time;
      double seconds = 0;
      const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), seconds);
      const bool number = ec == std::errc{} && end == text.data() + text.size() && std::fabs(seconds) < 1e13;
      // "20261122" alone is a basic date, any other number is seconds.
      if (number && (time == TimeFormat::unix_seconds || text.size() != 8)) {
        *static_cast<Millis*>(out) = std::llround(seconds * 1000);
        return {};
      }
      auto parsed = time == TimeFormat::http_date ? parse_http_date(text) : parse_iso8601(text);
      if (!parsed && time != TimeFormat::http_date) parsed = parse_http_date(text);
      if (!parsed) return malformed(text, "a timestamp");
      *static_cast<Millis*>(out) = parsed.value();
      return {};
    }
    case Kind::document: {
      auto parsed = json::parse(text);
      if (!parsed) return malformed(text, "a document");
      *static_cast<json::Value*>(out) = std::move(parsed).value();
      return {};
    }
    default:
      return malformed(text, "a scalar");
  }
}

}  // namespace bastide::model
