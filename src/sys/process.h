// Child processes. run() blocks: on a reactor thread call it through net::offload.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace bastide::sys {

struct Command {
  std::vector<std::string> argv;              // argv[0] is looked up in PATH
  std::vector<std::string> env;               // "K=V"; with inherit_env these are added
  bool inherit_env = true;
  std::string folder;                         // working folder; empty: this process's
  std::string input;                          // fed to standard input
  int input_fd = -1;                          // or: standard input is this descriptor
  int output_fd = -1;                         // or: standard output goes there, and `output` stays empty
  Millis timeout = 10 * kMinute;              // then SIGKILL to its process group
  size_t max_output = 16u << 20;              // of stdout and stderr each; more is read and dropped
};

struct Outcome {
  int status = 0;      // exit status, or 128 + signal
  std::string output;  // stdout
  std::string errors;  // stderr
  bool timed_out = false;
};

// Runs to the end. An error only where it could not be started; look at `status`.
Result<Outcome> run(const Command& command);

// Like run(), but a status other than 0 is an error that quotes stderr's end.
Result<std::string> run_ok(const Command& command);

}  // namespace bastide::sys
