// What the distribution's handlers share: one request as understood, and its answers.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "services/ecr/distribution.h"

namespace bastide::services {

struct Distribution::Request {
  net::Exchange& exchange;
  std::string kind;       // "blobs", "uploads", "manifests", "tags", "referrers"
  std::string reference;  // digest, tag, or upload id
  std::vector<std::pair<std::string, std::string>> query;
  std::string name;  // as in the URL
  ecr::Login login;
  bool has_ticket = false;
  ecr::RepositoryRef repository;

  const std::string& method() const { return exchange.request().method; }
  std::string parameter(std::string_view key) const {
    for (const auto& [k, v] : query) {
      if (k == key) return v;
    }
    return "";
  }
  bool has(std::string_view key) const {
    for (const auto& [k, v] : query) {
      if (k == key) return true;
    }
    return false;
  }
};

namespace ecr {

// The distribution's own error codes as errors that name their HTTP status.
inline Error oci(int status, std::string code, std::string message) {
  Error e = fault(std::move(code), std::move(message), status);
  e.extra = "oci";
  return e;
}

net::Response answer(int status);
std::string upload_location(std::string_view name, const std::string& id);
// The bytes that an upload holds, as the header Range says it.
std::string upload_range(int64_t size);

}  // namespace ecr
}  // namespace bastide::services
