// Amazon CloudWatch: metrics, alarms, dashboards.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/Welcome.html
//
// Metrics live in store::Metrics; alarms, their history and dashboards are metadata. Operations run in fibers
// of control's loop and offload what reads or writes metrics. start() begins the evaluation of alarms and the
// jobs of their actions on the current loop.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "aws/local_client.h"
#include "aws/service.h"
#include "gen/cloudwatch.h"
#include "model/body.h"
#include "services/cloudwatch/alarm.h"
#include "services/cloudwatch/query.h"
#include "store/database.h"
#include "store/keyring.h"
#include "store/metrics.h"

namespace bastide::services {

class CloudWatch {
 public:
  CloudWatch(store::Database& database, store::Keyring& keyring, store::Metrics& metrics,
             aws::LocalClient& client, Clock& clock);
  void offer(aws::Registry& registry);
  void start();

  // One round over all alarms that are due; start() calls it every ten seconds. Waits.
  Result<void> evaluate_alarms();

 private:
  using Call = aws::Call;
  using Json = json::Value;
  template <class Op, Result<Json> (CloudWatch::*F)(Call&, const Json&)>
  Result<typename Op::Response> typed(Call& call, const typename Op::Request& request) {
    const Json body = TRY((this->*F)(call, model::request_body<Op>(request)));
    return model::response_of<Op>(body);
  }

  // metrics.cc
  Result<model::cloudwatch::op::PutMetricData::Response> put_metric_data(
      Call& call, const model::cloudwatch::op::PutMetricData::Request& request);
  Result<Json> get_metric_data(Call&, const Json&);
  Result<Json> get_metric_statistics(Call&, const Json&);
  Result<Json> list_metrics(Call&, const Json&);
  // alarms.cc
  Result<Json> put_metric_alarm(Call&, const Json&);
  Result<Json> put_composite_alarm(Call&, const Json&);
  Result<Json> describe_alarms(Call&, const Json&);
  Result<Json> describe_alarms_for_metric(Call&, const Json&);
  Result<Json> describe_alarm_history(Call&, const Json&);
  Result<Json> delete_alarms(Call&, const Json&);
  Result<Json> set_alarm_state(Call&, const Json&);
  Result<Json> enable_alarm_actions(Call&, const Json&);
  Result<Json> disable_alarm_actions(Call&, const Json&);
  Result<void> put_alarm(Call& call, const Json& request, const char* type);
  Result<Json> switch_actions(Call& call, const Json& q, bool on);
  // dashboards.cc
  Result<Json> put_dashboard(Call&, const Json&);
  Result<Json> get_dashboard(Call&, const Json&);
  Result<Json> list_dashboards(Call&, const Json&);
  Result<Json> delete_dashboards(Call&, const Json&);
  Result<Json> tag_resource(Call&, const Json&);
  Result<Json> untag_resource(Call&, const Json&);
  Result<Json> list_tags(Call&, const Json&);
  Result<store::Key> tagged(const Call& call, const std::string& arn) const;

  // evaluate.cc
  struct Evaluation {
    std::string state, reason;
    Json data;  // StateReasonData
  };
  Result<std::optional<Evaluation>> evaluate_metric(const store::Resource& alarm, Millis now);
  Result<std::optional<Evaluation>> evaluate_composite(const store::Resource& alarm, Millis now,
                                                       const std::map<std::string, std::string>& states);
  Result<void> evaluate_one(const store::Resource& alarm, Millis now,
                            const std::map<std::string, std::string>& states);
  Result<std::optional<Millis>> run_action(store::Job& job);

  Result<std::string> page_after(const Call& call, const Json& q, const char* scope) const;
  std::string page_token(const Call& call, const char* scope, const std::string& last) const;

  store::Database& database_;
  store::Keyring& keyring_;
  store::Metrics& metrics_;
  aws::LocalClient& client_;
  Clock& clock_;
  std::map<std::string, Millis> due_;  // when an alarm is looked at next, by its ARN
};

namespace cw {

inline constexpr const char* kAlarmKind = "cloudwatch.alarm";
inline constexpr const char* kHistoryKind = "cloudwatch.history";  // id: alarm \n time \n number
inline constexpr const char* kDashboardKind = "cloudwatch.dashboard";
inline constexpr const char* kActionJob = "cloudwatch.action";
inline constexpr Millis kHistoryRetention = 14 * kDay;

std::string alarm_arn(const std::string& account, const std::string& region, const std::string& name);
// Writes a line of the alarm's history.
Result<void> add_history(store::Writer& w, const store::Key& alarm, const json::Value& body,
                         const std::string& type, const std::string& summary, json::Value data, Millis now);
// Gives the alarm a new state: row, history, and a job for each of its actions when the state is another one.
Result<void> change_state(store::Writer& w, store::Resource& alarm, const std::string& state,
                          const std::string& reason, const std::string& reason_data, Millis now);
// What an alarm tells an SNS topic.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
json::Value notification(const store::Resource& alarm, const std::string& old_state);
// What is wrong with a dashboard: [{DataPath, Message}]; empty: nothing.
json::Array check_dashboard(const std::string& body, bool* fatal);
inline double seconds(Millis t) { return static_cast<double>(t) / kSecond; }

}  // namespace cw
}  // namespace bastide::services
