// The policies that AWS manages, under the ids that AWS documents, and one of Bastide's own (plain RFC 9111).
#pragma once

#include "services/cloudfront/kinds.h"

namespace bastide::services::cloudfront {

inline constexpr const char* kRfc9111Policy = "b4571de0-9111-4000-8000-000000000001";

// Bodies as the store would have them: {Id, <config member>, ...}.
const std::vector<json::Value>& managed(const Kind& kind);
const json::Value* find_managed(const Kind& kind, const std::string& id);

}  // namespace bastide::services::cloudfront
