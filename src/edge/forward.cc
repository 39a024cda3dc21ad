// The way of a request to a target and of the answer back.
#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/bytes.h"
#include "base/crypto.h"
#include "edge/connection.h"
#include "net/http.h"

namespace bastide::edge {
namespace {

constexpr int kAttempts = 3;
constexpr size_t kStreamBuffer = 64u << 10;

// 24 hexadecimal digits that do not repeat; not a secret, so a counter behind a random start is enough.
void append_unique(std::string& out) {
  static const std::string prefix = hex(random_bytes(6));
  static uint64_t counter = 0;
  fmt::format_to(std::back_inserter(out), "{}{:012x}", prefix, ++counter & 0xffffffffffff);
}

// One request that a target is answering.
class Outstanding {
 public:
  Outstanding(Core& core, std::shared_ptr<Target> target) : core_(core), target_(std::move(target)) {
    ++target_->outstanding;
  }
  ~Outstanding() { core_.finished(*target_); }
  Outstanding(const Outstanding&) = delete;
  Outstanding& operator=(const Outstanding&) = delete;

 private:
  Core& core_;
  std::shared_ptr<Target> target_;
};

}  // namespace

bool Connection::open(Exchange& x, Group& group, const Target* not_this, bool fresh, int& status) {
  auto target = group.pick(not_this);
  if (!target) {
    status = 503;
    return false;
  }
  if (target.get() == not_this) return false;  // there is no other: the first failure stands
  x.target = std::move(target);
  if (!fresh) x.upstream = x.target->take_idle();
  if (x.upstream) {
    x.reused = true;
    return true;
  }
  auto socket = net::Socket::connect_tcp(x.target->spec.address, x.target->spec.port, kConnectTimeout);
  if (!socket) {
    status = socket.error().code == "Timeout" ? 504 : 502;
    return false;
  }
  x.upstream = std::make_unique<Upstream>(std::move(*socket));
  return true;
}

bool Connection::client_left() {
  log(460);
  return false;
}

bool Connection::forward(Group& group) {
  entry_.target_group = group.spec.id;
  // An upgrade is passed on where the request can be nothing else: h2c would hide requests from the rules.
  const bool upgrading = !request_.upgrade.empty() && !request_.has_body() && request_.method == "GET" &&
                         !iequals(request_.upgrade, "h2c") &&
                         request_.upgrade.find(',') == std::string_view::npos;
  int status = 503;
  const Target* refused = nullptr;
  std::shared_ptr<Target> refused_alive;
  bool fresh = false;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    Exchange x;
    if (!open(x, group, refused, fresh, status)) {
      if (!x.target) break;
      refused_alive = x.target;
      refused = x.target.get();
      continue;
    }
    Outstanding outstanding(core_, x.target);
    entry_.target = x.target->spec.id;
    entry_.target_status = 0;
    answered_at_ = 0;
    x.upstream->socket.set_timeout(idle_);
    auto sent = send_request(x, upgrading);
    switch (sent) {
      case Sent::client_gone:
        return client_left();
      case Sent::client_slow:
        keep_alive_ = false;
        return answer_own(408, "text/html", {});
      case Sent::client_bad:
        entry_.error_reason = "a malformed body";
        keep_alive_ = false;
        body_ = BodyReader::of_length(0);
        return answer_own(400, "text/html", {});
      case Sent::all:
      case Sent::target_gone:
      case Sent::answered:
        break;
    }
    auto got = read_answer(*x.upstream, upgrading);
    if (got == Arrival::head) {
      if (response_.status == 101) return pass_upgrade(x);
      return pass_answer(x, sent == Sent::all);
    }
    status = got == Arrival::timeout ? 504 : 502;
    // A kept connection that the target closed meanwhile: once more, where twice is as good as once.
    if (got == Arrival::closed && x.reused && request_.idempotent() && !request_.has_body()) {
      fresh = true;
      continue;
    }
    break;
  }
  return answer_own(status, "text/html", {});
}

// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
void Connection::write_request_head(std::string& out, bool upgrading) {
  auto put = [&](std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  };
  out += request_.method;
  out += ' ';
  out += request_.target;
  out += " HTTP/1.1\r\n";
  put("Host", request_.host);
  std::string_view trace;
  bool forwarded = false;
  for (const auto& f : request_.fields) {
    if (f.hop) continue;
    switch (f.known) {
      case Name::host:
      case Name::expect:
      case Name::forwarded_proto:
      case Name::forwarded_port:
        break;
      case Name::trace_id:
        trace = f.value;
        break;
      case Name::forwarded_for:
        forwarded = true;
        break;
      default:
        put(f.name, f.value);
    }
  }
  const auto& mode = route_.listener->spec.forwarded_for;
  if (mode != "remove" && (forwarded || mode == "append")) {
    out += "X-Forwarded-For: ";
    bool first = true;
    for (const auto& f : request_.fields) {
      if (f.known != Name::forwarded_for) continue;
      if (!first) out += ", ";
      out += f.value;
      first = false;
    }
    if (mode == "append") {
      if (!first) out += ", ";
      out += peer_address_;
    }
    out += "\r\n";
  }
  put("X-Forwarded-Proto", https_ ? "https" : "http");
  fmt::format_to(std::back_inserter(out), "X-Forwarded-Port: {}\r\n",
                 https_ ? core_.https_port : core_.http_port);

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html
  trace_id_.clear();
  bool root = trace.find("Root=") != std::string_view::npos && trace.size() < 512;
  fmt::format_to(std::back_inserter(trace_id_), "{}=1-{:08x}-", root ? "Self" : "Root",
                 entry_.created / 1000);
  append_unique(trace_id_);
  if (root) {
    trace_id_ += ';';
    trace_id_ += trace;
  }
  put("X-Amzn-Trace-Id", trace_id_);

  if (upgrading) {
    out += "Connection: Upgrade\r\n";
    put("Upgrade", request_.upgrade);
  }
  if (request_.chunked)
    out += "Transfer-Encoding: chunked\r\n";
  else if (request_.content_length >= 0)
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", request_.content_length);
  out += "\r\n";
}

Connection::Sent Connection::send_request(Exchange& x, bool upgrading) {
  to_target_.attach(&x.upstream->socket);
  write_request_head(to_target_.text(), upgrading);
  return send_rest(x);
}

Connection::Sent Connection::send_rest(Exchange& x) {
  auto& target = x.upstream->socket;
  to_target_.chunked(request_.chunked);
  if (request_.expects_continue && !body_.ended() && in_.empty()) {
    if (!socket_.write("HTTP/1.1 100 Continue\r\n\r\n")) return Sent::client_gone;
  }
  while (true) {
    std::string_view piece;
    auto step = body_.step(in_, piece);
    if (step == BodyReader::Step::end) break;
    if (step == BodyReader::Step::bad) return Sent::client_bad;
    if (step == BodyReader::Step::data) {
      received_ += static_cast<int64_t>(piece.size());
      if (!to_target_.piece(piece)) return Sent::target_gone;
      continue;
    }
    if (!to_target_.flush()) return Sent::target_gone;
    // A target may answer before it has everything (413, 401): then the rest is not wanted.
    char byte;
    if (::recv(target.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) {
      sent_at_ = core_.clock.steady();
      return Sent::answered;
    }
    in_.compact();
    if (request_.chunked || request_.content_length > static_cast<int64_t>(in_.capacity()))
      in_.grow(kStreamBuffer);
    socket_.set_timeout(idle_);
    auto n = socket_.read(in_.room(), in_.room_size());
    if (!n) return n.error().code == "Timeout" ? Sent::client_slow : Sent::client_gone;
    if (*n == 0) return Sent::client_gone;
    in_.added(*n);
  }
  bool flushed = to_target_.finish().ok();
  sent_at_ = core_.clock.steady();
  return flushed ? Sent::all : Sent::target_gone;
}

Connection::Arrival Connection::read_answer(Upstream& upstream, bool upgrading) {
  auto& in = upstream.in;
  size_t searched = 0;
  while (true) {
    auto length = head_length(in.view(), searched);
    if (length != 0) {
      auto refusal = parse_response(in.view().substr(0, length), response_);
      if (refusal) {
        entry_.error_reason = refusal.why;
        return Arrival::bad;
      }
      if (response_.status == 101 && !upgrading) return Arrival::bad;
      if (response_.status >= 200 || response_.status == 101) {
        answered_at_ = core_.clock.steady();
        entry_.target_status = response_.status;
        return Arrival::head;
      }
      in.consume(length);  // 100, 103: for the connection to us alone
      searched = 0;
      continue;
    }
    searched = in.size();
    if (in.size() >= kMaxHeadBytes) return Arrival::bad;
    in.compact();
    if (in.room_size() == 0) in.grow(in.capacity() * 4);
    auto n = upstream.socket.read(in.room(), in.room_size());
    if (!n) return n.error().code == "Timeout" ? Arrival::timeout : Arrival::closed;
    if (*n == 0) return in.empty() ? Arrival::closed : Arrival::bad;
    in.added(*n);
  }
}

void Connection::write_answer_head(std::string& out, bool bodiless, bool chunked) {
  auto reason = response_.reason.empty() ? net::reason_phrase(response_.status) : response_.reason;
  auto end = std::back_inserter(out);
  fmt::format_to(end, "HTTP/1.1 {} {}\r\n", response_.status, reason);
  for (const auto& f : response_.fields) {
    if (f.hop) continue;
    out += f.name;
    out += ": ";
    out += f.value;
    out += "\r\n";
  }
  if (chunked)
    out += "Transfer-Encoding: chunked\r\n";
  else if (response_.content_length >= 0 &&
           !(bodiless && response_.status < 300 && request_.method != "HEAD")) {
    fmt::format_to(end, "Content-Length: {}\r\n", response_.content_length);
  }
  if (distribution_ != nullptr)
    edge_fields(out, response_.status >= 400 ? "Error from cloudfront" : "Miss from cloudfront");
  end_head(out);
}

bool Connection::pass_answer(Exchange& x, bool request_complete) {
  auto& upstream = *x.upstream;
  auto& in = upstream.in;
  const bool bodiless = request_.method == "HEAD" || response_.status == 204 || response_.status == 304;
  auto body = BodyReader::of_length(std::max<int64_t>(0, response_.content_length));
  bool known = true;
  if (bodiless) {
    body = BodyReader::of_length(0);
  } else if (response_.chunked) {
    body = BodyReader::of_chunks();
    known = false;
  } else if (response_.content_length < 0) {
    body = BodyReader::until_close();
    known = false;
  }
  const bool target_keeps = response_.keep_alive && request_complete && !body.ends_with_connection();
  const bool large = !known || response_.content_length > static_cast<int64_t>(in.capacity());
  if (!request_complete || (!known && request_.minor == 0)) keep_alive_ = false;
  const bool chunked = !known && request_.minor == 1;
  const int status = response_.status;
  write_answer_head(client_.text(), bodiless, chunked);
  client_.chunked(chunked);
  in.consume(head_length(in.view()));  // views of response_ end with the next read
  socket_.set_timeout(idle_);

  while (true) {
    std::string_view piece;
    auto step = body.step(in, piece);
    if (step == BodyReader::Step::end) break;
    if (step == BodyReader::Step::data) {
      if (!client_.piece(piece)) return client_left();
      continue;
    }
    bool whole = false, broken = step == BodyReader::Step::bad;
    if (!broken) {
      if (!client_.flush()) return client_left();
      in.compact();
      if (large) in.grow(kStreamBuffer);
      auto n = upstream.socket.read(in.room(), in.room_size());
      if (n && *n > 0) {
        in.added(*n);
        continue;
      }
      whole = n && body.ends_with_connection();
      broken = !whole;
    }
    if (broken) {
      // The head is gone: the client learns of it by the missing end.
      entry_.error_reason = "the target broke its answer off";
      log(status);
      return false;
    }
    break;
  }
  bool written = client_.finish().ok();
  client_.chunked(false);
  if (target_keeps && x.keep)
    x.keep(std::move(x.upstream));
  else if (target_keeps)
    x.target->keep(std::move(x.upstream), core_.clock.steady());
  log(written ? status : 460);
  return written;
}

bool Connection::pass_upgrade(Exchange& x) {
  auto& upstream = *x.upstream;
  auto& out = client_.text();
  out += "HTTP/1.1 101 Switching Protocols\r\n";
  for (const auto& f : response_.fields) {
    if (f.hop) continue;
    out += f.name;
    out += ": ";
    out += f.value;
    out += "\r\n";
  }
  fmt::format_to(std::back_inserter(out), "Connection: Upgrade\r\nUpgrade: {}\r\n\r\n",
                 response_.upgrade.empty() ? request_.upgrade : response_.upgrade);
  upstream.in.consume(head_length(upstream.in.view()));
  if (!client_.flush()) return client_left();
  upgraded_ = true;
  tunnel(socket_, in_, upstream, idle_, received_, tunnelled_);
  log(101);
  return false;
}

}  // namespace bastide::edge
