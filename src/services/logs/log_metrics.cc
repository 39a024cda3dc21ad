#include "services/logs/log_metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/bytes.h"
#include "base/log.h"
#include "services/logs/keys.h"

namespace bastide::services {
namespace {

constexpr size_t kMaxFilters = 100;
constexpr size_t kMaxPattern = 1024;
constexpr size_t kMaxDimensions = 3;
constexpr size_t kMaxEmfMetrics = 100;
constexpr size_t kMaxEmfDimensions = 30;

std::string dimension_text(const json::Value& v) {
  if (v.is_string()) return v.string();
  return v.is_number() || v.is_bool() ? json::print(v) : "";
}

// "$.a.b", "$name" or a number, of a message that matched.
std::optional<std::string> value_of(const std::string& selector,
                                    const std::map<std::string, std::string>& fields,
                                    const std::optional<json::Value>& body) {
  if (!selector.starts_with("$")) return selector;
  if (const auto it = fields.find(selector); it != fields.end()) return it->second;
  if (!body || !selector.starts_with("$.")) return std::nullopt;
  const json::Value* v = &*body;
  for (const auto part : split(std::string_view(selector).substr(2), '.')) {
    const size_t bracket = part.find('[');
    v = v->find(part.substr(0, bracket));
    if (v == nullptr) return std::nullopt;
    if (bracket == std::string_view::npos) continue;
    const auto index = parse_int(part.substr(bracket + 1, part.size() - bracket - 2));
    if (!index || !v->is_array() || *index < 0 || static_cast<size_t>(*index) >= v->array().size())
      return std::nullopt;
    v = &v->array()[static_cast<size_t>(*index)];
  }
  if (v->is_object() || v->is_array() || v->is_null()) return std::nullopt;
  return dimension_text(*v);
}

std::optional<double> number(const std::string& text) {
  char* end = nullptr;
  const double v = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !std::isfinite(v)) return std::nullopt;
  return v;
}

std::optional<json::Value> body_of(const std::string& message) {
  if (message.find('{') == std::string::npos) return std::nullopt;
  auto parsed = json::parse(message);
  if (!parsed || !parsed->is_object()) return std::nullopt;
  return std::move(*parsed);
}

}  // namespace

struct LogMetrics::Filter {
  LogFilter filter;
  json::Value transformation;
};

LogMetrics::LogMetrics(store::Database& database, store::Metrics& metrics, Clock& clock)
    : database_(database), metrics_(metrics), clock_(clock), changes_(database.changes(kMetricFilterKind)) {}

LogMetrics::Filters LogMetrics::of(const std::string& account, const std::string& region,
                                   const std::string& group) {
  const int64_t changes = changes_.load();
  if (changes != cached_at_ || cache_.size() > 10'000) {
    cache_.clear();
    cached_at_ = changes;
  }
  const std::string key = store_key(account, region, group);
  if (const auto it = cache_.find(key); it != cache_.end()) return it->second;
  auto out = std::make_shared<std::vector<Filter>>();
  const auto read = database_.read([&](store::Reader& r) -> Result<void> {
    for (const auto& row : TRY(r.list(account, region, kMetricFilterKind, "", kMaxFilters, group + ":"))) {
      auto filter = LogFilter::parse(row.body.get("filterPattern"));
      if (filter && !row.body.get_array("metricTransformations").empty())
        out->push_back({std::move(*filter), row.body.get_array("metricTransformations").front()});
    }
    return {};
  });
  if (!read) log::warn("logs: metric filters: {}", read.error().message);
  return cache_[key] = out;
}

size_t LogMetrics::count(const std::string& account, const std::string& region, const std::string& group) {
  return of(account, region, group)->size();
}

void LogMetrics::observe(const std::string& account, const std::string& region, const Filters& filters,
                         const std::vector<store::LogEvent>& events) {
  std::map<std::string, store::MetricSample> gathered;
  auto add = [&](store::MetricSample sample) {
    const std::string key =
        sample.name.key() + std::to_string(sample.cell.time) + "/" + std::to_string(sample.cell.resolution);
    const auto [it, fresh] = gathered.try_emplace(key, std::move(sample));
    if (!fresh) it->second.cell.merge(sample.cell);
  };
  const Millis now = clock_.wall();
  std::map<std::pair<const Filter*, Millis>, bool>
      minutes;  // whether a filter with a default matched in a minute
  for (const auto& e : events) {
    const Millis minute = e.time - e.time % kMinute;
    if (e.message.find("\"_aws\"") != std::string::npos) {
      for (auto& s : emf_samples(e.message, account, region, e.time, now)) add(std::move(s));
    }
    for (const auto& f : *filters) {
      std::map<std::string, std::string> fields;
      const json::Value& t = f.transformation;
      const bool matched = f.filter.matches(e.message, &fields);
      if (t.has("defaultValue")) minutes[{&f, minute}] |= matched;
      if (!matched) continue;
      const auto body = body_of(e.message);
      const auto text = value_of(t.get("metricValue"), fields, body);
      const auto v = text ? number(*text) : std::nullopt;
      if (!v) continue;
      store::MetricSample s;
      s.name = {account, region, t.get("metricNamespace"), t.get("metricName"), {}, t.get("unit", "None")};
      bool whole = true;
      for (const auto& [name, selector] : t.get_object("dimensions")) {
        const auto d = value_of(selector.string(), fields, body);
        whole &= d && !d->empty();
        if (whole) s.name.dimensions.emplace_back(name, d->substr(0, 1024));
      }
      if (!whole) continue;
      std::sort(s.name.dimensions.begin(), s.name.dimensions.end());
      s.cell = store::MetricCell::of(minute, *v);
      add(std::move(s));
    }
  }
  for (const auto& [key, matched] : minutes) {
    if (matched) continue;
    const json::Value& t = key.first->transformation;
    add({{account, region, t.get("metricNamespace"), t.get("metricName"), {}, t.get("unit", "None")},
         store::MetricCell::of(key.second, t.find("defaultValue")->number())});
  }
  if (gathered.empty()) return;
  std::vector<store::MetricSample> samples;
  for (auto& [key, s] : gathered) samples.push_back(std::move(s));
  if (const auto kept = metrics_.append(std::move(samples)); !kept)
    log::warn("logs: metrics of events: {}", kept.error().message);
}

std::vector<store::MetricSample> emf_samples(const std::string& message, const std::string& account,
                                             const std::string& region, Millis time, Millis now) {
  std::vector<store::MetricSample> out;
  const auto body = json::parse(message);
  if (!body || !body->is_object()) return out;
  const json::Value* meta = body->find("_aws");
  if (meta == nullptr || !meta->is_object()) return out;
  const Millis at = meta->get_int("Timestamp", time);
  if (at < now - 14 * kDay || at > now + 2 * kHour) return out;
  for (const auto& directive : meta->get_array("CloudWatchMetrics")) {
    const std::string space = directive.get("Namespace");
    const auto& metrics = directive.get_array("Metrics");
    if (space.empty() || space.size() > 1024 || metrics.size() > kMaxEmfMetrics || space.starts_with("AWS/"))
      continue;
    json::Array sets = directive.get_array("Dimensions");
    if (sets.empty()) sets.push_back(json::array());
    for (const auto& set : sets) {
      if (!set.is_array() || set.array().size() > kMaxEmfDimensions) continue;
      std::vector<std::pair<std::string, std::string>> dimensions;
      bool whole = true;
      for (const auto& name : set.array()) {
        const json::Value* v = name.is_string() ? body->find(name.string()) : nullptr;
        const std::string text = v == nullptr ? "" : dimension_text(*v);
        whole &= !text.empty() && text.size() <= 1024;
        if (whole) dimensions.emplace_back(name.string(), text);
      }
      if (!whole) continue;
      std::sort(dimensions.begin(), dimensions.end());
      for (const auto& m : metrics) {
        const std::string name = m.get("Name");
        const json::Value* target = body->find(name);
        if (name.empty() || name.size() > 1024 || target == nullptr) continue;
        const int32_t resolution = m.get_int("StorageResolution", 60) == 1 ? 1 : 60;
        std::string unit = m.get("Unit", "None");
        if (std::none_of(std::begin(store::kUnits), std::end(store::kUnits),
                         [&](const char* u) { return unit == u; }))
          unit = "None";
        const Millis start = at - at % (resolution * kSecond);
        store::MetricSample s{{account, region, space, name, dimensions, unit}, {}};
        s.cell.time = start;
        s.cell.resolution = resolution;
        if (target->is_number()) {
          s.cell.merge(store::MetricCell::of(start, target->number(), 1, resolution));
        } else if (target->is_array() && target->array().size() <= 100) {
          for (const auto& v : target->array()) {
            if (v.is_number()) s.cell.merge(store::MetricCell::of(start, v.number(), 1, resolution));
          }
        }
        if (s.cell.count > 0 && std::isfinite(s.cell.sum)) out.push_back(std::move(s));
      }
    }
  }
  return out;
}

// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutMetricFilter.html
Result<json::Value> LogMetrics::put_filter(Call& call, const Json& q) {
  const std::string group = q.get("logGroupName"), name = q.get("filterName"),
                    pattern = q.get("filterPattern");
  if (pattern.size() > kMaxPattern) return bad_parameter("A filter pattern has at most 1024 characters");
  TRY(LogFilter::parse(pattern));
  if (q.get_bool("applyOnTransformedLogs") || q.has("fieldSelectionCriteria") ||
      q.has("emitSystemFieldDimensions"))
    return bad_parameter("Transformed logs, field selection and system field dimensions are not supported");
  const auto& transformations = q.get_array("metricTransformations");
  if (transformations.size() != 1) return bad_parameter("A metric filter has one metric transformation");
  const Json& t = transformations.front();
  if (t.get("metricNamespace").starts_with("AWS/"))
    return bad_parameter("The namespace must not begin with AWS/");
  if (t.get_object("dimensions").size() > kMaxDimensions)
    return bad_parameter("A metric filter has at most 3 dimensions");
  if (!t.get_object("dimensions").empty() && t.has("defaultValue"))
    return bad_parameter("A default value and dimensions are mutually exclusive");
  if (!t.get("metricValue").starts_with("$") && !number(t.get("metricValue")))
    return bad_parameter("Invalid metricValue: a number, $.field or $name");
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const auto there = TRY(w.get(group_key(call, group)));
    if (!there) return no_group();
    const store::Key key{call.account, call.region, kMetricFilterKind, group + ":" + name};
    const auto before = TRY(w.get(key));
    const auto all = TRY(w.list(call.account, call.region, kMetricFilterKind, "", 1'000, group + ":"));
    if (!before && all.size() >= kMaxFilters)
      return fault("LimitExceededException", "Resource limit exceeded.");
    Json body = q;
    body["creationTime"] = before ? before->body.get_int("creationTime") : call.now;
    return w.put(key, body);
  }));
  return json::object();
}

Result<json::Value> LogMetrics::describe_filters(Call& call, const Json& q) {
  const std::string group = q.get("logGroupName");
  if (!group.empty()) {
    const auto there = TRY(database_.get(group_key(call, group)));
    if (!there) return no_group();
  }
  Json out = json::object({{"metricFilters", json::array()}});
  for (const auto& r : TRY(database_.list(call.account, call.region, kMetricFilterKind))) {
    const Json& t = r.body.get_array("metricTransformations").front();
    if (!group.empty() && r.body.get("logGroupName") != group) continue;
    if (!r.body.get("filterName").starts_with(q.get("filterNamePrefix"))) continue;
    if (q.has("metricName") && t.get("metricName") != q.get("metricName")) continue;
    if (q.has("metricNamespace") && t.get("metricNamespace") != q.get("metricNamespace")) continue;
    out["metricFilters"].push(r.body);
  }
  return out;
}

Result<json::Value> LogMetrics::delete_filter(Call& call, const Json& q) {
  bool there = false;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    there = TRY(w.remove(
        {call.account, call.region, kMetricFilterKind, q.get("logGroupName") + ":" + q.get("filterName")}));
    return {};
  }));
  if (!there) return fault("ResourceNotFoundException", "The specified metric filter does not exist.");
  return json::object();
}

Result<json::Value> LogMetrics::test_filter(Call&, const Json& q) {
  const auto filter = TRY(LogFilter::parse(q.get("filterPattern")));
  Json out = json::object({{"matches", json::array()}});
  int64_t n = 0;
  for (const auto& m : q.get_array("logEventMessages")) {
    ++n;
    std::map<std::string, std::string> fields;
    if (!filter.matches(m.string(), &fields)) continue;
    Json values = json::object();
    for (const auto& [k, v] : fields) values[k] = v;
    out["matches"].push(json::object(
        {{"eventNumber", n}, {"eventMessage", m.string()}, {"extractedValues", std::move(values)}}));
  }
  return out;
}

void LogMetrics::offer(aws::Registry& r) {
  namespace op = model::logs::op;
  using Targets = Result<std::vector<aws::Target>>;
  auto on_group = [](const Call& call, const auto& q) -> Targets {
    std::vector<aws::Target> out(1);
    out[0].resource = group_arn(call, q.log_group_name) + ":log-stream:";
    return out;
  };
#define ADD(Op, function, ...) \
  r.add<op::Op>(this, &LogMetrics::typed<op::Op, &LogMetrics::function>, __VA_ARGS__)
  ADD(PutMetricFilter, put_filter, {"logs:PutMetricFilter", on_group});
  ADD(DescribeMetricFilters, describe_filters,
      {"logs:DescribeMetricFilters", [](const Call& call, const auto& q) -> Targets {
         std::vector<aws::Target> out(1);
         out[0].resource = group_arn(call, q.log_group_name.value_or("")) + ":log-stream:";
         return out;
       }});
  ADD(DeleteMetricFilter, delete_filter, {"logs:DeleteMetricFilter", on_group});
  ADD(TestMetricFilter, test_filter, {"logs:TestMetricFilter"});
#undef ADD
}

}  // namespace bastide::services
