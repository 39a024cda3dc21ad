// The names of a VPC: answers on the second address of its range, UDP port 53, from what control last said. It
// asks nobody: a name that is not the VPC's own does not exist. One thread for all VPCs. Thread-safe.
// https://datatracker.ietf.org/doc/html/rfc1035
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "sys/fd.h"

namespace bastide::runner {

using Names = std::map<std::string, std::vector<uint32_t>>;  // lower case, no dot at the end; host byte order

// The answer to a query; empty where there is nothing to answer. `turn` rotates the addresses.
std::string answer_query(std::string_view query, const Names& names, unsigned turn);

class Resolver {
 public:
  static Result<std::unique_ptr<Resolver>> start();
  ~Resolver();

  Result<void> serve(const std::string& vpc, sys::Fd socket);  // bound, of the VPC's namespace
  bool serves(const std::string& vpc);
  void set(const std::string& vpc, Names names);
  void drop(const std::string& vpc);

 private:
  struct Served {
    sys::Fd socket;
    Names names;
  };
  void run();

  sys::Fd epoll_, stop_;
  std::mutex mutex_;
  uint64_t next_ = 1;
  std::map<std::string, uint64_t> numbers_;
  std::map<uint64_t, Served> served_;
  std::map<std::string, Names> waiting_;  // said before the socket came
  std::thread thread_;
};

}  // namespace bastide::runner
