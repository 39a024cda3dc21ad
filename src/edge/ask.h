// What a viewer's request means for the cache and for an origin: the cache key, and the request that goes on.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/controlling-the-cache-key.html
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "edge/freshness.h"
#include "edge/head.h"
#include "internal/edge_cdn.h"

namespace bastide::edge {

// Owns its text: it outlives the viewer's connection where others wait for the same answer.
struct Ask {
  std::string method;
  std::string path;    // as sent
  std::string query;   // what the origin gets, without '?'
  std::string key;     // empty: not to be cached
  std::string uri;     // path and query of the key, for invalidations
  std::string fields;  // "Name: value\r\n"... for the origin; neither Host nor what the origin itself adds
  std::string host;    // the viewer's, where it goes on; empty: the origin's own
  std::string client;  // address
  bool brotli = false, gzip = false;  // the viewer takes them, and the policy has them in the key
  bool compress = false;              // the edge itself may compress
  bool https = false;
  bool authorized = false;  // Authorization goes to the origin ("no-override" keeps it)
  AskFacts facts;
};

bool selects(const internal::EdgeSelection& selection, std::string_view name, bool ignore_case);

// `path`: request.path, or the root object, or an error page's.
Ask make_ask(const internal::EdgeDistribution& distribution, const internal::EdgeBehavior& behavior,
             const RequestHead& request, std::string_view path, std::string_view client, bool https);

// The key of the variant that a request selects among answers which vary by these fields (lower case).
std::string variant_key(const std::string& key, const std::vector<std::string>& vary,
                        const std::vector<Field>& fields);
// The names in an answer's Vary, without those that the key has anyway.
std::vector<std::string> vary_names(const ResponseHead& answer, const internal::EdgeBehavior& behavior);

// One range of bytes, RFC 9110 section 14.2; nothing where the field is to be ignored.
struct ByteRange {
  int64_t first = 0, last = -1;  // last -1: to the end
  int64_t suffix = -1;           // the last so many bytes
};
std::optional<ByteRange> parse_range(std::string_view value);
// Against a length: first and last of what is sent; nothing where it cannot be satisfied.
std::optional<std::pair<int64_t, int64_t>> satisfy(const ByteRange& range, int64_t length);

// If-None-Match (weak comparison) and If-Modified-Since: whether the viewer has it already.
bool not_modified(const std::vector<Field>& fields, std::string_view etag, Millis last_modified);

// Whether an invalidation's path names this one: exact, or a trailing '*'.
bool invalidates(std::string_view pattern, std::string_view uri);

std::string_view field_value(const std::vector<Field>& fields, std::string_view name);  // the first, or empty

}  // namespace bastide::edge
