// CloudFront's resources are alike: a configuration under a name, an id, an ETag for optimistic concurrency.
// What differs is in this table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aws/call.h"
#include "base/json.h"
#include "base/result.h"
#include "store/database.h"

namespace bastide::services::cloudfront {

struct Kind {
  const char* kind;     // in the store
  const char* noun;     // "CachePolicy"
  const char* config;   // the member with its configuration
  const char* list;     // "CachePolicyList"
  const char* path;     // of its URL: "cache-policy"
  const char* arn;      // of its ARN's resource: "cache-policy"
  const char* time;     // member with the time of the last change, or of its making; empty: none
  const char* missing;  // "NoSuchCachePolicy"
  const char* exists;   // "CachePolicyAlreadyExists"
  const char* used;     // "CachePolicyInUse"
  bool uuid;            // its ids are UUIDs; else `prefix` and 13 letters
  char prefix;
  const char* flat;  // members of the list's summaries, comma separated; empty: wrapped under the noun
  size_t quota;
};
extern const Kind kCachePolicy, kOriginRequestPolicy, kResponseHeadersPolicy, kOriginAccessControl, kKeyGroup,
    kPublicKey, kOriginAccessIdentity, kDistribution;

std::string new_id(const Kind& kind);
std::string new_etag();
std::string arn_of(const std::string& account, const Kind& kind, const std::string& id);
store::Key key_of(const aws::Call& call, const Kind& kind, const std::string& id);

Error missing(const Kind& kind);
// Faults: InvalidIfMatchVersion, PreconditionFailed.
Result<void> check_etag(const json::Value& body, const std::string& if_match);

// One page of a list by Marker and MaxItems; `items` in the order of ids.
struct Page {
  json::Array items;
  std::string next;
  int64_t most = 100;
};
Result<Page> page(json::Array items, const json::Value& request, std::string_view id_member);

json::Array items_of(const json::Value& v, std::string_view key);  // of a {Quantity, Items}
json::Value quantity(json::Array items);
const json::Value& part(const json::Value& v, std::string_view key);  // an empty object where missing

}  // namespace bastide::services::cloudfront
