// Publishing, and the jobs that deliver.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "aws/arn.h"
#include "aws/dispatch.h"
#include "base/bytes.h"
#include "base/log.h"
#include "services/sns/filter_policy.h"
#include "services/sns/sns.h"

namespace bastide::services {

using sns::bad_parameter;

namespace {

constexpr size_t kMaxMessage = 256u << 10;
constexpr size_t kMaxBatch = 10;
constexpr size_t kMaxAttributes = 100;
constexpr int kMostRetries = 100;

size_t size_of(const json::Value& entry) {
  size_t n = entry.get("Message").size();
  for (const auto& [name, a] : entry.get_object("MessageAttributes"))
    n += name.size() + a.get("DataType").size() + a.get("StringValue").size() + a.get("BinaryValue").size();
  return n;
}

Result<void> check_message(const json::Value& q) {
  const std::string message = q.get("Message"), subject = q.get("Subject");
  if (message.empty()) return bad_parameter("Empty message");
  if (size_of(q) > kMaxMessage) return bad_parameter("Message too long");
  if (q.has("Subject") &&
      (subject.empty() || subject.size() > 100 ||
       std::any_of(subject.begin(), subject.end(), [](unsigned char c) { return c < 0x20; })))
    return bad_parameter("Subject");
  const std::string structure = q.get("MessageStructure");
  if (!structure.empty() && structure != "json") return bad_parameter("MessageStructure");
  if (structure == "json") {
    const auto parsed = json::parse(message);
    if (!parsed || !parsed->is_object())
      return bad_parameter("Message Structure - JSON message body failed to parse");
    if (!parsed->has("default"))
      return bad_parameter("Message Structure - No default entry in JSON message body");
  }
  if (q.get_object("MessageAttributes").size() > kMaxAttributes) return bad_parameter("MessageAttributes");
  for (const auto& [name, a] : q.get_object("MessageAttributes")) {
    const std::string type = a.get("DataType");
    if (name.empty() || type.empty())
      return fault("ParameterValueInvalid", "The message attribute '" + name + "' must contain a type");
    if (!type.starts_with("String") && !type.starts_with("Number") && !type.starts_with("Binary"))
      return fault("ParameterValueInvalid",
                   "The message attribute '" + name + "' has an invalid message attribute type");
    if (!a.has("StringValue") && !a.has("BinaryValue"))
      return fault("ParameterValueInvalid",
                   "The message attribute '" + name + "' must contain a non-empty value");
  }
  if (q.has("MessageGroupId") || q.has("MessageDeduplicationId"))
    return bad_parameter("MessageGroupId is for FIFO topics");
  return {};
}

// Writes a delivery for each subscription that takes the message.
Result<void> fan_out(store::Writer& w, const std::string& topic_arn, const json::Value& q,
                     const std::string& id, Millis now) {
  const auto structured = q.get("MessageStructure") == "json" ? json::parse(q.get("Message"))
                                                              : Result<json::Value>(json::Value());
  for (const auto& s : TRY(w.find(sns::kSubscriptionKind, "topic", topic_arn))) {
    if (!s.body.get_bool("Confirmed")) continue;
    const json::Value& attributes = *s.body.find("Attributes");
    std::string message = q.get("Message");
    if (structured && structured->is_object()) {
      const std::string protocol = s.body.get("Protocol");
      message = structured->has(protocol) ? structured->get(protocol) : structured->get("default");
    }
    if (const auto policy = attributes.get("FilterPolicy"); !policy.empty()) {
      const auto parsed = json::parse(policy);
      const json::Value* given = q.find("MessageAttributes");
      if (parsed && !sns::passes(*parsed, attributes.get("FilterPolicyScope") == "MessageBody",
                                 given ? *given : json::object(), message))
        continue;
    }
    json::Value state = json::object({{"subscription", s.body.get("SubscriptionArn")},
                                      {"type", "Notification"},
                                      {"message_id", id},
                                      {"published", now},
                                      {"message", message}});
    if (q.has("Subject")) state["subject"] = q.get("Subject");
    if (const json::Value* given = q.find("MessageAttributes")) state["attributes"] = *given;
    TRY(w.enqueue(sns::kDeliveryJob, s.body.get("SubscriptionArn") + "/" + id, state, now));
  }
  return {};
}

struct Retries {
  int count = 3;
  Millis least = 20 * kSecond, most = 20 * kSecond;
  std::string function = "linear";
};

Retries retries_of(const json::Value& subscription, const json::Value* topic) {
  Retries r;
  json::Value policy;
  if (const auto text = subscription.find("Attributes")->get("DeliveryPolicy"); !text.empty()) {
    if (auto parsed = json::parse(text))
      policy = parsed->has("healthyRetryPolicy") ? *parsed->find("healthyRetryPolicy") : json::Value();
  } else if (topic != nullptr) {
    if (auto parsed = json::parse(topic->get("DeliveryPolicy"))) {
      if (const json::Value* http = parsed->find("http"); http && http->has("defaultHealthyRetryPolicy"))
        policy = *http->find("defaultHealthyRetryPolicy");
    }
  }
  if (!policy.is_object()) return r;
  r.count = static_cast<int>(std::clamp<int64_t>(policy.get_int("numRetries", 3), 0, kMostRetries));
  r.least = std::clamp<int64_t>(policy.get_int("minDelayTarget", 20), 1, 3600) * kSecond;
  r.most = std::clamp<int64_t>(policy.get_int("maxDelayTarget", 20), r.least / kSecond, 3600) * kSecond;
  r.function = policy.get("backoffFunction", "linear");
  return r;
}

Millis delay_before(const Retries& r, int attempt) {  // from 1
  if (r.count <= 1 || r.most == r.least) return r.least;
  const double part = static_cast<double>(attempt - 1) / (r.count - 1);
  if (r.function == "exponential")
    return static_cast<Millis>(static_cast<double>(r.least) *
                               std::pow(static_cast<double>(r.most) / static_cast<double>(r.least), part));
  if (r.function == "arithmetic")
    return r.least + static_cast<Millis>(static_cast<double>(r.most - r.least) * part * part);
  return r.least + static_cast<Millis>(static_cast<double>(r.most - r.least) * part);
}

std::string fraction(Millis t) {  // 2026-11-22T19:12:00.123Z
  return iso8601(t - t % kSecond).substr(0, 19) + fmt::format(".{:03}Z", t % kSecond);
}

}  // namespace

// https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
Result<json::Value> Sns::publish(Call& call, const Json& q) {
  if (q.has("PhoneNumber")) return bad_parameter("PhoneNumber: SMS messages cannot be sent from here");
  if (q.has("TopicArn") == q.has("TargetArn"))
    return bad_parameter("TopicArn or TargetArn Reason: no value for required parameter");
  const std::string arn = q.has("TopicArn") ? q.get("TopicArn") : q.get("TargetArn");
  const auto topic = TRY(need_topic(arn));
  TRY(check_message(q));
  const std::string id = aws::new_request_id();
  TRY(database_.write([&](store::Writer& w) { return fan_out(w, arn, q, id, call.now); }));
  return json::object({{"MessageId", id}});
}

// https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html
Result<json::Value> Sns::publish_batch(Call& call, const Json& q) {
  const std::string arn = q.get("TopicArn");
  TRY(need_topic(arn));
  const auto& entries = q.get_array("PublishBatchRequestEntries");
  if (entries.empty()) return fault("EmptyBatchRequest", "The batch request doesn't contain any entries.");
  if (entries.size() > kMaxBatch)
    return fault("TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible.");
  size_t bytes = 0;
  std::vector<std::string> ids;
  for (const auto& e : entries) {
    bytes += size_of(e);
    const std::string id = e.get("Id");
    if (id.empty() || id.size() > 80 || !std::all_of(id.begin(), id.end(), [](unsigned char c) {
          return std::isalnum(c) || c == '-' || c == '_';
        }))
      return fault("InvalidBatchEntryId",
                   "The Id of a batch entry in a batch request doesn't abide by the specification.");
    if (std::find(ids.begin(), ids.end(), id) != ids.end())
      return fault("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.");
    ids.push_back(id);
  }
  if (bytes > kMaxMessage)
    return fault("BatchRequestTooLong",
                 "The length of all the messages put together is more than the limit.");
  Json out = json::object({{"Successful", json::array()}, {"Failed", json::array()}});
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    for (const auto& e : entries) {
      if (const auto checked = check_message(e); !checked) {
        out["Failed"].push(json::object({{"Id", e.get("Id")},
                                         {"Code", checked.error().code},
                                         {"Message", checked.error().message},
                                         {"SenderFault", true}}));
        continue;
      }
      const std::string id = aws::new_request_id();
      TRY(fan_out(w, arn, e, id, call.now));
      out["Successful"].push(json::object({{"Id", e.get("Id")}, {"MessageId", id}}));
    }
    return {};
  }));
  return out;
}

Result<void> Sns::deliver_web(const store::Resource& s, const Json& state) {
  const std::string type = state.get("type"), topic_arn = s.body.get("TopicArn"),
                    arn = s.body.get("SubscriptionArn");
  const Json& attributes = *s.body.find("Attributes");
  const bool raw = type == "Notification" && attributes.get("RawMessageDelivery") == "true";
  WebPost post;
  post.url = s.body.get("Endpoint");
  post.headers = {{"Content-Type", "text/plain; charset=UTF-8"},
                  {"User-Agent", "Amazon Simple Notification Service Agent"},
                  {"x-amz-sns-message-type", type},
                  {"x-amz-sns-message-id", state.get("message_id")},
                  {"x-amz-sns-topic-arn", topic_arn}};
  if (type == "Notification") post.headers.emplace_back("x-amz-sns-subscription-arn", arn);
  if (raw) {
    post.headers.emplace_back("x-amz-sns-rawdelivery", "true");
    post.body = state.get("message");
  } else {
    const auto topic = TRY(database_.get(TRY(sns::topic_key(topic_arn))));
    const Json* topic_attributes = topic ? topic->body.find("Attributes") : nullptr;
    const std::string version =
        topic_attributes != nullptr && topic_attributes->get("SignatureVersion") == "2" ? "2" : "1";
    Json m = json::object({{"Type", type}, {"MessageId", state.get("message_id")}});
    if (type == "Notification") {
      m["TopicArn"] = topic_arn;
      if (state.has("subject")) m["Subject"] = state.get("subject");
      m["Message"] = state.get("message");
    } else {
      const auto sealed = TRY(unbase64(state.get("token")));
      const auto token = TRY(keyring_.unseal("sns.token", sealed, arn));
      m["Token"] = token;
      m["TopicArn"] = topic_arn;
      m["Message"] = "You have chosen to subscribe to the topic " + topic_arn +
                     ".\nTo confirm the subscription, visit the SubscribeURL included in this message.";
      m["SubscribeURL"] = endpoint_ + "/?Action=ConfirmSubscription&Version=2010-03-31&TopicArn=" +
                          percent_encode(topic_arn) + "&Token=" + token;
    }
    m["Timestamp"] = fraction(state.get_int("published"));
    m["SignatureVersion"] = version;
    m["Signature"] = TRY(signing_.sign(m, version));
    m["SigningCertURL"] = endpoint_ + TRY(signing_.path());
    if (type == "Notification") {
      m["UnsubscribeURL"] =
          endpoint_ + "/?Action=Unsubscribe&Version=2010-03-31&SubscriptionArn=" + percent_encode(arn);
      if (const Json* given = state.find("attributes"); given && !given->object().empty()) {
        Json shown = json::object();
        for (const auto& [name, a] : given->object())
          shown[name] =
              json::object({{"Type", a.get("DataType")},
                            {"Value", a.has("StringValue") ? a.get("StringValue") : a.get("BinaryValue")}});
        m["MessageAttributes"] = std::move(shown);
      }
    }
    post.body = json::pretty(m);
  }
  const int status = TRY(egress_.post(std::move(post)));
  if (status >= 200 && status < 300) return {};
  // https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
  const bool lasting = status >= 400 && status < 500 && status != 429;
  return error(lasting ? "Refused" : "Failed", fmt::format("the endpoint answered {}", status));
}

Result<void> Sns::deliver_mail(const store::Resource& s, const Json& state) {
  const std::string arn = s.body.get("SubscriptionArn"), topic_arn = s.body.get("TopicArn");
  Mail m;
  m.to = s.body.get("Endpoint");
  m.headers = {{"Message-ID", "<" + state.get("message_id") + "@sns.bastide>"}};
  if (state.get("type") == "Notification") {
    m.subject = state.get("subject", "AWS Notification Message");
    m.body = state.get("message") +
             "\n\n--\nIf you wish to stop receiving notifications from this topic, please visit:\n" +
             endpoint_ + "/?Action=Unsubscribe&Version=2010-03-31&SubscriptionArn=" + percent_encode(arn) +
             "\n";
  } else {
    const auto sealed = TRY(unbase64(state.get("token")));
    const auto token = TRY(keyring_.unseal("sns.token", sealed, arn));
    m.subject = "AWS Notification - Subscription Confirmation";
    m.body = "You have chosen to subscribe to the topic:\n" + topic_arn +
             "\n\nTo confirm this subscription, visit:\n" + endpoint_ +
             "/?Action=ConfirmSubscription&Version=2010-03-31&TopicArn=" + percent_encode(topic_arn) +
             "&Token=" + token + "\n";
  }
  return egress_.send(std::move(m));
}

Result<std::optional<Millis>> Sns::deliver(store::Job& job) {
  const auto key = sns::subscription_key(job.state.get("subscription"));
  if (!key) return std::optional<Millis>{};
  const auto row = TRY(database_.get(*key));
  if (!row) return std::optional<Millis>{};  // unsubscribed meanwhile
  auto sent = row->body.get("Protocol").starts_with("email") ? deliver_mail(*row, job.state)
                                                             : deliver_web(*row, job.state);
  if (sent) return std::optional<Millis>{};
  const auto topic = TRY(database_.get(TRY(sns::topic_key(row->body.get("TopicArn")))));
  const Retries r = retries_of(row->body, topic ? topic->body.find("Attributes") : nullptr);
  const int failed = static_cast<int>(job.state.get_int("failed")) + 1;
  job.state["failed"] = int64_t{failed};
  const bool over = failed > r.count || sent.error().code == "Refused" || sent.error().code == "Denied";
  log::warn("sns: delivery {} to {} ({}): {}{}", job.state.get("message_id"),
            row->body.get("SubscriptionArn"), failed, sent.error().message, over ? ": given up" : "");
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    // What could not be delivered is seen at the subscription: the last failure and how many were given up.
    auto fresh = TRY(w.get(*key));
    if (!fresh) return {};
    fresh->body["LastFailure"] = sent.error().message;
    fresh->body["LastFailureAt"] = clock_.wall();
    if (over) fresh->body["GivenUp"] = fresh->body.get_int("GivenUp") + 1;
    return w.put(*key, fresh->body,
                 {{"topic", fresh->body.get("TopicArn")}, {"token", fresh->body.get("TokenHash")}});
  }));
  if (over) return std::optional<Millis>{};
  return std::optional<Millis>(delay_before(r, failed));
}

void Sns::start() {
  database_.run_jobs(sns::kDeliveryJob, [this](store::Job& job) { return deliver(job); });
}

void Sns::handle(net::Exchange& exchange) {
  net::Response response;
  const auto path = signing_.path();
  const auto certificate = signing_.certificate();
  if (path && certificate && exchange.request().raw_path() == *path) {
    response.headers.add("Content-Type", "application/x-pem-file");
    response.body = *certificate;
  } else {
    response.status = 404;
  }
  if (const auto sent = exchange.respond(std::move(response)); !sent)
    log::debug("sns: {}", sent.error().message);
}

}  // namespace bastide::services
