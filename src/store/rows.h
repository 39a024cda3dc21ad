// Reader and Writer over one connection. A Rows lives for one closure; the writer's remembers whom to wake
// after the commit.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "store/database.h"
#include "store/sqlite.h"

namespace bastide::store {

// Whom a committed closure wakes.
struct Wakes {
  std::vector<std::pair<std::string, std::string>> topics;  // topic, key; in order
  std::set<std::string> job_kinds;
  std::set<std::string> changed_kinds;
};

class Rows final : public Writer {
 public:
  explicit Rows(Connection& db) : db_(db) {}

  Result<std::optional<Resource>> get(const Key& key) override;
  Result<std::vector<Resource>> list(const std::string& account, const std::string& region,
                                     const std::string& kind, const std::string& after, size_t limit,
                                     const std::string& id_prefix) override;
  Result<std::vector<Resource>> find(const std::string& kind, const std::string& index,
                                     const std::string& value) override;
  Result<void> put(const Key& key, const json::Value& body, const std::vector<Index>& indexes) override;
  Result<bool> remove(const Key& key) override;
  Result<void> emit(const std::string& topic, const std::string& key) override;
  Result<void> enqueue(const std::string& kind, const std::string& key, const json::Value& state,
                       Millis run_at) override;
  Result<int64_t> next(const std::string& counter) override;

  Connection& connection() { return db_; }
  Wakes take_wakes() { return std::move(wakes_); }

 private:
  Connection& db_;
  Wakes wakes_;
};

}  // namespace bastide::store
