// What database.cc and jobs.cc share.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "net/loop.h"
#include "store/database.h"
#include "store/rows.h"
#include "store/sqlite.h"
#include "sys/fd.h"

namespace bastide::store {

inline constexpr Millis kResync = 30 * kSecond;

struct Database::Impl : std::enable_shared_from_this<Database::Impl> {
  // A write on its way. `done` is called by the writer thread when `result` is set.
  struct Pending {
    std::function<Result<void>(Writer&)> f;
    Result<void> result;
    Wakes wakes;
    std::function<void()> done;
  };

  // One topic's subscriber. All but `loop` belongs to the loop's thread.
  struct Listener {
    std::string topic;
    std::function<void(const std::string&)> f;
    net::Loop* loop = nullptr;
    std::deque<std::string> queue;
    std::set<std::string> queued;
    net::Event event;
    void push(const std::string& key);
  };

  // The runner of one kind of jobs. All but `loop` belongs to the loop's thread.
  struct Runner {
    std::string kind;
    JobHandler handler;
    net::Loop* loop = nullptr;
    std::set<std::string> running;
    net::Event event;
  };

  std::string path;
  Clock* clock = nullptr;
  sys::Fd lock;
  std::unique_ptr<Connection> writer;
  std::thread thread;

  std::mutex mutex;  // of everything below
  std::condition_variable wake_writer;
  std::deque<std::shared_ptr<Pending>> queue;
  bool stopping = false;
  std::vector<std::unique_ptr<Connection>> readers;
  std::map<std::string, std::unique_ptr<std::atomic<int64_t>>> changes;
  std::vector<std::shared_ptr<Listener>> listeners;
  std::map<std::string, std::shared_ptr<Runner>> runners;

  void write_loop();
  void commit(std::vector<std::shared_ptr<Pending>>& batch);
  void run_one(Pending& p);
  void notify(const std::vector<std::shared_ptr<Pending>>& batch);
  bool stopped();

  Result<void> submit(std::function<Result<void>(Writer&)> f);
  Result<void> with_reader(const std::function<Result<void>(Connection&)>& f);

  Result<std::vector<std::pair<Job, int64_t>>> due_jobs(const std::string& kind, Millis now, Millis* next);
  void dispatch(const std::shared_ptr<Runner>& runner);
  void run_job(const std::shared_ptr<Runner>& runner, Job job, int64_t wakes);
  void wake(const std::string& job_kind);
};

}  // namespace bastide::store
