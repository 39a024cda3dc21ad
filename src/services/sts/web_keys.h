// The keys of OpenID Connect issuers: fetched by discovery and remembered, or given by whoever owns the home.
// https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
//
// HOME/oidc.json says what differs from a public issuer that the system's authorities vouch for:
//   {"https://idp.corp.example": {"ca_file": "/etc/corp-ca.pem", "private": true},
//    "https://offline.example": {"jwks_file": "/etc/offline-jwks.json"}}
// `private` allows addresses that are not public: without it no issuer leads into this machine's networks.
// On control's loop; waits.
#pragma once

#include <map>
#include <string>

#include "aws/sign_in.h"
#include "base/time.h"

namespace bastide::services {

class WebKeys final : public aws::WebKeySource {
 public:
  WebKeys(std::string settings_path, Clock& clock)
      : settings_path_(std::move(settings_path)), clock_(clock) {}
  Result<json::Value> keys_of(const std::string& issuer, bool fresh) override;

 private:
  struct Known {
    json::Value jwks;
    Millis fetched_at = 0;
  };
  Result<json::Value> settings_of(const std::string& issuer) const;
  static Result<json::Value> fetch(const std::string& url, const json::Value& settings);

  std::string settings_path_;
  Clock& clock_;
  std::map<std::string, Known> known_;
};

}  // namespace bastide::services
