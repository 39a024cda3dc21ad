// One supervised process of this binary: started with named descriptors, restarted with back-off when it ends.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace bastide::serve {

class Role {
 public:
  Role(std::string name, std::vector<std::string> arguments) : name_(std::move(name)), arguments_(std::move(arguments)) {}

  // Runs as this user, with the home as its HOME and working folder.
  void run_as(uid_t uid, std::string home) {
    uid_ = uid;
    home_ = std::move(home);
  }
  // The child finds the descriptor under `--fd name=number`.
  void give(std::string name, int fd) { descriptors_.emplace_back(std::move(name), fd); }

  Result<void> start(const std::string& program);
  // After its process ended: when it may start again (steady milliseconds).
  // `expected`: it was told to.
  void ended(int status, Millis now, bool expected);
  void signal(int number) const;

  const std::string& name() const { return name_; }
  pid_t pid() const { return pid_; }
  Millis restart_at() const { return restart_at_; }

 private:
  std::string name_;
  std::vector<std::string> arguments_;
  std::vector<std::pair<std::string, int>> descriptors_;
  uid_t uid_ = 0;  // 0: as serve
  std::string home_;
  pid_t pid_ = -1;
  Millis started_at_ = 0;
  Millis restart_at_ = 0;
  Millis back_off_ = 0;
};

}  // namespace bastide::serve
