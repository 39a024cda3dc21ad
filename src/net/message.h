// Messages between roles: SOCK_SEQPACKET on unix sockets, one JSON object a packet (at most 64 KiB; larger
// payloads travel as memory files) with descriptors beside it. The first message each way is a hello:
// {"hello": "<role>", "version": N, "speaks": [N-1, N]}; a peer that shares no version is refused.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace bastide::net {

inline constexpr int kRoleProtocol = 1;

struct Message {
  json::Value body;          // {"kind": "...", ...}
  std::vector<sys::Fd> fds;  // at most 64
};

// A connection to another role. On the loop's thread; fibers may call side by side.
class Channel {
 public:
  static Result<std::unique_ptr<Channel>> connect(const std::string& path, const std::string& my_role,
                                                  Millis timeout);
  static Result<std::unique_ptr<Channel>> adopt(sys::Fd connected, const std::string& my_role,
                                                Millis timeout);
  ~Channel();

  const std::string& peer_role() const;
  // A request and its answer. On the wire the request has a "call" number, and the answer is {"answer": call, "ok":
  // body} or {"answer": call, "error": {code, message}}; here they are the body alone, or the Error. In a
  // fiber; waits.
  Result<Message> call(Message request, Millis timeout);
  Result<void> notify(Message event);  // no answer is expected; waits while the peer takes no messages
  // Called in a fresh fiber for each request or event of the peer; what it returns answers a request.
  // Messages that come before a handler is set wait for it (at most 64); beyond 1,024 at a time a request is
  // "Busy".
  void on_message(std::function<Result<Message>(Message)> handler);
  // Called once, in a fresh fiber, when the peer is gone or broke the protocol; not after our own close().
  void on_close(std::function<void()> handler);
  bool closed() const;
  void close();

 private:
  Channel() = default;
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Listens at a path; every peer that says hello properly is handed over. Only this uid, root, and
// the owner of the socket's file may connect.
class ChannelListener {
 public:
  ChannelListener(sys::Fd listener, std::string my_role,
                  std::function<void(std::unique_ptr<Channel>)> on_channel);
  ~ChannelListener();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};
Result<sys::Fd> listen_messages(const std::string& path);

}  // namespace bastide::net
