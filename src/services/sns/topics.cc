// Topics, their attributes, policies and tags.
#include <fmt/format.h>

#include <algorithm>

#include "aws/arn.h"
#include "base/bytes.h"
#include "services/sns/sns.h"
#include "store/page.h"

namespace bastide::services {

using sns::bad_parameter;

namespace {

constexpr size_t kMaxTopics = 10'000;
constexpr size_t kMaxTags = 50;
constexpr size_t kPage = 100;

constexpr const char* kTopicAttributes[] = {"DeliveryPolicy", "DisplayName",      "Policy",
                                            "KmsMasterKeyId", "SignatureVersion", "TracingConfig"};

Result<void> check_attribute(const std::string& name, const std::string& value) {
  if (std::none_of(std::begin(kTopicAttributes), std::end(kTopicAttributes),
                   [&](const char* a) { return name == a; })) {
    if (name == "FifoTopic" || name == "ContentBasedDeduplication" || name == "FifoThroughputScope")
      return bad_parameter("FIFO topics are not supported here");
    return bad_parameter("AttributeName");
  }
  if (name == "Policy") {
    const auto checked = aws::check_resource_policy(value);
    if (!checked) return bad_parameter("Policy Error: " + checked.error().message);
  }
  if (name == "DeliveryPolicy" && !value.empty() && !json::parse(value))
    return bad_parameter("DeliveryPolicy: JSON is not well formed");
  if (name == "SignatureVersion" && value != "1" && value != "2")
    return bad_parameter("SignatureVersion must be 1 or 2");
  if (name == "KmsMasterKeyId" && !value.empty())
    return bad_parameter(
        "KmsMasterKeyId: keys of topics are not supported; messages are kept encrypted under the master "
        "key's disk only");
  return {};
}

}  // namespace

Error sns::bad_parameter(const std::string& why) {
  return fault("InvalidParameter", "Invalid parameter: " + why);
}

Result<store::Key> sns::topic_key(const std::string& text) {
  const auto arn = aws::parse_arn(text);
  if (!arn || arn->service != "sns" || arn->resource.empty() || arn->resource.find(':') != std::string::npos)
    return bad_parameter("TopicArn Reason: An ARN must have at least 6 elements, not " +
                         std::to_string(split(text, ':').size()));
  return store::Key{arn->account, arn->region, kTopicKind, arn->resource};
}

json::Value sns::default_policy(const std::string& topic_arn, const std::string& account) {
  return json::object(
      {{"Version", "2008-10-17"},
       {"Id", "__default_policy_ID"},
       {"Statement",
        json::array({json::object(
            {{"Sid", "__default_statement_ID"},
             {"Effect", "Allow"},
             {"Principal", json::object({{"AWS", "*"}})},
             {"Action", json::array({"SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission",
                                     "SNS:RemovePermission", "SNS:DeleteTopic", "SNS:Subscribe",
                                     "SNS:ListSubscriptionsByTopic", "SNS:Publish"})},
             {"Resource", topic_arn},
             {"Condition",
              json::object({{"StringEquals", json::object({{"AWS:SourceOwner", account}})}})}})})}});
}

Sns::Sns(store::Database& database, store::Keyring& keyring, Clock& clock, Egress& egress,
         std::string endpoint)
    : database_(database),
      keyring_(keyring),
      clock_(clock),
      egress_(egress),
      endpoint_(std::move(endpoint)),
      signing_(database, keyring, clock) {}

Result<store::Resource> Sns::need_topic(const std::string& arn) {
  const auto key = TRY(sns::topic_key(arn));
  auto row = TRY(database_.get(key));
  if (!row) return fault("NotFound", "Topic does not exist");
  return std::move(*row);
}

// https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
Result<json::Value> Sns::create_topic(Call& call, const Json& q) {
  const std::string name = q.get("Name");
  if (name.empty() || name.size() > 256 || !std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) || c == '-' || c == '_';
      })) {
    return bad_parameter(name.ends_with(".fifo") ? "FIFO topics are not supported here" : "Topic Name");
  }
  if (q.has("DataProtectionPolicy")) return bad_parameter("DataProtectionPolicy is not supported");
  const auto& attributes = q.get_object("Attributes");
  for (const auto& [k, v] : attributes) TRY(check_attribute(k, v.string()));
  const std::string arn = aws::make_arn("sns", call.region, call.account, name);
  const store::Key key{call.account, call.region, sns::kTopicKind, name};
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const auto there = TRY(w.get(key));
    if (there) {  // the same topic again is answered; another one of its name is refused
      for (const auto& [k, v] : attributes) {
        if (there->body.find("Attributes")->get(k) != v.string())
          return bad_parameter("Attributes Reason: Topic already exists with different attributes");
      }
      return {};
    }
    const auto all = TRY(w.list(call.account, call.region, sns::kTopicKind));
    if (all.size() >= kMaxTopics) return fault("TopicLimitExceeded", "Too many topics");
    Json kept = json::object();
    for (const auto& [k, v] : attributes) kept[k] = v;
    if (!kept.has("Policy")) kept["Policy"] = json::print(sns::default_policy(arn, call.account));
    Json body = json::object({{"TopicArn", arn}, {"Owner", call.account}, {"Attributes", std::move(kept)}});
    if (const Json* tags = q.find("Tags")) body["Tags"] = *tags;
    return w.put(key, body);
  }));
  return json::object({{"TopicArn", arn}});
}

Result<json::Value> Sns::delete_topic(Call&, const Json& q) {
  const auto key = TRY(sns::topic_key(q.get("TopicArn")));
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    for (const auto& s : TRY(w.find(sns::kSubscriptionKind, "topic", q.get("TopicArn"))))
      TRY(w.remove(s.key));
    TRY(w.remove(key));  // deleting what is not there is no error
    return {};
  }));
  return json::object();
}

Result<json::Value> Sns::page(const Call& call, const Json& q, const char* list, std::vector<Json> items,
                              const char* key) {
  const std::string scope = std::string(list) + "/" + call.account + "/" + call.region;
  std::sort(items.begin(), items.end(),
            [&](const Json& a, const Json& b) { return a.get(key) < b.get(key); });
  if (const auto token = q.get("NextToken"); !token.empty()) {
    const auto last = store::open_page(keyring_, scope, token);
    if (!last) return bad_parameter("NextToken");
    std::erase_if(items, [&](const Json& i) { return i.get(key) <= *last; });
  }
  Json out = json::object({{list, json::array()}});
  for (size_t i = 0; i < items.size() && i < kPage; ++i) out[list].push(items[i]);
  if (items.size() > kPage) out["NextToken"] = store::seal_page(keyring_, scope, items[kPage - 1].get(key));
  return out;
}

Result<json::Value> Sns::list_topics(Call& call, const Json& q) {
  std::vector<Json> items;
  for (const auto& r : TRY(database_.list(call.account, call.region, sns::kTopicKind)))
    items.push_back(json::object({{"TopicArn", r.body.get("TopicArn")}}));
  return page(call, q, "Topics", std::move(items), "TopicArn");
}

// https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html
Result<json::Value> Sns::get_topic_attributes(Call&, const Json& q) {
  const auto topic = TRY(need_topic(q.get("TopicArn")));
  Json out = *topic.body.find("Attributes");
  int64_t confirmed = 0, pending = 0;
  for (const auto& s : TRY(database_.find(sns::kSubscriptionKind, "topic", q.get("TopicArn"))))
    (s.body.get_bool("Confirmed") ? confirmed : pending) += 1;
  out["TopicArn"] = topic.body.get("TopicArn");
  out["Owner"] = topic.key.account;
  out["SubscriptionsConfirmed"] = std::to_string(confirmed);
  out["SubscriptionsPending"] = std::to_string(pending);
  out["SubscriptionsDeleted"] = "0";
  if (!out.has("DisplayName")) out["DisplayName"] = "";
  out["EffectiveDeliveryPolicy"] =
      out.has("DeliveryPolicy")
          ? out.get("DeliveryPolicy")
          : R"({"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false}})";
  return json::object({{"Attributes", std::move(out)}});
}

Result<json::Value> Sns::set_topic_attributes(Call&, const Json& q) {
  const std::string name = q.get("AttributeName"), value = q.get("AttributeValue");
  TRY(check_attribute(name, value));
  const auto key = TRY(sns::topic_key(q.get("TopicArn")));
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(key));
    if (!row) return fault("NotFound", "Topic does not exist");
    if (value.empty() && name != "DisplayName") {
      row->body["Attributes"].remove(name);
    } else {
      row->body["Attributes"][name] = value;
    }
    if (name == "Policy" && value.empty())
      row->body["Attributes"]["Policy"] = json::print(sns::default_policy(q.get("TopicArn"), key.account));
    return w.put(key, row->body);
  }));
  return json::object();
}

// https://docs.aws.amazon.com/sns/latest/api/API_AddPermission.html
Result<json::Value> Sns::add_permission(Call&, const Json& q) {
  const auto key = TRY(sns::topic_key(q.get("TopicArn")));
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(key));
    if (!row) return fault("NotFound", "Topic does not exist");
    auto policy = TRY(json::parse(row->body["Attributes"].get("Policy")));
    for (const auto& s : policy.get_array("Statement")) {
      if (s.get("Sid") == q.get("Label")) return bad_parameter("Statement already exists");
    }
    Json who = json::array(), what = json::array();
    for (const auto& a : q.get_array("AWSAccountId")) who.push("arn:aws:iam::" + a.string() + ":root");
    for (const auto& a : q.get_array("ActionName")) what.push("SNS:" + a.string());
    policy["Statement"].push(json::object({{"Sid", q.get("Label")},
                                           {"Effect", "Allow"},
                                           {"Principal", json::object({{"AWS", std::move(who)}})},
                                           {"Action", std::move(what)},
                                           {"Resource", q.get("TopicArn")}}));
    const std::string text = json::print(policy);
    TRY(check_attribute("Policy", text));
    row->body["Attributes"]["Policy"] = text;
    return w.put(key, row->body);
  }));
  return json::object();
}

Result<json::Value> Sns::remove_permission(Call&, const Json& q) {
  const auto key = TRY(sns::topic_key(q.get("TopicArn")));
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(key));
    if (!row) return fault("NotFound", "Topic does not exist");
    auto policy = TRY(json::parse(row->body["Attributes"].get("Policy")));
    if (policy.has("Statement") && policy["Statement"].is_array())
      std::erase_if(policy["Statement"].array(),
                    [&](const Json& s) { return s.get("Sid") == q.get("Label"); });
    row->body["Attributes"]["Policy"] = json::print(policy);
    return w.put(key, row->body);
  }));
  return json::object();
}

Result<json::Value> Sns::tag_resource(Call&, const Json& q) {
  const auto key = TRY(sns::topic_key(q.get("ResourceArn")));
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(key));
    if (!row) return fault("ResourceNotFound", "Resource does not exist");
    json::Array tags = row->body.get_array("Tags");
    for (const auto& t : q.get_array("Tags")) {
      std::erase_if(tags, [&](const Json& old) { return old.get("Key") == t.get("Key"); });
      tags.push_back(t);
    }
    if (tags.size() > kMaxTags)
      return fault("TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded");
    row->body["Tags"] = Json(std::move(tags));
    return w.put(key, row->body);
  }));
  return json::object();
}
Result<json::Value> Sns::untag_resource(Call&, const Json& q) {
  const auto key = TRY(sns::topic_key(q.get("ResourceArn")));
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(key));
    if (!row) return fault("ResourceNotFound", "Resource does not exist");
    json::Array tags = row->body.get_array("Tags");
    for (const auto& k : q.get_array("TagKeys"))
      std::erase_if(tags, [&](const Json& t) { return t.get("Key") == k.string(); });
    row->body["Tags"] = Json(std::move(tags));
    return w.put(key, row->body);
  }));
  return json::object();
}
Result<json::Value> Sns::list_tags(Call&, const Json& q) {
  const auto key = TRY(sns::topic_key(q.get("ResourceArn")));
  const auto row = TRY(database_.get(key));
  if (!row) return fault("ResourceNotFound", "Resource does not exist");
  return json::object({{"Tags", Json(row->body.get_array("Tags"))}});
}

}  // namespace bastide::services
