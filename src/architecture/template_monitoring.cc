// What watches an environment: a topic that alarms tell, the default alarms of each app, and a dashboard.
#include <fmt/format.h>

#include "architecture/templates.h"

namespace bastide::architecture {
namespace {

using json::Value;

Value dimensions(std::initializer_list<std::pair<const char*, Value>> all) {
  Value out = json::array();
  for (const auto& [name, value] : all) out.push(json::object({{"Name", name}, {"Value", value}}));
  return out;
}

struct Watch {
  const char* suffix;
  const char* why;
  const char* space;
  const char* metric;
  const char* statistic;  // pNN: an extended one
  const char* comparison;
  double threshold;
  int period, periods, datapoints;
  const char* missing;
  bool target;  // of the load balancer's target group, else of the ECS service
};

// One place for what is too much; docs/MONITORING.md explains each.
constexpr Watch kDefaults[] = {
    {"5xx", "The app answers with errors", "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "Sum",
     "GreaterThanOrEqualToThreshold", 5, 60, 1, 1, "notBreaching", true},
    {"slow", "The app is slow: 1 of 100 requests takes more than two seconds", "AWS/ApplicationELB",
     "TargetResponseTime", "p99", "GreaterThanThreshold", 2, 60, 5, 3, "notBreaching", true},
    {"cpu", "The tasks use nearly all the CPU that they may", "AWS/ECS", "CPUUtilization", "Average",
     "GreaterThanThreshold", 90, 60, 5, 5, "missing", false},
    {"memory", "The tasks use nearly all the memory that they may", "AWS/ECS", "MemoryUtilization", "Average",
     "GreaterThanThreshold", 90, 60, 5, 3, "missing", false},
    {"restarts", "Tasks end and are started again", "ECS/ContainerInsights", "RestartCount", "Sum",
     "GreaterThanOrEqualToThreshold", 3, 300, 1, 1, "notBreaching", false},
};

Value alarm(const Architecture& a, const App& app, const Watch& w) {
  const Value balancer = import_of("balancer-name"), group = import_of("targets-" + app.name);
  Value p = json::object(
      {{"AlarmName", app.name + "-" + w.suffix},
       {"AlarmDescription", w.why},
       {"Namespace", w.space},
       {"MetricName", w.metric},
       {"Dimensions", w.target ? dimensions({{"LoadBalancer", balancer}, {"TargetGroup", group}})
                               : dimensions({{"ClusterName", a.name}, {"ServiceName", app.name}})},
       {"Period", w.period},
       {"EvaluationPeriods", w.periods},
       {"DatapointsToAlarm", w.datapoints},
       {"ComparisonOperator", w.comparison},
       {"Threshold", w.threshold},
       {"TreatMissingData", w.missing},
       {"AlarmActions", json::array({ref("AlarmTopic")})},
       {"OKActions", json::array({ref("AlarmTopic")})}});
  p[w.statistic[0] == 'p' ? "ExtendedStatistic" : "Statistic"] = w.statistic;
  if (w.statistic[0] == 'p') p["EvaluateLowSampleCountPercentile"] = "ignore";
  return resource("AWS::CloudWatch::Alarm", std::move(p));
}

Value widget(int x, int y, int width, int height, const char* type, Value properties) {
  return json::object({{"type", type},
                       {"x", x},
                       {"y", y},
                       {"width", width},
                       {"height", height},
                       {"properties", std::move(properties)}});
}

Value graph(const std::string& title, json::Array metrics, const char* stat = "Sum") {
  return json::object({{"title", title},
                       {"region", "${AWS::Region}"},
                       {"period", 60},
                       {"stat", stat},
                       {"view", "timeSeries"},
                       {"metrics", Value(std::move(metrics))}});
}

// The body is a Fn::Sub, so that names of load balancers and groups come from the stacks that made them.
std::string dashboard(const Architecture& a, const std::string& environment) {
  json::Array widgets;
  widgets.push_back(widget(
      0, 0, 24, 2, "text",
      json::object({{"markdown", fmt::format("# {} in {}\nMade by `bastide up`. Alarms: [all](#/alarms)",
                                             a.name, environment)}})));
  json::Array alarms;
  int y = 2;
  for (const auto& app : a.apps) {
    const std::string group = "${Targets" + logical(app.name) + "}", n = app.name;
    auto elb = [&](const char* metric, const char* label) {
      return json::array({"AWS/ApplicationELB", metric, "LoadBalancer", "${BalancerName}", "TargetGroup",
                          group, json::object({{"label", label}})});
    };
    auto timing = [&](const char* stat) {
      return json::array({"AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", "${BalancerName}",
                          "TargetGroup", group, json::object({{"stat", stat}, {"label", stat}})});
    };
    auto ecs = [&](const char* space, const char* metric, const char* stat, const char* label) {
      return json::array({space, metric, "ClusterName", a.name, "ServiceName", n,
                          json::object({{"stat", stat}, {"label", label}})});
    };
    widgets.push_back(widget(
        0, y, 8, 6, "metric",
        graph(n + ": requests", {elb("RequestCount", "requests"), elb("HTTPCode_Target_4XX_Count", "4xx"),
                                 elb("HTTPCode_Target_5XX_Count", "5xx")})));
    widgets.push_back(
        widget(8, y, 8, 6, "metric",
               graph(n + ": seconds to answer", {timing("p50"), timing("p90"), timing("p99")}, "p50")));
    widgets.push_back(widget(16, y, 8, 6, "metric",
                             graph(n + ": CPU and memory, per cent of what it may use",
                                   {ecs("AWS/ECS", "CPUUtilization", "Average", "CPU"),
                                    ecs("AWS/ECS", "MemoryUtilization", "Average", "memory")},
                                   "Average")));
    y += 6;
    widgets.push_back(widget(0, y, 8, 5, "metric",
                             graph(n + ": tasks and restarts",
                                   {ecs("ECS/ContainerInsights", "RunningTaskCount", "Maximum", "running"),
                                    ecs("ECS/ContainerInsights", "RestartCount", "Sum", "restarts")},
                                   "Maximum")));
    Value log =
        json::object({{"title", n + ": newest lines"},
                      {"region", "${AWS::Region}"},
                      {"view", "table"},
                      {"query", "SOURCE '/bastide/" + environment + "/" + n +
                                    "' | fields @timestamp, @message | sort @timestamp desc | limit 20"}});
    widgets.push_back(widget(8, y, 16, 5, "log", std::move(log)));
    y += 5;
  }
  return json::print(json::object({{"start", "-PT3H"}, {"widgets", Value(std::move(widgets))}}));
}

}  // namespace

json::Value monitoring_template(const Architecture& a, const std::string& environment) {
  Value r =
      json::object({{"AlarmTopic", resource("AWS::SNS::Topic",
                                            json::object({{"TopicName", "bastide-alarms"},
                                                          {"DisplayName", a.name + " " + environment}}))}});
  Value values = json::object({{"BalancerName", import_of("balancer-name")}});
  int n = 0;
  for (const auto& endpoint : a.notify) {
    const char* protocol = endpoint.starts_with("https://")  ? "https"
                           : endpoint.starts_with("http://") ? "http"
                                                             : "email";
    r[fmt::format("Notify{}", ++n)] = resource(
        "AWS::SNS::Subscription",
        json::object({{"TopicArn", ref("AlarmTopic")}, {"Protocol", protocol}, {"Endpoint", endpoint}}));
  }
  for (const auto& app : a.apps) {
    values["Targets" + logical(app.name)] = import_of("targets-" + app.name);
    if (!app.alarms) continue;
    for (const auto& w : kDefaults) r["Alarm" + logical(app.name) + logical(w.suffix)] = alarm(a, app, w);
  }
  r["Dashboard"] = resource(
      "AWS::CloudWatch::Dashboard",
      json::object(
          {{"DashboardName", a.name + "-" + environment},
           {"DashboardBody",
            json::object({{"Fn::Sub", json::array({dashboard(a, environment), std::move(values)})}})}}));
  Value outputs = json::object({{"AlarmTopicArn", output(ref("AlarmTopic"), "alarm-topic")},
                                {"DashboardName", output(ref("Dashboard"))}});
  return document("What watches " + a.name + " in " + environment, std::move(r), std::move(outputs));
}

}  // namespace bastide::architecture
