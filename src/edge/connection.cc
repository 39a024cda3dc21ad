#include "edge/connection.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "edge/pattern.h"
#include "net/http.h"

namespace bastide::edge {
namespace {

constexpr size_t kFirstBuffer = 16u << 10;
constexpr size_t kCopyUpTo = 32u << 10;
constexpr int64_t kDiscardUpTo = 1 << 20;
constexpr Millis kDiscardFor = 5 * kSecond;

}  // namespace

Result<void> Sink::piece(std::string_view bytes) {
  if (bytes.empty()) return {};
  if (chunked_) fmt::format_to(std::back_inserter(out_), "{:x}\r\n", bytes.size());
  if (out_.size() + bytes.size() <= kCopyUpTo) {
    out_ += bytes;
  } else {
    auto sent = out_.empty() ? socket_->write(bytes) : socket_->write(out_, bytes);
    written_ += static_cast<int64_t>(out_.size() + bytes.size());
    out_.clear();
    TRY(std::move(sent));
  }
  if (chunked_) out_ += "\r\n";
  return {};
}

Result<void> Sink::finish() {
  if (chunked_) out_ += "0\r\n\r\n";
  return flush();
}

Result<void> Sink::flush() {
  if (out_.empty()) return {};
  written_ += static_cast<int64_t>(out_.size());
  auto result = socket_->write(out_);
  out_.clear();
  return result;
}

Connection::Connection(std::shared_ptr<Core> core, std::shared_ptr<net::TlsContext> tls, net::Socket socket,
                       bool https, std::string client)
    : shared_(std::move(core)),
      core_(*shared_),
      tls_(std::move(tls)),
      socket_(std::move(socket)),
      https_(https),
      peer_(client.empty() ? socket_.peer() : client + ":0"),
      in_(kFirstBuffer),
      client_(&socket_),
      to_target_(nullptr),
      inside_(!client.empty()) {
  peer_address_ = peer_.substr(0, peer_.rfind(':'));
  if (!peer_address_.empty() && peer_address_.front() == '[')
    peer_address_ = peer_address_.substr(1, peer_address_.size() - 2);
}

Connection::~Connection() {
  core_.idle.erase(&socket_);
  --core_.connections;
}

void Connection::start() {
  if (https_ && !inside_ && !socket_.start_tls_server(*tls_, core_.limits.tls_timeout)) return;
  serve();
}

void Connection::serve() {
  while (true) {
    auto next = read_head();
    if (next == Next::idle) return park();
    if (next == Next::end) break;
    ++core_.requests;
    entry_ = {};
    tunnelled_ = 0;
    bool goes_on = answer();
    if (!goes_on || !keep_alive_) break;
    distribution_ = nullptr;
    config_.reset();
    route_ = {};
  }
  socket_.shutdown();
}

void Connection::park() {
  in_ = Buffer(0);
  head_ = {};
  core_.idle.insert(&socket_);
  socket_.when_readable(core_.limits.idle_timeout, [self = shared_from_this()](bool readable) {
    self->core_.idle.erase(&self->socket_);
    if (!readable || self->core_.draining) return;
    self->in_ = Buffer(kFirstBuffer);
    net::spawn([self] { self->serve(); });
  });
}

Connection::Next Connection::read_first(Millis& deadline) {
  if (core_.draining) return Next::end;
  socket_.set_timeout(std::min(core_.limits.in_fiber, core_.limits.idle_timeout));
  core_.idle.insert(&socket_);
  auto n = socket_.read(in_.room(), in_.room_size());
  core_.idle.erase(&socket_);
  if (!n && n.error().code == "Timeout" && !core_.draining) return Next::idle;
  if (!n || *n == 0) return Next::end;
  in_.added(*n);
  deadline = core_.clock.steady() + core_.limits.head_timeout;
  return Next::request;
}

Connection::Next Connection::read_head() {
  auto too_late = [&] {
    refuse(408, "the head did not come in time");
    return Next::end;
  };
  size_t searched = 0;
  Millis deadline = 0;
  while (true) {
    // An empty line before a request is skipped (RFC 9112 section 2.2).
    while (in_.view().substr(0, 2) == "\r\n") {
      in_.consume(2);
      searched = 0;
    }
    auto length = head_length(in_.view(), searched);
    if (length != 0) {
      head_.assign(in_.view().substr(0, length));
      in_.consume(length);
      return Next::request;
    }
    searched = in_.size();
    if (in_.size() >= kMaxHeadBytes) {
      refuse(400, "the head is too large");
      return Next::end;
    }
    in_.compact();
    if (in_.room_size() == 0) in_.grow(in_.capacity() * 4);
    if (in_.empty()) {
      auto next = read_first(deadline);
      if (next != Next::request) return next;
      continue;
    }
    if (deadline == 0) deadline = core_.clock.steady() + core_.limits.head_timeout;
    auto left = deadline - core_.clock.steady();
    if (left <= 0) return too_late();
    socket_.set_timeout(left);
    auto n = socket_.read(in_.room(), in_.room_size());
    if (!n && n.error().code == "Timeout") return too_late();
    if (!n || *n == 0) return Next::end;
    in_.added(*n);
  }
}

bool Connection::answer() {
  started_ = core_.clock.steady();
  entry_.created = core_.clock.wall();
  sent_at_ = answered_at_ = 0;
  sent_before_ = client_.written();
  received_ = static_cast<int64_t>(head_.size());
  client_.chunked(false);
  auto refusal = parse_request(head_, request_);
  if (refusal) return refuse(refusal.status, refusal.why);
  keep_alive_ = request_.keep_alive && !core_.draining;
  body_ = request_.chunked ? BodyReader::of_chunks()
                           : BodyReader::of_length(std::max<int64_t>(0, request_.content_length));
  config_ = core_.config;
  if (config_ && !inside_) {
    if (auto* distribution = config_->distribution(request_.host_name)) return deliver(*distribution);
  }
  if (config_) route_ = config_->route(https_, request_.host_name, request_.path);
  if (!config_ || route_.listener == nullptr) {
    return answer_own(config_ ? 404 : 503, "text/plain", "No load balancer listens for this host name.\n");
  }
  idle_ = route_.listener->spec.idle_timeout;
  socket_.set_timeout(idle_);

  const auto& action = *route_.action->spec;
  switch (action.kind) {
    case internal::EdgeAction::Kind::fixed:
      return answer_own(action.status, action.content_type, action.body);
    case internal::EdgeAction::Kind::redirect:
      return redirect(action);
    case internal::EdgeAction::Kind::forward:
      break;
  }
  auto* group = route_.action->choice.next();
  if (group == nullptr) {
    entry_.error_reason = "no target group has a weight";
    return answer_own(503, "text/html", {});
  }
  return forward(*group);
}

bool Connection::redirect(const internal::EdgeAction& action) {
  Placeholders values;
  values.protocol = https_ ? "https" : "http";
  values.host = request_.host_name;
  values.path = request_.path.substr(request_.path.empty() || request_.path[0] != '/' ? 0 : 1);
  values.query = request_.query;
  values.port = https_ ? core_.https_port : core_.http_port;
  values.https_port = core_.https_port;
  values.http_port = core_.http_port;
  return answer_own(action.status, "text/html", {}, expand(action.location, values));
}

bool Connection::answer_own(int status, std::string_view content_type, std::string_view body,
                            std::string_view location) {
  discard_body();
  auto& out = client_.text();
  auto reason = net::reason_phrase(status);
  std::string page;
  if (body.empty() && content_type == "text/html") {
    page = fmt::format(
        "<html>\r\n<head><title>{0} {1}</title></head>\r\n<body>\r\n<center><h1>{0} {1}</h1></center>\r\n"
        "</body>\r\n</html>\r\n",
        status, reason);
    body = page;
  }
  auto put = std::back_inserter(out);
  fmt::format_to(put, "HTTP/1.1 {} {}\r\nServer: bastide\r\nDate: {}\r\n", status, reason,
                 http_date(core_.clock.wall()));
  if (!content_type.empty()) fmt::format_to(put, "Content-Type: {}\r\n", content_type);
  if (status >= 200 && status != 204) fmt::format_to(put, "Content-Length: {}\r\n", body.size());
  if (!location.empty()) {
    fmt::format_to(put, "Location: {}\r\n", location);
    entry_.redirect_url = location;
  }
  if (!keep_alive_)
    out += "Connection: close\r\n";
  else if (request_.minor == 0)
    out += "Connection: keep-alive\r\n";
  out += "\r\n";
  if (request_.method != "HEAD" && status != 204 && status != 304) out += body;
  auto written = client_.flush();
  log(written ? status : 460);
  return written.ok();
}

// The request was not understood: the connection ends, because nobody knows where the next one begins.
bool Connection::refuse(int status, const char* why) {
  if (started_ == 0) entry_.created = core_.clock.wall();
  entry_.error_reason = why;
  keep_alive_ = false;
  body_ = BodyReader::of_length(0);
  request_.method = {};
  request_.minor = 1;
  in_.clear();
  answer_own(status, "text/html", {});
  return false;
}

void Connection::discard_body() {
  if (body_.ended()) return;
  if (request_.expects_continue && in_.empty()) {  // it waits for our word before it sends any
    keep_alive_ = false;
    return;
  }
  // The rest is read within bounds, so that the client gets to read the answer.
  int64_t dropped = 0;
  const Millis deadline = core_.clock.steady() + kDiscardFor;
  while (true) {
    std::string_view piece;
    auto step = body_.step(in_, piece);
    if (step == BodyReader::Step::end) return;
    dropped += static_cast<int64_t>(piece.size());
    received_ += static_cast<int64_t>(piece.size());
    if (step == BodyReader::Step::data) continue;
    auto left = deadline - core_.clock.steady();
    if (step == BodyReader::Step::bad || dropped > kDiscardUpTo || left <= 0) break;
    in_.compact();
    socket_.set_timeout(left);
    auto n = socket_.read(in_.room(), in_.room_size());
    if (!n || *n == 0) break;
    in_.added(*n);
  }
  keep_alive_ = false;
}

void Connection::log(int status) {
  auto& e = entry_;
  e.type = https_ ? "https" : "http";
  if (upgraded_) e.type = https_ ? "wss" : "ws";
  e.time = core_.clock.wall();
  e.client = peer_;
  e.status = status;
  e.received = received_;
  e.sent = client_.written() - sent_before_ + tunnelled_;
  const Millis now = core_.clock.steady();
  auto seconds = [](Millis d) { return static_cast<double>(d) / 1000; };
  if (sent_at_ != 0) e.request_time = seconds(sent_at_ - started_);
  if (answered_at_ != 0) {
    e.target_time = seconds(answered_at_ - sent_at_);
    e.response_time = seconds(now - answered_at_);
  }
  if (!request_.method.empty()) {
    auto port = https_ ? core_.https_port : core_.http_port;
    e.request = fmt::format("{} {}://{}:{}{} HTTP/1.{}", request_.method, https_ ? "https" : "http",
                            request_.host_name, port, request_.target.substr(0, 2048), request_.minor);
    e.user_agent = request_.user_agent.substr(0, 512);
    if (https_) e.domain_name = socket_.server_name().substr(0, 260);
  } else {
    e.request = "- " + std::string(https_ ? "https" : "http") + "://- -";
  }
  if (route_.listener != nullptr) {
    e.account = route_.listener->spec.account;
    e.balancer = route_.listener->spec.balancer;
    e.rule_priority = route_.priority;
    switch (route_.action->spec->kind) {
      case internal::EdgeAction::Kind::forward:
        e.action = "forward";
        break;
      case internal::EdgeAction::Kind::fixed:
        e.action = "fixed-response";
        break;
      case internal::EdgeAction::Kind::redirect:
        e.action = "redirect";
        break;
    }
    e.trace_id = trace_id_;
    core_.reporter.access(std::move(e));
  }
  entry_ = {};
}

void serve_inside(const std::shared_ptr<Core>& core, net::Socket socket, bool https, std::string client) {
  if (core->draining) return;
  ++core->connections;
  std::make_shared<Connection>(core, nullptr, std::move(socket), https, std::move(client))->start();
}

void serve_connection(const std::shared_ptr<Core>& core, net::Socket socket, bool https) {
  if (core->connections >= core->limits.connections || core->draining) return;
  std::shared_ptr<net::TlsContext> tls;
  if (https && core->config) tls = core->config->tls();
  if (https && !tls) return;
  ++core->connections;
  auto connection = std::make_shared<Connection>(core, std::move(tls), std::move(socket), https);
  connection->start();
}

}  // namespace bastide::edge
