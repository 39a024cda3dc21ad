// VPCs: a network namespace each with a bridge, without any way out. Tasks hang on it by a pair of devices;
// the edge reaches them from its own namespace, which has a leg in every VPC and forwards nothing. VPCs meet in the
// namespace `core` alone, by the paths that control names. Who may speak to whom inside is each endpoint's own filter
// (packet_filter.h), of which the containers cannot see or change anything.
// Thread-safe; blocking.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "internal/network.h"
#include "internal/runner.h"
#include "runner/resolver.h"
#include "runner/stage.h"
#include "runner/validate.h"
#include "sys/fd.h"

namespace bastide::runner {

// Of a task: its namespace and the two sockets that it reaches at 169.254.170.2, ports 80 and 4566. They are
// not in its own namespace, where they would take these ports from a program that listens on all addresses,
// but in one for all tasks, `link`, each bound to the device that leads to its task.
struct TaskNetwork {
  sys::Fd ns, credentials, api;  // no ns where the tier has none
};

inline constexpr const char* kLinkDevice = "ecs0";  // of a task, towards 169.254.170.2
// A device's name, of at most 15 characters: "t-..." of a task, "l-..." of its link, "v-..." of the edge's leg,
// "c-..." of a VPC's leg in core.
std::string network_device(char kind, const std::string& of);

class Networks {
 public:
  // Makes again what <home>/runner/networks.json lists and the kernel no longer has.
  static Result<std::unique_ptr<Networks>> open(const Stage& stage);

  Result<void> ensure(const internal::NetworkSpec& spec);
  Result<void> remove(const std::string& account, const std::string& vpc);  // not while tasks are in it
  std::vector<internal::NetworkSpec> list() const;
  Result<Cidr> cidr(const std::string& account, const std::string& vpc) const;

  Result<sys::Fd> edge_namespace();  // made where it is missing

  // networks_policy.cc. In the kernel and on disk when they return.
  Result<void> apply(const internal::NetworkPolicy& policy);
  Result<void> set_paths(const std::vector<internal::NetworkPath>& paths);
  std::string domain(const std::string& account, const std::string& vpc) const;
  // From now on the namespace of `id` follows the policy of its VPC. Waits a moment for a policy that names the
  // address; without one nothing passes. `link`: it reaches 169.254.170.2.
  Result<void> guard(const std::string& id, const std::string& account, const std::string& vpc,
                     const std::string& address, bool link);

  // A namespace on the VPC's bridge that is nobody's task: a database, the bastion, the VPN.
  Result<sys::Fd> attach(const std::string& id, const std::string& account, const std::string& vpc,
                         const std::string& address);
  Result<void> detach(const std::string& id, const std::string& account, const std::string& vpc);
  bool attached(const std::string& account, const std::string& vpc) const;  // anything that is guarded

  Result<TaskNetwork> add_task(const internal::TaskSpec& spec);
  Result<TaskNetwork> listen_again(const std::string& task);  // its sockets anew
  Result<void> remove_task(const std::string& account, const std::string& vpc, const std::string& task);
  // A namespace with nothing but loopback, for a sandbox.
  Result<void> add_lonely(const std::string& id);
  Result<void> remove_lonely(const std::string& id);
  std::string task_file(const std::string& id) const { return folder_ + "/t-" + id; }

 private:
  explicit Networks(const Stage& stage) : stage_(stage), folder_(stage.path() + "/net") {}
  std::string key(const std::string& account, const std::string& vpc) const { return account + "-" + vpc; }
  std::string vpc_file(const std::string& key) const { return folder_ + "/" + key; }
  Result<TaskNetwork> add_plain_task(const internal::TaskSpec& spec);  // networks_plain.cc
  Result<void> check_plain(const internal::NetworkSpec& spec) const;
  Result<void> make(const internal::NetworkSpec& spec);
  Result<sys::Fd> link_namespace();
  Result<TaskNetwork> join(const std::string& id, const std::string& account, const std::string& vpc,
                           const std::string& address, bool link);
  Result<sys::Fd> shared_locked(const std::string& name);  // "edge", "link" or "core"
  Result<void> save() const;
  Result<void> serve_names(const std::string& name, const Cidr& range);
  Result<void> open_policies();
  Result<void> forget_policy(const std::string& name);
  Result<void> load_core();  // with filter_mutex_
  Result<void> filter(const std::string& id);  // with filter_mutex_

  const Stage& stage_;
  std::string folder_;
  mutable std::mutex mutex_;
  std::map<std::string, internal::NetworkSpec> known_;

  struct Guarded {
    std::string network;  // key()
    uint32_t address = 0, resolver = 0;
    bool link = false;
  };
  std::unique_ptr<Resolver> resolver_;
  mutable std::mutex filter_mutex_;  // never with mutex_ taken after it
  std::condition_variable policy_changed_;
  std::map<std::string, internal::NetworkPolicy> policies_;
  std::vector<internal::NetworkPath> paths_;
  std::map<std::string, Guarded> guarded_;
};

}  // namespace bastide::runner
