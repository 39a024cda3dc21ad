// bastide metrics ls|get|plot
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/duration.h"
#include "cli/table.h"

namespace bastide::cli {
namespace {

constexpr int kRows = 14;  // of a plot

std::vector<Option> common() {
  return {{"--env", Option::Kind::value, "The environment, or an account's profile", "operator"},
          {"--region", Option::Kind::value, "Another region than the architecture's"}};
}

Result<json::Value> call(Context& context, const Arguments& a, const std::string& operation,
                         const json::Value& input) {
  const std::string region = a.get("--region");
  if (region.empty() || region == context.region())
    return context.call(a.get("--env"), "cloudwatch", operation, input);
  aws::ClientConfig config;
  config.endpoint = TRY(context.endpoint());
  config.region = region;
  config.credentials = TRY(context.credentials(a.get("--env")));
  return aws::Client(std::move(config)).call("cloudwatch", operation, input);
}

std::string dimensions_of(const json::Value& metric) {
  std::vector<std::string> out;
  for (const auto& d : metric.get_array("Dimensions")) out.push_back(d.get("Name") + "=" + d.get("Value"));
  return join(out, ",");
}

Result<int> run_list(Context& context, const Arguments& a) {
  Table table({"NAMESPACE", "METRIC", "DIMENSIONS"});
  json::Value input = json::object();
  if (const auto space = a.get("NAMESPACE"); !space.empty()) input["Namespace"] = space;
  for (;;) {
    const auto answer = TRY(call(context, a, "ListMetrics", input));
    for (const auto& m : answer.get_array("Metrics"))
      table.add({m.get("Namespace"), m.get("MetricName"), dimensions_of(m)});
    if (answer.get("NextToken").empty()) break;
    input["NextToken"] = answer.get("NextToken");
  }
  std::fputs(table.empty() ? "nothing is measured there yet\n" : table.text().c_str(), stdout);
  return 0;
}

struct Curve {
  std::string label;
  std::vector<std::pair<Millis, double>> points;
};

// NAMESPACE/METRIC with slashes in the namespace: the last part is the metric.
Result<std::vector<Curve>> curves(Context& context, const Arguments& a, Millis start, Millis end,
                                  int64_t period) {
  const std::string name = a.get("METRIC");
  json::Array queries;
  std::vector<json::Value> found;
  if (name.find_first_of("(+*^ ") != std::string::npos) {
    queries.push_back(json::object({{"Id", "e"}, {"Expression", name}, {"Period", period}}));
  } else {
    const size_t slash = name.rfind('/');
    if (slash == std::string::npos)
      return error("Invalid",
                   "METRIC is NAMESPACE/NAME, such as AWS/ApplicationELB/RequestCount, or an expression");
    json::Value input =
        json::object({{"Namespace", name.substr(0, slash)}, {"MetricName", name.substr(slash + 1)}});
    json::Value filters = json::array();
    for (const auto& d : a.all("--dimension")) {
      const size_t equals = d.find('=');
      if (equals == std::string::npos) return error("Invalid", "--dimension wants NAME=VALUE");
      filters.push(json::object({{"Name", d.substr(0, equals)}, {"Value", d.substr(equals + 1)}}));
    }
    if (!filters.array().empty()) input["Dimensions"] = filters;
    const auto answer = TRY(call(context, a, "ListMetrics", input));
    for (const auto& m : answer.get_array("Metrics")) {
      queries.push_back(json::object(
          {{"Id", "m" + std::to_string(queries.size())},
           {"Label", dimensions_of(m).empty() ? m.get("MetricName") : dimensions_of(m)},
           {"MetricStat", json::object({{"Metric", m}, {"Period", period}, {"Stat", a.get("--stat")}})}}));
      if (queries.size() == 100) break;
    }
    if (queries.empty())
      return error("NotFound", "there is no metric " + name + "; 'bastide metrics ls' lists them");
  }
  json::Value input = json::object({{"MetricDataQueries", json::Value(std::move(queries))},
                                    {"StartTime", static_cast<double>(start) / kSecond},
                                    {"EndTime", static_cast<double>(end) / kSecond},
                                    {"ScanBy", "TimestampAscending"}});
  std::vector<Curve> out;
  for (;;) {
    const auto answer = TRY(call(context, a, "GetMetricData", input));
    for (const auto& r : answer.get_array("MetricDataResults")) {
      Curve* curve = nullptr;
      for (auto& c : out) {
        if (c.label == r.get("Label") && input.has("NextToken")) curve = &c;
      }
      if (curve == nullptr) curve = &out.emplace_back(Curve{r.get("Label"), {}});
      const auto &times = r.get_array("Timestamps"), &values = r.get_array("Values");
      for (size_t i = 0; i < times.size() && i < values.size(); ++i)
        curve->points.emplace_back(static_cast<Millis>(times[i].number() * kSecond), values[i].number());
    }
    if (answer.get("NextToken").empty()) break;
    input["NextToken"] = answer.get("NextToken");
  }
  return out;
}

Result<int64_t> period_of(const Arguments& a, Millis span) {
  if (!a.get("--period").empty()) return TRY(parse_duration("--period", a.get("--period")))
  / kSecond;
  for (const int64_t p : {60, 300, 900, 3600, 21600}) {
    if (span / (p * kSecond) <= 240) return p;
  }
  return int64_t{86400};
}

Result<int> run_get(Context& context, const Arguments& a) {
  const Millis end = Clock::system().wall(), span = TRY(parse_duration("--since", a.get("--since")));
  const auto all = TRY(curves(context, a, end - span, end, TRY(period_of(a, span))));
  for (const auto& c : all) {
    for (const auto& [t, v] : c.points) {
      if (a.flag("--json")) {
        std::printf(
            "%s\n",
            json::print(json::object({{"metric", c.label}, {"time", iso8601(t)}, {"value", v}})).c_str());
      } else {
        std::printf("%s %12g  %s\n", iso8601(t).c_str(), v, c.label.c_str());
      }
    }
  }
  return 0;
}

int columns() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 40)
    return std::min<int>(size.ws_col, 200);
  return 100;
}

// Two by four dots a character.
void draw(const Curve& c, Millis start, Millis end) {
  const int width = columns() - 14;
  double low = 0, high = -INFINITY;
  for (const auto& [t, v] : c.points) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  if (c.points.empty()) {
    std::printf("%s: no data in this time\n\n", c.label.c_str());
    return;
  }
  if (high <= low) high = low + 1;
  const int wide = width * 2, tall = kRows * 4;
  std::vector<std::vector<bool>> dots(static_cast<size_t>(tall),
                                      std::vector<bool>(static_cast<size_t>(wide)));
  auto x_of = [&](Millis t) {
    return std::clamp<int>(
        static_cast<int>(static_cast<double>(t - start) / static_cast<double>(end - start) * (wide - 1)), 0,
        wide - 1);
  };
  auto y_of = [&](double v) {
    return std::clamp<int>(static_cast<int>(std::lround((high - v) / (high - low) * (tall - 1))), 0,
                           tall - 1);
  };
  for (size_t i = 0; i < c.points.size(); ++i) {
    const int x = x_of(c.points[i].first), y = y_of(c.points[i].second);
    dots[static_cast<size_t>(y)][static_cast<size_t>(x)] = true;
    if (i == 0) continue;
    const int x0 = x_of(c.points[i - 1].first), y0 = y_of(c.points[i - 1].second);
    const int steps = std::max(std::abs(x - x0), std::abs(y - y0));
    for (int s = 1; s < steps; ++s)
      dots[static_cast<size_t>(y0 + (y - y0) * s / steps)][static_cast<size_t>(x0 + (x - x0) * s / steps)] =
          true;
  }
  std::printf("%s\n", bold(c.label).c_str());
  static constexpr int kBits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
  for (int row = 0; row < kRows; ++row) {
    const bool labelled = row == 0 || row == kRows - 1 || row == kRows / 2;
    const double v = high - (high - low) * row / (kRows - 1);
    std::string line = labelled ? fmt::format("{:>10.4g} ", v) : std::string(11, ' ');
    line += "│";
    for (int col = 0; col < width; ++col) {
      int bits = 0;
      for (int dy = 0; dy < 4; ++dy) {
        for (int dx = 0; dx < 2; ++dx) {
          if (dots[static_cast<size_t>(row * 4 + dy)][static_cast<size_t>(col * 2 + dx)])
            bits |= kBits[dy][dx];
        }
      }
      const int code = 0x2800 + bits;
      line += static_cast<char>(0xe0 | code >> 12);
      line += static_cast<char>(0x80 | (code >> 6 & 0x3f));
      line += static_cast<char>(0x80 | (code & 0x3f));
    }
    std::printf("%s\n", line.c_str());
  }
  const std::string from = iso8601(start - start % kSecond), to = iso8601(end - end % kSecond);
  const int gap = std::max<int>(1, width - static_cast<int>(from.size() + to.size()));
  std::printf("            %s%s%s\n\n", from.c_str(), std::string(static_cast<size_t>(gap), ' ').c_str(),
              to.c_str());
}

Result<int> run_plot(Context& context, const Arguments& a) {
  const Millis end = Clock::system().wall(), span = TRY(parse_duration("--since", a.get("--since")));
  const auto all = TRY(curves(context, a, end - span, end, TRY(period_of(a, span))));
  for (const auto& c : all) draw(c, end - span, end);
  return 0;
}

std::vector<Option> reading() {
  std::vector<Option> out = {
      {"METRIC", Option::Kind::positional, "NAMESPACE/NAME, or an expression of metric math", "", true},
      {"--dimension", Option::Kind::values, "Only metrics with this dimension, NAME=VALUE"},
      {"--stat", Option::Kind::value, "Average, Sum, Maximum, p99, ...", "Average"},
      {"--since", Option::Kind::value, "How far back", "1h"},
      {"--period", Option::Kind::value, "The span of a point, such as 5m"}};
  for (auto& o : common()) out.push_back(std::move(o));
  return out;
}

}  // namespace

Command metrics_list_command() {
  std::vector<Option> options = {{"NAMESPACE", Option::Kind::positional, "Only this namespace"}};
  for (auto& o : common()) options.push_back(std::move(o));
  return {"metrics ls", "Lists what is measured", "bastide metrics ls AWS/ApplicationELB --env stage",
          std::move(options), run_list};
}
Command metrics_get_command() {
  auto options = reading();
  options.push_back({"--json", Option::Kind::flag, "One JSON object a line"});
  return {"metrics get", "Prints a metric's values",
          "bastide metrics get AWS/ApplicationELB/RequestCount --stat Sum --env stage", std::move(options),
          run_get};
}
Command metrics_plot_command() {
  return {"metrics plot", "Draws a metric in the terminal",
          "bastide metrics plot CWAgent/cpu_usage_active --since 3h", reading(), run_plot};
}

}  // namespace bastide::cli
