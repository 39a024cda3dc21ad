// What `bastide cdn stats` and `bastide cdn explain URL` ask the edge. On the loop's thread, in a fiber.
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "edge/core.h"

namespace bastide::edge {

// {distributions: [{id, requests, hits, ...}], memory: {objects, bytes}, disk: {objects, bytes}}
json::Value cdn_stats(Core& core);

// {url, headers: [{name, value}]} -> what the edge would do with that request, and why.
Result<json::Value> cdn_explain(Core& core, const json::Value& request);

}  // namespace bastide::edge
