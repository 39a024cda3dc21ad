// What control and runner say to each other (net::Channel messages). Control sends ids, sizes and descriptors
// only: never a path, uid, mount or capability. Every struct has to_json/from_json in runner.cc.
//
// Requests of control:
//   layers.missing {digests}             -> {digests}           which layers runner still needs
//   layers.put     {digest, media_type}  + fd of the blob -> {} unpacked by an unprivileged child, then known
//   network.ensure NetworkSpec           -> {}                  idempotent
//   network.remove {account, vpc}        -> {}
//   network.list   {}                    -> {networks: [NetworkSpec]}
//   network.policy, network.paths: internal/network.h
//   edge.namespace {}                    -> {inode} + fd of the network namespace in which the edge reaches every
//                                           task's address (setns); another inode after a reconnect: enter again.
//                                           {loopback: true} without fds where tasks have an address of 127/8 each
//                                           (internal/loopback.h). In the tier userns a second fd is the user namespace to enter first.
//                                           The role edge may ask this and `status`, and nothing else.
//   task.start     TaskSpec              -> TaskState + fds of the task's two listeners (see below)
//   task.stop      {id, timeout_ms}      -> {}                  SIGTERM (or the image's StopSignal), then SIGKILL
//   task.list      {}                    -> {tasks: [TaskState]}  also those that ended and were not forgotten
//   task.listeners {id}                  -> {} + the two descriptors, made anew where they were lost
//   task.forget    {id}                  -> {}                  its state, spool and root filesystem go
//   sandbox.open   SandboxSpec           + fd of a tar of the workspace -> {}
//   sandbox.exec   SandboxExec           -> {status, timed_out, out_of_memory}; output comes as sandbox.output events meanwhile
//   sandbox.export {id, what: "workspace"|"changes"} -> {} + fd of a tar (what "changes": an OCI layer)
//   sandbox.close  {id}                  -> {}
//   status         {}                    -> {tier, guarantees: [{name, enforced, why}]}
// Events of runner (control answers each with {}; runner repeats them until then, oldest dropped and counted):
//   task.changed   TaskState
//   task.output    {id, sequence, dropped, lines: [{time, text}]}  sequence: of the first line, the others follow
//                  without a gap; dropped: lines that were lost before it. Sent again until answered.
//   sandbox.output {id, text}
//
// Each task has two listening sockets, of its own, both of which control accepts on: 169.254.170.2:80 (the ECS
// credential endpoint and task metadata) and 169.254.170.2:4566 (Bastide's API): a container needs no other path to
// the host. They leave these ports of its own addresses free. In the tiers without a network namespace they are on the task's own
// 127/8 address, ports 80 and 4566 or the next free ones; TaskState says where.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace bastide::internal {

struct NetworkSpec {
  std::string account;
  std::string vpc;        // vpc-...
  std::string cidr;       // "10.10.0.0/16"; the second address is the bridge's, the third the resolver's, the fourth the edge's leg
};

struct ImageConfig {      // of the OCI image configuration, as the task runs it
  std::vector<std::string> entrypoint, command;
  std::vector<std::string> environment;  // "K=V"
  std::string user;                      // "", "name", "uid", "uid:gid"
  std::string working_folder;
  std::string stop_signal;               // "SIGTERM"
};

struct TaskSpec {
  std::string id;         // 32 hexadecimal digits
  std::string account, vpc, address;     // address: IPv4 inside the VPC's range, chosen by control
  std::vector<std::string> layers;       // digests, lowest first; all known to runner
  ImageConfig image;
  int64_t cpu_units = 256;               // 1024 a core
  int64_t memory_mib = 512;
  int64_t processes = 512;
  bool read_only_root = false;
  std::string hostname;
};

struct TaskState {
  std::string id, account;
  std::string state;      // "starting", "running", "stopped"
  std::string address;    // where the edge reaches it
  std::string api_address;         // "169.254.170.2:4566"
  std::string credentials_address; // "169.254.170.2:80"
  Millis started_at = 0, stopped_at = 0;
  int exit_status = -1;
  std::string reason;     // "OutOfMemory", "killed by signal 9", ""
};

struct SandboxSpec {
  std::string id;
  std::string account;
  bool host_tools = false;               // the host's /usr read-only as base
  std::vector<std::string> layers;       // or an image
  std::string workspace = "/src";        // where the tar is unpacked; empty: no workspace
  int64_t cpu_units = 2048, memory_mib = 2048, processes = 2048;
  bool network = false;
};

struct SandboxExec {
  std::string id;
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::string folder;                    // empty: the workspace
  std::string user;                      // as in ImageConfig
  Millis timeout = 10 * kMinute;
};

json::Value to_json(const NetworkSpec&);
json::Value to_json(const ImageConfig&);
json::Value to_json(const TaskSpec&);
json::Value to_json(const TaskState&);
json::Value to_json(const SandboxSpec&);
json::Value to_json(const SandboxExec&);
Result<NetworkSpec> network_spec(const json::Value&);
Result<ImageConfig> image_config(const json::Value&);
Result<TaskSpec> task_spec(const json::Value&);
Result<TaskState> task_state(const json::Value&);
Result<SandboxSpec> sandbox_spec(const json::Value&);
Result<SandboxExec> sandbox_exec(const json::Value&);

}  // namespace bastide::internal
