// Alarms as metadata: making, listing, switching, their history.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "aws/arn.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "services/cloudwatch/cloudwatch.h"

namespace bastide::services {

using cw::add_history;
using cw::seconds;

namespace {

constexpr size_t kMaxActions = 5;
constexpr size_t kMaxAlarms = 5'000;  // of an account and region
constexpr size_t kMaxTags = 50;
constexpr int64_t kMaxMetricsInMath = 10;
constexpr size_t kDescribePage = 100;

Error bad(const std::string& why) { return fault("ValidationError", why); }
Error no_alarm(const std::string& name) { return fault("ResourceNotFound", "Unknown alarm: " + name); }

store::Key alarm_key(const aws::Call& call, const std::string& name) {
  return {call.account, call.region, cw::kAlarmKind, name};
}

// Members in which a configuration shows in history and answers.
constexpr const char* kState[] = {"StateValue",
                                  "StateReason",
                                  "StateReasonData",
                                  "StateUpdatedTimestamp",
                                  "StateTransitionedTimestamp",
                                  "EvaluationState",
                                  "ActionsSuppressedBy",
                                  "ActionsSuppressedReason",
                                  "SuppressedSince"};

Result<void> check_actions(const json::Value& q) {
  for (const char* key : {"OKActions", "AlarmActions", "InsufficientDataActions"}) {
    const auto& actions = q.get_array(key);
    if (actions.size() > kMaxActions) return bad(fmt::format("At most 5 {} are allowed", key));
    for (const auto& a : actions) {
      const auto arn = aws::parse_arn(a.string());
      if (!arn) return bad("Invalid action ARN: " + a.string());
      if (arn->service != "sns")
        return bad("The action " + a.string() + " is not supported here: alarms notify SNS topics");
    }
  }
  return {};
}

Result<void> check_metric_alarm(const json::Value& q) {
  const int64_t n = q.get_int("EvaluationPeriods"), m = q.get_int("DatapointsToAlarm", n);
  if (n < 1) return bad("EvaluationPeriods must be at least 1");
  if (m < 1 || m > n) return bad("DatapointsToAlarm must be at least 1 and at most EvaluationPeriods");
  if (q.has("EvaluationCriteria")) return bad("Alarms of PromQL queries are not supported");
  const std::string comparison = q.get("ComparisonOperator");
  const bool band = comparison.find("LowerThreshold") != std::string::npos ||
                    comparison.find("UpperThreshold") != std::string::npos;
  if (comparison.empty()) return fault("MissingParameter", "The parameter ComparisonOperator is required");
  if (band != q.has("ThresholdMetricId"))
    return bad("A ComparisonOperator of a band needs ThresholdMetricId, and every other one Threshold");
  if (!band && !q.has("Threshold")) return fault("MissingParameter", "The parameter Threshold is required");
  const std::string missing = q.get("TreatMissingData", "missing");
  if (missing != "missing" && missing != "ignore" && missing != "breaching" && missing != "notBreaching")
    return bad("TreatMissingData must be breaching, notBreaching, ignore or missing");
  const std::string low = q.get("EvaluateLowSampleCountPercentile", "evaluate");
  if (low != "evaluate" && low != "ignore")
    return bad("EvaluateLowSampleCountPercentile must be evaluate or ignore");
  int64_t period = q.get_int("Period");
  if (const json::Value* metrics = q.find("Metrics")) {
    for (const char* key :
         {"MetricName", "Namespace", "Period", "Statistic", "ExtendedStatistic", "Dimensions", "Unit"}) {
      if (q.has(key))
        return fault("InvalidParameterCombination",
                     fmt::format("{} and Metrics are mutually exclusive", key));
    }
    int64_t returned = 0, stats = 0;
    for (const auto& query : metrics->array()) {
      const bool given = query.get_bool("ReturnData", true);
      const bool is_band = band && query.get("Id") == q.get("ThresholdMetricId");
      returned += given && !is_band;
      if (const json::Value* stat = query.find("MetricStat")) {
        ++stats;
        period = std::max(period, TRY(cw::checked_period(stat->find("Period"))));
        TRY(cw::Statistic::parse(stat->get("Stat")));
      } else {
        period = std::max(period, query.get_int("Period"));
        const std::string text = query.get("Expression");
        if (lower(text.substr(0, 7)) == "select ") continue;
        TRY(cw::MathExpression::parse(text));
        if (lower(text).find("search(") != std::string::npos) return bad("SEARCH is not allowed in an alarm");
      }
    }
    if (stats > kMaxMetricsInMath) return bad("An alarm uses at most 10 metrics");
    if (returned != 1) return bad("Exactly one element of Metrics returns data");
    if (period == 0) period = 60;
  } else {
    for (const char* key : {"MetricName", "Namespace", "Period"}) {
      if (!q.has(key)) return fault("MissingParameter", fmt::format("The parameter {} is required", key));
    }
    if (q.has("Statistic") == q.has("ExtendedStatistic"))
      return fault("InvalidParameterCombination",
                   "Exactly one of Statistic and ExtendedStatistic must be specified");
    TRY(cw::checked_period(q.find("Period")));
    TRY(cw::Statistic::parse(q.has("Statistic") ? q.get("Statistic") : q.get("ExtendedStatistic")));
  }
  const int64_t span = period * n;
  if (span > 7 * 86'400 || (period < 3600 && span > 86'400))
    return bad(
        "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400), or "
        "7 days for periods of an hour or more");
  return {};
}

}  // namespace

std::string cw::alarm_arn(const std::string& account, const std::string& region, const std::string& name) {
  return aws::make_arn("cloudwatch", region, account, "alarm:" + name);
}

Result<void> cw::add_history(store::Writer& w, const store::Key& alarm, const json::Value& body,
                             const std::string& type, const std::string& summary, json::Value data,
                             Millis now) {
  const std::string prefix = sha256_hex(alarm.id).substr(0, 24) + "/";
  const auto number = TRY(w.next("cloudwatch.history"));
  const auto old = TRY(w.list(alarm.account, alarm.region, kHistoryKind, "", 50, prefix));
  for (const auto& h : old) {
    if (h.body.get_int("at") < now - kHistoryRetention) TRY(w.remove(h.key));
  }
  return w.put(
      {alarm.account, alarm.region, kHistoryKind, fmt::format("{}{:015}/{:012}", prefix, now, number)},
      json::object({{"at", now},
                    {"number", number},
                    {"AlarmName", alarm.id},
                    {"AlarmType", body.get("AlarmType")},
                    {"Timestamp", seconds(now)},
                    {"HistoryItemType", type},
                    {"HistorySummary", summary},
                    {"HistoryData", json::print(data)}}));
}

Result<void> CloudWatch::put_alarm(Call& call, const Json& q, const char* type) {
  TRY(check_actions(q));
  const std::string name = q.get("AlarmName");
  return database_.write([&](store::Writer& w) -> Result<void> {
    const auto key = alarm_key(call, name);
    const auto there = TRY(w.get(key));
    if (there && there->body.get("AlarmType") != type)
      return bad("An alarm of the other type has the name " + name);
    if (!there) {
      const auto all = TRY(w.list(call.account, call.region, cw::kAlarmKind));
      if (all.size() >= kMaxAlarms)
        return fault("LimitExceeded", "The maximum limit of alarms has been reached");
    }
    Json body = q;
    body["AlarmType"] = type;
    body["AlarmArn"] = cw::alarm_arn(call.account, call.region, name);
    body["ActionsEnabled"] = q.get_bool("ActionsEnabled", true);
    body["AlarmConfigurationUpdatedTimestamp"] = seconds(call.now);
    for (const char* actions : {"OKActions", "AlarmActions", "InsufficientDataActions", "Dimensions"}) {
      if (!body.has(actions) && (std::string_view(actions) != "Dimensions" || !body.has("Metrics")))
        body[actions] = json::array();
    }
    if (there) {
      // An update keeps the state, and tags are changed by TagResource alone.
      for (const char* kept : kState) {
        if (const Json* v = there->body.find(kept)) body[kept] = *v;
      }
      body.remove("Tags");
      if (const Json* tags = there->body.find("Tags")) body["Tags"] = *tags;
    } else {
      body["StateValue"] = "INSUFFICIENT_DATA";
      body["StateReason"] = "Unchecked: Initial alarm creation";
      body["StateUpdatedTimestamp"] = seconds(call.now);
      body["StateTransitionedTimestamp"] = seconds(call.now);
    }
    TRY(w.put(key, body));
    TRY(add_history(w, key, body, "ConfigurationUpdate",
                    fmt::format("Alarm \"{}\" {}", name, there ? "updated" : "created"),
                    json::object({{"version", "1.0"}, {"type", there ? "Update" : "Create"}}), call.now));
    return w.emit("cloudwatch.alarms", name);
  });
}

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
Result<json::Value> CloudWatch::put_metric_alarm(Call& call, const Json& q) {
  TRY(check_metric_alarm(q));
  TRY(put_alarm(call, q, "MetricAlarm"));
  due_.erase(cw::alarm_arn(call.account, call.region, q.get("AlarmName")));
  return json::object();
}

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
Result<json::Value> CloudWatch::put_composite_alarm(Call& call, const Json& q) {
  const auto rule = TRY(cw::CompositeRule::parse(q.get("AlarmRule")));
  for (const auto& child : rule.children()) {
    const std::string name = child.starts_with("arn:") ? child.substr(child.rfind(":alarm:") + 7) : child;
    if (name == q.get("AlarmName")) return bad("A composite alarm cannot depend on itself");
    const auto there = TRY(database_.get(alarm_key(call, name)));
    if (!there) return bad("The alarm " + child + " of AlarmRule does not exist");
  }
  if (q.has("ActionsSuppressor") !=
      (q.has("ActionsSuppressorWaitPeriod") && q.has("ActionsSuppressorExtensionPeriod")))
    return bad("ActionsSuppressor needs ActionsSuppressorWaitPeriod and ActionsSuppressorExtensionPeriod");
  TRY(put_alarm(call, q, "CompositeAlarm"));
  return json::object();
}

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
Result<json::Value> CloudWatch::describe_alarms(Call& call, const Json& q) {
  if (q.has("AlarmNames") && q.has("AlarmNamePrefix"))
    return fault("InvalidParameterCombination", "AlarmNames and AlarmNamePrefix are mutually exclusive");
  const auto rows = TRY(database_.list(call.account, call.region, cw::kAlarmKind));
  const auto names = q.get_array("AlarmNames");
  const auto& types = q.get_array("AlarmTypes");
  auto has = [](const json::Array& all, const std::string& name) {
    return std::any_of(all.begin(), all.end(), [&](const Json& v) { return v.string() == name; });
  };
  auto children_of = [&](const store::Resource& r) {
    std::vector<std::string> out;
    const auto rule = cw::CompositeRule::parse(r.body.get("AlarmRule"));
    if (!rule) return out;
    for (const auto& c : rule->children())
      out.push_back(c.starts_with("arn:") ? c.substr(c.rfind(":alarm:") + 7) : c);
    return out;
  };
  std::optional<std::vector<std::string>> family;
  if (q.has("ChildrenOfAlarmName")) {
    family.emplace();
    for (const auto& r : rows) {
      if (r.key.id == q.get("ChildrenOfAlarmName")) family = children_of(r);
    }
  } else if (q.has("ParentsOfAlarmName")) {
    family.emplace();
    for (const auto& r : rows) {
      const auto children = children_of(r);
      if (std::find(children.begin(), children.end(), q.get("ParentsOfAlarmName")) != children.end())
        family->push_back(r.key.id);
    }
  }
  const std::string after = TRY(page_after(call, q, "DescribeAlarms"));
  const auto limit = static_cast<size_t>(q.get_int("MaxRecords", kDescribePage));
  Json out = json::object({{"MetricAlarms", json::array()}, {"CompositeAlarms", json::array()}});
  size_t given = 0;
  std::string last;
  for (const auto& r : rows) {
    const Json& b = r.body;
    const std::string type = b.get("AlarmType");
    if (!after.empty() && r.key.id <= after) continue;
    if (!names.empty() && !has(names, r.key.id)) continue;
    if (family && std::find(family->begin(), family->end(), r.key.id) == family->end()) continue;
    if (!r.key.id.starts_with(q.get("AlarmNamePrefix"))) continue;
    if (q.has("StateValue") && b.get("StateValue") != q.get("StateValue")) continue;
    // Metric alarms alone, unless composite ones are asked for.
    if (types.empty() ? (type != "MetricAlarm" && names.empty() && !family) : !has(types, type)) continue;
    if (q.has("ActionPrefix")) {
      bool any = false;
      for (const char* key : {"OKActions", "AlarmActions", "InsufficientDataActions"}) {
        for (const auto& a : b.get_array(key)) any |= a.string().starts_with(q.get("ActionPrefix"));
      }
      if (!any) continue;
    }
    if (given == limit) {
      out["NextToken"] = page_token(call, "DescribeAlarms", last);
      break;
    }
    ++given;
    last = r.key.id;
    out[type == "MetricAlarm" ? "MetricAlarms" : "CompositeAlarms"].push(b);
  }
  return out;
}

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmsForMetric.html
Result<json::Value> CloudWatch::describe_alarms_for_metric(Call& call, const Json& q) {
  const cw::Scope scope{call.account, call.region, 0, 0, call.now};
  const auto wanted = TRY(cw::metric_name(scope, q));
  Json out = json::object({{"MetricAlarms", json::array()}});
  for (const auto& r : TRY(database_.list(call.account, call.region, cw::kAlarmKind))) {
    const auto name = cw::metric_name(scope, r.body);
    if (!name || name->key() != wanted.key()) continue;
    bool fits = true;
    for (const char* key : {"Statistic", "ExtendedStatistic", "Unit"})
      fits &= !q.has(key) || r.body.get(key) == q.get(key);
    fits &= !q.has("Period") || r.body.get_int("Period") == q.get_int("Period");
    if (fits) out["MetricAlarms"].push(r.body);
  }
  return out;
}

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmHistory.html
Result<json::Value> CloudWatch::describe_alarm_history(Call& call, const Json& q) {
  std::vector<store::Resource> rows;
  const std::string name = q.get("AlarmName");
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    rows = TRY(r.list(call.account, call.region, cw::kHistoryKind, "", 1'000'000,
                      name.empty() ? "" : sha256_hex(name).substr(0, 24) + "/"));
    return {};
  }));
  auto time_of = [&](const char* key, Millis fallback) {
    const Json* v = q.find(key);
    if (v == nullptr) return fallback;
    return static_cast<Millis>(
        std::llround((v->is_int() ? static_cast<double>(v->integer()) : v->number()) * kSecond));
  };
  const Millis start = time_of("StartDate", 0), end = time_of("EndDate", INT64_MAX);
  const auto& types = q.get_array("AlarmTypes");
  std::erase_if(rows, [&](const store::Resource& r) {
    const Millis at = r.body.get_int("at");
    if (at < start || at > end || at < call.now - cw::kHistoryRetention) return true;
    if (q.has("HistoryItemType") && r.body.get("HistoryItemType") != q.get("HistoryItemType")) return true;
    return !types.empty() && std::none_of(types.begin(), types.end(), [&](const Json& t) {
      return t.string() == r.body.get("AlarmType");
    });
  });
  const bool ascending = q.get("ScanBy") == "TimestampAscending";
  std::sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) {
    return ascending ? a.body.get_int("number") < b.body.get_int("number")
                     : a.body.get_int("number") > b.body.get_int("number");
  });
  const std::string after = TRY(page_after(call, q, "DescribeAlarmHistory"));
  const auto limit = static_cast<size_t>(q.get_int("MaxRecords", kDescribePage));
  Json out = json::object({{"AlarmHistoryItems", json::array()}});
  int64_t last = 0;
  const int64_t from = after.empty() ? -1 : parse_int(after).value_or(-1);
  size_t given = 0;
  for (const auto& r : rows) {
    const int64_t number = r.body.get_int("number");
    if (from >= 0 && (ascending ? number <= from : number >= from)) continue;
    if (given++ == limit) {
      out["NextToken"] = page_token(call, "DescribeAlarmHistory", std::to_string(last));
      break;
    }
    last = number;
    out["AlarmHistoryItems"].push(r.body);
  }
  return out;
}

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteAlarms.html
Result<json::Value> CloudWatch::delete_alarms(Call& call, const Json& q) {
  const auto& names = q.get_array("AlarmNames");
  if (names.size() > 100) return bad("At most 100 alarms are deleted at once");
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    for (const auto& name : names) {
      const auto row = TRY(w.get(alarm_key(call, name.string())));
      if (!row) return no_alarm(name.string());
    }
    // A composite alarm goes before its children, or with them.
    for (const auto& r : TRY(w.list(call.account, call.region, cw::kAlarmKind))) {
      if (r.body.get("AlarmType") != "CompositeAlarm") continue;
      if (std::any_of(names.begin(), names.end(), [&](const Json& n) { return n.string() == r.key.id; }))
        continue;
      const auto rule = TRY(cw::CompositeRule::parse(r.body.get("AlarmRule")));
      for (const auto& child : rule.children()) {
        const std::string short_name =
            child.starts_with("arn:") ? child.substr(child.rfind(":alarm:") + 7) : child;
        if (std::any_of(names.begin(), names.end(), [&](const Json& n) { return n.string() == short_name; }))
          return bad("Cannot delete " + short_name + ": the composite alarm " + r.key.id + " depends on it");
      }
    }
    for (const auto& name : names) {
      const auto row = TRY(w.get(alarm_key(call, name.string())));
      TRY(w.remove(row->key));
      TRY(add_history(w, row->key, row->body, "ConfigurationUpdate",
                      "Alarm \"" + name.string() + "\" deleted",
                      json::object({{"version", "1.0"}, {"type", "Delete"}}), call.now));
    }
    return {};
  }));
  return json::object();
}

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_SetAlarmState.html
Result<json::Value> CloudWatch::set_alarm_state(Call& call, const Json& q) {
  const std::string data = q.get("StateReasonData");
  if (!data.empty() && !json::parse(data)) return fault("InvalidFormat", "StateReasonData is not valid JSON");
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(alarm_key(call, q.get("AlarmName"))));
    if (!row) return no_alarm(q.get("AlarmName"));
    return cw::change_state(w, *row, q.get("StateValue"), q.get("StateReason"), data, call.now);
  }));
  return json::object();
}

Result<json::Value> CloudWatch::switch_actions(Call& call, const Json& q, bool on) {
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    for (const auto& name : q.get_array("AlarmNames")) {
      auto row = TRY(w.get(alarm_key(call, name.string())));
      if (!row || row->body.get_bool("ActionsEnabled") == on)
        continue;  // AWS says nothing of names it does not know
      row->body["ActionsEnabled"] = on;
      row->body["AlarmConfigurationUpdatedTimestamp"] = seconds(call.now);
      TRY(w.put(row->key, row->body));
      TRY(add_history(w, row->key, row->body, "ConfigurationUpdate",
                      fmt::format("Alarm \"{}\" {} actions", name.string(), on ? "enabled" : "disabled"),
                      json::object({{"version", "1.0"}, {"type", "Update"}}), call.now));
    }
    return {};
  }));
  return json::object();
}
Result<json::Value> CloudWatch::enable_alarm_actions(Call& call, const Json& q) {
  return switch_actions(call, q, true);
}
Result<json::Value> CloudWatch::disable_alarm_actions(Call& call, const Json& q) {
  return switch_actions(call, q, false);
}

}  // namespace bastide::services
