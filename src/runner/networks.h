// VPCs: a network namespace each with a bridge, without any way out. Tasks hang on it by a pair of devices;
// the edge reaches them from its own namespace, which has a leg in every VPC and forwards nothing.
// Thread-safe; blocking.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "internal/runner.h"
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

class Networks {
 public:
  // Makes again what <home>/runner/networks.json lists and the kernel no longer has.
  static Result<std::unique_ptr<Networks>> open(const Stage& stage);

  Result<void> ensure(const internal::NetworkSpec& spec);
  Result<void> remove(const std::string& account, const std::string& vpc);  // not while tasks are in it
  std::vector<internal::NetworkSpec> list() const;
  Result<Cidr> cidr(const std::string& account, const std::string& vpc) const;

  Result<sys::Fd> edge_namespace();  // made where it is missing

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
  Result<sys::Fd> shared_locked(const std::string& name);  // "edge" or "link"
  Result<void> save() const;

  const Stage& stage_;
  std::string folder_;
  mutable std::mutex mutex_;
  std::map<std::string, internal::NetworkSpec> known_;
};

}  // namespace bastide::runner
