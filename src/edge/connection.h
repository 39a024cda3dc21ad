// One client's connection: reads requests, has them answered by a rule's action, writes answers. In one
// fiber.
#pragma once

#include <string>

#include "edge/body.h"
#include "edge/core.h"
#include "edge/fetch.h"
#include "edge/head.h"

namespace bastide::edge {

// Collects what is to be written, so that head and body leave in one write. Small pieces are copied, large
// ones are written as they are.
class Sink {
 public:
  explicit Sink(net::Socket* socket) : socket_(socket) {}
  void attach(net::Socket* socket) {
    socket_ = socket;
    out_.clear();
    chunked_ = false;
  }
  std::string& text() { return out_; }
  void chunked(bool on) { chunked_ = on; }
  Result<void> piece(std::string_view bytes);
  Result<void> finish();  // the last chunk, and everything collected
  Result<void> flush();
  int64_t written() const { return written_; }

 private:
  net::Socket* socket_;
  std::string out_;
  bool chunked_ = false;
  int64_t written_ = 0;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // `client`: the address of a viewer whose request the CDN sends on; empty: the socket's peer.
  Connection(std::shared_ptr<Core> core, std::shared_ptr<net::TlsContext> tls, net::Socket socket,
             bool https, std::string client = {});
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  void start();  // in a fiber: the TLS handshake, then serve()
  // In a fiber. A connection that stays idle leaves its fiber and its buffers, and comes back in another one.
  void serve();

 private:
  enum class Next { request, idle, end };
  Next read_head();
  Next read_first(Millis& deadline);  // waits for the first bytes of a request
  void park();
  bool answer();  // false: the connection is over
  bool answer_own(int status, std::string_view content_type, std::string_view body,
                  std::string_view location = {});
  bool refuse(int status, const char* why);
  bool redirect(const internal::EdgeAction& action);
  bool forward(Group& group);
  struct Exchange {
    std::shared_ptr<Target> target;
    std::unique_ptr<Upstream> upstream;
    bool reused = false;
    std::function<void(std::unique_ptr<Upstream>)> keep;  // instead of the target's pool
  };
  // A connection to a target, kept or new. Nothing was sent where it fails; `status` is then the answer.
  bool open(Exchange& exchange, Group& group, const Target* not_this, bool fresh, int& status);
  void write_request_head(std::string& out, bool upgrading);
  enum class Sent { all, target_gone, answered, client_gone, client_slow, client_bad };
  Sent send_request(Exchange& exchange, bool upgrading);
  Sent send_rest(Exchange& exchange);  // the head is in to_target_; then the body
  enum class Arrival { head, closed, timeout, bad };
  Arrival read_answer(Upstream& upstream, bool upgrading);
  void write_answer_head(std::string& out, bool bodiless, bool chunked);
  bool pass_answer(Exchange& exchange, bool request_complete);
  bool pass_upgrade(Exchange& exchange);
  bool client_left();
  void discard_body();  // before an early answer: so that the client can read it
  void log(int status);

  // deliver.cc: requests to a distribution.
  bool deliver(Distribution& distribution);
  bool reply(Got& got, const Ask& ask);
  bool send(const std::shared_ptr<Object>& object, int status, Got::How how, bool selectable);
  bool send_body(Body::Reader& reader, int64_t at, int64_t end, bool chunked);
  bool pass(Ask ask);
  void forget_changed(int status, const std::vector<Field>& answer);  // what an unsafe method may have changed
  bool deny(int status, std::string_view why, std::string_view location = {});
  void edge_fields(std::string& out, std::string_view cache);
  void end_head(std::string& out);

  const std::shared_ptr<Core> shared_;
  Core& core_;
  const std::shared_ptr<net::TlsContext> tls_;  // outlives the socket
  net::Socket socket_;
  const bool https_;
  const std::string peer_;
  std::string peer_address_;
  Buffer in_;
  std::string head_;  // of the request being answered; request_ has views into it
  RequestHead request_;
  ResponseHead response_;
  Sink client_, to_target_;
  BodyReader body_ = BodyReader::of_length(0);
  Millis idle_ = 60 * kSecond;

  // Of the request being answered.
  std::shared_ptr<Config> config_;
  Route route_;
  const Distribution* distribution_ = nullptr;  // instead of a listener
  const internal::EdgeBehavior* behavior_ = nullptr;
  const bool inside_;  // comes from this edge's own CDN
  bool keep_alive_ = true, upgraded_ = false;
  Millis started_ = 0, sent_at_ = 0, answered_at_ = 0;  // steady
  int64_t received_ = 0, sent_before_ = 0, tunnelled_ = 0;
  std::string trace_id_;
  internal::AccessEntry entry_;
};

}  // namespace bastide::edge
