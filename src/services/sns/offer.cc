// What SNS's operations are authorised against; a topic's own policy takes part.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html
#include "aws/arn.h"
#include "services/sns/sns.h"

namespace bastide::services {

namespace op = model::sns::op;

Result<std::vector<aws::Target>> Sns::topic_target(const std::string& arn) {
  std::vector<aws::Target> out(1);
  const auto key = sns::topic_key(arn);
  if (!key) {  // no topic's: decided upon as it stands, and refused by the operation
    out[0].resource = arn;
    if (const auto parsed = aws::parse_arn(arn)) out[0].owner = parsed->account;
    return out;
  }
  out[0].resource = arn;
  out[0].owner = key->account;
  const auto row = TRY(database_.get(*key));
  if (row) out[0].policy = aws::PolicyDocument::of_text(row->body.find("Attributes")->get("Policy"));
  return out;
}

void Sns::offer(aws::Registry& r) {
  using Targets = Result<std::vector<aws::Target>>;
  auto on_topic = [this](const Call&, const auto& q) -> Targets { return topic_target(q.topic_arn); };
  auto on_subscription = [this](const Call&, const auto& q) -> Targets {
    const auto key = sns::subscription_key(q.subscription_arn);
    if (!key) return topic_target(q.subscription_arn);
    return topic_target(aws::make_arn("sns", key->region, key->account, key->id.substr(0, key->id.find(':'))));
  };
  auto on_arn = [this](const Call&, const auto& q) -> Targets { return topic_target(q.resource_arn); };
#define ADD(Op, function, ...) r.add<op::Op>(this, &Sns::typed<op::Op, &Sns::function>, __VA_ARGS__)
  ADD(CreateTopic, create_topic, {"sns:CreateTopic", [](const Call& call, const auto& q) -> Targets {
                                    std::vector<aws::Target> out(1);
                                    out[0].resource = aws::make_arn("sns", call.region, call.account, q.name);
                                    return out;
                                  }});
  ADD(DeleteTopic, delete_topic, {"sns:DeleteTopic", on_topic});
  ADD(ListTopics, list_topics, {"sns:ListTopics"});
  ADD(GetTopicAttributes, get_topic_attributes, {"sns:GetTopicAttributes", on_topic});
  ADD(SetTopicAttributes, set_topic_attributes, {"sns:SetTopicAttributes", on_topic});
  ADD(AddPermission, add_permission, {"sns:AddPermission", on_topic});
  ADD(RemovePermission, remove_permission, {"sns:RemovePermission", on_topic});
  ADD(TagResource, tag_resource, {"sns:TagResource", on_arn});
  ADD(UntagResource, untag_resource, {"sns:UntagResource", on_arn});
  ADD(ListTagsForResource, list_tags, {"sns:ListTagsForResource", on_arn});
  ADD(Subscribe, subscribe, {"sns:Subscribe", [this](const Call&, const auto& q) -> Targets {
                               auto out = TRY(topic_target(q.topic_arn));
                               out[0].context.emplace_back("sns:Protocol", q.protocol);
                               if (q.endpoint) out[0].context.emplace_back("sns:Endpoint", *q.endpoint);
                               return out;
                             }});
  ADD(ListSubscriptions, list_subscriptions, {"sns:ListSubscriptions"});
  ADD(ListSubscriptionsByTopic, list_by_topic, {"sns:ListSubscriptionsByTopic", on_topic});
  ADD(GetSubscriptionAttributes, get_subscription_attributes,
      {"sns:GetSubscriptionAttributes", on_subscription});
  ADD(SetSubscriptionAttributes, set_subscription_attributes,
      {"sns:SetSubscriptionAttributes", on_subscription});
  ADD(Publish, publish, {"sns:Publish", [this](const Call&, const auto& q) -> Targets {
                           if (q.topic_arn || q.target_arn)
                             return topic_target(q.topic_arn ? *q.topic_arn : *q.target_arn);
                           return std::vector<aws::Target>(1);
                         }});
  ADD(PublishBatch, publish_batch, {"sns:Publish", on_topic});
#undef ADD
  // Whoever has the token, and whoever follows the link under a message, needs no signature.
  r.add_unauthenticated<op::ConfirmSubscription>(this, &Sns::typed<op::ConfirmSubscription, &Sns::confirm>);
  r.add_unauthenticated<op::Unsubscribe>(this, &Sns::typed<op::Unsubscribe, &Sns::unsubscribe>);
}

}  // namespace bastide::services
