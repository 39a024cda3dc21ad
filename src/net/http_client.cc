#include "net/http_client.h"

#include <netdb.h>

#include <algorithm>

#include "base/bytes.h"
#include "net/http_stream.h"
#include "net/loop.h"
#include "net/socket.h"
#include "net/socket_address.h"

namespace bastide::net {
namespace {

constexpr size_t kMaxKept = 16;  // idle connections
constexpr Millis kKeptFor = 30 * kSecond;
constexpr int kMaxInterim = 16;                // 1xx answers before the real one
constexpr Millis kStreamSilence = 24 * kHour;  // TCP keep-alive finds a dead peer long before
constexpr size_t kMaxErrorBody = 1u << 20;

struct Kept {
  std::unique_ptr<HttpStream> stream;
  Millis since = 0;
};

// Blocking; called through offload.
Result<std::vector<std::string>> resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (failed != 0) return error("NotFound", "'" + host + "' does not resolve: " + ::gai_strerror(failed));
  std::vector<std::string> out;
  for (const auto* one = found; one != nullptr; one = one->ai_next) {
    char text[NI_MAXHOST];
    if (::getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0) {
      out.emplace_back(text);
    }
  }
  ::freeaddrinfo(found);
  if (out.empty()) return error("NotFound", "'" + host + "' has no address");
  return out;
}

bool is_literal(const std::string& host) { return SocketAddress::tcp(host, 0).ok(); }

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view url) {
  const std::string quoted = "'" + std::string(url.substr(0, 200)) + "'";
  Endpoint out;
  if (url.substr(0, 7) == "http://") {
    url.remove_prefix(7);
  } else if (url.substr(0, 8) == "https://") {
    url.remove_prefix(8);
    out.tls = true;
  } else {
    return error("Invalid", quoted + " is not a URL of the form http://host:port or https://host:port");
  }
  if (!url.empty() && url.back() == '/') url.remove_suffix(1);
  out.port = out.tls ? 443 : 80;
  size_t host_end = url.find(':');
  if (!url.empty() && url.front() == '[') {
    const size_t bracket = url.find(']');
    if (bracket == std::string_view::npos) return error("Invalid", quoted + " has a host without its ']'");
    host_end = bracket + 1 < url.size() ? bracket + 1 : std::string_view::npos;
    if (host_end != std::string_view::npos && url[host_end] != ':')
      return error("Invalid", quoted + " is not a URL");
  }
  if (host_end != std::string_view::npos) {
    const auto port = parse_int(url.substr(host_end + 1));
    if (!port || port.value() < 1 || port.value() > 65535)
      return error("Invalid", quoted + " has no valid port");
    out.port = static_cast<uint16_t>(port.value());
    url = url.substr(0, host_end);
  }
  if (url.empty() || url.find_first_of("/?#@ \t\r\n") != std::string_view::npos) {
    return error("Invalid", quoted + " has no valid host, or more than a host and a port");
  }
  out.host = url;
  return out;
}

struct HttpClient::Impl {
  Impl(Endpoint e, ClientOptions o) : endpoint(std::move(e)), options(std::move(o)) {
    std::string host = endpoint.host.find(':') != std::string::npos && endpoint.host.front() != '['
                           ? "[" + endpoint.host + "]"
                           : endpoint.host;
    if (endpoint.port != (endpoint.tls ? 443 : 80)) host += ":" + std::to_string(endpoint.port);
    host_header = endpoint.host.empty() ? "localhost" : host;
  }

  Result<std::unique_ptr<HttpStream>> connect();
  Result<Socket> connect_tcp();
  std::unique_ptr<HttpStream> take_kept();
  void keep(std::unique_ptr<HttpStream> stream);
  Result<std::string> make_head(const Request& request) const;

  using OnPiece = std::function<Result<void>(std::string_view)>;
  Result<Response> exchange(const Request& request, const OnPiece* on_piece);
  // `started`: a byte of the answer came, so that the request must not be sent again.
  Result<ResponseHead> ask(HttpStream& stream, const Request& request, std::string_view head, Millis end,
                           bool& started);

  Endpoint endpoint;
  ClientOptions options;
  std::string host_header;
  std::vector<Kept> kept;
};

Result<Socket> HttpClient::Impl::connect_tcp() {
  if (is_literal(endpoint.host)) {
    if (options.check_address) TRY(options.check_address(endpoint.host));
    return Socket::connect_tcp(endpoint.host, endpoint.port, options.connect_timeout);
  }
  const auto addresses = TRY(offload_result([host = endpoint.host] { return resolve(host); }));
  Error last;
  for (const auto& address : addresses) {
    if (options.check_address) {
      if (auto allowed = options.check_address(address); !allowed) {
        last = std::move(allowed).error();
        continue;
      }
    }
    auto socket = Socket::connect_tcp(address, endpoint.port, options.connect_timeout);
    if (socket) return socket;
    last = std::move(socket).error();
  }
  return last;
}

Result<std::unique_ptr<HttpStream>> HttpClient::Impl::connect() {
  auto socket =
      TRY(endpoint.unix_path.empty() ? connect_tcp()
                                     : Socket::connect_unix(endpoint.unix_path, options.connect_timeout));
  if (endpoint.tls) {
    if (!options.tls) options.tls = TRY(TlsContext::client(""));
    TRY(socket.start_tls_client(*options.tls, endpoint.host, options.connect_timeout));
  }
  return std::make_unique<HttpStream>(std::move(socket));
}

std::unique_ptr<HttpStream> HttpClient::Impl::take_kept() {
  const Millis now = Clock::system().steady();
  while (!kept.empty()) {
    Kept last = std::move(kept.back());
    kept.pop_back();
    if (now - last.since < kKeptFor && !last.stream->socket().looks_dead()) return std::move(last.stream);
  }
  return nullptr;
}

void HttpClient::Impl::keep(std::unique_ptr<HttpStream> stream) {
  if (!stream->buffered().empty()) return;  // more than one answer: never use it again
  stream->give_memory_back();
  if (kept.size() == kMaxKept) kept.erase(kept.begin());
  kept.push_back({std::move(stream), Clock::system().steady()});
}

Result<std::string> HttpClient::Impl::make_head(const Request& request) const {
  Headers headers = request.headers;
  if (!headers.has("host")) headers.add("Host", request.host.empty() ? host_header : request.host);
  headers.remove("content-length");
  headers.remove("transfer-encoding");
  const auto& m = request.method;
  if (!request.body.empty() || m == "POST" || m == "PUT" || m == "PATCH") {
    headers.add("Content-Length", std::to_string(request.body.size()));
  }
  std::string out;
  TRY(append_request_head(out, request.method, request.target, headers));
  return out;
}

Result<ResponseHead> HttpClient::Impl::ask(HttpStream& stream, const Request& request, std::string_view head,
                                           Millis end, bool& started) {
  const auto left = [end] { return std::max<Millis>(end - Clock::system().steady(), 1); };
  stream.socket().set_timeout(left());
  auto sent = stream.socket().write(head, request.body);
  // A server may answer and close before it has read everything: its answer counts.
  if (!sent && sent.error().code != "Closed") return std::move(sent).error();
  const HeadLimits limits{};
  for (int interim = 0; interim <= kMaxInterim; ++interim) {
    auto size = stream.read_head(limits, left());
    started = started || !stream.buffered().empty() || (size && *size > 0);
    if (!size) return std::move(size).error();
    if (*size == 0)
      return sent ? error("Closed", "the server closed the connection without an answer") : sent.error();
    auto out = TRY(parse_response_head(stream.buffered().substr(0, *size), request.method, limits));
    stream.consume(*size);
    if (!sent) out.keep_alive = false;
    if (out.status >= 200 || out.status == 101) return out;
  }
  return error("Invalid", "the server sends no final answer");
}

Result<Response> HttpClient::Impl::exchange(const Request& request, const OnPiece* on_piece) {
  const Millis end = Clock::system().steady() + options.timeout;
  const std::string head = TRY(make_head(request));
  auto stream = take_kept();
  const bool reused = stream != nullptr;
  if (!reused) stream = TRY(connect());
  bool started = false;
  auto answer = ask(*stream, request, head, end, started);
  if (!answer && reused && !started && answer.error().code == "Closed") {
    kept.clear();  // their server has likely restarted
    stream = TRY(connect());
    answer = ask(*stream, request, head, end, started);
  }
  if (!answer) return std::move(answer).error();

  Response out;
  out.status = answer->status;
  out.headers = std::move(answer->headers);
  BodyReader body(*stream, answer->framing);
  if (on_piece != nullptr && out.status / 100 == 2) {
    stream->socket().set_timeout(kStreamSilence);
    std::string buffer(64u << 10, '\0');
    for (;;) {
      const size_t n = TRY(body.read_some(buffer.data(), buffer.size()));
      if (n == 0) break;
      TRY((*on_piece)(std::string_view(buffer).substr(0, n)));
    }
  } else {
    const size_t bound = on_piece != nullptr ? std::min(kMaxErrorBody, options.max_response_bytes)
                                             : options.max_response_bytes;
    std::string buffer(16u << 10, '\0');
    if (answer->framing.kind == Framing::Kind::length &&
        static_cast<uint64_t>(answer->framing.length) > bound) {
      return error("TooLarge", "the answer is larger than " + std::to_string(bound) + " bytes");
    }
    while (!body.done()) {
      stream->socket().set_timeout(std::max<Millis>(end - Clock::system().steady(), 1));
      const size_t n = TRY(body.read_some(buffer.data(), buffer.size()));
      if (out.body.size() + n > bound) {
        return error("TooLarge", "the answer is larger than " + std::to_string(bound) + " bytes");
      }
      out.body.append(buffer.data(), n);
    }
  }
  if (answer->keep_alive && out.status != 101) keep(std::move(stream));
  return out;
}

HttpClient::HttpClient(Endpoint endpoint, ClientOptions options)
    : impl_(std::make_unique<Impl>(std::move(endpoint), std::move(options))) {}
HttpClient::~HttpClient() = default;

Result<Response> HttpClient::send(const Request& request) { return impl_->exchange(request, nullptr); }

Result<Response> HttpClient::stream(const Request& request,
                                    const std::function<Result<void>(std::string_view)>& on_piece) {
  return impl_->exchange(request, &on_piece);
}

}  // namespace bastide::net
