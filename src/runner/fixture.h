// What the tests of runner share: a home of their own, an image of one static program, and the proof that
// nothing is left behind: no mounts, namespaces, control groups, processes.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "internal/network.h"
#include "runner/parts.h"
#include "runner/spool_reader.h"

namespace bastide::runner {

inline constexpr const char* kStage = "111111111111";
inline constexpr const char* kProd = "222222222222";
inline constexpr const char* kVpcA = "vpc-0a0a0a0a";
inline constexpr const char* kVpcB = "vpc-0b0b0b0b";

class RunnerTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  virtual Tier tier() const { return Tier::root; }

  // A tar of a folder's content as an image layer: known to the machine; its digest.
  std::string add_layer(const std::string& folder);
  std::string program_layer();
  internal::TaskSpec task(std::vector<std::string> command, const std::string& address = "10.10.0.10");
  // A VPC in which everyone may speak to everyone, at the addresses .4 to .99.
  static Result<void> open_network(Networks& networks, const internal::NetworkSpec& spec);
  internal::TaskState wait_stopped(const std::string& id, Millis within = 10'000);
  std::string output(const std::string& id);  // all lines so far
  std::string wait_output(const std::string& id, const std::string& text);
  bool eventually(const std::function<bool()>& f, Millis within = 10'000);

  std::string home_;
  std::vector<std::string> before_;  // what other programs have there
  std::unique_ptr<Parts> machine_;
};

std::string new_id();
sys::Fd open_file(const std::string& path);
std::vector<std::string> left_behind(const std::string& home);

}  // namespace bastide::runner
