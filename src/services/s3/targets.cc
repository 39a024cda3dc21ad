// What a call touches, as policies see it.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
#include "base/bytes.h"
#include "services/s3/s3.h"

namespace bastide::services {
namespace {

using Context = std::vector<std::pair<std::string, std::string>>;

void add_request(Context& out, const net::Request& request) {
  for (const char* header :
       {"x-amz-acl", "x-amz-server-side-encryption", "x-amz-storage-class",
        "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-content-sha256", "x-amz-copy-source",
        "x-amz-metadata-directive", "x-amz-website-redirect-location",
        "x-amz-server-side-encryption-customer-algorithm", "if-match", "if-none-match"}) {
    if (const std::string* value = request.headers.find(header))
      out.emplace_back(std::string("s3:") + header, *value);
  }
  for (const std::string_view pair : split(request.raw_query(), '&')) {
    const size_t equals = pair.find('=');
    const std::string_view name = pair.substr(0, equals);
    const char* key = name == "prefix"      ? "s3:prefix"
                      : name == "delimiter" ? "s3:delimiter"
                      : name == "max-keys"  ? "s3:max-keys"
                      : name == "versionId" ? "s3:VersionId"
                                            : nullptr;
    if (key == nullptr || equals == std::string_view::npos) continue;
    if (auto value = percent_decode(pair.substr(equals + 1), true)) out.emplace_back(key, std::move(*value));
  }
  const bool header = request.headers.has("Authorization");
  if (!header && request.raw_query().find("Signature=") == std::string_view::npos) return;
  out.emplace_back("s3:authType", header ? "REST-HEADER" : "REST-QUERY-STRING");
  const bool v4 = header ? request.headers.get("Authorization").starts_with("AWS4-")
                         : request.raw_query().find("X-Amz-Algorithm=") != std::string_view::npos;
  out.emplace_back("s3:signatureversion", v4 ? "AWS4-HMAC-SHA256" : "AWS");
}

}  // namespace

aws::Target S3::target(const Call& call, const s3::Bucket& bucket, const char* action, const std::string& key,
                       Context context) const {
  aws::Target out;
  out.action = std::string("s3:") + action;
  out.resource = bucket.arn(key);
  out.owner = bucket.account;
  out.context = std::move(context);
  out.context.emplace_back("s3:ResourceAccount", bucket.account);
  if (call.stream != nullptr && call.stream->request != nullptr)
    add_request(out.context, *call.stream->request);
  const bool service = call.principal.kind == aws::Principal::Kind::service;
  // A service reaches a bucket because its policy says so, never by itself.
  if (service) out.mode = aws::PolicyMode::resource_only;
  const bool stranger = !service && call.principal.account != bucket.account;
  if (!(stranger && bucket.public_policy && bucket.access_block("RestrictPublicBuckets")))
    out.policy = bucket.policy;
  return out;
}

Result<bool> S3::may(const Call& call, const aws::Target& target) {
  static const auto none = std::make_shared<const aws::IdentityPolicies>();
  std::shared_ptr<const aws::IdentityPolicies> policies = none;
  if (call.principal.kind != aws::Principal::Kind::service &&
      call.principal.kind != aws::Principal::Kind::anonymous)
    policies = TRY(p_.policies.policies_of(call.principal));
  return aws::decide(call, target, *policies).allowed;
}

Result<void> S3::require(const Call& call, const aws::Target& target) {
  const bool allowed = TRY(may(call, target));
  if (allowed) return {};
  return s3::access_denied();
}

Error S3::missing_key(const Call& call, const s3::Bucket& bucket, const std::string& key, const char* code) {
  const auto lists = may(call, target(call, bucket, "ListBucket"));
  if (!lists || !*lists) return s3::access_denied();
  (void)key;
  if (std::string_view(code) == "NoSuchVersion")
    return fault(code, "The specified version does not exist.", 404);
  return fault(code, "The specified key does not exist.", 404);
}

}  // namespace bastide::services
