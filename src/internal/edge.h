// What control and edge say to each other. Control sends whole, numbered snapshots as sealed memory files
// (JSON of the structs below); edge validates, swaps, acknowledges, and keeps the last good one.
//
// Requests of control:  snapshot {number} + fd -> {number}   or an error that says what is wrong with it
//                       namespace {} + fd     -> {}           targets are connected from that network
//                       namespace status {}             -> {number, connections, requests, dropped}
// Events of edge (answered with {}; spooled, bounded, oldest dropped and counted):
//   target.health {target_group, target, state: "healthy"|"unhealthy"|"draining", reason, description, at}
//                 ("draining" comes once the target has no request left: its deregistration is complete)
//   access        {source, sequence, dropped, entries: [AccessEntry as JSON]}   source: this start of edge
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "internal/edge_cdn.h"

namespace bastide::internal {

inline constexpr size_t kMaxEdgeSnapshotBytes = 64u << 20;

struct EdgeCertificate {
  std::vector<std::string> names;
  std::string chain_pem, key_pem;
};

struct EdgeAction {
  enum class Kind { forward, fixed, redirect } kind = Kind::fixed;
  struct Weighted {
    std::string target_group;
    int weight = 1;
  };
  std::vector<Weighted> forward;
  int status = 503;                // fixed and redirect
  std::string content_type, body;  // fixed
  // Redirect, with ELB's #{host} #{path} #{port} #{protocol} #{query}, and #{https_port} #{http_port}: the
  // ports of the sockets, which need not be 443 and 80 on this machine.
  std::string location;
};

struct EdgeRule {
  int priority = 0;
  std::vector<std::string> hosts, paths;  // patterns with * and ?; empty: any
  EdgeAction action;
};

struct EdgeListener {
  std::string id;
  std::string balancer;  // load balancer's ARN, for logs and metrics
  std::string account;
  std::string socket;                   // "https" or "http": which of serve's sockets
  std::vector<std::string> host_names;  // which names of that socket belong to this listener: exact or "*."
  std::vector<EdgeRule> rules;          // by priority
  EdgeAction fallback;
  Millis idle_timeout = 60 * kSecond;
  std::string forwarded_for = "append";  // "append", "preserve" or "remove" X-Forwarded-For
};

struct EdgeTarget {
  std::string id;  // "10.10.1.5:8080"
  std::string address;
  uint16_t port = 0;
  bool draining = false;
};

struct EdgeHealthCheck {
  bool enabled = true;
  std::string path = "/";
  std::string matcher = "200";  // "200-299,301"
  int port = 0;                 // 0: the port that receives traffic
  Millis interval = 30 * kSecond, timeout = 5 * kSecond;
  int healthy = 5, unhealthy = 2;
};

struct EdgeTargetGroup {
  std::string id;  // ARN
  std::string account, vpc;
  std::string algorithm = "round_robin";  // or "least_outstanding_requests"
  std::vector<EdgeTarget> targets;
  EdgeHealthCheck health;
  Millis deregistration_delay = 300 * kSecond;
};

struct EdgeSnapshot {
  int64_t number = 0;
  std::vector<EdgeCertificate> certificates;  // the first is the default
  std::vector<EdgeListener> listeners;
  std::vector<EdgeTargetGroup> target_groups;
  std::vector<EdgeDistribution> distributions;
  // Origins that users name may stand in private networks and on this machine. Off: such addresses are refused.
  bool private_origins = false;
  std::string authority_pem;  // the local CA: origins over HTTPS may have its certificates
};

json::Value to_json(const EdgeSnapshot&);
// Checks everything that edge relies on: ranges, bounds, references between listeners and target groups.
Result<EdgeSnapshot> edge_snapshot(const json::Value&);

// "200", "200,302", "200-299": as ELB's Matcher has them, within 200-499.
Result<std::vector<std::pair<int, int>>> parse_matcher(std::string_view text);

// One request as ELB's access log has it.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
struct AccessEntry {
  std::string type;  // "http", "https", "ws", "wss"
  Millis time = 0;   // when the answer was sent
  std::string account, balancer;
  std::string client, target;  // "ip:port"; target empty where there was none
  double request_time = -1, target_time = -1, response_time = -1;  // seconds
  int status = 0;                                                  // to the client; 460: the client left
  int target_status = 0;                                           // 0: none
  int64_t received = 0, sent = 0;
  std::string request;  // "GET https://host:443/path HTTP/1.1"
  std::string user_agent, ssl_cipher, ssl_protocol;
  std::string target_group, trace_id, domain_name;
  int rule_priority = -1;  // 0: the default action
  Millis created = 0;
  std::string action;  // "forward", "fixed-response", "redirect"
  std::string redirect_url, error_reason;
};
json::Value to_json(const AccessEntry&);
Result<AccessEntry> access_entry(const json::Value&);
std::string log_line(const AccessEntry&);  // the space-separated line of ELB's log files

}  // namespace bastide::internal
