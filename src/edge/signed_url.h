// Signed URLs and signed cookies: canned and custom policies, RSA or ECDSA keys of key groups.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/PrivateContent.html
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "edge/head.h"
#include "internal/edge_cdn.h"

namespace bastide::edge {

class PublicKeys {
 public:
  // Keys that cannot be read are left out: who signs by them is refused.
  explicit PublicKeys(const std::vector<internal::EdgeKeyGroup>& groups);
  ~PublicKeys();
  PublicKeys(const PublicKeys&) = delete;
  PublicKeys& operator=(const PublicKeys&) = delete;
  // Whether one of these groups has the key, and the signature is its own. Some 30 us.
  bool verify(const std::vector<std::string>& groups, const std::string& key_id, std::string_view text,
              std::string_view signature, bool sha256) const;

 private:
  struct Key;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<Key>> keys_;
};

struct SignedRequest {
  std::string_view scheme, host, path, query;  // host as sent, query without '?'
  std::string_view client;                     // address
  const std::vector<Field>* fields = nullptr;  // for cookies
};

// Why a request does not get in; nullptr: it does.
const char* refused_by_signature(const SignedRequest& request, const PublicKeys& keys,
                                 const std::vector<std::string>& groups, Millis now);

// The query without what a signed URL adds: neither the cache nor the origin sees it.
std::string without_signature(std::string_view query);

}  // namespace bastide::edge
