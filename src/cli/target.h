// How commands on an architecture reach its accounts: as the operator in the management account, and through
// the deployment role of every other one.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "architecture/architecture.h"
#include "cli/context.h"

namespace bastide::cli {

inline constexpr const char* kAdminRole = "OrganizationAccountAccessRole";

std::string setup_profile(const std::string& account);  // "up-stage"
Result<void> save_setup_profiles(Context& context, const std::map<std::string, std::string>& accounts);
architecture::Call architecture_call(Context& context);
// The profiles of the accounts that there are already; whether there is an organisation at all.
Result<bool> find_target(Context& context, const architecture::Architecture& a);

// Only one command changes an architecture at a time: held until the process ends.
class ChangeLock {
 public:
  // "Locked": another one holds it; the message says who, since when.
  static Result<ChangeLock> take(const std::string& home, const std::string& command);
  ChangeLock(ChangeLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  ChangeLock& operator=(ChangeLock&&) = delete;
  ~ChangeLock();

 private:
  explicit ChangeLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// Asks on the terminal for a word, and compares it; false without a terminal.
bool confirmed(const std::string& question, const std::string& word);

}  // namespace bastide::cli
