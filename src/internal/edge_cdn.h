// The distributions in edge's snapshot: what control compiles from CloudFront's resources, with every policy
// written out. Edge holds no other secret of theirs than the key that signs for their buckets.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace bastide::internal {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// Which headers, cookies or query strings: none, some (by name), all but some, all.
struct EdgeSelection {
  enum class Kind { none, some, all_but, all } kind = Kind::none;
  std::vector<std::string> names;
};

struct EdgeOrigin {
  std::string id;
  std::string protocol = "http-only";  // "http-only", "https-only", "match-viewer", "s3"
  std::string host;                    // its domain name
  uint16_t http_port = 80, https_port = 443;
  std::string path;  // put before the viewer's path
  Pairs headers;     // sent with every request, instead of the viewer's of those names
  int attempts = 3;  // of connecting
  Millis connect_timeout = 10 * kSecond, read_timeout = 30 * kSecond, keep_alive = 5 * kSecond;
  // s3: requests go to control's own S3, signed unless `signing` is empty.
  std::string bucket, region;
  std::string signing;  // "", "always", "no-override"
  std::string access_key, secret_key;
};

struct EdgeOriginGroup {
  std::string id;
  std::string first, second;  // origins
  std::vector<int> statuses;  // on which the second one is asked
};

struct EdgeResponseHeaders {
  struct Put {
    std::string name, value;
    bool replace = false;  // the origin's own of that name
  };
  std::vector<Put> put;
  std::vector<std::string> remove;
  bool cors = false, cors_replace = false, cors_credentials = false;
  std::vector<std::string> cors_origins, cors_methods, cors_headers, cors_expose;
  int64_t cors_max_age = -1;
};

struct EdgeBehavior {
  std::string pattern = "*";
  std::string origin;                         // or an origin group
  std::string viewer_protocol = "allow-all";  // "https-only", "redirect-to-https"
  std::vector<std::string> methods, cached_methods;
  bool compress = false;
  bool rfc9111 = false;  // plain RFC 9111: without CloudFront's rules about lifetimes
  int64_t min_ttl = 0, default_ttl = 86400, max_ttl = 31536000;  // seconds
  bool gzip = false, brotli = false;                             // the coding is part of the key
  EdgeSelection key_headers, key_cookies, key_queries;           // in the key, and sent
  EdgeSelection send_headers, send_cookies, send_queries;        // sent too
  EdgeResponseHeaders response;
  std::vector<std::string> key_groups;  // not empty: signed requests alone
  bool restricted = false;              // needs a signature even where key_groups is empty: nobody gets in
};

struct EdgeErrorPage {
  int code = 404;
  std::string page;       // path; empty: none, only the time below
  int response_code = 0;  // 0: the code
  int64_t min_ttl = 10;   // seconds
};

struct EdgePublicKey {
  std::string id, pem;
};
struct EdgeKeyGroup {
  std::string id;
  std::vector<EdgePublicKey> keys;
};

struct EdgeInvalidation {
  int64_t number = 0;  // counts up in a distribution
  std::vector<std::string> paths;
};

struct EdgeDistribution {
  std::string id, arn, account;
  std::string domain;              // its own name
  std::vector<std::string> names;  // that name and the aliases
  std::string root_object;
  std::vector<EdgeBehavior> behaviors;  // in order; the last one is the default
  std::vector<EdgeOrigin> origins;
  std::vector<EdgeOriginGroup> origin_groups;
  std::vector<EdgeErrorPage> error_pages;
  std::vector<EdgeKeyGroup> key_groups;
  std::vector<EdgeInvalidation> invalidations;  // ascending
  int64_t invalidations_after = 0;  // what was stored under a lower number is not used: its news may be lost
};

json::Value to_json(const EdgeDistribution&);
Result<EdgeDistribution> edge_distribution(const json::Value&);

}  // namespace bastide::internal
