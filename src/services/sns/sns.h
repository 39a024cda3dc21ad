// Amazon SNS: topics, subscriptions by HTTP(S) and e-mail, publishing.
// https://docs.aws.amazon.com/sns/latest/api/welcome.html
//
// A published message is a job for each subscription that takes it, written before Publish answers: it is
// delivered at least once, also after a kill. Operations and jobs run in fibers of control's loop.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aws/service.h"
#include "gen/sns.h"
#include "model/body.h"
#include "net/http_server.h"
#include "services/sns/egress.h"
#include "services/sns/signing.h"
#include "store/database.h"
#include "store/keyring.h"

namespace bastide::services {

class Sns {
 public:
  // `endpoint`: of this API, "http://127.0.0.1:4566", for the links in messages.
  Sns(store::Database& database, store::Keyring& keyring, Clock& clock, Egress& egress, std::string endpoint);
  void offer(aws::Registry& registry);
  void start();
  // Serves the certificate of the signatures under /sns/.
  void handle(net::Exchange& exchange);

 private:
  using Call = aws::Call;
  using Json = json::Value;
  template <class Op, Result<Json> (Sns::*F)(Call&, const Json&)>
  Result<typename Op::Response> typed(Call& call, const typename Op::Request& request) {
    const Json body = TRY((this->*F)(call, model::request_body<Op>(request)));
    return model::response_of<Op>(body);
  }

  // topics.cc
  Result<Json> create_topic(Call&, const Json&);
  Result<Json> delete_topic(Call&, const Json&);
  Result<Json> list_topics(Call&, const Json&);
  Result<Json> get_topic_attributes(Call&, const Json&);
  Result<Json> set_topic_attributes(Call&, const Json&);
  Result<Json> add_permission(Call&, const Json&);
  Result<Json> remove_permission(Call&, const Json&);
  Result<Json> tag_resource(Call&, const Json&);
  Result<Json> untag_resource(Call&, const Json&);
  Result<Json> list_tags(Call&, const Json&);
  // subscriptions.cc
  Result<Json> subscribe(Call&, const Json&);
  Result<Json> confirm(Call&, const Json&);
  Result<Json> unsubscribe(Call&, const Json&);
  Result<Json> list_subscriptions(Call&, const Json&);
  Result<Json> list_by_topic(Call&, const Json&);
  Result<Json> get_subscription_attributes(Call&, const Json&);
  Result<Json> set_subscription_attributes(Call&, const Json&);
  // publish.cc
  Result<Json> publish(Call&, const Json&);
  Result<Json> publish_batch(Call&, const Json&);
  Result<std::optional<Millis>> deliver(store::Job& job);
  Result<void> deliver_web(const store::Resource& subscription, const Json& state);
  Result<void> deliver_mail(const store::Resource& subscription, const Json& state);

  Result<store::Resource> need_topic(const std::string& arn);
  Result<store::Resource> need_subscription(const std::string& arn);
  Result<Json> page(const Call& call, const Json& q, const char* list, std::vector<Json> items,
                    const char* key);
  Result<std::vector<aws::Target>> topic_target(const std::string& arn);

  store::Database& database_;
  store::Keyring& keyring_;
  Clock& clock_;
  Egress& egress_;
  std::string endpoint_;
  sns::Signing signing_;
};

namespace sns {

inline constexpr const char* kTopicKind = "sns.topic";                // id: its name
inline constexpr const char* kSubscriptionKind = "sns.subscription";  // id: topic:uuid; indexes topic, token
inline constexpr const char* kDeliveryJob = "sns.delivery";

Result<store::Key> topic_key(const std::string& arn);         // InvalidParameter
Result<store::Key> subscription_key(const std::string& arn);  // InvalidParameter
json::Value default_policy(const std::string& topic_arn, const std::string& account);
Error bad_parameter(const std::string& why);
// Checks and normalises an attribute of a subscription.
Result<void> check_subscription_attribute(const std::string& name, const std::string& value);

}  // namespace sns
}  // namespace bastide::services
