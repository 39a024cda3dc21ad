#include <charconv>

#include "base/bytes.h"
#include "base/log.h"
#include "net/http_server_impl.h"

namespace bastide::net {
namespace {

constexpr size_t kMaxDrain = 256u << 10;  // of a body that the handler did not read
constexpr Millis kDrainTime = 5 * kSecond;

// https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1, made once a second.
const std::string& date_header() {
  thread_local Millis second = -1;
  thread_local std::string text;
  const Millis now = Clock::system().wall() / kSecond;
  if (now != second) {
    second = now;
    text = "Date: " + http_date(now * kSecond) + "\r\n";
  }
  return text;
}

void append_number(std::string& out, int64_t number) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

}  // namespace

ConnectionExchange::ConnectionExchange(HttpServer::Impl::Connection& connection, RequestHead head)
    : connection_(connection),
      head_(std::move(head)),
      body_(connection.stream, head_.framing),
      continued_(!head_.expects_continue),
      keep_alive_(head_.keep_alive) {}

std::optional<int64_t> ConnectionExchange::content_length() const {
  if (head_.framing.kind == Framing::Kind::chunked) return std::nullopt;
  return head_.framing.length;
}

// https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
Result<void> ConnectionExchange::before_body() {
  connection_.stream.socket().set_timeout(connection_.server->limits.body_timeout);
  if (continued_) return {};
  continued_ = true;
  if (!connection_.stream.buffered().empty()) return {};  // the client did not wait
  return connection_.stream.socket().write("HTTP/1.1 100 Continue\r\n\r\n");
}

Result<std::string> ConnectionExchange::read_body(size_t max_bytes) {
  const auto& framing = body_.framing();
  if (framing.kind == Framing::Kind::length && static_cast<uint64_t>(framing.length) > max_bytes) {
    return error("TooLarge", "the body is too large");
  }
  TRY(before_body());
  return body_.read_all(max_bytes);
}

Result<size_t> ConnectionExchange::read_some(char* buffer, size_t size) {
  if (body_.done()) return size_t{0};
  TRY(before_body());
  return body_.read_some(buffer, size);
}

// A body that will not be read to its end makes the connection useless, and the client is told so.
void ConnectionExchange::decide_keep_alive() {
  if (connection_.server->draining) keep_alive_ = false;
  if (body_.done()) return;
  if (!continued_) keep_alive_ = false;
  const auto& framing = body_.framing();
  if (framing.kind == Framing::Kind::length && framing.length > static_cast<int64_t>(kMaxDrain))
    keep_alive_ = false;
}

Result<std::string> ConnectionExchange::make_head(int status, const Headers& headers, Coding coding,
                                                  int64_t length) {
  decide_keep_alive();
  if (coding == Coding::until_close) keep_alive_ = false;
  std::string out;
  out.reserve(512);
  append_status_line(out, status);
  bool dated = false;
  for (const auto& [name, value] : headers) {
    // These are this connection's own.
    if (iequals(name, "content-length") || iequals(name, "transfer-encoding") || iequals(name, "connection"))
      continue;
    dated = dated || iequals(name, "date");
    if (!valid_header_name(name) || !valid_header_value(value)) {
      return error("Invalid", "an answer with a header that cannot be sent");
    }
    out.append(name).append(": ").append(value).append("\r\n");
  }
  if (!dated) out += date_header();
  if (coding == Coding::length) {
    out += "Content-Length: ";
    append_number(out, length);
    out += "\r\n";
  } else if (coding == Coding::chunked) {
    out += "Transfer-Encoding: chunked\r\n";
  }
  if (!keep_alive_) {
    out += "Connection: close\r\n";
  } else if (head_.minor_version == 0) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
  return out;
}

Result<void> ConnectionExchange::fail(Error e) {
  state_ = State::broken;
  return e;
}

namespace {

// The length that the answer to GET would have had, where a handler of HEAD (or of 304) says so.
std::optional<int64_t> announced_length(const Headers& headers) {
  const auto* text = headers.find("content-length");
  if (text == nullptr) return std::nullopt;
  const auto value = parse_int(*text);
  if (!value || value.value() < 0) return std::nullopt;
  return value.value();
}

}  // namespace

Result<void> ConnectionExchange::respond(Response response) {
  if (state_ != State::waiting) return error("Invalid", "answered twice");
  const bool head_only = head_.request.method == "HEAD";
  no_body_ = head_only || response.status == 204 || response.status == 304;
  int64_t length = static_cast<int64_t>(response.body.size()) + (response.file ? response.file->length : 0);
  Coding coding = Coding::length;
  if (no_body_) {
    const auto announced = announced_length(response.headers);
    if (announced) length = *announced;
    if (response.status == 204 || (response.status == 304 && !announced)) coding = Coding::none;
  }
  auto head = make_head(response.status, response.headers, coding, length);
  if (!head) {
    log::error("{} {}: {}", head_.request.method, head_.request.raw_path(), head.error().message);
    return respond(Response{500, {}, "", {}});
  }
  state_ = State::answered;
  auto& socket = connection_.stream.socket();
  socket.set_timeout(connection_.server->limits.body_timeout);
  std::string& out = head.value();
  constexpr size_t kJoin = 4u << 10;  // a copy of this size is cheaper than a second piece
  if (no_body_) {
    if (auto sent = socket.write(out); !sent) return fail(std::move(sent).error());
    return {};
  }
  Result<void> sent;
  if (response.body.size() <= kJoin) {
    out += response.body;
    sent = socket.write(out);
  } else {
    sent = socket.write(out, response.body);
  }
  if (sent && response.file)
    sent = socket.send_file(response.file->fd.get(), response.file->offset, response.file->length);
  if (!sent) return fail(std::move(sent).error());
  return {};
}

Result<void> ConnectionExchange::begin(int status, Headers headers) {
  if (state_ != State::waiting) return error("Invalid", "answered twice");
  no_body_ = head_.request.method == "HEAD" || status == 204 || status == 304;
  coding_ = head_.minor_version == 0 ? Coding::until_close : Coding::chunked;
  if (const auto length = announced_length(headers)) {
    coding_ = Coding::length;
    left_ = *length;
  }
  if (status == 204 || (status == 304 && coding_ != Coding::length)) coding_ = Coding::none;
  auto head = TRY(make_head(status, headers, coding_, left_));
  state_ = State::streaming;
  auto& socket = connection_.stream.socket();
  socket.set_timeout(connection_.server->limits.body_timeout);
  auto sent = socket.write(head);
  if (!sent) return fail(std::move(sent).error());
  return {};
}

Result<void> ConnectionExchange::write(std::string_view bytes) {
  if (state_ != State::streaming) return error("Invalid", "write() before begin() or after the end");
  if (bytes.empty() || no_body_) return {};
  auto& socket = connection_.stream.socket();
  Result<void> sent;
  if (coding_ == Coding::length) {
    if (static_cast<int64_t>(bytes.size()) > left_)
      return fail(error("Invalid", "more was written than announced"));
    left_ -= static_cast<int64_t>(bytes.size());
    sent = socket.write(bytes);
  } else if (coding_ == Coding::chunked) {
    std::string chunk;
    constexpr size_t kJoin = 16u << 10;
    if (bytes.size() <= kJoin) chunk.reserve(bytes.size() + 20);
    append_chunk_head(chunk, bytes.size());
    if (bytes.size() <= kJoin) {
      chunk.append(bytes).append("\r\n");
      sent = socket.write(chunk);
    } else {
      sent = socket.write(chunk, bytes);
      if (sent) sent = socket.write("\r\n");
    }
  } else {
    sent = socket.write(bytes);
  }
  if (!sent) return fail(std::move(sent).error());
  return {};
}

Result<void> ConnectionExchange::finish() {
  if (state_ != State::streaming) return error("Invalid", "finish() before begin() or after the end");
  if (coding_ == Coding::length && left_ > 0 && !no_body_)
    return fail(error("Invalid", "less was written than announced"));
  state_ = State::answered;
  if (coding_ != Coding::chunked || no_body_) return {};
  auto sent = connection_.stream.socket().write("0\r\n\r\n");
  if (!sent) return fail(std::move(sent).error());
  return {};
}

bool ConnectionExchange::complete() {
  if (state_ == State::waiting) {
    log::error("{} {} was not answered by its handler", head_.request.method, head_.request.raw_path());
    (void)respond(Response{500, {}, "", {}});
  }
  if (state_ == State::streaming) {
    log::error("{} {}: the answer was not finished", head_.request.method, head_.request.raw_path());
    state_ = State::broken;
  }
  if (state_ == State::broken) {
    connection_.end(false);
    return false;
  }
  if (body_.done() && keep_alive_) return true;
  if (keep_alive_ && body_.drain(kMaxDrain, kDrainTime)) return true;
  connection_.end(!body_.done());
  return false;
}

}  // namespace bastide::net
