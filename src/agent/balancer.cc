#include "agent/balancer.h"

#include <cmath>

#include "base/bytes.h"

namespace bastide::agent {
namespace {

constexpr size_t kMaxGathered = 20'000;  // metrics and minutes between two calls of take()

// arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/app/name/id
struct Parts {
  std::string region, account, name;
};
Parts parts_of(const std::string& arn) {
  const auto p = split(arn, ':');
  if (p.size() < 6) return {};
  std::string name(p[5]);
  if (name.starts_with("loadbalancer/")) name = name.substr(13);
  return {std::string(p[3]), std::string(p[4]), std::move(name)};
}

}  // namespace

void Balancer::count(const internal::AccessEntry& e, const char* name, const char* unit, double value,
                     bool of_target) {
  const Parts balancer = parts_of(e.balancer);
  if (balancer.name.empty()) return;
  const Millis minute = e.time - e.time % kMinute;
  for (const bool with_group : {false, true}) {
    if (with_group && (!of_target || e.target_group.empty())) continue;
    store::MetricName n{balancer.account,
                        balancer.region,
                        "AWS/ApplicationELB",
                        name,
                        {{"LoadBalancer", balancer.name}},
                        unit};
    if (with_group) n.dimensions.emplace_back("TargetGroup", parts_of(e.target_group).name);
    const std::string key = n.key() + std::to_string(minute);
    auto it = gathered_.find(key);
    if (it == gathered_.end()) {
      if (gathered_.size() >= kMaxGathered) return;
      store::MetricSample fresh;
      fresh.name = std::move(n);
      fresh.cell.time = minute;
      it = gathered_.emplace(key, std::move(fresh)).first;
    }
    it->second.cell.merge(store::MetricCell::of(minute, value));
  }
}

void Balancer::add(const internal::AccessEntry& e) {
  const bool forwarded = e.action.find("forward") != std::string::npos;
  if (forwarded) count(e, "RequestCount", "Count", 1);
  count(e, "ProcessedBytes", "Bytes", static_cast<double>(e.received + e.sent), false);
  if (e.target_status > 0) {
    const char* const kTarget[] = {"",
                                   "",
                                   "HTTPCode_Target_2XX_Count",
                                   "HTTPCode_Target_3XX_Count",
                                   "HTTPCode_Target_4XX_Count",
                                   "HTTPCode_Target_5XX_Count"};
    const int status = e.target_status / 100;
    if (status >= 2 && status <= 5) count(e, kTarget[status], "Count", 1);
    // From when the request left until the target began to answer; to the microsecond, as ELB logs it.
    if (e.target_time >= 0) count(e, "TargetResponseTime", "Seconds", std::round(e.target_time * 1e4) / 1e4);
  } else if (e.status >= 300) {  // the load balancer's own answer
    const int status = e.status / 100;
    if (status == 3) count(e, "HTTPCode_ELB_3XX_Count", "Count", 1, false);
    if (status == 4) count(e, "HTTPCode_ELB_4XX_Count", "Count", 1, false);
    if (status == 5) count(e, "HTTPCode_ELB_5XX_Count", "Count", 1, false);
    if (e.status == 500) count(e, "HTTPCode_ELB_500_Count", "Count", 1, false);
    if (e.status == 502) count(e, "HTTPCode_ELB_502_Count", "Count", 1, false);
    if (e.status == 503) count(e, "HTTPCode_ELB_503_Count", "Count", 1, false);
    if (e.status == 504) count(e, "HTTPCode_ELB_504_Count", "Count", 1, false);
    if (forwarded && !e.target.empty() && (e.status == 502 || e.status == 504))
      count(e, "TargetConnectionErrorCount", "Count", 1);
  }
}

std::vector<store::MetricSample> Balancer::take() {
  std::vector<store::MetricSample> out;
  for (auto& [key, sample] : gathered_) out.push_back(std::move(sample));
  gathered_.clear();
  return out;
}

}  // namespace bastide::agent
