// An app's static files in an environment: a closed bucket, and a distribution that alone may read it.
#include <fmt/format.h>

#include "architecture/templates.h"

namespace bastide::architecture {
namespace {

// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
constexpr const char* kCachingOptimized = "658327ea-f89d-4fab-a63d-7e88639e58f6";
constexpr const char* kCorsAndSecurityHeaders = "e61eb60c-9c35-4d20-a928-2b84e02af89c";

// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html
json::Value only_the_distribution() {
  json::Value condition = json::object(
      {{"StringEquals",
        json::object({{"AWS:SourceArn",
                       sub("arn:aws:cloudfront::${AWS::AccountId}:distribution/${Distribution}")}})}});
  const auto statement = [&](const char* sid, const char* action, json::Value resource) {
    return json::object({{"Sid", sid},
                         {"Effect", "Allow"},
                         {"Principal", json::object({{"Service", "cloudfront.amazonaws.com"}})},
                         {"Action", action},
                         {"Resource", std::move(resource)},
                         {"Condition", condition}});
  };
  // With the list, a key that is missing is answered by 404 and not by 403.
  return policy({statement("Read", "s3:GetObject", sub("${Bucket.Arn}/*")),
                 statement("TellMissing", "s3:ListBucket", att("Bucket", "Arn"))});
}

json::Value publish_role(const Accounts& accounts, const App& app) {
  const std::string role = "arn:aws:iam::" + accounts.at("shared-services") + ":role/bastide-pipeline";
  return resource(
      "AWS::IAM::Role",
      json::object(
          {{"RoleName", "bastide-publish-" + app.name},
           {"AssumeRolePolicyDocument",
            trust_account(accounts.at("shared-services"),
                          json::object({{"ArnEquals", json::object({{"aws:PrincipalArn", role}})}}))},
           {"Policies",
            json::array({named_policy(
                "publish",
                {allow({"s3:GetObject", "s3:PutObject", "s3:DeleteObject"}, sub("${Bucket.Arn}/*")),
                 allow({"s3:ListBucket"}, att("Bucket", "Arn")),
                 allow({"cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"},
                       sub("arn:aws:cloudfront::${AWS::AccountId}:distribution/${Distribution}"))})})}}));
}

}  // namespace

json::Value static_template(const Architecture& a, const Accounts& accounts, const App& app,
                            const std::string& environment) {
  const std::string host = "static." + app.name + "." + environment + ".localhost";
  json::Value parameters =
      json::object({{"HostName", json::object({{"Type", "String"}, {"Default", host}})}});
  json::Value origin = json::object({{"Id", "bucket"},
                                     {"DomainName", att("Bucket", "RegionalDomainName")},
                                     {"OriginAccessControlId", att("Access", "Id")},
                                     {"S3OriginConfig", json::object({{"OriginAccessIdentity", ""}})}});
  json::Value behavior = json::object({{"TargetOriginId", "bucket"},
                                       {"ViewerProtocolPolicy", "redirect-to-https"},
                                       {"CachePolicyId", kCachingOptimized},
                                       {"ResponseHeadersPolicyId", kCorsAndSecurityHeaders},
                                       {"Compress", true}});
  json::Value config =
      json::object({{"Enabled", true},
                    {"Comment", fmt::format("Static files of {} in {}", app.name, environment)},
                    {"Aliases", json::array({ref("HostName")})},
                    {"DefaultRootObject", "index.html"},
                    {"HttpVersion", "http2"},
                    {"Origins", json::array({std::move(origin)})},
                    {"DefaultCacheBehavior", std::move(behavior)},
                    {"ViewerCertificate", json::object({{"AcmCertificateArn", ref("Certificate")},
                                                        {"SslSupportMethod", "sni-only"},
                                                        {"MinimumProtocolVersion", "TLSv1.2_2021"}})}});
  json::Value closed = json::object({{"BlockPublicAcls", true},
                                     {"IgnorePublicAcls", true},
                                     {"BlockPublicPolicy", true},
                                     {"RestrictPublicBuckets", true}});
  json::Value r = json::object(
      {{"Bucket", retained(resource(
                      "AWS::S3::Bucket",
                      json::object({{"BucketName", sub(("static-" + app.name + "-" + environment).substr(0, 50) + "-${AWS::AccountId}")},
                                    {"PublicAccessBlockConfiguration", std::move(closed)},
                                    {"VersioningConfiguration", json::object({{"Status", "Enabled"}})}})))},
       {"Access", resource("AWS::CloudFront::OriginAccessControl",
                           json::object({{"OriginAccessControlConfig",
                                          json::object({{"Name", "bastide-" + app.name + "-" + environment},
                                                        {"OriginAccessControlOriginType", "s3"},
                                                        {"SigningBehavior", "always"},
                                                        {"SigningProtocol", "sigv4"}})}}))},
       {"Certificate",
        resource("AWS::CertificateManager::Certificate",
                 json::object({{"DomainName", ref("HostName")}, {"ValidationMethod", "DNS"}}))},
       {"Distribution",
        resource("AWS::CloudFront::Distribution", json::object({{"DistributionConfig", std::move(config)}}))},
       {"BucketPolicy",
        resource("AWS::S3::BucketPolicy",
                 json::object({{"Bucket", ref("Bucket")}, {"PolicyDocument", only_the_distribution()}}))},
       {"PublishRole", publish_role(accounts, app)}});
  json::Value outputs = json::object({{"BucketName", output(ref("Bucket"))},
                                      {"DistributionId", output(ref("Distribution"))},
                                      {"DistributionDomainName", output(att("Distribution", "DomainName"))},
                                      {"PublishRoleArn", output(att("PublishRole", "Arn"))},
                                      {"StaticHostName", output(ref("HostName"))}});
  return document("The static files of " + app.name + " (" + a.name + ") in " + environment, std::move(r),
                  std::move(outputs), std::move(parameters));
}

}  // namespace bastide::architecture
