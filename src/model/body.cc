#include "model/body.h"

namespace bastide::model {
namespace {

template <class T>
const T& as(const void* p) {
  return *static_cast<const T*>(p);
}
template <class T>
T& as(void* p) {
  return *static_cast<T*>(p);
}

json::Value structure_body(const Type& type, const void* value) {
  auto out = json::object();
  for (uint16_t i = 0; i < type.field_count; ++i) {
    const auto& f = type.fields[i];
    const void* member = static_cast<const char*>(value) + f.offset;
    if (f.access != nullptr) member = f.access->get(member);
    if (member != nullptr) out[f.name] = to_body(*f.type, member);
  }
  return out;
}

}  // namespace

json::Value to_body(const Type& type, const void* value) {
  switch (type.kind) {
    case Kind::string:
    case Kind::blob:
      return as<std::string>(value);
    case Kind::boolean:
      return as<bool>(value);
    case Kind::int32:
      return int{as<int32_t>(value)};
    case Kind::int64:
    case Kind::timestamp:
      return as<int64_t>(value);
    case Kind::float64:
      return as<double>(value);
    case Kind::document:
      return as<json::Value>(value);
    case Kind::structure:
      return structure_body(type, value);
    case Kind::list: {
      const auto& access = *static_cast<const ListAccess*>(type.container);
      json::Array out;
      for (size_t i = 0; i < access.size(value); ++i)
        out.push_back(to_body(*type.element, access.at(value, i)));
      return out;
    }
    case Kind::map: {
      struct Visit {
        const Type* type;
        json::Value out = json::object();
      } visit{type.element};
      static_cast<const MapAccess*>(type.container)
          ->each(value, &visit, [](void* c, const std::string& key, const void* v) {
            auto& to = *static_cast<Visit*>(c);
            to.out[key] = to_body(*to.type, v);
          });
      return std::move(visit.out);
    }
  }
  return {};
}

void from_body(const Type& type, const json::Value& body, void* value) {
  switch (type.kind) {
    case Kind::string:
    case Kind::blob:
      if (body.is_string()) as<std::string>(value) = body.string();
      return;
    case Kind::boolean:
      if (body.is_bool()) as<bool>(value) = body.boolean();
      return;
    case Kind::int32:
      if (body.is_int()) as<int32_t>(value) = static_cast<int32_t>(body.integer());
      return;
    case Kind::int64:
    case Kind::timestamp:
      if (body.is_int()) as<int64_t>(value) = body.integer();
      return;
    case Kind::float64:
      if (body.is_number()) as<double>(value) = body.number();
      return;
    case Kind::document:
      as<json::Value>(value) = body;
      return;
    case Kind::structure:
      for (uint16_t i = 0; i < type.field_count; ++i) {
        const auto& f = type.fields[i];
        const auto* found = body.find(f.name);
        if (found == nullptr || found->is_null()) continue;
        void* member = static_cast<char*>(value) + f.offset;
        from_body(*f.type, *found, f.access != nullptr ? f.access->emplace(member) : member);
      }
      return;
    case Kind::list:
      if (!body.is_array()) return;
      for (const auto& element : body.array()) {
        from_body(*type.element, element, static_cast<const ListAccess*>(type.container)->push(value));
      }
      return;
    case Kind::map:
      if (!body.is_object()) return;
      for (const auto& [key, element] : body.object()) {
        from_body(*type.element, element, static_cast<const MapAccess*>(type.container)->put(value, key));
      }
      return;
  }
}

}  // namespace bastide::model
