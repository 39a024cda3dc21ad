#include "model/type.h"

#include <algorithm>

namespace bastide::model {

constinit const Type kEmptyType{Kind::structure,
                                false,
                                false,
                                false,
                                false,
                                TimeFormat::by_protocol,
                                0,
                                0,
                                "Empty",
                                nullptr,
                                nullptr,
                                nullptr,
                                nullptr,
                                nullptr,
                                nullptr,
                                nullptr,
                                nullptr,
                                INT64_MIN,
                                INT64_MAX};

const Service* find_service(std::string_view name) {
  for (const Service* service : services()) {
    if (name == service->name) return service;
  }
  return nullptr;
}

const OperationName* find_operation(const Service& service, std::string_view name) {
  const auto* end = service.operations + service.operation_count;
  const auto* found = std::lower_bound(service.operations, end, name,
                                       [](const OperationName& o, std::string_view n) { return o.name < n; });
  return found != end && name == found->name ? found : nullptr;
}

const ErrorShape* find_error(const Service& service, std::string_view code) {
  const auto* end = service.errors + service.error_count;
  const auto* found = std::lower_bound(service.errors, end, code,
                                       [](const ErrorShape& e, std::string_view c) { return e.code < c; });
  return found != end && code == found->code ? found : nullptr;
}

}  // namespace bastide::model
