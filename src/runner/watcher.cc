#include "runner/watcher.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>

namespace bastide::runner {
namespace {
constexpr uint64_t kStop = 0, kInotify = 1;

bool add(int epoll, int fd, uint64_t number, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = number;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}
}  // namespace

Result<std::unique_ptr<Watcher>> Watcher::start() {
  auto watcher = std::make_unique<Watcher>();
  watcher->epoll_ = sys::Fd(::epoll_create1(EPOLL_CLOEXEC));
  watcher->inotify_ = sys::Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  watcher->stop_ = sys::Fd(::eventfd(0, EFD_CLOEXEC));
  if (!watcher->epoll_ || !watcher->inotify_ || !watcher->stop_ ||
      !add(watcher->epoll_.get(), watcher->stop_.get(), kStop, EPOLLIN) ||
      !add(watcher->epoll_.get(), watcher->inotify_.get(), kInotify, EPOLLIN)) {
    return sys::system_error("watching containers");
  }
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  watcher->thread_ = std::thread([raw = watcher.get()] { raw->run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return watcher;
}

Watcher::~Watcher() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t told = ::write(stop_.get(), &one, sizeof one);
  thread_.join();
}

Result<uint64_t> Watcher::watch(const std::string& folder, sys::Fd shim, std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  const uint64_t number = next_++;
  Watched& entry = watched_[number];
  entry.wake = std::move(wake);
  entry.shim = std::move(shim);
  entry.folder = ::inotify_add_watch(inotify_.get(), folder.c_str(), IN_MOVED_TO | IN_ONLYDIR);
  entry.spool =
      ::inotify_add_watch(inotify_.get(), (folder + "/spool").c_str(), IN_MODIFY | IN_CREATE | IN_ONLYDIR);
  if (entry.folder < 0 || entry.spool < 0) {
    const Error why = sys::system_error("watching " + folder);
    watched_.erase(number);
    return why;
  }
  by_inotify_[entry.folder] = number;
  by_inotify_[entry.spool] = number;
  if (entry.shim && !add(epoll_.get(), entry.shim.get(), number, EPOLLIN | EPOLLONESHOT))
    return sys::system_error("watching a shim");
  return number;
}

void Watcher::forget(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = watched_.find(number);
  if (found == watched_.end()) return;
  for (const int watch : {found->second.folder, found->second.spool}) {
    by_inotify_.erase(watch);
    ::inotify_rm_watch(inotify_.get(), watch);
  }
  if (found->second.shim) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.shim.get(), nullptr);
  watched_.erase(found);
}

void Watcher::changed(int inotify_number) {
  const std::lock_guard lock(mutex_);
  const auto known = by_inotify_.find(inotify_number);
  if (known != by_inotify_.end()) watched_[known->second].wake();
}

void Watcher::ended(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = watched_.find(number);
  if (found != watched_.end()) found->second.wake();
}

void Watcher::run() {
  for (;;) {
    epoll_event events[32];
    const int count = ::epoll_wait(epoll_.get(), events, 32, -1);
    if (count < 0 && errno != EINTR) return;
    for (int i = 0; i < count; ++i) {
      if (events[i].data.u64 == kStop) return;
      if (events[i].data.u64 != kInotify) {
        ended(events[i].data.u64);
        continue;
      }
      alignas(inotify_event) char buffer[16 * 1024];
      ssize_t size = 0;
      while ((size = ::read(inotify_.get(), buffer, sizeof buffer)) > 0) {
        int last = -1;  // many changes of one folder in a row are one
        for (ssize_t at = 0; at < size;) {
          const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
          if (event->wd != last) changed(event->wd);
          last = event->wd;
          at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
        }
      }
    }
  }
}

}  // namespace bastide::runner
