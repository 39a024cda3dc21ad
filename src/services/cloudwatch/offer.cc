// What CloudWatch's operations are authorised against.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
#include "aws/arn.h"
#include "services/cloudwatch/cloudwatch.h"

namespace bastide::services {

namespace op = model::cloudwatch::op;

CloudWatch::CloudWatch(store::Database& database, store::Keyring& keyring, store::Metrics& metrics,
                       aws::LocalClient& client, Clock& clock)
    : database_(database), keyring_(keyring), metrics_(metrics), client_(client), clock_(clock) {}

void CloudWatch::offer(aws::Registry& r) {
  using aws::Target;
  using Targets = Result<std::vector<Target>>;
  auto on_alarm = [](const Call& call, const auto& q) -> Targets {
    std::vector<Target> out(1);
    out[0].resource = cw::alarm_arn(call.account, call.region, q.alarm_name);
    return out;
  };
  auto on_alarms = [](const Call& call, const auto& q) -> Targets {
    std::vector<Target> out;
    for (const auto& name : q.alarm_names)
      out.emplace_back().resource = cw::alarm_arn(call.account, call.region, name);
    return out;
  };
  auto dashboard = [](const Call& call, const std::string& name) {
    Target t;
    t.resource = aws::make_arn("cloudwatch", "", call.account, "dashboard/" + name);
    return t;
  };
  auto on_dashboard = [dashboard](const Call& call, const auto& q) -> Targets {
    return std::vector<Target>{dashboard(call, q.dashboard_name)};
  };
  auto on_arn = [](const Call&, const auto& q) -> Targets {
    std::vector<Target> out(1);
    out[0].resource = q.resource_arn;
    if (const auto arn = aws::parse_arn(q.resource_arn)) out[0].owner = arn->account;
    return out;
  };
#define ADD(Op, function, ...) \
  r.add<op::Op>(this, &CloudWatch::typed<op::Op, &CloudWatch::function>, __VA_ARGS__)
  r.add<op::PutMetricData>(this, &CloudWatch::put_metric_data,
                           {"cloudwatch:PutMetricData", [](const Call&, const auto& q) -> Targets {
                              std::vector<Target> out(1);
                              out[0].context.emplace_back("cloudwatch:namespace", q.namespace_);
                              return out;
                            }});
  ADD(GetMetricData, get_metric_data, {"cloudwatch:GetMetricData"});
  ADD(GetMetricStatistics, get_metric_statistics, {"cloudwatch:GetMetricStatistics"});
  ADD(ListMetrics, list_metrics, {"cloudwatch:ListMetrics"});
  ADD(PutMetricAlarm, put_metric_alarm, {"cloudwatch:PutMetricAlarm", on_alarm});
  ADD(PutCompositeAlarm, put_composite_alarm, {"cloudwatch:PutCompositeAlarm", on_alarm});
  ADD(DescribeAlarms, describe_alarms, {"cloudwatch:DescribeAlarms"});
  ADD(DescribeAlarmsForMetric, describe_alarms_for_metric, {"cloudwatch:DescribeAlarmsForMetric"});
  ADD(DescribeAlarmHistory, describe_alarm_history, {"cloudwatch:DescribeAlarmHistory"});
  ADD(DeleteAlarms, delete_alarms, {"cloudwatch:DeleteAlarms", on_alarms});
  ADD(SetAlarmState, set_alarm_state, {"cloudwatch:SetAlarmState", on_alarm});
  ADD(EnableAlarmActions, enable_alarm_actions, {"cloudwatch:EnableAlarmActions", on_alarms});
  ADD(DisableAlarmActions, disable_alarm_actions, {"cloudwatch:DisableAlarmActions", on_alarms});
  ADD(PutDashboard, put_dashboard, {"cloudwatch:PutDashboard", on_dashboard});
  ADD(GetDashboard, get_dashboard, {"cloudwatch:GetDashboard", on_dashboard});
  ADD(ListDashboards, list_dashboards, {"cloudwatch:ListDashboards"});
  ADD(DeleteDashboards, delete_dashboards,
      {"cloudwatch:DeleteDashboards", [dashboard](const Call& call, const auto& q) -> Targets {
         std::vector<Target> out;
         for (const auto& name : q.dashboard_names) out.push_back(dashboard(call, name));
         return out;
       }});
  ADD(TagResource, tag_resource, {"cloudwatch:TagResource", on_arn});
  ADD(UntagResource, untag_resource, {"cloudwatch:UntagResource", on_arn});
  ADD(ListTagsForResource, list_tags, {"cloudwatch:ListTagsForResource", on_arn});
#undef ADD
}

}  // namespace bastide::services
