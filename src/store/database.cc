#include "store/database.h"

#include <fcntl.h>

#include <exception>

#include "base/log.h"
#include "store/database_impl.h"
#include "store/schema.h"

namespace bastide::store {
namespace {

constexpr size_t kMaxBatch = 256;   // closures in one transaction
constexpr size_t kKeptReaders = 4;  // connections kept open

}  // namespace

Database::Database() : impl_(std::make_shared<Impl>()) {}

Result<std::unique_ptr<Database>> Database::open(const std::string& path, Clock& clock) {
  std::unique_ptr<Database> db(new Database);
  Impl& impl = *db->impl_;
  impl.path = path;
  impl.clock = &clock;
  const std::string lock_path = path + ".lock";
  impl.lock = sys::Fd(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!impl.lock) return sys::system_error(lock_path);
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (::fcntl(impl.lock.get(), F_OFD_SETLK, &whole) != 0) {
    return error("Locked", path + " is in use by another process of Bastide");
  }
  impl.writer = TRY(Connection::open(path, Connection::Mode::writer));
  TRY(migrate(*impl.writer, path));
  impl.thread = std::thread([&impl] { impl.write_loop(); });
  return db;
}

Database::~Database() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake_writer.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
  const std::lock_guard lock(impl_->mutex);
  impl_->readers.clear();
  impl_->writer.reset();
  impl_->lock.reset();
  impl_->listeners.clear();
  impl_->runners.clear();
}

bool Database::Impl::stopped() {
  const std::lock_guard lock(mutex);
  return stopping;
}

void Database::Impl::write_loop() {
  while (true) {
    std::vector<std::shared_ptr<Pending>> batch;
    {
      std::unique_lock lock(mutex);
      wake_writer.wait(lock, [this] { return stopping || !queue.empty(); });
      if (queue.empty()) return;  // what was asked for before the end is still written
      while (!queue.empty() && batch.size() < kMaxBatch) {
        batch.push_back(std::move(queue.front()));
        queue.pop_front();
      }
    }
    commit(batch);
    {
      const std::lock_guard lock(mutex);
      for (const auto& p : batch) {
        if (!p->result) continue;
        for (const auto& kind : p->wakes.changed_kinds) {
          auto& counter = changes[kind];
          if (!counter) counter = std::make_unique<std::atomic<int64_t>>(0);
          counter->fetch_add(1);
        }
      }
    }
    notify(batch);
    for (auto& p : batch) {
      const auto done = std::move(p->done);
      done();
    }
  }
}

void Database::Impl::run_one(Pending& p) {
  auto fail = [&](Error e) { p.result = std::move(e); };
  if (auto r = writer->run("SAVEPOINT one"); !r) return fail(std::move(r).error());
  Rows rows(*writer);
  try {
    p.result = p.f(rows);
  } catch (const std::exception& e) {
    p.result = error(std::string("exception in a transaction: ") + e.what());
  }
  if (!writer->in_transaction()) return;  // SQLite gave the whole transaction up; commit() sees it
  if (p.result) {
    p.wakes = rows.take_wakes();
  } else if (auto r = writer->run("ROLLBACK TO one"); !r) {
    return fail(std::move(r).error());
  }
  if (auto r = writer->run("RELEASE one"); !r) fail(std::move(r).error());
}

void Database::Impl::commit(std::vector<std::shared_ptr<Pending>>& batch) {
  auto fail_all = [&](const Error& e) {
    log::error("database: {}", e.message);
    for (auto& p : batch) {
      if (p->result) p->result = e;
    }
    if (writer->in_transaction()) {
      if (auto r = writer->run("ROLLBACK"); !r) log::error("database: {}", r.error().message);
    }
  };
  if (auto begun = writer->run("BEGIN IMMEDIATE"); !begun) return fail_all(begun.error());
  for (auto& p : batch) {
    run_one(*p);
    if (!writer->in_transaction()) {
      const Error cause =
          p->result ? error("Database", "the transaction was rolled back") : p->result.error();
      return fail_all(error("Database", cause.message));
    }
  }
  if (auto committed = writer->run("COMMIT"); !committed) fail_all(committed.error());
}

void Database::Impl::notify(const std::vector<std::shared_ptr<Pending>>& batch) {
  std::set<std::string> job_kinds;
  {
    const std::lock_guard lock(mutex);
    for (const auto& p : batch) {
      if (!p->result) continue;
      job_kinds.insert(p->wakes.job_kinds.begin(), p->wakes.job_kinds.end());
      for (const auto& [topic, key] : p->wakes.topics) {
        for (const auto& listener : listeners) {
          if (listener->topic != topic) continue;
          listener->loop->post([listener, key = key] { listener->push(key); });
        }
      }
    }
  }
  for (const auto& kind : job_kinds) wake(kind);
}

Result<void> Database::Impl::submit(std::function<Result<void>(Writer&)> f) {
  auto p = std::make_shared<Pending>();
  p->f = std::move(f);
  auto enqueue = [&]() -> Result<void> {
    {
      const std::lock_guard lock(mutex);
      if (stopping) return error("Closed", "the database is closing");
      queue.push_back(p);
    }
    wake_writer.notify_one();
    return {};
  };
  if (net::in_fiber()) {
    auto event = std::make_shared<net::Event>();
    p->done = [&loop = net::Loop::current(), event]() mutable {
      loop.post([event = std::move(event)] { event->set(); });  // the event must die on the loop
    };
    auto mine = event;
    event.reset();
    TRY(enqueue());
    mine->wait();
  } else {
    std::mutex done_mutex;
    std::condition_variable done_wake;
    bool done = false;
    p->done = [&] {
      const std::lock_guard lock(done_mutex);
      done = true;
      done_wake.notify_one();
    };
    TRY(enqueue());
    std::unique_lock lock(done_mutex);
    done_wake.wait(lock, [&] { return done; });
  }
  return std::move(p->result);
}

Result<void> Database::Impl::with_reader(const std::function<Result<void>(Connection&)>& f) {
  std::unique_ptr<Connection> c;
  {
    const std::lock_guard lock(mutex);
    if (stopping) return error("Closed", "the database is closing");
    if (!readers.empty()) {
      c = std::move(readers.back());
      readers.pop_back();
    }
  }
  if (!c) c = TRY(Connection::open(path, Connection::Mode::reader));
  TRY(c->run("BEGIN"));
  auto result = f(*c);
  TRY(c->run("COMMIT"));  // an error drops the connection
  const std::lock_guard lock(mutex);
  if (readers.size() < kKeptReaders && !stopping) readers.push_back(std::move(c));
  return result;
}

Result<void> Database::read(const std::function<Result<void>(Reader&)>& f) {
  return impl_->with_reader([&](Connection& c) -> Result<void> {
    Rows rows(c);
    return f(rows);
  });
}

Result<void> Database::write(std::function<Result<void>(Writer&)> f) { return impl_->submit(std::move(f)); }

Result<std::optional<Resource>> Database::get(const Key& key) {
  std::optional<Resource> out;
  TRY(read([&](Reader& r) -> Result<void> {
    out = TRY(r.get(key));
    return {};
  }));
  return out;
}

Result<std::vector<Resource>> Database::list(const std::string& account, const std::string& region,
                                             const std::string& kind) {
  std::vector<Resource> out;
  TRY(read([&](Reader& r) -> Result<void> {
    out = TRY(r.list(account, region, kind));
    return {};
  }));
  return out;
}

Result<std::vector<Resource>> Database::find(const std::string& kind, const std::string& index,
                                             const std::string& value) {
  std::vector<Resource> out;
  TRY(read([&](Reader& r) -> Result<void> {
    out = TRY(r.find(kind, index, value));
    return {};
  }));
  return out;
}

const std::atomic<int64_t>& Database::changes(const std::string& kind) {
  const std::lock_guard lock(impl_->mutex);
  auto& counter = impl_->changes[kind];
  if (!counter) counter = std::make_unique<std::atomic<int64_t>>(0);
  return *counter;
}

Result<void> Database::backup(const std::string& path) {
  auto c = TRY(Connection::open(impl_->path, Connection::Mode::reader));
  TRY(c->script("PRAGMA query_only=OFF"));  // VACUUM INTO writes, though not to this database
  return copy_database(*c, path);
}

}  // namespace bastide::store
