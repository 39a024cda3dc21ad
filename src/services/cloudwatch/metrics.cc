// Metrics in and out.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "net/loop.h"
#include "services/cloudwatch/cloudwatch.h"
#include "store/page.h"

namespace bastide::services {

namespace m = model::cloudwatch;

namespace {

constexpr size_t kMaxValues = 150;
constexpr size_t kMaxDimensions = 30;
constexpr double kMaxMagnitude = 0x1p360;
constexpr Millis kTooOld = 14 * kDay;
constexpr Millis kTooNew = 2 * kHour;
constexpr int64_t kMaxDatapoints = 100'800;
constexpr int64_t kMaxStatistics = 1'440;
constexpr size_t kListPage = 500;

Error bad_value(const std::string& why) { return fault("InvalidParameterValue", why); }

Result<void> check_number(double v, const std::string& where) {
  if (std::isnan(v)) return bad_value(fmt::format("The value NaN for parameter {} is invalid.", where));
  if (!std::isfinite(v) || std::fabs(v) > kMaxMagnitude)
    return bad_value(fmt::format(
        "The value {} for parameter {} is invalid: it must be between -2^360 and 2^360.", v, where));
  return {};
}

Result<store::MetricCell> cell_of(const m::MetricDatum& d, const std::string& where, Millis now) {
  const int given = d.value.has_value() + d.values.has_value() + d.statistic_values.has_value();
  if (given == 0)
    return fault(
        "MissingParameter",
        fmt::format(
            "At least one of the parameters {0}.Value, {0}.Values, {0}.StatisticValues must be specified.",
            where));
  if (given > 1)
    return fault("InvalidParameterCombination",
                 fmt::format("The parameters {0}.Value, {0}.Values and {0}.StatisticValues are mutually "
                             "exclusive and you have specified more than one.",
                             where));
  const Millis at = d.timestamp.value_or(now);
  if (at < now - kTooOld || at > now + kTooNew)
    return bad_value(
        fmt::format("The parameter {}.Timestamp must specify a time within the past two weeks and no more "
                    "than two hours in the future.",
                    where));
  const int32_t resolution = d.storage_resolution.value_or(60);
  if (resolution != 1 && resolution != 60)
    return bad_value(fmt::format("The parameter {}.StorageResolution must be 1 or 60.", where));
  const Millis step = resolution * kSecond;
  store::MetricCell c;
  c.time = at - at % step;
  c.resolution = resolution;
  if (d.value) {
    TRY(check_number(*d.value, where + ".Value"));
    c.merge(store::MetricCell::of(c.time, *d.value));
  } else if (d.values) {
    if (d.values->size() > kMaxValues)
      return bad_value(fmt::format("The collection {}.Values must not have a size greater than 150.", where));
    if (d.counts && d.counts->size() != d.values->size())
      return bad_value(
          fmt::format("The parameters {0}.Values and {0}.Counts must be of the same size.", where));
    for (size_t i = 0; i < d.values->size(); ++i) {
      const double n = d.counts ? (*d.counts)[i] : 1;
      TRY(check_number((*d.values)[i], where + ".Values"));
      TRY(check_number(n, where + ".Counts"));
      if (n < 0) return bad_value(fmt::format("The parameter {}.Counts must be positive.", where));
      if (n > 0) c.merge(store::MetricCell::of(c.time, (*d.values)[i], n));
    }
  } else {
    const auto& s = *d.statistic_values;
    for (const double v : {s.sample_count, s.sum, s.minimum, s.maximum})
      TRY(check_number(v, where + ".StatisticValues"));
    if (s.sample_count <= 0)
      return bad_value(
          fmt::format("The parameter {}.StatisticValues.SampleCount must be greater than 0.", where));
    if (s.minimum > s.maximum)
      return bad_value(
          fmt::format("The parameter {0}.StatisticValues.Minimum must be less than or equal to "
                      "{0}.StatisticValues.Maximum.",
                      where));
    c.count = s.sample_count;
    c.sum = s.sum;
    c.min = s.minimum;
    c.max = s.maximum;
    c.raw = s.minimum == s.maximum || s.sample_count == 1;
  }
  return c;
}

}  // namespace

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
Result<m::op::PutMetricData::Response> CloudWatch::put_metric_data(Call& call,
                                                                   const m::op::PutMetricData::Request& q) {
  // Names under AWS/ are the platform's own.
  if (q.namespace_.starts_with("AWS/") && call.principal.kind != aws::Principal::Kind::service)
    return bad_value("The value AWS/ for parameter Namespace is invalid.");
  if (q.entity_metric_data) return bad_value("EntityMetricData is not supported: send MetricData.");
  std::vector<store::MetricSample> samples;
  if (!q.metric_data) return fault("MissingParameter", "The parameter MetricData is required.");
  size_t n = 0;
  for (const auto& d : *q.metric_data) {
    const std::string where = fmt::format("MetricData.member.{}", ++n);
    auto& s = samples.emplace_back();
    s.name = {call.account, call.region, q.namespace_, d.metric_name, {}, d.unit.value_or("None")};
    if (d.dimensions) {
      if (d.dimensions->size() > kMaxDimensions)
        return bad_value(
            fmt::format("The collection {}.Dimensions must not have a size greater than 30.", where));
      for (const auto& dim : *d.dimensions) s.name.dimensions.emplace_back(dim.name, dim.value);
      std::sort(s.name.dimensions.begin(), s.name.dimensions.end());
      const auto twice = std::adjacent_find(s.name.dimensions.begin(), s.name.dimensions.end(),
                                            [](const auto& a, const auto& b) { return a.first == b.first; });
      if (twice != s.name.dimensions.end())
        return bad_value(fmt::format("The parameter {}.Dimensions has {} twice.", where, twice->first));
    }
    s.cell = TRY(cell_of(d, where, call.now));
  }
  std::erase_if(samples, [](const auto& s) { return s.cell.count == 0; });
  auto kept = net::offload_result([&] { return metrics_.append(std::move(samples)); });
  TRY(std::move(kept));
  return m::op::PutMetricData::Response{};
}

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
Result<json::Value> CloudWatch::get_metric_data(Call& call, const Json& q) {
  auto time_of = [&](const char* key) {
    const Json* v = q.find(key);
    const double s = v == nullptr ? 0 : v->is_int() ? static_cast<double>(v->integer()) : v->number();
    return static_cast<Millis>(std::llround(s * kSecond));
  };
  cw::Scope scope{call.account, call.region, time_of("StartTime"), time_of("EndTime"), call.now};
  if (scope.start >= scope.end)
    return fault("ValidationError", "The parameter StartTime must be less than the parameter EndTime.");
  const auto& queries = q.get_array("MetricDataQueries");
  if (queries.empty()) return fault("ValidationError", "The parameter MetricDataQueries is required.");
  const int64_t limit = q.get_int("MaxDatapoints", kMaxDatapoints);
  if (limit < 1 || limit > kMaxDatapoints)
    return fault("ValidationError", "The parameter MaxDatapoints must be between 1 and 100800.");
  int64_t skip = 0;
  if (const auto token = q.get("NextToken"); !token.empty()) {
    const auto last = store::open_page(keyring_, "GetMetricData/" + call.account + "/" + call.region, token);
    const auto at = last ? parse_int(*last) : Result<int64_t>(error("invalid"));
    if (!at) return fault("InvalidNextToken", "The value for parameter NextToken is invalid.");
    skip = *at;
  }
  auto results = net::offload_result([&] { return cw::QueryEngine(metrics_, scope).run(queries); });
  if (!results) return std::move(results).error();
  const bool ascending = q.get("ScanBy") == "TimestampAscending";
  Json out = json::object({{"MetricDataResults", json::array()}, {"Messages", json::array()}});
  int64_t seen = 0, given = 0;
  bool more = false;
  for (auto& r : *results) {
    if (!ascending) std::reverse(r.points.begin(), r.points.end());
    Json times = json::array(), values = json::array();
    bool complete = true;
    for (const auto& [t, v] : r.points) {
      if (seen++ < skip) continue;
      if (given == limit) {
        complete = false;
        more = true;
        break;
      }
      ++given;
      times.push(cw::seconds(t));
      values.push(v);
    }
    out["MetricDataResults"].push(json::object({{"Id", r.id},
                                                {"Label", r.label},
                                                {"Timestamps", std::move(times)},
                                                {"Values", std::move(values)},
                                                {"StatusCode", complete ? "Complete" : "PartialData"}}));
    if (more) break;
  }
  if (more)
    out["NextToken"] = store::seal_page(keyring_, "GetMetricData/" + call.account + "/" + call.region,
                                        std::to_string(skip + given));
  return out;
}

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
Result<json::Value> CloudWatch::get_metric_statistics(Call& call, const Json& q) {
  auto time_of = [&](const char* key) {
    const Json* v = q.find(key);
    const double s = v == nullptr ? 0 : v->is_int() ? static_cast<double>(v->integer()) : v->number();
    return static_cast<Millis>(std::llround(s * kSecond));
  };
  const int64_t period = TRY(cw::checked_period(q.find("Period")));
  cw::Scope scope{call.account, call.region, time_of("StartTime"), time_of("EndTime"), call.now};
  if (scope.start >= scope.end)
    return fault("InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime.");
  if (!q.has("Statistics") && !q.has("ExtendedStatistics"))
    return fault("InvalidParameterCombination",
                 "At least one of the parameters Statistics and ExtendedStatistics must be specified.");
  if ((scope.end - scope.start) / (period * kSecond) > kMaxStatistics) {
    return fault(
        "InvalidParameterCombination",
        fmt::format("You have requested up to {} datapoints, which exceeds the limit of 1,440. You may "
                    "reduce the datapoints requested by increasing Period, or decreasing the time range.",
                    (scope.end - scope.start) / (period * kSecond)));
  }
  std::vector<cw::Statistic> plain, extended;
  for (const auto& s : q.get_array("Statistics")) plain.push_back(TRY(cw::Statistic::parse(s.string())));
  for (const auto& s : q.get_array("ExtendedStatistics"))
    extended.push_back(TRY(cw::Statistic::parse(s.string())));
  auto name = TRY(cw::metric_name(scope, q));
  name.unit = q.get("Unit");
  const Millis start = cw::rounded_start(scope.start, period, call.now);
  auto rows = net::offload_result([&] { return metrics_.read(name, start, scope.end, period); });
  if (!rows) return std::move(rows).error();
  Json points = json::array();
  for (const auto& row : *rows) {
    for (const auto& c : row.cells) {
      Json p = json::object({{"Timestamp", cw::seconds(c.time)}, {"Unit", row.unit}});
      for (const auto& s : plain) {
        if (const auto v = s.of(c)) p[s.text()] = *v;
      }
      for (const auto& s : extended) {
        if (const auto v = s.of(c)) p["ExtendedStatistics"][s.text()] = *v;
      }
      points.push(std::move(p));
    }
  }
  return json::object({{"Label", name.name}, {"Datapoints", std::move(points)}});
}

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html
Result<json::Value> CloudWatch::list_metrics(Call& call, const Json& q) {
  const std::string space = q.get("Namespace"), name = q.get("MetricName");
  if (q.get_bool("IncludeLinkedAccounts") || q.has("OwningAccount"))
    return bad_value("Metrics of other accounts are not linked to this one.");
  const Millis since = call.now - (q.get("RecentlyActive") == "PT3H" ? 3 * kHour : 14 * kDay);
  const auto& filters = q.get_array("Dimensions");
  auto wanted = [&](const store::MetricName& n) {
    if ((!space.empty() && n.space != space) || (!name.empty() && n.name != name)) return false;
    return std::all_of(filters.begin(), filters.end(), [&](const Json& f) {
      return std::any_of(n.dimensions.begin(), n.dimensions.end(), [&](const auto& d) {
        return d.first == f.get("Name") && (!f.has("Value") || d.second == f.get("Value"));
      });
    });
  };
  auto found = net::offload_result([&] { return metrics_.list(call.account, call.region, wanted); });
  std::vector<std::pair<std::string, Json>> all;
  for (auto& [n, last] : found) {
    if (last < since) continue;
    n.unit.clear();  // the units of one metric are one line
    Json dimensions = json::array();
    for (const auto& [k, v] : n.dimensions) dimensions.push(json::object({{"Name", k}, {"Value", v}}));
    all.emplace_back(n.key(), json::object({{"Namespace", n.space},
                                            {"MetricName", n.name},
                                            {"Dimensions", std::move(dimensions)}}));
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  all.erase(
      std::unique(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first == b.first; }),
      all.end());
  const std::string after = TRY(page_after(call, q, "ListMetrics"));
  std::erase_if(all, [&](const auto& a) { return !after.empty() && a.first <= after; });
  Json out = json::object({{"Metrics", json::array()}});
  for (size_t i = 0; i < all.size() && i < kListPage; ++i) out["Metrics"].push(std::move(all[i].second));
  if (all.size() > kListPage) out["NextToken"] = page_token(call, "ListMetrics", all[kListPage - 1].first);
  return out;
}

}  // namespace bastide::services
