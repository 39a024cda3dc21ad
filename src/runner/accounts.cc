#include "runner/accounts.h"

#include <cstdlib>

#include "base/crypto.h"
#include "base/json.h"
#include "runner/spawn.h"
#include "sys/file.h"

namespace bastide::runner {

Result<std::unique_ptr<Accounts>> Accounts::open(const std::string& file, const Ids& ids) {
  auto accounts = std::make_unique<Accounts>();
  accounts->ids_ = ids;
  accounts->file_ = file;
  auto text = sys::read_file(file, 1 << 20);
  if (!text) {
    if (text.error().code == "NotFound") return accounts;
    return std::move(text).error();
  }
  const auto json = TRY(json::parse(*text));
  for (const auto& [account, range] : json.get_object("ranges")) {
    if (!range.is_int() || range.integer() < 1 || range.integer() > kMaxAccounts)
      return error("Invalid", file + ": a range is wrong");
    accounts->ranges_[account] = static_cast<uint32_t>(range.integer());
  }
  return accounts;
}

Result<uint32_t> Accounts::first_uid(const std::string& account) {
  if (!ids_.per_account) return ids_.neutral;
  const std::lock_guard lock(mutex_);
  const auto known = ranges_.find(account);
  if (known != ranges_.end()) return kFirstUid + known->second * kIdsEach;
  uint32_t next = 1;
  for (const auto& [name, range] : ranges_) next = std::max(next, range + 1);
  if (next > kMaxAccounts)
    return error("TooLarge", "more than " + std::to_string(kMaxAccounts) + " accounts");
  auto ranges = json::object();
  for (const auto& [name, range] : ranges_) ranges[name] = int64_t{range};
  ranges[account] = int64_t{next};
  TRY(sys::write_file(file_, json::pretty(json::object({{"ranges", ranges}}))));
  ranges_[account] = next;
  return kFirstUid + next * kIdsEach;
}

Result<uint32_t> Accounts::task_uid(const std::string& account, const std::string& id) {
  const uint32_t first = TRY(first_uid(account));
  if (!ids_.per_account) return first;
  const auto number = std::strtoul(sha256_hex(id).substr(0, 8).c_str(), nullptr, 16);
  return first + 1 + static_cast<uint32_t>(number % (kIdsEach - 1));
}

Result<sys::Fd> Accounts::mapping(const std::string& account) {
  const uint32_t first = TRY(first_uid(account));
  const std::lock_guard lock(mutex_);
  sys::Fd& made = mappings_[account];
  if (!made) {
    auto fresh = make_user_namespace({.inside = ids_.neutral, .outside = first, .count = kIdsEach});
    if (!fresh) return std::move(fresh).error();
    made = std::move(*fresh);
  }
  return made.duplicate();
}

}  // namespace bastide::runner
