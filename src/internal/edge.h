// What control and edge say to each other. Control sends whole, numbered snapshots as sealed memory files (JSON of
// the structs below); edge validates, swaps, acknowledges, and keeps the last good one.
//
// Requests of control:  snapshot {number} + fd -> {number}   or an error that says what is wrong with it
//                       status {}         -> {number, connections, requests}
// Events of edge (answered with {}; spooled, bounded, oldest dropped and counted):
//   target.health {target_group, target, state: "healthy"|"unhealthy"|"draining", reason, at}
//   access        {sequence, dropped, entries: [AccessEntry as JSON]}
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace bastide::internal {

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
  int status = 503;                        // fixed and redirect
  std::string content_type, body;          // fixed
  std::string location;                    // redirect, with ELB's #{host} #{path} #{port} #{protocol} #{query}
};

struct EdgeRule {
  int priority = 0;
  std::vector<std::string> hosts, paths;   // patterns with * and ?; empty: any
  EdgeAction action;
};

struct EdgeListener {
  std::string id;
  std::string balancer;                    // load balancer's ARN, for logs and metrics
  std::string account;
  std::string socket;                      // "https" or "http": which of serve's sockets
  std::vector<std::string> host_names;     // which names of that socket belong to this listener: exact or "*."
  std::vector<EdgeRule> rules;             // by priority
  EdgeAction fallback;
};

struct EdgeTarget {
  std::string id;                          // "10.10.1.5:8080"
  std::string address;
  uint16_t port = 0;
  bool draining = false;
};

struct EdgeHealthCheck {
  bool enabled = true;
  std::string path = "/";
  std::string matcher = "200";             // "200-299,301"
  Millis interval = 30 * kSecond, timeout = 5 * kSecond;
  int healthy = 5, unhealthy = 2;
};

struct EdgeTargetGroup {
  std::string id;                          // ARN
  std::string account, vpc;
  std::vector<EdgeTarget> targets;
  EdgeHealthCheck health;
  Millis deregistration_delay = 300 * kSecond;
};

struct EdgeSnapshot {
  int64_t number = 0;
  std::vector<EdgeCertificate> certificates;   // the first is the default
  std::vector<EdgeListener> listeners;
  std::vector<EdgeTargetGroup> target_groups;
};

json::Value to_json(const EdgeSnapshot&);
Result<EdgeSnapshot> edge_snapshot(const json::Value&);

}  // namespace bastide::internal
