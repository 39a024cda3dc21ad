// Health checks, one fiber a target.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
#include <fmt/format.h>

#include "base/log.h"
#include "edge/core.h"
#include "edge/head.h"

namespace bastide::edge {
namespace {

struct Outcome {
  bool healthy = false;
  std::string reason, description;
};

Outcome timed_out() { return {false, "Target.Timeout", "Request timed out"}; }
Outcome failed() { return {false, "Target.FailedHealthChecks", "Health checks failed"}; }
Outcome of_error(const Error& e) { return e.code == "Timeout" ? timed_out() : failed(); }

Outcome probe(const internal::EdgeTarget& target, const internal::EdgeHealthCheck& check,
              const std::vector<std::pair<int, int>>& matcher, Clock& clock) {
  const Millis deadline = clock.steady() + check.timeout;
  auto port = check.port == 0 ? target.port : static_cast<uint16_t>(check.port);
  auto connected = net::Socket::connect_tcp(target.address, port, check.timeout);
  if (!connected) return of_error(connected.error());
  auto& socket = *connected;
  bool v6 = target.address.find(':') != std::string::npos;
  socket.set_timeout(std::max<Millis>(1, deadline - clock.steady()));
  auto sent = socket.write(
      fmt::format("GET {} HTTP/1.1\r\nHost: {}{}{}:{}\r\nConnection: close\r\n"
                  "User-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n",
                  check.path, v6 ? "[" : "", target.address, v6 ? "]" : "", port));
  if (!sent) return of_error(sent.error());
  Buffer in(4u << 10);
  while (true) {
    auto line = in.view().find("\r\n");
    if (line != std::string_view::npos) break;
    if (in.room_size() == 0) return failed();
    auto left = deadline - clock.steady();
    if (left <= 0) return timed_out();
    socket.set_timeout(left);
    auto n = socket.read(in.room(), in.room_size());
    if (!n) return of_error(n.error());
    if (*n == 0) return failed();
    in.added(*n);
  }
  // The status line is all that counts: it is judged like the head of an answer without headers.
  auto line = std::string(in.view().substr(0, in.view().find("\r\n") + 2)) + "\r\n";
  ResponseHead head;
  if (parse_response(line, head)) return failed();
  for (auto [from, to] : matcher) {
    if (head.status >= from && head.status <= to) return {true, "", ""};
  }
  return {false, "Target.ResponseCodeMismatch",
          fmt::format("Health checks failed with these codes: [{}]", head.status)};
}

Group* group_of(Core& core, const Target& target) {
  if (!core.config) return nullptr;
  for (const auto& g : core.config->groups()) {
    if (g->spec.id == target.group_id) return g.get();
  }
  return nullptr;
}

}  // namespace

void check_target(std::shared_ptr<Core> core, std::shared_ptr<Target> target) {
  int good = 0, bad = 0;
  while (!core->draining && !target->gone && !target->spec.draining) {
    auto* group = group_of(*core, *target);
    if (group == nullptr || !group->spec.health.enabled) break;
    auto check = group->spec.health;
    auto matcher = group->matcher;
    auto outcome = probe(target->spec, check, matcher, core->clock);
    if (core->draining || target->gone) break;
    good = outcome.healthy ? good + 1 : 0;
    bad = outcome.healthy ? 0 : bad + 1;
    // A new target is healthy after its first good answer; unhealthy after `unhealthy` bad ones, as any.
    bool fresh = target->health == Health::initial || target->health == Health::unchecked;
    if (outcome.healthy && (fresh || good >= check.healthy)) {
      core->set_health(*target, Health::healthy, "", "");
    } else if (!outcome.healthy && (bad >= check.unhealthy || target->health == Health::unhealthy)) {
      core->set_health(*target, Health::unhealthy, outcome.reason, outcome.description);
    }
    const Millis next = core->clock.steady() + check.interval;
    while (!core->draining && !target->gone && !target->spec.draining) {
      auto left = next - core->clock.steady();
      if (left <= 0 || !target->wake.wait_for(left)) break;
    }
  }
  target->checking = false;
}

void start_checks(const std::shared_ptr<Core>& core) {
  for (const auto& g : core->config->groups()) {
    for (const auto& t : g->targets) {
      if (t->spec.draining) {
        core->tell_if_drained(*t);
      } else if (!g->spec.health.enabled) {
        core->set_health(*t, Health::unchecked, "", "");
      } else if (!t->checking) {
        t->checking = true;
        net::spawn([core, t] { check_target(core, t); });
      }
    }
  }
}

}  // namespace bastide::edge
