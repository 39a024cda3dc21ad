// The role `edge`: public traffic. Terminates TLS, routes by the snapshot that control sent last, balances
// over targets, checks their health, and goes on when control is away.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "edge/cache.h"
#include "edge/core.h"
#include "edge/host_network.h"
#include "net/loop.h"
#include "net/message.h"
#include "net/socket.h"
#include "sys/fd.h"

namespace bastide::edge {

struct EdgeOptions {
  std::string home;                          // its folder edge/ keeps the last good snapshot
  std::map<std::string, sys::Fd> listeners;  // serve's listening sockets: "https", "http"
  sys::Fd channel;                           // listening, SOCK_SEQPACKET: control connects to it
  sys::Fd snapshot;                          // the last good one as a sealed memory file; may be empty
  sys::Fd userns;                            // to be entered before netns, where one is given
  sys::Fd netns;                             // where targets are reached; may be empty: here
  bool loopback = false;                     // targets stand at the addresses of 127/8 for theirs
  uid_t become = 0;                          // after entering netns; 0: who it is
  std::shared_ptr<HostNetwork> host_network;  // where origins are reached that stand outside; may be empty: here
  Limits limits;
  CacheLimits cache;
};

// Runs until SIGTERM or SIGINT, which drain: no new connection, requests finish, at most 9 s. The status to
// exit with.
int run_edge(EdgeOptions options);

// The same inside a loop that is already there (tests).
class Edge {
 public:
  explicit Edge(EdgeOptions options, Clock& clock = Clock::system());
  ~Edge();
  Result<void> start();                                                // in a fiber of the loop
  void drain();                                                        // waits
  Result<int64_t> apply(const std::string& snapshot_json, bool keep);  // waits; its number
  Core& core() { return *core_; }

 private:
  Result<net::Message> answer(net::Message message);
  void serve_channel(std::unique_ptr<net::Channel> channel);
  void sweep();

  EdgeOptions options_;
  std::shared_ptr<Core> core_;
  std::vector<net::Acceptor> acceptors_;
  std::unique_ptr<net::ChannelListener> channels_;
  std::vector<std::shared_ptr<net::Channel>> guests_;  // commands that ask
  int64_t received_ = 0;  // snapshots so far: only the latest may be swapped in
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace bastide::edge
