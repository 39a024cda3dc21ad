// What the operations of Elastic Load Balancing share: ARNs, look-ups that answer ELB's errors, tags, pages.
#pragma once

#include <string>
#include <vector>

#include "aws/call.h"
#include "base/json.h"
#include "base/result.h"
#include "store/database.h"

namespace bastide::services::elbv2 {

struct KindOf {
  const char* kind;      // in the store
  const char* resource;  // first part of the ARN's resource
  const char* arn_member;
  const char* not_found;
  const char* words;
};
inline constexpr KindOf kBalancer{"elbv2.load_balancer", "loadbalancer/", "LoadBalancerArn",
                                  "LoadBalancerNotFound", "load balancers"};
inline constexpr KindOf kTargetGroup{"elbv2.target_group", "targetgroup/", "TargetGroupArn",
                                     "TargetGroupNotFound", "target groups"};
inline constexpr KindOf kListener{"elbv2.listener", "listener/", "ListenerArn", "ListenerNotFound",
                                  "listeners"};
inline constexpr KindOf kRule{"elbv2.rule", "listener-rule/", "RuleArn", "RuleNotFound", "rules"};

std::string new_suffix();  // 16 hexadecimal digits
std::string arn_of(const aws::Call& call, const KindOf& kind, const std::string& id);
Error validation(std::string message);

// The store's id of an ARN of this kind, account and region; the kind's NotFound otherwise.
Result<std::string> id_of(const aws::Call& call, const KindOf& kind, const std::string& arn);
Result<json::Value> load(store::Reader& reader, const aws::Call& call, const KindOf& kind,
                         const std::string& arn);
Result<void> save(store::Writer& writer, const aws::Call& call, const KindOf& kind, const json::Value& body);
Result<void> remove(store::Writer& writer, const aws::Call& call, const KindOf& kind, const std::string& arn);
Result<std::vector<json::Value>> all(store::Reader& reader, const aws::Call& call, const KindOf& kind,
                                     const std::string& id_prefix = "");

// Names of load balancers and target groups: 1-32 letters, digits, hyphens, none at the ends.
Result<void> check_name(const std::string& name, std::string_view what);
Result<json::Array> tags_of(const json::Value& request);

// One page, by Marker and PageSize; NextMarker in `answer` where more is left.
Result<json::Array> page(std::vector<json::Value> bodies, const KindOf& kind, const json::Value& request,
                         json::Value& answer);

// Target groups that a list of actions forwards to.
std::vector<std::string> groups_in(const json::Value& actions);
// Every (listener or rule) body of this account and region that forwards to the group.
Result<std::vector<json::Value>> users_of(store::Reader& reader, const aws::Call& call,
                                          const std::string& group_arn);

// Validated and with ELB's defaults written out.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Action.html
Result<json::Value> checked_actions(store::Reader& reader, const aws::Call& call, const json::Value& actions,
                                    const std::string& vpc);
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RuleCondition.html
Result<json::Value> checked_conditions(const json::Value& conditions);

}  // namespace bastide::services::elbv2
