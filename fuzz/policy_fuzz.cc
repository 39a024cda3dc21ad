// Whatever text comes as a policy: it is refused with a reason or compiled; what was compiled decides without
// failing, the same each time, an unreadable one denies, and an explicit deny wins.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "aws/authorize.h"
#include "aws/policy_explain.h"
#include "base/bytes.h"
#include "base/check.h"

using namespace bastide;

namespace {

aws::Call call_of() {
  aws::Call call;
  call.principal.kind = aws::Principal::Kind::assumed_role;
  call.principal.account = call.account = "111122223333";
  call.principal.name = "app";
  call.principal.arn = "arn:aws:sts::111122223333:assumed-role/app/session";
  call.principal.role_arn = "arn:aws:iam::111122223333:role/app";
  call.principal.id = "AROAEXAMPLE0000000001:session";
  call.principal.session_tags = {{"team", "red"}};
  call.region = "us-east-1";
  call.source_ip = "10.0.0.1";
  call.now = 1'790'000'000'000;
  return call;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const bool identity = aws::check_identity_policy(text).ok();
  const bool resource = aws::check_resource_policy(text).ok();
  (void)aws::check_trust_policy(text).ok();
  (void)aws::check_scp(text).ok();
  CHECK(aws::policy_size(text) <= text.size());
  static const aws::Call call = call_of();
  aws::Target target;
  target.action = "s3:GetObject";
  target.resource = "arn:aws:s3:::bucket/key";
  target.context = {{"aws:TagKeys", "a"}, {"aws:TagKeys", "b"}, {"s3:x", "1"}};
  aws::IdentityPolicies policies;
  const auto document = aws::PolicyDocument::of_text(text);
  policies.identity.push_back({"p", document});
  const auto first = aws::decide(call, target, policies), second = aws::decide(call, target, policies);
  CHECK(first.allowed == second.allowed && first.message == second.message);
  CHECK(!(first.allowed && first.explicit_deny));
  // What a write would refuse gives nothing.
  if (!identity && !resource && document && !json::parse(text).ok()) CHECK(!first.allowed);
  bool denies = false, allows = false;
  for (const auto& s : aws::explain_statements(call, target, policies)) {
    CHECK(s.applies || !s.reason.empty());
    if (s.applies) (s.deny ? denies : allows) = true;
  }
  CHECK(denies == first.explicit_deny);
  if (!denies) CHECK(allows == first.allowed);
  (void)aws::missing_keys(call, target, policies);
  target.policy = document;
  target.mode = aws::PolicyMode::resource_only;
  (void)aws::decide(call, target, {});
  return 0;
}
