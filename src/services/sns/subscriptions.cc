// Subscriptions: by HTTP(S) and e-mail, each confirmed by whoever gets it.
#include <fmt/format.h>

#include <algorithm>

#include "aws/arn.h"
#include "aws/dispatch.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "net/http_client.h"
#include "services/sns/filter_policy.h"
#include "services/sns/sns.h"

namespace bastide::services {

using sns::bad_parameter;

namespace {

constexpr size_t kMaxSubscriptions = 12'500;  // of a topic; AWS's limit is a thousand times higher
constexpr Millis kTokenLife = 3 * kDay;
constexpr const char* kPending = "pending confirmation";

Result<void> check_endpoint(const std::string& protocol, const std::string& endpoint, bool has_mail) {
  if (protocol == "http" || protocol == "https") {
    if (!endpoint.starts_with(protocol + "://"))
      return bad_parameter("Endpoint must match the specified protocol");
    const size_t path = endpoint.find('/', protocol.size() + 3);
    const auto authority = endpoint.substr(0, path);
    if (endpoint.size() > 2048 || authority.find('@') != std::string::npos ||
        !net::parse_endpoint(authority) ||
        std::any_of(endpoint.begin(), endpoint.end(), [](unsigned char c) { return c <= ' ' || c >= 0x7f; }))
      return bad_parameter("Endpoint");
    return {};
  }
  if (protocol == "email") {
    const size_t at = endpoint.find('@');
    if (at == 0 || at == std::string::npos || endpoint.find('@', at + 1) != std::string::npos ||
        endpoint.size() > 254 || std::any_of(endpoint.begin(), endpoint.end(), [](unsigned char c) {
          return c <= ' ' || c == '<' || c == '>' || c == ',' || c == '"';
        }))
      return bad_parameter("Email address");
    if (!has_mail) return bad_parameter("Protocol email needs a mail server: set smtp in serve.yaml");
    return {};
  }
  if (protocol == "sqs" || protocol == "lambda" || protocol == "firehose" || protocol == "sms" ||
      protocol == "application")
    return bad_parameter("Protocol " + protocol + " is not supported here: use http, https or email");
  return bad_parameter("Does not support this protocol string: " + protocol);
}

json::Value shown(const store::Resource& r) {
  const bool confirmed = r.body.get_bool("Confirmed");
  return json::object({{"SubscriptionArn", confirmed ? r.body.get("SubscriptionArn") : "PendingConfirmation"},
                       {"Owner", r.key.account},
                       {"Protocol", r.body.get("Protocol")},
                       {"Endpoint", r.body.get("Endpoint")},
                       {"TopicArn", r.body.get("TopicArn")},
                       {"sort", r.body.get("SubscriptionArn")}});
}

}  // namespace

Result<store::Key> sns::subscription_key(const std::string& text) {
  const auto arn = aws::parse_arn(text);
  if (!arn || arn->service != "sns" || arn->resource.find(':') == std::string::npos)
    return bad_parameter("SubscriptionArn Reason: An ARN must have at least 7 elements");
  return store::Key{arn->account, arn->region, kSubscriptionKind, arn->resource};
}

Result<void> sns::check_subscription_attribute(const std::string& name, const std::string& value) {
  if (name == "FilterPolicy") {
    if (value.empty()) return {};
    const auto policy = json::parse(value);
    if (!policy) return bad_parameter("FilterPolicy: JSON is not well formed");
    return check_filter_policy(*policy);
  }
  if (name == "FilterPolicyScope") {
    if (value != "MessageAttributes" && value != "MessageBody")
      return bad_parameter("FilterPolicyScope: Invalid value");
    return {};
  }
  if (name == "RawMessageDelivery") {
    if (value != "true" && value != "false") return bad_parameter("RawMessageDelivery");
    return {};
  }
  if (name == "DeliveryPolicy") {
    if (!value.empty() && !json::parse(value))
      return bad_parameter("DeliveryPolicy: JSON is not well formed");
    return {};
  }
  if (name == "RedrivePolicy")
    return bad_parameter("RedrivePolicy needs an SQS queue, which is not supported here");
  return bad_parameter("AttributeName");
}

Result<store::Resource> Sns::need_subscription(const std::string& arn) {
  const auto key = TRY(sns::subscription_key(arn));
  auto row = TRY(database_.get(key));
  if (!row) return fault("NotFound", "Subscription does not exist");
  return std::move(*row);
}

// https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
Result<json::Value> Sns::subscribe(Call& call, const Json& q) {
  const auto topic = TRY(need_topic(q.get("TopicArn")));
  const std::string protocol = q.get("Protocol"), endpoint = q.get("Endpoint");
  TRY(check_endpoint(protocol, endpoint, egress_.has_mail()));
  const auto& attributes = q.get_object("Attributes");
  for (const auto& [k, v] : attributes) TRY(sns::check_subscription_attribute(k, v.string()));
  std::string answer;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const auto still = TRY(w.get(topic.key));
    if (!still) return fault("NotFound", "Topic does not exist");
    const auto all = TRY(w.find(sns::kSubscriptionKind, "topic", q.get("TopicArn")));
    const std::string token = hex(random_bytes(128));
    Json body;
    store::Key key{topic.key.account, topic.key.region, sns::kSubscriptionKind, ""};
    for (const auto& s : all) {
      if (s.body.get("Protocol") != protocol || s.body.get("Endpoint") != endpoint) continue;
      key = s.key;
      body = s.body;
    }
    if (body.get_bool("Confirmed")) {
      answer = body.get("SubscriptionArn");
      for (const auto& [k, v] : attributes) {
        if (body["Attributes"].get(k) != v.string())
          return bad_parameter("Attributes Reason: Subscription already exists with different attributes");
      }
      return {};
    }
    if (key.id.empty()) {
      if (all.size() >= kMaxSubscriptions)
        return fault("SubscriptionLimitExceeded", "Too many subscriptions of this topic");
      const std::string id = aws::new_request_id();
      key.id = topic.key.id + ":" + id;
      body = json::object({{"SubscriptionArn", q.get("TopicArn") + ":" + id},
                           {"TopicArn", q.get("TopicArn")},
                           {"Protocol", protocol},
                           {"Endpoint", endpoint},
                           {"Owner", call.account},
                           {"Confirmed", false}});
    }
    Json kept = json::object();
    for (const auto& [k, v] : attributes) kept[k] = v;
    body["Attributes"] = std::move(kept);
    body["TokenHash"] = sha256_hex(token);
    body["TokenUntil"] = call.now + kTokenLife;
    TRY(w.put(key, body, {{"topic", q.get("TopicArn")}, {"token", sha256_hex(token)}}));
    // The token itself stands in the job alone, sealed, until it is sent.
    TRY(w.enqueue(
        sns::kDeliveryJob, body.get("SubscriptionArn") + "/confirm/" + sha256_hex(token).substr(0, 16),
        json::object({{"subscription", body.get("SubscriptionArn")},
                      {"type", "SubscriptionConfirmation"},
                      {"message_id", aws::new_request_id()},
                      {"published", call.now},
                      {"token", base64(keyring_.seal("sns.token", token, body.get("SubscriptionArn")))}}),
        call.now));
    answer = q.get_bool("ReturnSubscriptionArn") ? body.get("SubscriptionArn") : kPending;
    return {};
  }));
  return json::object({{"SubscriptionArn", answer}});
}

// https://docs.aws.amazon.com/sns/latest/api/API_ConfirmSubscription.html
Result<json::Value> Sns::confirm(Call& call, const Json& q) {
  std::string arn;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const std::string hash = sha256_hex(q.get("Token"));
    for (auto& s : TRY(w.find(sns::kSubscriptionKind, "token", hash))) {
      if (s.body.get("TopicArn") != q.get("TopicArn") || !equal_constant_time(s.body.get("TokenHash"), hash))
        continue;
      if (!s.body.get_bool("Confirmed") && s.body.get_int("TokenUntil") < call.now) break;
      arn = s.body.get("SubscriptionArn");
      if (s.body.get_bool("Confirmed")) return {};
      s.body["Confirmed"] = true;
      s.body["AuthenticateOnUnsubscribe"] = q.get("AuthenticateOnUnsubscribe") == "true";
      return w.put(s.key, s.body, {{"topic", q.get("TopicArn")}, {"token", hash}});
    }
    return bad_parameter("Token");
  }));
  return json::object({{"SubscriptionArn", arn}});
}

Result<json::Value> Sns::unsubscribe(Call& call, const Json& q) {
  const auto row = TRY(need_subscription(q.get("SubscriptionArn")));
  // The link under a message is enough, unless the subscriber wanted otherwise: then it takes its owner or
  // the topic's.
  const bool owner = !call.principal.account.empty() && (call.principal.account == row.body.get("Owner") ||
                                                         call.principal.account == row.key.account);
  if (!owner && row.body.get_bool("AuthenticateOnUnsubscribe"))
    return fault("AuthorizationError",
                 "Not authorized to perform SNS:Unsubscribe on resource: " + q.get("SubscriptionArn"));
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    TRY(w.remove(row.key));
    return {};
  }));
  return json::object();
}

Result<json::Value> Sns::list_subscriptions(Call& call, const Json& q) {
  std::vector<Json> items;
  for (const auto& r : TRY(database_.list(call.account, call.region, sns::kSubscriptionKind)))
    items.push_back(shown(r));
  return page(call, q, "Subscriptions", std::move(items), "sort");
}

Result<json::Value> Sns::list_by_topic(Call& call, const Json& q) {
  TRY(need_topic(q.get("TopicArn")));
  std::vector<Json> items;
  for (const auto& r : TRY(database_.find(sns::kSubscriptionKind, "topic", q.get("TopicArn"))))
    items.push_back(shown(r));
  return page(call, q, "Subscriptions", std::move(items), "sort");
}

Result<json::Value> Sns::get_subscription_attributes(Call&, const Json& q) {
  const auto r = TRY(need_subscription(q.get("SubscriptionArn")));
  Json out = *r.body.find("Attributes");
  for (const char* key : {"SubscriptionArn", "TopicArn", "Protocol", "Endpoint"}) out[key] = r.body.get(key);
  out["Owner"] = r.body.get("Owner");
  out["PendingConfirmation"] = r.body.get_bool("Confirmed") ? "false" : "true";
  out["ConfirmationWasAuthenticated"] = r.body.get_bool("AuthenticateOnUnsubscribe") ? "true" : "false";
  if (!out.has("RawMessageDelivery")) out["RawMessageDelivery"] = "false";
  return json::object({{"Attributes", std::move(out)}});
}

Result<json::Value> Sns::set_subscription_attributes(Call&, const Json& q) {
  const std::string name = q.get("AttributeName"), value = q.get("AttributeValue");
  TRY(sns::check_subscription_attribute(name, value));
  const auto key = TRY(sns::subscription_key(q.get("SubscriptionArn")));
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(key));
    if (!row) return fault("NotFound", "Subscription does not exist");
    if (value.empty()) {
      row->body["Attributes"].remove(name);
    } else {
      row->body["Attributes"][name] = value;
    }
    return w.put(key, row->body,
                 {{"topic", row->body.get("TopicArn")}, {"token", row->body.get("TokenHash")}});
  }));
  return json::object();
}

}  // namespace bastide::services
