#include "runner/resolver.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bastide::runner {
namespace {

constexpr size_t kHeader = 12;
constexpr size_t kMaxQuery = 512;  // without EDNS, RFC 1035 4.2.1
constexpr size_t kMaxAnswers = 24;
constexpr uint32_t kTimeToLive = 5;  // seconds
constexpr uint16_t kTypeA = 1, kTypeAny = 255, kClassIn = 1;
constexpr int kBatch = 64;

uint16_t number(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<unsigned char>(bytes[at]) << 8 | static_cast<unsigned char>(bytes[at + 1]));
}

void put(std::string& out, uint32_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

}  // namespace

std::string answer_query(std::string_view query, const Names& names, unsigned turn) {
  if (query.size() < kHeader || (query[2] & 0x80) != 0) return "";  // an answer is not answered
  std::string name;
  size_t at = kHeader;
  bool well = number(query, 4) == 1;
  while (well) {
    if (at >= query.size()) {
      well = false;
      break;
    }
    const auto length = static_cast<unsigned char>(query[at++]);
    if (length == 0) break;
    well = length < 64 && at + length <= query.size() && name.size() + length < 255;
    if (!well) break;
    if (!name.empty()) name += '.';
    for (const char c : query.substr(at, length))
      name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    at += length;
  }
  well = well && at + 4 <= query.size();
  const int operation = (query[2] >> 3) & 15;
  std::string out(query.substr(0, 2));
  const auto finish = [&](int code, bool known, const std::vector<uint32_t>& addresses) {
    out.push_back(static_cast<char>(0x80 | (query[2] & 0x79) | (known ? 0x04 : 0)));  // response, authoritative
    out.push_back(static_cast<char>(0x80 | code));                                    // recursion available
    const auto count = std::min(addresses.size(), kMaxAnswers);
    put(out, well ? 1 : 0, 2);
    put(out, static_cast<uint32_t>(count), 2);
    put(out, 0, 4);
    if (well) out.append(query.substr(kHeader, at + 4 - kHeader));
    for (size_t i = 0; i < count; ++i) {
      put(out, 0xc00c, 2);  // the name of the question
      put(out, kTypeA, 2);
      put(out, kClassIn, 2);
      put(out, kTimeToLive, 4);
      put(out, 4, 2);
      put(out, addresses[(i + turn) % addresses.size()], 4);
    }
    return out;
  };
  constexpr int kFormatError = 1, kNoSuchName = 3, kNotImplemented = 4;
  if (!well) return finish(kFormatError, false, {});
  if (operation != 0) return finish(kNotImplemented, false, {});
  const auto found = names.find(name);
  if (found == names.end()) return finish(kNoSuchName, true, {});
  const uint16_t type = number(query, at), of = number(query, at + 2);
  const bool wanted = of == kClassIn && (type == kTypeA || type == kTypeAny);
  return finish(0, true, wanted ? found->second : std::vector<uint32_t>{});
}

Result<std::unique_ptr<Resolver>> Resolver::start() {
  std::unique_ptr<Resolver> resolver(new Resolver);
  resolver->epoll_ = sys::Fd(::epoll_create1(EPOLL_CLOEXEC));
  resolver->stop_ = sys::Fd(::eventfd(0, EFD_CLOEXEC));
  if (!resolver->epoll_ || !resolver->stop_) return sys::system_error("the resolver");
  epoll_event event{.events = EPOLLIN, .data = {.u64 = 0}};
  if (::epoll_ctl(resolver->epoll_.get(), EPOLL_CTL_ADD, resolver->stop_.get(), &event) != 0)
    return sys::system_error("the resolver");
  resolver->thread_ = std::thread([r = resolver.get()] { r->run(); });
  return resolver;
}

Resolver::~Resolver() {
  const uint64_t one = 1;
  if (stop_ && ::write(stop_.get(), &one, sizeof one) == sizeof one && thread_.joinable()) thread_.join();
}

Result<void> Resolver::serve(const std::string& vpc, sys::Fd socket) {
  const std::lock_guard lock(mutex_);
  if (const auto old = numbers_.find(vpc); old != numbers_.end()) served_.erase(old->second);
  const uint64_t at = next_++;
  epoll_event event{.events = EPOLLIN, .data = {.u64 = at}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &event) != 0) return sys::system_error("the resolver");
  numbers_[vpc] = at;
  served_[at].socket = std::move(socket);
  if (const auto said = waiting_.find(vpc); said != waiting_.end()) {
    served_[at].names = std::move(said->second);
    waiting_.erase(said);
  }
  return {};
}

bool Resolver::serves(const std::string& vpc) {
  const std::lock_guard lock(mutex_);
  return numbers_.contains(vpc);
}

void Resolver::set(const std::string& vpc, Names names) {
  const std::lock_guard lock(mutex_);
  const auto found = numbers_.find(vpc);
  (found == numbers_.end() ? waiting_[vpc] : served_[found->second].names) = std::move(names);
}

void Resolver::drop(const std::string& vpc) {
  const std::lock_guard lock(mutex_);
  waiting_.erase(vpc);
  const auto found = numbers_.find(vpc);
  if (found == numbers_.end()) return;
  served_.erase(found->second);
  numbers_.erase(found);
}

void Resolver::run() {
  unsigned turn = 0;
  for (;;) {
    epoll_event events[kBatch];
    const int n = ::epoll_wait(epoll_.get(), events, kBatch, -1);
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < n; ++i) {
      if (events[i].data.u64 == 0) return;
      const auto found = served_.find(events[i].data.u64);
      if (found == served_.end()) continue;
      for (int left = kBatch; left > 0; --left) {
        char query[kMaxQuery];
        sockaddr_in from{};
        socklen_t size = sizeof from;
        const ssize_t got = ::recvfrom(found->second.socket.get(), query, sizeof query, MSG_DONTWAIT,
                                       reinterpret_cast<sockaddr*>(&from), &size);
        if (got < 0) break;
        const auto answer = answer_query({query, static_cast<size_t>(got)}, found->second.names, turn++);
        // A client that cannot take it asks again.
        if (!answer.empty() &&
            ::sendto(found->second.socket.get(), answer.data(), answer.size(), MSG_DONTWAIT,
                     reinterpret_cast<sockaddr*>(&from), size) < 0)
          break;
      }
    }
  }
}

}  // namespace bastide::runner
