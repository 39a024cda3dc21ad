#include "net/message.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>

#include "base/log.h"
#include "net/descriptor.h"
#include "net/loop.h"
#include "net/packet.h"
#include "net/socket_address.h"

namespace bastide::net {
namespace {

constexpr size_t kMaxRunning = 1024;  // handlers of one channel at a time
constexpr size_t kMaxEarly = 64;      // messages that came before on_message()
constexpr Millis kSendTimeout = 30 * kSecond;
constexpr int kOldestProtocol = std::max(1, kRoleProtocol - 1);

Error closed_error() { return error("Closed", "the channel is closed"); }

json::Value hello(const std::string& role) {
  json::Value speaks = json::array();
  for (int version = kOldestProtocol; version <= kRoleProtocol; ++version) speaks.push(version);
  return json::object({{"hello", role}, {"version", kRoleProtocol}, {"speaks", std::move(speaks)}});
}

Result<std::string> check_hello(const json::Value& said) {
  constexpr size_t kMaxRole = 64;
  const std::string role = said.get("hello");
  if (role.empty() || role.size() > kMaxRole) return error("Invalid", "the other role does not say hello");
  for (const auto& version : said.get_array("speaks")) {
    if (!version.is_int()) continue;
    if (version.integer() >= kOldestProtocol && version.integer() <= kRoleProtocol) return role;
  }
  return error("Invalid", "'" + role + "' speaks no version of the protocol that is spoken here");
}

}  // namespace

struct Channel::Impl : std::enable_shared_from_this<Channel::Impl> {
  struct Call {
    Event answered;
    std::optional<Result<Message>> answer;
  };

  explicit Impl(sys::Fd f) : fd(std::move(f)), ready(fd.get()) {}
  Result<void> greet(const std::string& my_role, Millis timeout);
  Result<void> send(const json::Value& body, const std::vector<sys::Fd>& fds);
  void read_on();
  void take(Packet packet);
  void take_answer(int64_t id, json::Value body, std::vector<sys::Fd> fds);
  void dispatch(Message message);
  void answer(int64_t id, Result<Message> result);
  void close(bool by_peer);

  sys::Fd fd;
  Descriptor ready;
  std::string peer_role;
  int64_t next_id = 1;
  std::map<int64_t, Call*> calls;
  std::shared_ptr<std::function<Result<Message>(Message)>> handler;  // kept by each run of it
  std::function<void()> on_close;
  std::deque<Message> early;
  size_t running = 0;
  bool open = true;
  bool gone = false;  // by the peer
};

Result<void> Channel::Impl::greet(const std::string& my_role, Millis timeout) {
  const Millis end = Clock::system().steady() + timeout;
  TRY(send(hello(my_role), {}));
  for (;;) {
    auto packet = TRY(receive_packet(fd.get()));
    if (packet) {
      const auto said = TRY(json::parse(packet->bytes));
      peer_role = TRY(check_hello(said));
      return {};
    }
    const Millis left = end - Clock::system().steady();
    if (left <= 0 || ready.wait(Direction::read, left) == Wake::timeout) {
      return error("Timeout", "the other role did not say hello in time");
    }
  }
}

Result<void> Channel::Impl::send(const json::Value& body, const std::vector<sys::Fd>& fds) {
  const std::string bytes = json::print(body);
  const Millis end = Clock::system().steady() + kSendTimeout;
  for (;;) {
    if (!open) return closed_error();
    if (TRY(send_packet(fd.get(), bytes, fds))) return {};
    const Millis left = end - Clock::system().steady();
    if (left <= 0 || ready.wait(Direction::write, left) == Wake::timeout) {
      return error("Timeout", "the other role takes no messages");
    }
  }
}

// Waits without a fiber; a bounded number of packets before others get their turn.
void Channel::Impl::read_on() {
  if (!open) return;
  ready.when_ready(Direction::read, kHour, [self = shared_from_this()](Wake) {
    constexpr int kAtOnce = 32;
    for (int i = 0; i < kAtOnce && self->open; ++i) {
      auto packet = receive_packet(self->fd.get());
      if (!packet) {
        if (packet.error().code != "Closed") log::warn("{}: {}", self->peer_role, packet.error().message);
        return self->close(true);
      }
      if (!*packet) break;
      self->take(std::move(**packet));
    }
    self->read_on();
  });
}

void Channel::Impl::take(Packet packet) {
  auto parsed = json::parse(packet.bytes);
  if (!parsed || !parsed->is_object()) {
    log::warn("{} sent a message that is not a JSON object", peer_role);
    return close(true);
  }
  json::Value& body = *parsed;
  if (const auto* id = body.find("answer"); id != nullptr && id->is_int()) {
    return take_answer(id->integer(), std::move(body), std::move(packet.fds));
  }
  Message message{std::move(body), std::move(packet.fds)};
  if (handler) return dispatch(std::move(message));
  if (early.size() < kMaxEarly) early.push_back(std::move(message));
}

void Channel::Impl::take_answer(int64_t id, json::Value body, std::vector<sys::Fd> fds) {
  const auto found = calls.find(id);
  if (found == calls.end()) return;  // it came after its time-out
  if (const auto* failed = body.find("error"); failed != nullptr) {
    found->second->answer.emplace(error(failed->get("code"), failed->get("message")));
  } else {
    auto* ok = body.find("ok");
    found->second->answer.emplace(Message{ok != nullptr ? std::move(*ok) : json::object(), std::move(fds)});
  }
  found->second->answered.set();
}

void Channel::Impl::dispatch(Message message) {
  std::optional<int64_t> id;
  if (const auto* number = message.body.find("call"); number != nullptr && number->is_int())
    id = number->integer();
  message.body.remove("call");
  if (running >= kMaxRunning) {
    log::warn("{}: more than {} messages at a time", peer_role, kMaxRunning);
    if (id)
      spawn([self = shared_from_this(), id] {
        self->answer(*id, error("Busy", "too many requests at a time"));
      });
    return;
  }
  ++running;
  auto held = std::make_shared<Message>(std::move(message));
  spawn([self = shared_from_this(), id, held] {
    const auto handler = self->handler;
    auto result = handler ? (*handler)(std::move(*held)) : Result<Message>(closed_error());
    --self->running;
    if (id) {
      self->answer(*id, std::move(result));
    } else if (!result) {
      log::warn("an event of {}: {}", self->peer_role, result.error().message);
    }
  });
}

void Channel::Impl::answer(int64_t id, Result<Message> result) {
  Result<void> sent;
  if (result) {
    sent = send(json::object({{"answer", id}, {"ok", std::move(result->body)}}), result->fds);
    if (sent || sent.error().code != "TooLarge") return;
    result = std::move(sent).error();
  }
  constexpr size_t kMaxText = 8u << 10;
  const auto& e = result.error();
  const auto failed =
      json::object({{"code", e.code.substr(0, 256)}, {"message", e.message.substr(0, kMaxText)}});
  sent = send(json::object({{"answer", id}, {"error", failed}}), {});
  if (!sent && sent.error().code != "Closed")
    log::warn("an answer to {}: {}", peer_role, sent.error().message);
}

void Channel::Impl::close(bool by_peer) {
  if (!open) return;
  open = false;
  gone = by_peer;
  ready.detach();
  fd.reset();
  early.clear();
  handler.reset();
  for (auto& [id, call] : calls) call->answered.set();
  if (by_peer && on_close) spawn(std::exchange(on_close, nullptr));
}

Result<std::unique_ptr<Channel>> Channel::connect(const std::string& path, const std::string& my_role,
                                                  Millis timeout) {
  const auto at = TRY(SocketAddress::unix_path(path));
  sys::Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return sys::system_error("socket");
  const Millis end = Clock::system().steady() + timeout;
  while (::connect(fd.get(), at.get(), at.size()) != 0) {
    const int number = errno;
    if (number != EAGAIN && number != EINTR) return sys::system_error("connect to " + path, number);
    if (Clock::system().steady() >= end) return error("Timeout", "connect to " + path + ": no answer");
    sleep_for(5);  // a full backlog cannot be waited for
  }
  return adopt(std::move(fd), my_role, std::max<Millis>(end - Clock::system().steady(), 1));
}

Result<std::unique_ptr<Channel>> Channel::adopt(sys::Fd connected, const std::string& my_role,
                                                Millis timeout) {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(connected.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0)
    return sys::system_error("a channel");
  if (type != SOCK_SEQPACKET) return error("Invalid", "a channel needs a SOCK_SEQPACKET socket");
  auto impl = std::make_shared<Impl>(std::move(connected));
  TRY(impl->greet(my_role, timeout));
  impl->read_on();
  std::unique_ptr<Channel> out(new Channel);
  out->impl_ = std::move(impl);
  return out;
}

Channel::~Channel() { close(); }

const std::string& Channel::peer_role() const { return impl_->peer_role; }

Result<Message> Channel::call(Message request, Millis timeout) {
  CHECK(in_fiber() && request.body.is_object());
  const auto self = impl_;  // the channel may go while this waits
  if (!self->open) return closed_error();
  const int64_t id = self->next_id++;
  request.body["call"] = id;
  Impl::Call call;
  struct Listed {
    std::map<int64_t, Impl::Call*>& calls;
    int64_t id;
    ~Listed() { calls.erase(id); }
  } const listed{self->calls, id};
  self->calls.emplace(id, &call);
  TRY(self->send(request.body, request.fds));
  request.fds.clear();
  if (!call.answer && self->open) call.answered.wait_for(timeout);
  if (call.answer) return std::move(*call.answer);
  if (!self->open) return closed_error();
  return error("Timeout", "'" + self->peer_role + "' did not answer " + request.body.get("kind") + " in " +
                              human_duration(timeout));
}

Result<void> Channel::notify(Message event) {
  CHECK(event.body.is_object());
  const auto self = impl_;
  event.body.remove("call");
  return self->send(event.body, event.fds);
}

void Channel::on_message(std::function<Result<Message>(Message)> handler) {
  if (!impl_->open) return;
  impl_->handler = std::make_shared<std::function<Result<Message>(Message)>>(std::move(handler));
  for (auto& message : std::exchange(impl_->early, {})) impl_->dispatch(std::move(message));
}

void Channel::on_close(std::function<void()> handler) {
  if (impl_->gone) return spawn(std::move(handler));
  impl_->on_close = std::move(handler);
}

bool Channel::closed() const { return !impl_->open; }

void Channel::close() {
  if (impl_) impl_->close(false);
}

}  // namespace bastide::net
