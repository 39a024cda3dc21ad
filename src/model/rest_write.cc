#include "base/bytes.h"
#include "model/json_codec.h"
#include "model/rest_codec.h"
#include "model/scalar.h"
#include "model/xml_codec.h"

namespace bastide::model {
namespace {

constexpr std::string_view kXmlHead = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

std::string text_of(const Type& type, const void* value, TimeFormat time, TimeFormat fallback) {
  std::string out;
  if (time == TimeFormat::by_protocol) time = type.time;
  if (type.kind == Kind::timestamp)
    append_time(out, *static_cast<const Millis*>(value), time, fallback);
  else
    append_scalar(out, type, value);
  return out;
}

// A value of the state that would end a header never leaves.
std::string header_text(std::string text) {
  for (char& c : text) {
    if (c == '\r' || c == '\n' || c == '\0') c = ' ';
  }
  return text;
}

void header(RestMessage& out, const Field& field, const void* value) {
  const Type& type = *field.type;
  if (type.kind != Kind::list) {
    out.headers.emplace_back(field.wire,
                             header_text(text_of(type, value, field.time, TimeFormat::http_date)));
    return;
  }
  const auto& access = *static_cast<const ListAccess*>(type.container);
  std::string joined;
  for (size_t i = 0, size = access.size(value); i < size; ++i) {
    if (i > 0) joined += ',';
    joined += text_of(*type.element, access.at(value, i), TimeFormat::by_protocol, TimeFormat::http_date);
  }
  if (!joined.empty()) out.headers.emplace_back(field.wire, header_text(std::move(joined)));
}

void headers(RestMessage& out, const Field& field, const void* value) {
  struct Context {
    RestMessage& out;
    const char* prefix;
  } context{out, field.wire};
  static_cast<const MapAccess*>(field.type->container)
      ->each(value, &context, [](void* p, const std::string& key, const void* v) {
        auto& c = *static_cast<Context*>(p);
        c.out.headers.emplace_back(c.prefix + key, header_text(*static_cast<const std::string*>(v)));
      });
}

void parameter(std::string& query, std::string_view name, const std::string& value) {
  if (!query.empty()) query += '&';
  query += percent_encode(name);
  query += '=';
  query += percent_encode(value);
}

void query_member(std::string& query, const Field& field, const void* value) {
  const Type& type = *field.type;
  if (type.kind == Kind::list) {
    const auto& access = *static_cast<const ListAccess*>(type.container);
    for (size_t i = 0, size = access.size(value); i < size; ++i) {
      parameter(query, field.wire,
                text_of(*type.element, access.at(value, i), TimeFormat::by_protocol, TimeFormat::iso8601));
    }
    return;
  }
  if (type.kind != Kind::map) {
    parameter(query, field.wire, text_of(type, value, field.time, TimeFormat::iso8601));
    return;
  }
  struct Context {
    std::string& query;
    const Type& element;
  } context{query, *type.element};
  static_cast<const MapAccess*>(type.container)
      ->each(value, &context, [](void* p, const std::string& key, const void* v) {
        auto& c = *static_cast<Context*>(p);
        if (c.element.kind != Kind::list) {
          parameter(c.query, key, text_of(c.element, v, TimeFormat::by_protocol, TimeFormat::iso8601));
          return;
        }
        const auto& access = *static_cast<const ListAccess*>(c.element.container);
        for (size_t i = 0, size = access.size(v); i < size; ++i) {
          parameter(
              c.query, key,
              text_of(*c.element.element, access.at(v, i), TimeFormat::by_protocol, TimeFormat::iso8601));
        }
      });
}

bool has_body_members(const Type& type) {
  for (uint16_t i = 0; i < type.field_count; ++i) {
    if (type.fields[i].place == Place::body) return true;
  }
  return false;
}

void payload(RestMessage& out, const Field& field, const void* value, RestBody body,
             std::string_view xml_namespace) {
  if (value == nullptr) return;
  const Type& type = *field.type;
  if (type.kind == Kind::string || type.kind == Kind::blob) {
    out.body = *static_cast<const std::string*>(value);
    out.content_type = type.kind == Kind::blob ? "application/octet-stream" : "text/plain";
  } else if (body == RestBody::json) {
    write_json(out.body, type, value);
    out.content_type = "application/json";
  } else {
    out.body = kXmlHead;
    write_xml_element(out.body, field.wire, type, value,
                      field.xml_namespace != nullptr ? field.xml_namespace : xml_namespace);
    out.content_type = "application/xml";
  }
}

void members(RestMessage& out, const Type& type, const void* value) {
  for (uint16_t i = 0; i < type.field_count; ++i) {
    const Field& field = type.fields[i];
    if (field.place != Place::header && field.place != Place::headers && field.place != Place::status)
      continue;
    const void* at = member_of(field, value);
    if (at == nullptr) continue;
    if (field.place == Place::header)
      header(out, field, at);
    else if (field.place == Place::headers)
      headers(out, field, at);
    else
      out.status = *static_cast<const int32_t*>(at);
  }
}

// The answer of S3's GetBucketLocation is its only member, without an element of its own.
bool unwrapped(const Type& type, const char* root) {
  return root != nullptr && type.field_count == 1 && std::string_view(root) == type.fields[0].wire &&
         type.fields[0].type->kind == Kind::string;
}

void document(RestMessage& out, const Type& type, const void* value, RestBody body, const char* root,
              std::string_view xml_namespace) {
  if (!has_body_members(type)) return;
  if (body == RestBody::json) {
    write_json(out.body, type, value);
    out.content_type = "application/json";
    return;
  }
  out.body = kXmlHead;
  out.content_type = "application/xml";
  if (!unwrapped(type, root))
    return write_xml_element(out.body, root == nullptr ? type.name : root, type, value, xml_namespace);
  static const std::string none;
  const auto* text = static_cast<const std::string*>(member_of(type.fields[0], value));
  write_xml_element(out.body, root, *type.fields[0].type, text == nullptr ? &none : text, xml_namespace);
}

Result<std::string> path_of(std::string_view uri, const Type& type, const void* value) {
  std::string out;
  for (std::string_view rest = uri; !rest.empty();) {
    const size_t open = rest.find('{');
    out += rest.substr(0, open);
    if (open == std::string_view::npos) break;
    const size_t close = rest.find('}', open);
    if (close == std::string_view::npos) return error("a URI template that is not closed");
    std::string_view name = rest.substr(open + 1, close - open - 1);
    rest = rest.substr(close + 1);
    const bool greedy = name.ends_with('+');
    if (greedy) name.remove_suffix(1);
    std::string text;
    for (uint16_t i = 0; i < type.field_count; ++i) {
      const Field& field = type.fields[i];
      if (field.place != Place::uri || field.wire != name) continue;
      if (const void* at = member_of(field, value))
        text = text_of(*field.type, at, field.time, TimeFormat::iso8601);
    }
    if (text.empty())
      return fault("ParamValidation", "Parameter " + std::string(name) + " must not be empty");
    out += percent_encode(text, greedy ? "/" : "");
  }
  return out;
}

}  // namespace

RestMessage write_rest_response(const Operation& operation, const void* value, RestBody body) {
  RestMessage out;
  out.status = operation.status;
  const Type& type = *operation.output;
  members(out, type, value);
  const std::string_view space = operation.service->xml_namespace;
  if (const Field* field = payload_of(type)) {
    if (!field->type->streaming || member_of(*field, value) != nullptr)
      payload(out, *field, member_of(*field, value), body, space);
  } else {
    document(out, type, value, body, operation.output_element, space);
  }
  for (const auto& [name, text] : out.headers) {
    if (iequals(name, "content-type")) out.content_type.clear();
  }
  return out;
}

Result<RestMessage> write_rest_request(const Operation& operation, const void* value, RestBody body) {
  RestMessage out;
  out.method = operation.method;
  const Type& type = *operation.input;
  const std::string_view uri = operation.uri;
  const size_t mark = uri.find('?');
  out.target = TRY(path_of(uri.substr(0, mark), type, value));
  std::string query(mark == std::string_view::npos ? std::string_view() : uri.substr(mark + 1));
  for (uint16_t i = 0; i < type.field_count; ++i) {
    const Field& field = type.fields[i];
    if (field.place != Place::query) continue;
    if (const void* at = member_of(field, value)) query_member(query, field, at);
  }
  if (!query.empty()) out.target += "?" + query;
  members(out, type, value);
  const std::string_view space =
      operation.input_namespace != nullptr ? operation.input_namespace : operation.service->xml_namespace;
  if (const Field* field = payload_of(type))
    payload(out, *field, member_of(*field, value), body, space);
  else
    document(out, type, value, body, operation.input_element, space);
  for (const auto& [name, text] : out.headers) {
    if (iequals(name, "content-type")) out.content_type.clear();
  }
  return out;
}

}  // namespace bastide::model
