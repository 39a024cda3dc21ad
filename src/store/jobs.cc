// Wake-ups and jobs: fibers on the loops that asked for them.
#include <algorithm>
#include <random>

#include "base/log.h"
#include "store/database_impl.h"

namespace bastide::store {
namespace {

constexpr size_t kMaxQueuedKeys = 10'000;  // of a listener; beyond, one resync stands for all
constexpr size_t kMaxRunning = 64;         // jobs of one kind at a time
constexpr Millis kFirstBackOff = kSecond;
constexpr Millis kLongestBackOff = 5 * kMinute;

Millis back_off(int attempts) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const Millis base = std::min(kLongestBackOff, kFirstBackOff << std::min(attempts, 10));
  return base / 2 + std::uniform_int_distribution<Millis>(0, base / 2)(random);
}

}  // namespace

void Database::Impl::Listener::push(const std::string& key) {
  if (queue.size() >= kMaxQueuedKeys) {
    queue.clear();
    queued.clear();
    queue.emplace_back();
    queued.insert("");
  } else if (queued.insert(key).second) {
    queue.push_back(key);
  }
  event.set();
}

void Database::listen(const std::string& topic, std::function<void(const std::string& key)> f) {
  auto listener = std::make_shared<Impl::Listener>();
  listener->topic = topic;
  listener->f = std::move(f);
  listener->loop = &net::Loop::current();
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->listeners.push_back(listener);
  }
  net::spawn([listener, impl = impl_] {
    listener->push("");
    Millis resync_at = Clock::system().steady() + kResync;
    while (!impl->stopped()) {
      while (!listener->queue.empty()) {
        const std::string key = std::move(listener->queue.front());
        listener->queue.pop_front();
        listener->queued.erase(key);
        if (impl->stopped()) return;
        listener->f(key);
      }
      const Millis left = resync_at - Clock::system().steady();
      if (left <= 0) {
        resync_at = Clock::system().steady() + kResync;
        listener->push("");
        continue;
      }
      listener->event.wait_for(left);
    }
  });
}

Result<std::vector<std::pair<Job, int64_t>>> Database::Impl::due_jobs(const std::string& kind, Millis now,
                                                                      Millis* next) {
  std::vector<std::pair<Job, int64_t>> out;
  TRY(with_reader([&](Connection& c) -> Result<void> {
    auto due =
        TRY(c.prepare("SELECT id, key, state, run_at, attempts, wakes FROM job WHERE kind=? AND run_at<=? "
                      "ORDER BY run_at LIMIT ?"));
    due.bind(kind).bind(now).bind(static_cast<int64_t>(2 * kMaxRunning));
    while (true) {
      const bool more = TRY(due.step());
      if (!more) break;
      Job job{due.number(0), kind, due.text(1), {}, due.number(3), static_cast<int>(due.number(4))};
      job.state = TRY(json::parse(due.view(2)));
      out.emplace_back(std::move(job), due.number(5));
    }
    auto later = TRY(c.prepare("SELECT min(run_at) FROM job WHERE kind=? AND run_at>?"));
    later.bind(kind).bind(now);
    const bool found = TRY(later.step());
    if (found && later.number(0) > 0) *next = std::min(*next, later.number(0));
    return {};
  }));
  return out;
}

void Database::Impl::dispatch(const std::shared_ptr<Runner>& runner) {
  while (!stopped()) {
    const Millis now = clock->wall();
    Millis next = now + kResync;
    auto due = due_jobs(runner->kind, now, &next);
    if (!due) {
      log::error("jobs {}: {}", runner->kind, due.error().message);
    } else {
      for (auto& [job, wakes] : *due) {
        if (runner->running.size() >= kMaxRunning) break;
        if (!runner->running.insert(job.key).second) continue;
        net::spawn([self = shared_from_this(), runner, job = std::move(job), wakes = wakes]() mutable {
          const std::string key = job.key;
          self->run_job(runner, std::move(job), wakes);
          runner->running.erase(key);
          runner->event.set();
        });
      }
    }
    runner->event.wait_for(std::clamp<Millis>(next - now, 1, kResync));
  }
}

void Database::Impl::run_job(const std::shared_ptr<Runner>& runner, Job job, int64_t wakes) {
  const int64_t id = job.id;
  const int attempts = job.attempts;
  const auto outcome = runner->handler(job);
  if (!outcome) log::warn("job {} {}: {}", job.kind, job.key, outcome.error().message);
  const Millis now = clock->wall();
  const std::string state = json::print(job.state);
  auto kept = submit([&, this](Writer&) -> Result<void> {
    auto current = TRY(writer->prepare("SELECT wakes, wake_state, run_at FROM job WHERE id=?"));
    const bool there = TRY(current.bind(id).step());
    if (!there) return {};
    const bool woken = current.number(0) != wakes;
    const std::string wake_state = current.text(1);
    if (outcome && !*outcome && !woken) {
      auto s = TRY(writer->prepare("DELETE FROM job WHERE id=?"));
      return s.bind(id).run();
    }
    Millis run_at = now;
    int64_t tries = 0;
    if (!outcome) {
      run_at = now + back_off(attempts);
      tries = attempts + 1;
    } else if (*outcome && !woken) {
      run_at = now + std::max<Millis>(0, **outcome);
    }
    const bool anew = outcome && !*outcome;
    auto s = TRY(writer->prepare("UPDATE job SET state=?, run_at=?, attempts=? WHERE id=?"));
    return s.bind(anew ? std::string_view(wake_state) : std::string_view(state))
        .bind(run_at)
        .bind(tries)
        .bind(id)
        .run();
  });
  if (kept) return;
  log::error("job {} {}: its outcome could not be kept: {}", job.kind, job.key, kept.error().message);
  if (!stopped()) net::sleep_for(kFirstBackOff);  // it runs again: do not spin
}

void Database::run_jobs(const std::string& kind, JobHandler handler) {
  auto runner = std::make_shared<Impl::Runner>();
  runner->kind = kind;
  runner->handler = std::move(handler);
  runner->loop = &net::Loop::current();
  {
    const std::lock_guard lock(impl_->mutex);
    CHECK(!impl_->runners.contains(kind));
    impl_->runners[kind] = runner;
  }
  net::spawn([impl = impl_, runner] { impl->dispatch(runner); });
}

void Database::Impl::wake(const std::string& job_kind) {
  const std::lock_guard lock(mutex);
  const auto it = runners.find(job_kind);
  if (it == runners.end() || stopping) return;
  it->second->loop->post([runner = it->second] { runner->event.set(); });
}

void Database::wake_job(const std::string& kind, const std::string& key) {
  const Millis now = impl_->clock->wall();
  auto woken = impl_->submit([&, this](Writer&) -> Result<void> {
    auto s =
        TRY(impl_->writer->prepare("UPDATE job SET run_at=min(run_at, ?), wakes=wakes+1, wake_state=state "
                                   "WHERE kind=? AND key=?"));
    return s.bind(now).bind(kind).bind(key).run();
  });
  if (!woken) log::error("job {} {}: {}", kind, key, woken.error().message);
  impl_->wake(kind);
}

}  // namespace bastide::store
