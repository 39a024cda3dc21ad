// What the host does, from /proc: processor, memory, disks, network, load and pressure, under the names of
// the CloudWatch agent.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/metrics-collected-by-CloudWatch-agent.html
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/time.h"
#include "store/metrics.h"

namespace bastide::agent {

class Host {
 public:
  // `root`: where /proc is, for tests. `disk`: the folder whose file system counts.
  explicit Host(std::string disk, std::string root = "");
  // What changed since the last call, and what is now. Reads a dozen small files.
  std::vector<store::MetricSample> collect(const std::string& account, const std::string& region, Millis now);

 private:
  struct Cpu {
    double user = 0, system = 0, idle = 0, iowait = 0, steal = 0, total = 0;
  };
  std::string disk_, root_;
  std::string host_;
  Cpu cpu_;
  std::map<std::string, double> counters_;
  Millis at_ = 0;
};

}  // namespace bastide::agent
