#include "services/cloudfront/cloudfront.h"

#include "gen/cloudfront.h"

namespace bastide::services {
using namespace cloudfront;
namespace op = model::cloudfront::op;

namespace {

// Authorised against the resource's ARN by its id.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudfront.html
template <class Op>
aws::Rule<Op> on(const char* action, const Kind& kind, const char* member = "Id") {
  return {action,
          [&kind, member](const aws::Call& call,
                          const typename Op::Request& request) -> Result<std::vector<aws::Target>> {
            aws::Target target;
            const auto id = model::request_body<Op>(request).get(member);
            target.resource = arn_of(call.account, kind, id.empty() ? "*" : id);
            return std::vector<aws::Target>{std::move(target)};
          }};
}
template <class Op>
aws::Rule<Op> on_arn(const char* action) {
  return {action,
          [](const aws::Call&, const typename Op::Request& request) -> Result<std::vector<aws::Target>> {
            aws::Target target;
            target.resource = model::request_body<Op>(request).get("Resource");
            return std::vector<aws::Target>{std::move(target)};
          }};
}

}  // namespace

#define ONE(Op, K, f) \
  registry.add<op::Op>(this, &Cloudfront::run_of<op::Op, K, &Cloudfront::f>, on<op::Op>("cloudfront:" #Op, K))
#define KIND(Noun, Plural, K)            \
  ONE(Create##Noun, K, create);          \
  ONE(Get##Noun, K, get);                \
  ONE(Get##Noun##Config, K, get_config); \
  ONE(Delete##Noun, K, remove);          \
  ONE(List##Plural, K, list)

void Cloudfront::offer(aws::Registry& registry) {
  KIND(CachePolicy, CachePolicies, kCachePolicy);
  ONE(UpdateCachePolicy, kCachePolicy, update);
  KIND(OriginRequestPolicy, OriginRequestPolicies, kOriginRequestPolicy);
  ONE(UpdateOriginRequestPolicy, kOriginRequestPolicy, update);
  KIND(ResponseHeadersPolicy, ResponseHeadersPolicies, kResponseHeadersPolicy);
  ONE(UpdateResponseHeadersPolicy, kResponseHeadersPolicy, update);
  KIND(OriginAccessControl, OriginAccessControls, kOriginAccessControl);
  ONE(UpdateOriginAccessControl, kOriginAccessControl, update);
  KIND(KeyGroup, KeyGroups, kKeyGroup);
  ONE(UpdateKeyGroup, kKeyGroup, update);
  KIND(PublicKey, PublicKeys, kPublicKey);
  ONE(UpdatePublicKey, kPublicKey, update);
  KIND(CloudFrontOriginAccessIdentity, CloudFrontOriginAccessIdentities, kOriginAccessIdentity);
  ONE(UpdateCloudFrontOriginAccessIdentity, kOriginAccessIdentity, update);
  KIND(Distribution, Distributions, kDistribution);
  ONE(UpdateDistribution, kDistribution, update);
  registry.add<op::CreateDistributionWithTags>(
      this, &Cloudfront::run<op::CreateDistributionWithTags, &Cloudfront::create_with_tags>,
      on<op::CreateDistributionWithTags>("cloudfront:CreateDistribution", kDistribution));
  registry.add<op::CreateInvalidation>(
      this, &Cloudfront::run<op::CreateInvalidation, &Cloudfront::create_invalidation>,
      on<op::CreateInvalidation>("cloudfront:CreateInvalidation", kDistribution, "DistributionId"));
  registry.add<op::GetInvalidation>(
      this, &Cloudfront::run<op::GetInvalidation, &Cloudfront::get_invalidation>,
      on<op::GetInvalidation>("cloudfront:GetInvalidation", kDistribution, "DistributionId"));
  registry.add<op::ListInvalidations>(
      this, &Cloudfront::run<op::ListInvalidations, &Cloudfront::list_invalidations>,
      on<op::ListInvalidations>("cloudfront:ListInvalidations", kDistribution, "DistributionId"));
  registry.add<op::TagResource>(this, &Cloudfront::run<op::TagResource, &Cloudfront::tag>,
                                on_arn<op::TagResource>("cloudfront:TagResource"));
  registry.add<op::UntagResource>(this, &Cloudfront::run<op::UntagResource, &Cloudfront::untag>,
                                  on_arn<op::UntagResource>("cloudfront:UntagResource"));
  registry.add<op::ListTagsForResource>(this,
                                        &Cloudfront::run<op::ListTagsForResource, &Cloudfront::list_tags>,
                                        on_arn<op::ListTagsForResource>("cloudfront:ListTagsForResource"));
}

}  // namespace bastide::services
