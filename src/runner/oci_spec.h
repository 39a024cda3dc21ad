// The OCI runtime configuration of a container, written by runner alone from checked values.
// https://github.com/opencontainers/runtime-spec/blob/main/config.md
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "runner/image_user.h"

namespace bastide::runner {

struct Bind {
  std::string from, to;
  bool writable = false;
};

// Instead of namespaces (shim/jail.h). Addresses in host byte order.
struct JailedPlan {
  uint32_t uid = 0, address = 0, vpc = 0, mask = 0, door = 0;
  uint16_t credentials = 0, api = 0;
  std::vector<std::string> read_only, writable;  // for Landlock; none: no rules
  std::string temporary;                         // TMPDIR and HOME
};

struct ContainerPlan {
  std::string root;  // mounted, a path of the stage
  bool read_only_root = false;
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // what is missing of PATH, HOME and HOSTNAME is added
  std::string folder = "/";
  ImageUser user;
  std::string hostname;
  uint32_t first_uid = 0;         // of the account: container's 0
  uint32_t ids = 65'536;          // 1: `first_uid` is the container's user, whoever that is
  std::string network_namespace;  // file
  std::string resolver, domain;   // of resolv.conf; both may be empty
  std::string sys;                // a sysfs of that namespace, mounted
  std::vector<Bind> binds;
  std::string cgroup;  // empty: limits of each process stand in for the group's
  int64_t cpu_units = 256, memory_mib = 512, processes = 512;
  bool limit_swap = false;
  JailedPlan jail;
};

json::Value oci_spec(const ContainerPlan& plan);

}  // namespace bastide::runner
