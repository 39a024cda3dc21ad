// The evaluation of alarms in the background, and their actions.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "aws/arn.h"
#include "base/bytes.h"
#include "base/log.h"
#include "net/loop.h"
#include "services/cloudwatch/cloudwatch.h"

namespace bastide::services {
namespace {

constexpr Millis kRound = 10 * kSecond;
constexpr int kMaxAttempts = 12;  // of an action
constexpr const char* kPrincipal = "cloudwatch.amazonaws.com";

std::string stamp(Millis t) {  // 22/11/26 19:12:00
  const std::string iso = iso8601(t);
  return iso.substr(8, 2) + "/" + iso.substr(5, 2) + "/" + iso.substr(2, 2) + " " + iso.substr(11, 8);
}

std::string number(double v) {
  if (v == std::floor(v) && std::fabs(v) < 1e15) return fmt::format("{:.1f}", v);
  return fmt::format("{}", v);
}

std::string phrase(const std::string& comparison, bool crossed) {
  static const std::map<std::string, std::string> words = {
      {"GreaterThanThreshold", "greater than"},
      {"GreaterThanOrEqualToThreshold", "greater than or equal to"},
      {"LessThanThreshold", "less than"},
      {"LessThanOrEqualToThreshold", "less than or equal to"},
      {"LessThanLowerOrGreaterThanUpperThreshold", "outside the band of"},
      {"LessThanLowerThreshold", "below the band of"},
      {"GreaterThanUpperThreshold", "above the band of"}};
  const auto it = words.find(comparison);
  return (crossed ? "" : "not ") + (it == words.end() ? comparison : it->second);
}

std::string reason_of(const cw::AlarmRule& rule, const cw::Verdict& v, const std::string& old_state) {
  if (v.state == "INSUFFICIENT_DATA" || v.points.empty()) {
    return v.state == "INSUFFICIENT_DATA"
               ? fmt::format("Insufficient Data: {} datapoint{} unknown.", rule.evaluation_periods,
                             rule.evaluation_periods == 1 ? " was" : "s were")
               : fmt::format(
                     "Threshold Crossed: no datapoints were received for {} period{} and {} missing "
                     "datapoint{} treated as [{}].",
                     rule.evaluation_periods, rule.evaluation_periods == 1 ? "" : "s",
                     rule.evaluation_periods, rule.evaluation_periods == 1 ? " was" : "s were",
                     v.state == "ALARM" ? "Breaching" : "NonBreaching");
  }
  const bool alarm = v.state == "ALARM";
  std::vector<std::string> shown;
  for (const auto& p : v.points) {
    if (cw::breaches(rule, p) == alarm && shown.size() < 5)
      shown.push_back(fmt::format("{} ({})", number(*p.value), stamp(p.time)));
  }
  const int count = alarm ? v.breaching : v.considered - v.breaching;
  return fmt::format(
      "Threshold Crossed: {} out of the last {} datapoints [{}] {} {} the threshold ({}) (minimum {} "
      "datapoint{} for {} -> {} transition).",
      count, rule.evaluation_periods, join(shown, ", "), count == 1 ? "was" : "were",
      phrase(rule.comparison, alarm), number(rule.threshold),
      alarm ? rule.datapoints : std::max(1, rule.evaluation_periods - rule.datapoints + 1),
      rule.datapoints == 1 ? "" : "s", old_state == "INSUFFICIENT_DATA" ? "OK" : old_state, v.state);
}

}  // namespace

json::Value cw::notification(const store::Resource& alarm, const std::string& old_state) {
  const auto& b = alarm.body;
  const json::Value* changed = b.find("StateUpdatedTimestamp");
  json::Value out = json::object(
      {{"AlarmName", alarm.key.id},
       {"AlarmDescription",
        b.has("AlarmDescription") ? json::Value(b.get("AlarmDescription")) : json::Value()},
       {"AWSAccountId", alarm.key.account},
       {"AlarmConfigurationUpdatedTimestamp",
        iso8601(static_cast<Millis>((b.find("AlarmConfigurationUpdatedTimestamp")
                                         ? b.find("AlarmConfigurationUpdatedTimestamp")->number()
                                         : 0) *
                                    kSecond))},
       {"NewStateValue", b.get("StateValue")},
       {"NewStateReason", b.get("StateReason")},
       {"StateChangeTime", iso8601(changed ? static_cast<Millis>(changed->number() * kSecond) : 0)},
       {"Region", alarm.key.region},
       {"AlarmArn", b.get("AlarmArn")},
       {"OldStateValue", old_state}});
  for (const char* key : {"OKActions", "AlarmActions", "InsufficientDataActions"})
    out[key] = json::Value(b.get_array(key));
  if (b.get("AlarmType") == "CompositeAlarm") {
    out["AlarmRule"] = b.get("AlarmRule");
    return out;
  }
  json::Value trigger = json::object();
  for (const char* key : {"MetricName", "Namespace", "Unit", "Period", "EvaluationPeriods",
                          "DatapointsToAlarm", "ComparisonOperator", "Threshold", "TreatMissingData",
                          "EvaluateLowSampleCountPercentile", "Metrics", "ThresholdMetricId"}) {
    if (const json::Value* v = b.find(key)) trigger[key] = *v;
  }
  if (b.has("Statistic")) {
    std::string upper = b.get("Statistic");
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](unsigned char c) { return std::toupper(c); });
    trigger["StatisticType"] = "Statistic";
    trigger["Statistic"] = upper;
  } else if (b.has("ExtendedStatistic")) {
    trigger["StatisticType"] = "ExtendedStatistic";
    trigger["ExtendedStatistic"] = b.get("ExtendedStatistic");
  }
  json::Value dimensions = json::array();
  for (const auto& d : b.get_array("Dimensions"))
    dimensions.push(json::object({{"value", d.get("Value")}, {"name", d.get("Name")}}));
  if (!b.has("Metrics")) trigger["Dimensions"] = std::move(dimensions);
  out["Trigger"] = std::move(trigger);
  return out;
}

Result<void> cw::change_state(store::Writer& w, store::Resource& alarm, const std::string& state,
                              const std::string& reason, const std::string& reason_data, Millis now) {
  const std::string before = alarm.body.get("StateValue");
  const json::Value old =
      json::object({{"stateValue", before}, {"stateReason", alarm.body.get("StateReason")}});
  alarm.body["StateValue"] = state;
  alarm.body["StateReason"] = reason;
  alarm.body["StateUpdatedTimestamp"] = seconds(now);
  if (reason_data.empty()) {
    alarm.body.remove("StateReasonData");
  } else {
    alarm.body["StateReasonData"] = reason_data;
  }
  if (state != before) alarm.body["StateTransitionedTimestamp"] = seconds(now);
  TRY(w.put(alarm.key, alarm.body));
  if (state == before) return {};
  TRY(add_history(
      w, alarm.key, alarm.body, "StateUpdate", fmt::format("Alarm updated from {} to {}", before, state),
      json::object({{"version", "1.0"},
                    {"oldState", old},
                    {"newState", json::object({{"stateValue", state}, {"stateReason", reason}})}}),
      now));
  TRY(w.emit("cloudwatch.alarms", alarm.key.id));
  if (!alarm.body.get_bool("ActionsEnabled", true)) return {};
  if (!alarm.body.get("ActionsSuppressedBy").empty()) return {};
  const char* list = state == "ALARM" ? "AlarmActions"
                     : state == "OK"  ? "OKActions"
                                      : "InsufficientDataActions";
  const auto number = TRY(w.next("cloudwatch.transition"));
  int i = 0;
  for (const auto& action : alarm.body.get_array(list)) {
    TRY(w.enqueue(
        kActionJob, fmt::format("{}/{}", number, i++),
        json::object({{"account", alarm.key.account},
                      {"region", alarm.key.region},
                      {"alarm", alarm.key.id},
                      {"action", action.string()},
                      {"subject", fmt::format("{}: \"{}\" in {}", state, alarm.key.id, alarm.key.region)},
                      {"message", json::print(notification(alarm, before))}}),
        now));
  }
  return {};
}

Result<std::optional<Millis>> CloudWatch::run_action(store::Job& job) {
  const auto& s = job.state;
  auto sent =
      client_.call(aws::Principal::service(kPrincipal), s.get("account"), s.get("region"), "sns", "Publish",
                   json::object({{"TopicArn", s.get("action")},
                                 {"Subject", s.get("subject").substr(0, 100)},
                                 {"Message", s.get("message")}}));
  if (!sent && !sent.error().fault && job.attempts < kMaxAttempts) return std::move(sent).error();
  const store::Key key{s.get("account"), s.get("region"), cw::kAlarmKind, s.get("alarm")};
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const auto row = TRY(w.get(key));
    if (!row) return {};
    return cw::add_history(
        w, key, row->body, "Action",
        sent ? "Successfully executed action " + s.get("action")
             : "Failed to execute action " + s.get("action"),
        json::object({{"actionState", sent ? "Succeeded" : "Failed"},
                      {"notificationResource", s.get("action")},
                      {"error", sent ? json::Value() : json::Value(sent.error().message)}}),
        clock_.wall());
  }));
  return std::optional<Millis>{};
}

Result<std::optional<CloudWatch::Evaluation>> CloudWatch::evaluate_metric(const store::Resource& alarm,
                                                                          Millis now) {
  const Json& b = alarm.body;
  cw::AlarmRule rule;
  rule.evaluation_periods = static_cast<int>(b.get_int("EvaluationPeriods", 1));
  rule.datapoints = static_cast<int>(b.get_int("DatapointsToAlarm", rule.evaluation_periods));
  rule.comparison = b.get("ComparisonOperator");
  if (const Json* t = b.find("Threshold"))
    rule.threshold = t->is_int() ? static_cast<double>(t->integer()) : t->number();
  rule.missing = b.get("TreatMissingData", "missing");
  json::Array queries;
  int64_t period = b.get_int("Period");
  const std::string band = b.get("ThresholdMetricId");
  std::string statistic = b.has("Statistic") ? b.get("Statistic") : b.get("ExtendedStatistic");
  if (b.has("Metrics")) {
    queries = b.get_array("Metrics");
    for (auto& q : queries) {
      const Json* stat = q.find("MetricStat");
      period = std::max(period, stat ? stat->get_int("Period") : q.get_int("Period"));
      if (!band.empty() && q.get("Id") == band) q["ReturnData"] = true;
    }
    if (period == 0) period = 60;
  } else {
    Json stat = json::object({{"Metric", json::object({{"Namespace", b.get("Namespace")},
                                                       {"MetricName", b.get("MetricName")},
                                                       {"Dimensions", Json(b.get_array("Dimensions"))}})},
                              {"Period", period},
                              {"Stat", statistic}});
    if (b.has("Unit")) stat["Unit"] = b.get("Unit");
    queries.push_back(json::object({{"Id", "m1"}, {"MetricStat", std::move(stat)}}));
  }
  // The window slides by a minute, and by the period where that is shorter.
  const Millis width = period * kSecond, step = std::min<Millis>(width, kMinute);
  const Millis end = now - now % step;
  const int range = cw::evaluation_range(rule);
  cw::Scope scope{alarm.key.account, alarm.key.region, end - width * range, end, now};
  auto got = net::offload_result([&] { return cw::QueryEngine(metrics_, scope).run(queries); });
  if (!got) return std::move(got).error();
  const Millis start = cw::rounded_start(scope.start, period, now);
  std::vector<cw::AlarmPoint> points(static_cast<size_t>(range));
  for (size_t i = 0; i < points.size(); ++i) points[i].time = start + static_cast<Millis>(i) * width;
  double samples = 0;
  int bounds = 0;
  for (const auto& r : *got) {
    const bool is_band = !band.empty() && r.id == band;
    bounds += is_band;
    for (size_t i = 0; i < r.points.size(); ++i) {
      const auto index = (r.points[i].first - start) / width;
      if (r.points[i].first < start || index >= range) continue;
      auto& p = points[static_cast<size_t>(index)];
      (!is_band ? p.value : bounds == 1 ? p.low : p.high) = r.points[i].second;
      if (!is_band && i < r.sample_counts.size()) samples = r.sample_counts[i];
    }
  }
  const std::string before = b.get("StateValue");
  // A percentile of few samples says little.
  // https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/percentiles-with-low-samples.html
  if (b.get("EvaluateLowSampleCountPercentile") == "ignore" && !statistic.empty()) {
    const auto stat = cw::Statistic::parse(statistic);
    if (stat && stat->percentile()) {
      const double p = stat->percent() / 100,
                   needed = p >= 0.5 ? 10 / std::max(1 - p, 1e-9) : 10 / std::max(p, 1e-9);
      if (samples < needed) return std::optional<Evaluation>{};
    }
  }
  const auto verdict = cw::judge(rule, points);
  if (verdict.state.empty() || verdict.state == before) return std::optional<Evaluation>{};
  Evaluation out{verdict.state, reason_of(rule, verdict, before), json::object()};
  Json recent = json::array(), evaluated = json::array();
  for (const auto& p : verdict.points) {
    recent.push(*p.value);
    evaluated.push(json::object({{"timestamp", iso8601(p.time)}, {"value", *p.value}}));
  }
  out.data = json::object({{"version", "1.0"},
                           {"queryDate", iso8601(now)},
                           {"startDate", iso8601(start)},
                           {"period", period},
                           {"recentDatapoints", std::move(recent)},
                           {"threshold", rule.threshold},
                           {"evaluatedDatapoints", std::move(evaluated)}});
  if (!statistic.empty()) out.data["statistic"] = statistic;
  return std::optional(std::move(out));
}

Result<std::optional<CloudWatch::Evaluation>> CloudWatch::evaluate_composite(
    const store::Resource& alarm, Millis now, const std::map<std::string, std::string>& states) {
  const auto rule = TRY(cw::CompositeRule::parse(alarm.body.get("AlarmRule")));
  auto state_of = [&](const std::string& child) {
    const auto it = states.find(
        child.starts_with("arn:") ? child : cw::alarm_arn(alarm.key.account, alarm.key.region, child));
    return it == states.end() ? std::string("INSUFFICIENT_DATA") : it->second;
  };
  const std::string state = rule.holds(state_of) ? "ALARM" : "OK";
  if (state == alarm.body.get("StateValue")) return std::optional<Evaluation>{};
  Json children = json::array();
  for (const auto& c : rule.children())
    children.push(json::object(
        {{"arn", c.starts_with("arn:") ? c : cw::alarm_arn(alarm.key.account, alarm.key.region, c)},
         {"state", json::object({{"value", state_of(c)}, {"timestamp", iso8601(now)}})}}));
  Evaluation out;
  out.state = state;
  const auto& first = rule.children();
  out.reason = first.empty() ? "The rule evaluated to " + state
                             : fmt::format("{} transitioned to {} at {}",
                                           cw::alarm_arn(alarm.key.account, alarm.key.region, first.front()),
                                           state_of(first.front()), stamp(now));
  out.data = json::object({{"triggeringAlarms", std::move(children)}});
  return std::optional(std::move(out));
}

Result<void> CloudWatch::evaluate_one(const store::Resource& alarm, Millis now,
                                      const std::map<std::string, std::string>& states) {
  const bool composite = alarm.body.get("AlarmType") == "CompositeAlarm";
  auto found = composite ? evaluate_composite(alarm, now, states) : evaluate_metric(alarm, now);
  if (!found) return std::move(found).error();
  std::string suppressed_by;
  Millis suppressed_since = alarm.body.get_int("SuppressedSince");
  if (const auto suppressor = alarm.body.get("ActionsSuppressor"); composite && !suppressor.empty()) {
    // While the suppressor is in ALARM, and for the extension after it; before it comes, for the wait after a
    // change.
    const auto it = states.find(suppressor.starts_with("arn:")
                                    ? suppressor
                                    : cw::alarm_arn(alarm.key.account, alarm.key.region, suppressor));
    if (it != states.end() && it->second == "ALARM") {
      suppressed_by = "Alarm";
      suppressed_since = now;
    } else if (suppressed_since > 0 &&
               now < suppressed_since + alarm.body.get_int("ActionsSuppressorExtensionPeriod") * kSecond) {
      suppressed_by = "ExtensionPeriod";
    } else {
      suppressed_since = 0;
    }
  }
  const bool changes = found->has_value();
  if (!changes && suppressed_by == alarm.body.get("ActionsSuppressedBy") &&
      suppressed_since == alarm.body.get_int("SuppressedSince"))
    return {};
  return database_.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(alarm.key));
    if (!row || row->version != alarm.version) return {};  // it was changed meanwhile: the next round sees it
    if (composite && alarm.body.has("ActionsSuppressor")) {
      row->body["SuppressedSince"] = suppressed_since;
      row->body["ActionsSuppressedBy"] = suppressed_by;
      if (suppressed_by.empty()) row->body.remove("ActionsSuppressedBy");
      TRY(w.put(row->key, row->body));
    }
    if (!changes) return {};
    return cw::change_state(w, *row, (*found)->state, (*found)->reason, json::print((*found)->data), now);
  });
}

Result<void> CloudWatch::evaluate_alarms() {
  const Millis now = clock_.wall();
  auto rows = TRY(database_.list("*", "*", cw::kAlarmKind));
  std::map<std::string, std::string> states;
  for (const auto& r : rows) states[r.body.get("AlarmArn")] = r.body.get("StateValue");
  std::set<std::string> there;
  for (const bool composite : {false, true}) {
    for (const auto& r : rows) {
      if ((r.body.get("AlarmType") == "CompositeAlarm") != composite) continue;
      const std::string arn = r.body.get("AlarmArn");
      there.insert(arn);
      auto& due = due_[arn];
      if (due > now) continue;
      int64_t period = r.body.get_int("Period", 60);
      for (const auto& q : r.body.get_array("Metrics")) {
        const Json* stat = q.find("MetricStat");
        if (stat) period = std::min(period, stat->get_int("Period", 60));
      }
      Millis every = period < 60 || composite ? 10 * kSecond : kMinute;
      if (period * r.body.get_int("EvaluationPeriods", 1) > 86'400) every = kHour;
      due = now - now % every + every;
      if (const auto done = evaluate_one(r, now, states); !done)
        log::warn("cloudwatch: alarm {}: {}", arn, done.error().message);
      if (const auto fresh = database_.get(r.key); fresh && *fresh)
        states[arn] = (*fresh)->body.get("StateValue");
    }
  }
  std::erase_if(due_, [&](const auto& d) { return !there.contains(d.first); });
  return {};
}

void CloudWatch::start() {
  database_.run_jobs(cw::kActionJob, [this](store::Job& job) { return run_action(job); });
  net::spawn([this] {
    for (;;) {
      const Millis now = clock_.wall();
      net::sleep_for(kRound - now % kRound + kSecond);  // a moment after the end of a period
      if (const auto done = evaluate_alarms(); !done) log::error("cloudwatch: {}", done.error().message);
    }
  });
}

}  // namespace bastide::services
