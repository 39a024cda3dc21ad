// The metadata of the house: SQLite in WAL mode, synchronous=FULL. One writer thread with group commit: a
// mutation is a closure over a Writer, run in a savepoint; write() returns after it is on disk. It re-reads
// what it checks, never suspends and never calls out. Reads see the last commit.
//
// One process a database: opening takes an exclusive lock on `<path>.lock` (code "Locked" otherwise). Changes
// made by a closure wake listeners and jobs after its commit; wake-ups themselves are not kept, since every
// listener is called with the key "" when it begins and every 30 s.
//
// Threads: read() on the loop's thread (short) or any other; write() from any thread; inside a fiber it
// suspends.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace bastide::store {

// What a resource is found by. Global services use the region "". `kind` is service and noun: "iam.role".
struct Key {
  std::string account;
  std::string region;
  std::string kind;
  std::string id;
};

struct Resource {
  Key key;
  int64_t version = 0;  // grows by one with each write
  json::Value body;
};

// A declared way to find a resource by something else than its id: put() replaces all of them.
struct Index {
  std::string name;
  std::string value;
};

struct Job {
  int64_t id = 0;
  std::string kind;  // "cloudformation.stack", "ecs.service", ...
  std::string key;   // one job a (kind, key): a second enqueue wakes the first
  json::Value state;
  Millis run_at = 0;
  int attempts = 0;
};

class Reader {
 public:
  virtual ~Reader() = default;
  virtual Result<std::optional<Resource>> get(const Key& key) = 0;
  // In the order of ids, those after `after`; all accounts where account is "*", all regions where region is
  // "*".
  virtual Result<std::vector<Resource>> list(const std::string& account, const std::string& region,
                                             const std::string& kind, const std::string& after = "",
                                             size_t limit = 1'000'000, const std::string& id_prefix = "") = 0;
  virtual Result<std::vector<Resource>> find(const std::string& kind, const std::string& index,
                                             const std::string& value) = 0;  // all accounts and regions
};

class Writer : public Reader {
 public:
  virtual Result<void> put(const Key& key, const json::Value& body,
                           const std::vector<Index>& indexes = {}) = 0;
  virtual Result<bool> remove(const Key& key) = 0;  // whether it was there
  // After the commit, listeners of `topic` are called with `key` (a wake-up, no payload).
  virtual Result<void> emit(const std::string& topic, const std::string& key) = 0;
  // Where the job exists, it keeps its state, runs at the earlier of both times, and once more when it is
  // running now; one that is done by then starts anew with this state.
  virtual Result<void> enqueue(const std::string& kind, const std::string& key, const json::Value& state,
                               Millis run_at) = 0;
  // A number that grows by one with each call, kept for ever: next("ecs.revision/acc/family").
  virtual Result<int64_t> next(const std::string& counter) = 0;
};

class Database {
 public:
  // Opens or makes it; runs migrations after a backup; refuses a newer schema. Blocks. End it before the loop
  // on which fibers may wait in write().
  static Result<std::unique_ptr<Database>> open(const std::string& path, Clock& clock);
  ~Database();

  Result<void> read(const std::function<Result<void>(Reader&)>& f);
  Result<void> write(std::function<Result<void>(Writer&)> f);

  // Shorthands.
  Result<std::optional<Resource>> get(const Key& key);
  Result<std::vector<Resource>> list(const std::string& account, const std::string& region,
                                     const std::string& kind);
  Result<std::vector<Resource>> find(const std::string& kind, const std::string& index,
                                     const std::string& value);

  // How often committed closures changed resources of this kind: the base of caches. Load it before reading
  // what is to be cached; what was cached at another number is stale. It grows before write() returns.
  const std::atomic<int64_t>& changes(const std::string& kind);

  // Wake-ups in a fiber of the current loop (f may wait), one at a time a listener, in the order of commits;
  // also at once and every 30 s with the key "" (resync). A key that waits already is not added again.
  void listen(const std::string& topic, std::function<void(const std::string& key)> f);

  // Runs jobs of a kind as fibers of the current loop, one at a time a key. The handler returns when to run
  // again (milliseconds from now), or nothing when the job is done; an error retries with back-off.
  // It may change `job.state`, which is kept.
  using JobHandler = std::function<Result<std::optional<Millis>>(Job& job)>;
  void run_jobs(const std::string& kind, JobHandler handler);
  void wake_job(const std::string& kind, const std::string& key);

  Result<void> backup(const std::string& path);  // consistent, while running; blocks: through net::offload

 private:
  Database();
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the fibers of listeners and jobs
};

}  // namespace bastide::store
