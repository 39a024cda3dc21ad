#include <algorithm>
#include <optional>

#include "base/bytes.h"
#include "model/json_codec.h"
#include "model/rest_codec.h"
#include "model/scalar.h"
#include "model/xml_codec.h"

namespace bastide::model {
namespace {

constexpr size_t kMaxParameters = 1'000;

Error malformed(std::string message) { return error(std::string(kMalformed), std::move(message)); }

std::string_view take_segment(std::string_view& path) {
  const size_t end = path.find('/');
  const std::string_view segment = path.substr(0, end);
  path = end == std::string_view::npos ? std::string_view() : path.substr(end + 1);
  return segment;
}

std::string_view rooted(std::string_view path) { return path.starts_with('/') ? path.substr(1) : path; }

struct Label {
  std::string_view name;
  std::string_view value;
};

std::vector<Label> labels_of(std::string_view uri, std::string_view path) {
  std::vector<Label> out;
  std::string_view wanted = rooted(uri.substr(0, uri.find('?')));
  path = rooted(path);
  while (!wanted.empty()) {
    std::string_view segment = take_segment(wanted);
    if (!segment.starts_with('{')) {
      take_segment(path);
      continue;
    }
    segment = segment.substr(1, segment.size() - 2);
    if (segment.ends_with('+')) {
      out.push_back({segment.substr(0, segment.size() - 1), path});
      break;
    }
    out.push_back({segment, take_segment(path)});
  }
  return out;
}

Result<std::string> decoded(std::string_view text, bool plus_is_space) {
  auto out = percent_decode(text, plus_is_space);
  if (!out || !valid_utf8(*out)) return malformed("a part of the URI that is not well encoded");
  return out;
}

TimeFormat time_of(const Field& field, TimeFormat fallback) {
  if (field.time != TimeFormat::by_protocol) return field.time;
  return field.type->time != TimeFormat::by_protocol ? field.type->time : fallback;
}

class Reader {
 public:
  Reader(const RestSource& source, RestBody body, Check* check)
      : source_(source), body_(body), check_(check) {}

  Result<void> message(const Type& type, std::string_view uri, void* out) {
    if (!uri.empty()) {
      labels_ = labels_of(uri, source_.path);
      TRY(parse_query());
    }
    for (uint16_t i = 0; i < type.field_count; ++i) {
      const Field& field = type.fields[i];
      if (field.place == Place::body) continue;
      bool found = false;
      if (check_ != nullptr) check_->enter(field);
      auto read = member(field, out, found);
      if (check_ != nullptr) check_->leave();
      TRY(std::move(read));
      if (!found && field.required && check_ != nullptr) check_->missing(field);
    }
    return {};
  }

  Result<void> content(const Type& type, const char* root, void* out) {
    if (const Field* field = payload_of(type)) return payload(*field, out);
    const Field* only = nullptr;
    int count = 0;
    for (uint16_t i = 0; i < type.field_count; ++i) {
      if (type.fields[i].place != Place::body) continue;
      only = &type.fields[i];
      ++count;
    }
    if (count == 0) return {};
    if (body_ == RestBody::json)
      return read_json(source_.body.empty() ? "{}" : source_.body, type, out, check_);
    if (source_.body.empty()) return read_xml(XmlNode{}, type, out, check_);
    const XmlNode node = TRY(parse_xml(source_.body));
    // The answer of S3's GetBucketLocation is its only member.
    if (count == 1 && root != nullptr && std::string_view(root) == only->wire && node.children.empty()) {
      if (node.text.empty()) return {};
      return read_scalar(node.text, *only->type, make_member(*only, out), only->time);
    }
    if (check_ != nullptr && root != nullptr && node.name != root)
      return malformed("XML: the root element is not " + std::string(root));
    return read_xml(node, type, out, check_);
  }

 private:
  Result<void> parse_query() {
    for (const std::string_view pair : split(source_.query, '&')) {
      if (pair.empty()) continue;
      if (query_.size() == kMaxParameters) return malformed("too many parameters");
      const size_t equals = pair.find('=');
      auto name = TRY(decoded(pair.substr(0, equals), true));
      auto value =
          TRY(decoded(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true));
      query_.emplace_back(std::move(name), std::move(value));
    }
    return {};
  }

  Result<void> member(const Field& field, void* out, bool& found) {
    switch (field.place) {
      case Place::uri:
        for (const Label& label : labels_) {
          if (label.name != field.wire) continue;
          found = !label.value.empty();
          if (!found) return {};
          const auto text = TRY(decoded(label.value, false));
          return read_scalar(text, *field.type, make_member(field, out), time_of(field, TimeFormat::iso8601));
        }
        return {};
      case Place::query:
        return from_query(field, out, found);
      case Place::header:
        return from_header(field, out, found);
      case Place::headers:
        return from_headers(field, out, found);
      case Place::status:
        found = true;
        *static_cast<int32_t*>(make_member(field, out)) = source_.status;
        return {};
      case Place::body:
        return {};
    }
    return {};
  }

  Result<void> from_query(const Field& field, void* out, bool& found) {
    const Type& type = *field.type;
    void* at = nullptr;
    for (const auto& [name, value] : query_) {
      if (type.kind == Kind::map) {  // every parameter that no other member takes
        if (at == nullptr) at = make_member(field, out);
        void* element = static_cast<const MapAccess*>(type.container)->put(at, name);
        if (type.element->kind == Kind::list)
          element = static_cast<const ListAccess*>(type.element->container)->push(element);
        TRY(read_scalar(value, type.element->kind == Kind::list ? *type.element->element : *type.element,
                        element));
        found = true;
        continue;
      }
      if (name != field.wire) continue;
      found = true;
      if (type.kind == Kind::list) {
        if (at == nullptr) at = make_member(field, out);
        void* element = static_cast<const ListAccess*>(type.container)->push(at);
        TRY(read_scalar(value, *type.element, element, TimeFormat::iso8601));
        continue;
      }
      if (value.empty() && type.kind != Kind::string) return {};
      return read_scalar(value, type, make_member(field, out), time_of(field, TimeFormat::iso8601));
    }
    return {};
  }

  Result<void> from_header(const Field& field, void* out, bool& found) {
    const Type& type = *field.type;
    void* list = nullptr;
    for (const auto& [name, raw] : source_.headers) {
      if (!iequals(name, field.wire)) continue;
      const std::string_view value = trim(raw);
      if (!valid_utf8(value)) return malformed("a header that is not UTF-8");
      if (value.empty() && type.kind != Kind::string) continue;
      found = true;
      if (type.kind == Kind::list) {
        if (list == nullptr) list = make_member(field, out);
        for (const std::string_view part : split(value, ',')) {
          void* element = static_cast<const ListAccess*>(type.container)->push(list);
          TRY(read_scalar(trim(part), *type.element, element, TimeFormat::http_date));
        }
        continue;
      }
      const TimeFormat time = time_of(field, TimeFormat::http_date);
      if (type.kind == Kind::timestamp && time == TimeFormat::http_date) {
        // RFC 9110 section 13.1.3: a condition upon an invalid date is no condition.
        Millis parsed = 0;
        if (!read_scalar(value, type, &parsed, time)) return {};
        *static_cast<Millis*>(make_member(field, out)) = parsed;
        return {};
      }
      return read_scalar(value, type, make_member(field, out), time);
    }
    return {};
  }

  Result<void> from_headers(const Field& field, void* out, bool& found) {
    const std::string_view prefix = field.wire;
    void* map = nullptr;
    for (const auto& [name, raw] : source_.headers) {
      if (name.size() <= prefix.size() || !iequals(name.substr(0, prefix.size()), prefix)) continue;
      const std::string_view value = trim(raw);
      if (!valid_utf8(value)) return malformed("a header that is not UTF-8");
      if (map == nullptr) map = make_member(field, out);
      found = true;
      auto& text = *static_cast<std::string*>(
          static_cast<const MapAccess*>(field.type->container)->put(map, lower(name.substr(prefix.size()))));
      if (!text.empty()) text += ',';
      text += value;
    }
    return {};
  }

  Result<void> payload(const Field& field, void* out) {
    const Type& type = *field.type;
    if (type.streaming) {
      if (!source_.body.empty()) *static_cast<std::string*>(make_member(field, out)) = source_.body;
      return {};
    }
    if (source_.body.empty()) {
      if (field.required && check_ != nullptr) check_->missing(field);
      return {};
    }
    if (type.kind == Kind::string || type.kind == Kind::blob) {
      if (type.kind == Kind::string && !valid_utf8(source_.body)) return malformed("the body is not UTF-8");
      *static_cast<std::string*>(make_member(field, out)) = source_.body;
      return {};
    }
    if (check_ != nullptr) check_->enter(field);
    auto read = document(field, out);
    if (check_ != nullptr) check_->leave();
    return read;
  }

  Result<void> document(const Field& field, void* out) {
    if (body_ == RestBody::json) return read_json(source_.body, *field.type, make_member(field, out), check_);
    const XmlNode root = TRY(parse_xml(source_.body));
    if (check_ != nullptr && root.name != field.wire && root.name != field.type->name)
      return malformed("XML: the root element is not " + std::string(field.wire));
    return read_xml(root, *field.type, make_member(field, out), check_);
  }

  const RestSource& source_;
  RestBody body_;
  Check* check_;
  std::vector<Label> labels_;
  std::vector<std::pair<std::string, std::string>> query_;
};

}  // namespace

const Field* payload_of(const Type& type) {
  for (uint16_t i = 0; i < type.field_count; ++i) {
    if (type.fields[i].payload) return &type.fields[i];
  }
  return nullptr;
}

bool streams(const Type& type) {
  const Field* field = payload_of(type);
  return field != nullptr && field->type->streaming;
}

bool query_has(std::string_view query, std::string_view name) {
  for (const std::string_view pair : split(query, '&')) {
    if (pair.substr(0, pair.find('=')) == name) return true;
  }
  return false;
}

int rest_fit(std::string_view method, std::string_view uri, std::string_view given_method,
             std::string_view path, std::string_view query) {
  if (method != given_method) return -1;
  const size_t mark = uri.find('?');
  int score = 0;
  if (mark != std::string_view::npos) {
    for (const std::string_view literal : split(uri.substr(mark + 1), '&')) {
      bool found = literal.empty();
      for (const std::string_view given : split(query, '&')) {
        found = found || given == literal ||
                (literal.find('=') == std::string_view::npos && given.substr(0, given.find('=')) == literal);
      }
      if (!found) return -1;
      score += 100;
    }
  }
  std::string_view wanted = rooted(uri.substr(0, mark));
  path = rooted(path);
  while (!wanted.empty()) {
    const std::string_view segment = take_segment(wanted);
    if (path.empty()) return -1;
    if (segment.starts_with('{') && segment.ends_with("+}")) return score + 1;
    const std::string_view given = take_segment(path);
    if (segment.starts_with('{')) {
      if (given.empty()) return -1;
      score += 1;
    } else if (segment == given) {
      score += 2;
    } else {
      return -1;
    }
  }
  return path.empty() ? score : -1;
}

Result<void> read_rest_request(const Operation& operation, const RestSource& source, RestBody body, void* out,
                               Check* check) {
  Reader reader(source, body, check);
  TRY(reader.message(*operation.input, operation.uri, out));
  return reader.content(*operation.input, operation.input_element, out);
}

Result<void> read_rest_response(const Operation& operation, const RestSource& source, RestBody body,
                                void* out) {
  Reader reader(source, body, nullptr);
  TRY(reader.message(*operation.output, "", out));
  return reader.content(*operation.output, operation.output_element, out);
}

}  // namespace bastide::model
