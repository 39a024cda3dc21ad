#include "aws/service.h"
#include "base/check.h"

namespace bastide::aws {

void Registry::put(Entry entry) {
  auto key = std::make_pair(entry.service, std::string(entry.operation->name));
  CHECK(entries_.emplace(std::move(key), std::move(entry)).second);
}

const Entry* Registry::find(const std::string& service, const std::string& operation) const {
  const auto found = entries_.find({service, operation});
  return found == entries_.end() ? nullptr : &found->second;
}

std::vector<const Entry*> Registry::all() const {
  std::vector<const Entry*> out;
  for (const auto& [key, entry] : entries_) out.push_back(&entry);
  return out;
}

std::vector<std::string> Registry::missing(const model::Service& service) const {
  std::vector<std::string> out;
  for (uint16_t i = 0; i < service.operation_count; ++i) {
    const model::OperationName& operation = service.operations[i];
    if (operation.implemented != nullptr && find(service.name, operation.name) == nullptr)
      out.push_back(operation.name);
  }
  return out;
}

}  // namespace bastide::aws
