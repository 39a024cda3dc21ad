#include "services/elbv2/elbv2.h"

#include "aws/arn.h"
#include "gen/elbv2.h"

namespace bastide::services {
namespace {

namespace op = model::elbv2::op;

// Authorised against the ARNs in the members that are named; against "*" without any.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awselasticloadbalancingv2.html
template <class Op>
aws::Rule<Op> rule(const char* action, std::initializer_list<const char*> members) {
  std::vector<std::string> named(members.begin(), members.end());
  return {action,
          [named](const aws::Call&, const typename Op::Request& request) -> Result<std::vector<aws::Target>> {
            auto in = model::request_body<Op>(request);
            std::vector<aws::Target> out;
            auto add = [&](const json::Value& arn) {
              aws::Target target;
              target.resource = arn.string();
              out.push_back(std::move(target));
            };
            for (const auto& member : named) {
              const auto* value = in.find(member);
              if (value != nullptr && value->is_string()) add(*value);
              for (const auto& arn : in.get_array(member)) {
                if (arn.is_string())
                  add(arn);
                else if (arn.has("RuleArn"))
                  add(*arn.find("RuleArn"));
              }
            }
            if (out.empty()) out.emplace_back();
            return out;
          }};
}

// Authorised against the ARN that is about to be: "loadbalancer/app/<name>/*".
template <class Op>
aws::Rule<Op> made(const char* action, const char* resource) {
  return {action,
          [resource](const aws::Call& call,
                     const typename Op::Request& request) -> Result<std::vector<aws::Target>> {
            aws::Target target;
            target.resource = aws::make_arn("elasticloadbalancing", call.region, call.account,
                                            resource + request.name + "/*");
            return std::vector<aws::Target>{target};
          }};
}

}  // namespace

#define OFFER(name, function, ...) \
  registry.add<op::name>(this, &Elbv2::run<op::name, &Elbv2::function>, __VA_ARGS__)
#define NAMED(name, function, ...) \
  OFFER(name, function, rule<op::name>("elasticloadbalancing:" #name, {__VA_ARGS__}))

void Elbv2::offer(aws::Registry& registry) {
  OFFER(CreateLoadBalancer, create_load_balancer,
        made<op::CreateLoadBalancer>("elasticloadbalancing:CreateLoadBalancer", "loadbalancer/app/"));
  NAMED(DescribeLoadBalancers, describe_load_balancers);
  NAMED(DeleteLoadBalancer, delete_load_balancer, "LoadBalancerArn");
  NAMED(ModifyLoadBalancerAttributes, modify_load_balancer_attributes, "LoadBalancerArn");
  NAMED(DescribeLoadBalancerAttributes, describe_load_balancer_attributes);
  OFFER(CreateTargetGroup, create_target_group,
        made<op::CreateTargetGroup>("elasticloadbalancing:CreateTargetGroup", "targetgroup/"));
  NAMED(DescribeTargetGroups, describe_target_groups);
  NAMED(ModifyTargetGroup, modify_target_group, "TargetGroupArn");
  NAMED(DeleteTargetGroup, delete_target_group, "TargetGroupArn");
  NAMED(ModifyTargetGroupAttributes, modify_target_group_attributes, "TargetGroupArn");
  NAMED(DescribeTargetGroupAttributes, describe_target_group_attributes);
  NAMED(RegisterTargets, register_targets, "TargetGroupArn");
  NAMED(DeregisterTargets, deregister_targets, "TargetGroupArn");
  NAMED(DescribeTargetHealth, describe_target_health);
  NAMED(CreateListener, create_listener, "LoadBalancerArn");
  NAMED(DescribeListeners, describe_listeners);
  NAMED(ModifyListener, modify_listener, "ListenerArn");
  NAMED(DeleteListener, delete_listener, "ListenerArn");
  NAMED(AddListenerCertificates, add_listener_certificates, "ListenerArn");
  NAMED(RemoveListenerCertificates, remove_listener_certificates, "ListenerArn");
  NAMED(DescribeListenerCertificates, describe_listener_certificates);
  NAMED(CreateRule, create_rule, "ListenerArn");
  NAMED(DescribeRules, describe_rules);
  NAMED(ModifyRule, modify_rule, "RuleArn");
  NAMED(DeleteRule, delete_rule, "RuleArn");
  NAMED(SetRulePriorities, set_rule_priorities, "RulePriorities");
  NAMED(AddTags, add_tags, "ResourceArns");
  NAMED(RemoveTags, remove_tags, "ResourceArns");
  NAMED(DescribeTags, describe_tags);
}

}  // namespace bastide::services
