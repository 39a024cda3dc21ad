// AWS::CloudWatch::Alarm, CompositeAlarm, Dashboard and AWS::Logs::MetricFilter.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_CloudWatch.html
#include "services/cloudformation/read.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

std::string alarm_arn(const Context& c, const std::string& name) {
  return "arn:aws:cloudwatch:" + c.region + ":" + c.account + ":alarm:" + name;
}

Result<void> put_alarm(const Context& c, const std::string& operation, const std::string& name,
                       const Value& p, bool fresh) {
  Value in = p;
  in["AlarmName"] = name;
  in.remove("Tags");
  if (fresh) {
    Value tags = c.tags(p, true);
    if (!tags.array().empty()) in["Tags"] = std::move(tags);
  }
  return done(c.call("cloudwatch", operation.c_str(), std::move(in)));
}

template <bool Composite>
Result<Made> make_alarm(const Context& c, const Value& p) {
  const std::string name = c.name(p, "AlarmName", 255);
  TRY(put_alarm(c, Composite ? "PutCompositeAlarm" : "PutMetricAlarm", name, p, true));
  return Made{name, json::object({{"Arn", alarm_arn(c, name)}})};
}

template <bool Composite>
Result<void> apply_alarm(const Context& c, const std::string& name, const Value& old, const Value& next) {
  if (old.is_null()) return {};
  TRY(put_alarm(c, Composite ? "PutCompositeAlarm" : "PutMetricAlarm", name, next, false));
  const TagChange change = tag_change(c, old, next);
  if (!change.set.array().empty())
    TRY(done(c.call("cloudwatch", "TagResource",
                    json::object({{"ResourceARN", alarm_arn(c, name)}, {"Tags", change.set}}))));
  if (!change.remove.array().empty())
    TRY(done(c.call("cloudwatch", "UntagResource",
                    json::object({{"ResourceARN", alarm_arn(c, name)}, {"TagKeys", change.remove}}))));
  return {};
}

Result<void> remove_alarm(const Context& c, const std::string& name, const Value&) {
  return unless_missing(
      c.call("cloudwatch", "DeleteAlarms", json::object({{"AlarmNames", json::array({name})}})));
}

Result<Value> alarm_attributes(const Context& c, const std::string& name, const Value&) {
  return json::object({{"Arn", alarm_arn(c, name)}});
}

// What PutMetricAlarm writes anew does no harm: an interrupted attempt is known by its stack's tags.
Result<std::string> find_alarm(const Context& c, const Value& p) {
  const std::string name = c.name(p, "AlarmName", 255);
  auto out = c.call("cloudwatch", "ListTagsForResource", json::object({{"ResourceARN", alarm_arn(c, name)}}));
  if (!out)
    return is_missing(out.error()) ? Result<std::string>(std::string())
                                   : Result<std::string>(std::move(out).error());
  int ours = 0;
  for (const auto& tag : out->get_array("Tags")) {
    ours += tag.get("Key") == "aws:cloudformation:stack-id" && tag.get("Value") == c.stack_id;
    ours += tag.get("Key") == "aws:cloudformation:logical-id" && tag.get("Value") == c.logical;
  }
  return ours == 2 ? name : std::string();
}

template <bool Composite>
Result<Value> read_alarm(const Context& c, const std::string& name, const Value& p) {
  const Value out = TRY(
      c.call("cloudwatch", "DescribeAlarms",
             json::object({{"AlarmNames", json::array({name})},
                           {"AlarmTypes", json::array({Composite ? "CompositeAlarm" : "MetricAlarm"})}})));
  const auto& found = out.get_array(Composite ? "CompositeAlarms" : "MetricAlarms");
  if (found.empty()) return fault("NotFound", "the alarm " + name + " does not exist");
  Value kept = json::object();
  for (const auto& [key, value] : p.object()) {
    if (key == "Tags") {
      kept[key] = value;
    } else if (const Value* v = found.front().find(key)) {
      kept[key] = *v;
    }
  }
  return kept;
}

Result<Value> read_dashboard(const Context& c, const std::string& name, const Value&) {
  const Value out = TRY(c.call("cloudwatch", "GetDashboard", json::object({{"DashboardName", name}})));
  return json::object({{"DashboardName", name}, {"DashboardBody", out.get("DashboardBody")}});
}

// ---- Dashboard

Result<Made> make_dashboard(const Context& c, const Value& p) {
  const std::string name = c.name(p, "DashboardName", 255);
  TRY(done(c.call("cloudwatch", "PutDashboard",
                  json::object({{"DashboardName", name}, {"DashboardBody", p.get("DashboardBody")}}))));
  return Made{name, json::object()};
}
Result<void> apply_dashboard(const Context& c, const std::string& name, const Value& old, const Value& next) {
  if (old.is_null()) return {};
  return done(c.call("cloudwatch", "PutDashboard",
                     json::object({{"DashboardName", name}, {"DashboardBody", next.get("DashboardBody")}})));
}
Result<void> remove_dashboard(const Context& c, const std::string& name, const Value&) {
  return unless_missing(
      c.call("cloudwatch", "DeleteDashboards", json::object({{"DashboardNames", json::array({name})}})));
}
Result<Value> no_attributes(const Context&, const std::string&, const Value&) { return json::object(); }
Result<std::string> find_dashboard(const Context& c, const Value& p) {
  const std::string name = c.name(p, "DashboardName", 255);
  auto out = c.call("cloudwatch", "GetDashboard", json::object({{"DashboardName", name}}));
  if (!out)
    return is_missing(out.error()) ? Result<std::string>(std::string())
                                   : Result<std::string>(std::move(out).error());
  return out->get("DashboardBody") == p.get("DashboardBody") ? name : std::string();
}

// ---- MetricFilter

Result<void> put_filter(const Context& c, const std::string& name, const Value& p) {
  Value transformations = json::array();
  for (const auto& t : p.get_array("MetricTransformations")) {
    Value one = json::object({{"metricName", t.get("MetricName")},
                              {"metricNamespace", t.get("MetricNamespace")},
                              {"metricValue", t.get("MetricValue")}});
    if (const Value* v = t.find("DefaultValue")) one["defaultValue"] = *v;
    if (t.has("Unit")) one["unit"] = t.get("Unit");
    for (const auto& d : t.get_array("Dimensions")) one["dimensions"][d.get("Key")] = d.get("Value");
    transformations.push(std::move(one));
  }
  return done(c.call("logs", "PutMetricFilter",
                     json::object({{"logGroupName", p.get("LogGroupName")},
                                   {"filterName", name},
                                   {"filterPattern", p.get("FilterPattern")},
                                   {"metricTransformations", std::move(transformations)}})));
}
Result<Made> make_filter(const Context& c, const Value& p) {
  const std::string name = c.name(p, "FilterName", 512);
  TRY(put_filter(c, name, p));
  return Made{name, json::object()};
}
Result<void> apply_filter(const Context& c, const std::string& name, const Value& old, const Value& next) {
  if (old.is_null()) return {};
  return put_filter(c, name, next);
}
Result<void> remove_filter(const Context& c, const std::string& name, const Value& p) {
  return unless_missing(
      c.call("logs", "DeleteMetricFilter",
             json::object({{"logGroupName", p.get("LogGroupName")}, {"filterName", name}})));
}
Result<std::string> find_filter(const Context& c, const Value& p) {
  const std::string name = c.name(p, "FilterName", 512);
  auto out = c.call("logs", "DescribeMetricFilters",
                    json::object({{"logGroupName", p.get("LogGroupName")}, {"filterNamePrefix", name}}));
  if (!out)
    return is_missing(out.error()) ? Result<std::string>(std::string())
                                   : Result<std::string>(std::move(out).error());
  for (const auto& f : out->get_array("metricFilters")) {
    if (f.get("filterName") == name && f.get("filterPattern") == p.get("FilterPattern") &&
        f.get_int("creationTime") + 1000 >= c.started)
      return name;
  }
  return std::string();
}

}  // namespace

void add_cloudwatch(Handlers& h) {
  h["AWS::CloudWatch::Alarm"] = {.name_property = "AlarmName",
                                 .make = make_alarm<false>,
                                 .apply = apply_alarm<false>,
                                 .remove = remove_alarm,
                                 .attributes = alarm_attributes,
                                 .find = find_alarm,
                                 .read = read_alarm<false>};
  h["AWS::CloudWatch::CompositeAlarm"] = {.name_property = "AlarmName",
                                          .make = make_alarm<true>,
                                          .apply = apply_alarm<true>,
                                          .remove = remove_alarm,
                                          .attributes = alarm_attributes,
                                          .find = find_alarm,
                                          .read = read_alarm<true>};
  h["AWS::CloudWatch::Dashboard"] = {.name_property = "DashboardName",
                                     .make = make_dashboard,
                                     .apply = apply_dashboard,
                                     .remove = remove_dashboard,
                                     .attributes = no_attributes,
                                     .find = find_dashboard,
                                     .read = read_dashboard};
  h["AWS::Logs::MetricFilter"] = {.name_property = "FilterName",
                                  .make = make_filter,
                                  .apply = apply_filter,
                                  .remove = remove_filter,
                                  .attributes = no_attributes,
                                  .find = find_filter};
}

}  // namespace bastide::services::cfn
