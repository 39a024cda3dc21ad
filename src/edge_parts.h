// Control's wiring of what edge serves besides load balancers: distributions, their sessions at S3, and
// certificates.
#pragma once

#include "aws/credentials.h"
#include "base/json.h"
#include "services/acm/acm.h"
#include "services/cloudfront/cloudfront.h"
#include "services/elbv2/certificates.h"

namespace bastide {

// Sessions of edge for S3, and everybody else's.
class EdgeSessions final : public aws::CredentialSource {
 public:
  EdgeSessions(aws::CredentialSource& others, services::Cloudfront& cloudfront) : others_(others), cloudfront_(cloudfront) {}
  Result<aws::Identity> identify(const std::string& access_key_id, const std::string& session_token) override {
    if (session_token.empty()) {
      if (auto session = TRY(cloudfront_.origin_session(access_key_id))) return std::move(*session);
    }
    return others_.identify(access_key_id, session_token);
  }

 private:
  aws::CredentialSource& others_;
  services::Cloudfront& cloudfront_;
};

class AcmCertificates final : public services::CertificateSource {
 public:
  explicit AcmCertificates(services::Acm& acm) : acm_(acm) {}
  Result<internal::EdgeCertificate> certificate(const std::string& arn) override { return acm_.certificate(arn); }

 private:
  services::Acm& acm_;
};

// Listeners and distributions that use a certificate.
inline Result<std::vector<std::string>> certificate_users(store::Reader& reader, const std::string& arn) {
  std::vector<std::string> out;
  for (const auto& l : TRY(reader.list("*", "*", "elbv2.listener"))) {
    for (const char* list : {"Certificates", "MoreCertificates"}) {
      for (const auto& c : l.body.get_array(list)) {
        if (c.get("CertificateArn") == arn) out.push_back(l.body.get("LoadBalancerArn"));
      }
    }
  }
  for (const auto& d : TRY(reader.list("*", "", services::cloudfront::kDistribution.kind))) {
    const auto& config = services::cloudfront::part(d.body, "DistributionConfig");
    if (services::cloudfront::part(config, "ViewerCertificate").get("ACMCertificateArn") == arn) out.push_back(d.body.get("ARN"));
  }
  return out;
}

}  // namespace bastide
