#include "model/xml_codec.h"

#include "base/bytes.h"
#include "model/scalar.h"

namespace bastide::model {
namespace {

void text_of(std::string& out, const Type& type, const void* value, TimeFormat time) {
  if (type.kind == Kind::string) return append_xml_text(out, *static_cast<const std::string*>(value));
  append_scalar(out, type, value, time);
}

void open_tag(std::string& out, std::string_view name) {
  out += '<';
  out += name;
}

void close_tag(std::string& out, std::string_view name) {
  out += "</";
  out += name;
  out += '>';
}

void attributes(std::string& out, const Type& type, const void* value) {
  if (type.kind != Kind::structure) return;
  for (uint16_t i = 0; i < type.field_count; ++i) {
    const Field& field = type.fields[i];
    if (!field.attribute) continue;
    const void* member = member_of(field, value);
    if (member == nullptr) continue;
    out += ' ';
    out += field.wire;
    out += "=\"";
    text_of(out, *field.type, member, field.time);
    out += '"';
  }
}

void element(std::string& out, std::string_view name, const Type& type, const void* value, TimeFormat time,
             const char* prefix, const char* space, bool flattened);

void map_entries(std::string& out, std::string_view entry, const Type& type, const void* value) {
  struct Context {
    std::string& out;
    std::string_view entry;
    const Type& type;
  } context{out, entry, type};
  static_cast<const MapAccess*>(type.container)
      ->each(value, &context, [](void* p, const std::string& key, const void* v) {
        auto& c = *static_cast<Context*>(p);
        open_tag(c.out, c.entry);
        c.out += '>';
        open_tag(c.out, c.type.key_name);
        c.out += '>';
        append_xml_text(c.out, key);
        close_tag(c.out, c.type.key_name);
        element(c.out, c.type.element_name, *c.type.element, v, TimeFormat::by_protocol, nullptr, nullptr,
                false);
        close_tag(c.out, c.entry);
      });
}

void content(std::string& out, const Type& type, const void* value, TimeFormat time) {
  switch (type.kind) {
    case Kind::structure:
      return write_xml_members(out, type, value);
    case Kind::list: {
      const auto& access = *static_cast<const ListAccess*>(type.container);
      for (size_t i = 0, size = access.size(value); i < size; ++i) {
        element(out, type.element_name, *type.element, access.at(value, i), TimeFormat::by_protocol, nullptr,
                nullptr, false);
      }
      return;
    }
    case Kind::map:
      return map_entries(out, "entry", type, value);
    default:
      text_of(out, type, value, time);
  }
}

void element(std::string& out, std::string_view name, const Type& type, const void* value, TimeFormat time,
             const char* prefix, const char* space, bool flattened) {
  if ((flattened || type.flattened) && type.kind == Kind::list) {
    const auto& access = *static_cast<const ListAccess*>(type.container);
    for (size_t i = 0, size = access.size(value); i < size; ++i) {
      element(out, name, *type.element, access.at(value, i), TimeFormat::by_protocol, prefix, space, false);
    }
    return;
  }
  if ((flattened || type.flattened) && type.kind == Kind::map) return map_entries(out, name, type, value);
  open_tag(out, name);
  if (space != nullptr) {
    out += prefix == nullptr ? " xmlns=\"" : std::string(" xmlns:") + prefix + "=\"";
    append_xml_text(out, space);
    out += '"';
  }
  attributes(out, type, value);
  out += '>';
  content(out, type, value, time);
  close_tag(out, name);
}

class Reader {
 public:
  explicit Reader(Check* check) : check_(check) {}

  Result<void> value(const XmlNode& node, const Type& type, void* out, TimeFormat time) {
    switch (type.kind) {
      case Kind::structure:
        return structure(node, type, out);
      case Kind::list: {
        const auto& access = *static_cast<const ListAccess*>(type.container);
        for (const XmlNode& child : node.children) TRY(push(child, type, access, out));
        return {};
      }
      case Kind::map:
        for (const XmlNode& child : node.children) TRY(entry(child, type, out));
        return {};
      default:
        return read_scalar(type.kind == Kind::string ? node.text : trim(node.text), type, out, time);
    }
  }

 private:
  Result<void> structure(const XmlNode& node, const Type& type, void* out) {
    for (uint16_t i = 0; i < type.field_count; ++i) {
      const Field& field = type.fields[i];
      if (field.place != Place::body) continue;
      bool found = false;
      if (check_ != nullptr) check_->enter(field);
      auto read = member(node, field, out, found);
      if (check_ != nullptr) check_->leave();
      TRY(std::move(read));
      if (!found && field.required && check_ != nullptr) check_->missing(field);
    }
    return {};
  }

  Result<void> member(const XmlNode& node, const Field& field, void* out, bool& found) {
    const Type& type = *field.type;
    if (field.attribute) {
      for (const auto& [name, text] : node.attributes) {
        if (name != field.wire) continue;
        found = true;
        return read_scalar(text, type, make_member(field, out), field.time);
      }
      return {};
    }
    if (!field.flattened || (type.kind != Kind::list && type.kind != Kind::map)) {
      const XmlNode* child = node.child(field.wire);
      if (child == nullptr) return {};
      found = true;
      return value(*child, type, make_member(field, out), field.time);
    }
    void* container = nullptr;
    for (const XmlNode& child : node.children) {
      if (child.name != field.wire) continue;
      if (container == nullptr) container = make_member(field, out);
      found = true;
      if (type.kind == Kind::map)
        TRY(entry(child, type, container));
      else
        TRY(push(child, type, *static_cast<const ListAccess*>(type.container), container));
    }
    return {};
  }

  Result<void> push(const XmlNode& child, const Type& type, const ListAccess& access, void* out) {
    void* element = access.push(out);
    if (check_ != nullptr) check_->enter(access.size(out));
    auto read = value(child, *type.element, element, TimeFormat::by_protocol);
    if (check_ != nullptr) check_->leave();
    return read;
  }

  Result<void> entry(const XmlNode& node, const Type& type, void* out) {
    const XmlNode* key = node.child(type.key_name);
    const XmlNode* element = node.child(type.element_name);
    if (key == nullptr || element == nullptr)
      return error(std::string(kMalformed), "XML: a map's entry without key or value");
    void* at = static_cast<const MapAccess*>(type.container)->put(out, key->text);
    return value(*element, *type.element, at, TimeFormat::by_protocol);
  }

  Check* check_;
};

}  // namespace

void write_xml_members(std::string& out, const Type& type, const void* value) {
  for (uint16_t i = 0; i < type.field_count; ++i) {
    const Field& field = type.fields[i];
    if (field.place != Place::body || field.attribute) continue;
    const void* member = member_of(field, value);
    if (member == nullptr) continue;
    element(out, field.wire, *field.type, member, field.time, field.xml_prefix, field.xml_namespace,
            field.flattened);
  }
}

void write_xml_element(std::string& out, std::string_view name, const Type& type, const void* value,
                       std::string_view xml_namespace) {
  const std::string space(xml_namespace);
  element(out, name, type, value, TimeFormat::by_protocol, nullptr, space.empty() ? nullptr : space.c_str(),
          false);
}

Result<void> read_xml(const XmlNode& node, const Type& type, void* out, Check* check) {
  return Reader(check).value(node, type, out, TimeFormat::by_protocol);
}

}  // namespace bastide::model
