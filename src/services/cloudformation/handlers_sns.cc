// AWS::SNS::Topic, Subscription and TopicPolicy.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_SNS.html
#include "services/cloudformation/read.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

std::string text_of(const Value& v) { return v.is_string() ? v.string() : document(v); }

Value topic_attributes(const Value& p) {
  Value out = json::object();
  if (p.has("DisplayName")) out["DisplayName"] = p.get("DisplayName");
  if (p.has("SignatureVersion")) out["SignatureVersion"] = p.get("SignatureVersion");
  return out;
}

Result<void> subscribe_all(const Context& c, const std::string& arn, const Value& p) {
  for (const auto& s : p.get_array("Subscription"))
    TRY(done(
        c.call("sns", "Subscribe",
               json::object(
                   {{"TopicArn", arn}, {"Protocol", s.get("Protocol")}, {"Endpoint", s.get("Endpoint")}}))));
  return {};
}

Value attributes_of(const std::string& arn) {
  return json::object({{"TopicArn", arn}, {"TopicName", arn.substr(arn.rfind(':') + 1)}});
}

Result<Made> make_topic(const Context& c, const Value& p) {
  Value in = json::object({{"Name", c.name(p, "TopicName", 256)}});
  Value attributes = topic_attributes(p);
  if (!attributes.object().empty()) in["Attributes"] = std::move(attributes);
  Value tags = c.tags(p);
  if (!tags.array().empty()) in["Tags"] = std::move(tags);
  const Value out = TRY(c.call("sns", "CreateTopic", std::move(in)));
  return Made{out.get("TopicArn"), attributes_of(out.get("TopicArn"))};
}

Result<void> apply_topic(const Context& c, const std::string& arn, const Value& old, const Value& next) {
  if (old.is_null() || differs(old, next, "Subscription")) TRY(subscribe_all(c, arn, next));
  if (old.is_null()) return {};
  const Value before = topic_attributes(old), after = topic_attributes(next);
  for (const char* key : {"DisplayName", "SignatureVersion"}) {
    if (before.get(key) == after.get(key)) continue;
    TRY(done(c.call(
        "sns", "SetTopicAttributes",
        json::object(
            {{"TopicArn", arn},
             {"AttributeName", key},
             {"AttributeValue", after.get(key, std::string_view(key) == "SignatureVersion" ? "1" : "")}}))));
  }
  const TagChange change = tag_change(c, old, next);
  if (!change.set.array().empty())
    TRY(done(c.call("sns", "TagResource", json::object({{"ResourceArn", arn}, {"Tags", change.set}}))));
  if (!change.remove.array().empty())
    TRY(done(
        c.call("sns", "UntagResource", json::object({{"ResourceArn", arn}, {"TagKeys", change.remove}}))));
  return {};
}

Result<void> remove_topic(const Context& c, const std::string& arn, const Value&) {
  return unless_missing(c.call("sns", "DeleteTopic", json::object({{"TopicArn", arn}})));
}
Result<Value> topic_attributes_of(const Context&, const std::string& arn, const Value&) {
  return attributes_of(arn);
}
Result<std::string> no_find(const Context&, const Value&) {
  return std::string();
}  // CreateTopic and Subscribe answer what is there

// ---- Subscription

Value subscription_attributes(const Value& p) {
  Value out = json::object();
  if (const Value* v = p.find("RawMessageDelivery"))
    out["RawMessageDelivery"] = v->is_bool() && v->boolean() ? "true" : "false";
  if (p.has("FilterPolicyScope")) out["FilterPolicyScope"] = p.get("FilterPolicyScope");
  for (const char* key : {"FilterPolicy", "DeliveryPolicy"}) {
    if (const Value* v = p.find(key)) out[key] = text_of(*v);
  }
  return out;
}
Result<Made> make_subscription(const Context& c, const Value& p) {
  Value in = json::object({{"TopicArn", p.get("TopicArn")},
                           {"Protocol", p.get("Protocol")},
                           {"Endpoint", p.get("Endpoint")},
                           {"ReturnSubscriptionArn", true}});
  Value attributes = subscription_attributes(p);
  if (!attributes.object().empty()) in["Attributes"] = std::move(attributes);
  const Value out = TRY(c.call("sns", "Subscribe", std::move(in)));
  return Made{out.get("SubscriptionArn"), json::object({{"Arn", out.get("SubscriptionArn")}})};
}
Result<void> apply_subscription(const Context& c, const std::string& arn, const Value& old,
                                const Value& next) {
  if (old.is_null()) return {};
  const Value before = subscription_attributes(old), after = subscription_attributes(next);
  for (const char* key : {"FilterPolicyScope", "FilterPolicy", "DeliveryPolicy", "RawMessageDelivery"}) {
    if (before.get(key) == after.get(key)) continue;
    const std::string fallback = std::string_view(key) == "RawMessageDelivery"  ? "false"
                                 : std::string_view(key) == "FilterPolicyScope" ? "MessageAttributes"
                                                                                : "";
    TRY(done(c.call("sns", "SetSubscriptionAttributes",
                    json::object({{"SubscriptionArn", arn},
                                  {"AttributeName", key},
                                  {"AttributeValue", after.get(key, fallback)}}))));
  }
  return {};
}
Result<void> remove_subscription(const Context& c, const std::string& arn, const Value&) {
  return unless_missing(c.call("sns", "Unsubscribe", json::object({{"SubscriptionArn", arn}})));
}
Result<Value> subscription_attributes_of(const Context&, const std::string& arn, const Value&) {
  return json::object({{"Arn", arn}});
}

// ---- TopicPolicy

Result<void> set_policy(const Context& c, const std::vector<std::string>& topics, const std::string& policy) {
  for (const auto& arn : topics)
    TRY(done(
        c.call("sns", "SetTopicAttributes",
               json::object({{"TopicArn", arn}, {"AttributeName", "Policy"}, {"AttributeValue", policy}}))));
  return {};
}
Result<Made> make_policy(const Context& c, const Value&) {
  return Made{c.generated_name(256), json::object()};
}
Result<void> apply_policy(const Context& c, const std::string&, const Value& old, const Value& next) {
  if (!old.is_null()) {
    for (const auto& arn : only_in(strings(old, "Topics"), strings(next, "Topics")))
      TRY(unless_missing(
          c.call("sns", "SetTopicAttributes",
                 json::object({{"TopicArn", arn}, {"AttributeName", "Policy"}, {"AttributeValue", ""}}))));
  }
  const Value* policy = next.find("PolicyDocument");
  return set_policy(c, strings(next, "Topics"), policy == nullptr ? "" : text_of(*policy));
}
Result<void> remove_policy(const Context& c, const std::string&, const Value& p) {
  for (const auto& arn : strings(p, "Topics"))
    TRY(unless_missing(
        c.call("sns", "SetTopicAttributes",
               json::object({{"TopicArn", arn}, {"AttributeName", "Policy"}, {"AttributeValue", ""}}))));
  return {};
}
Result<Value> policy_attributes(const Context&, const std::string& id, const Value&) {
  return json::object({{"Id", id}});
}

}  // namespace

void add_sns(Handlers& h) {
  h["AWS::SNS::Topic"] = {.name_property = "TopicName",
                          .make = make_topic,
                          .apply = apply_topic,
                          .remove = remove_topic,
                          .attributes = topic_attributes_of,
                          .find = no_find};
  h["AWS::SNS::Subscription"] = {.make = make_subscription,
                                 .apply = apply_subscription,
                                 .remove = remove_subscription,
                                 .attributes = subscription_attributes_of,
                                 .find = no_find};
  h["AWS::SNS::TopicPolicy"] = {.make = make_policy,
                                .apply = apply_policy,
                                .remove = remove_policy,
                                .attributes = policy_attributes,
                                .find = no_find};
}

}  // namespace bastide::services::cfn
