#include "helper/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::kmscrypt {
namespace {

constexpr int kTimeoutSeconds = 10;
constexpr size_t kMaxAnswer = 1 << 20;
constexpr const char* kAuthorities[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};

struct Socket {
  int fd = -1;
  explicit Socket(int f) : fd(f) {}
  Socket(const Socket&) = delete;
  ~Socket() {
    if (fd >= 0) ::close(fd);
  }
};

Error system_error(const std::string& what) { return error(what + ": " + std::strerror(errno)); }

void set_timeouts(int fd, int seconds) {
  const timeval t{seconds, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

bool is_literal(const std::string& host) {
  in_addr four;
  in6_addr six;
  return ::inet_pton(AF_INET, host.c_str(), &four) == 1 || ::inet_pton(AF_INET6, host.c_str(), &six) == 1;
}

std::string from_hosts_file(const std::string& name) {
  std::ifstream file("/etc/hosts");
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string address, alias;
    words >> address;
    while (words >> alias) {
      if (iequals(alias, name) && is_literal(address)) return address;
    }
  }
  return "";
}

// RFC 1035: one question for an A record, and the first one in the answer.
Result<std::string> ask(const std::string& server, const std::string& name) {
  std::string query = random_bytes(2) + std::string("\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 10);
  for (const auto label : split(name, '.')) {
    if (label.empty()) continue;
    if (label.size() > 63) return error("the name " + name + " is not a host name");
    query += static_cast<char>(label.size());
    query += label;
  }
  query += std::string("\x00\x00\x01\x00\x01", 5);
  sockaddr_storage to{};
  auto* four = reinterpret_cast<sockaddr_in*>(&to);
  auto* six = reinterpret_cast<sockaddr_in6*>(&to);
  socklen_t size = sizeof *four;
  if (::inet_pton(AF_INET, server.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(53);
  } else if (::inet_pton(AF_INET6, server.c_str(), &six->sin6_addr) == 1) {
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(53);
    size = sizeof *six;
  } else {
    return error("no name server");
  }
  const Socket s(::socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (s.fd < 0 || ::connect(s.fd, reinterpret_cast<sockaddr*>(&to), size) != 0)
    return system_error("name server");
  set_timeouts(s.fd, 3);
  std::string answer(4096, '\0');
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (::send(s.fd, query.data(), query.size(), 0) < 0) continue;
    const ssize_t n = ::recv(s.fd, answer.data(), answer.size(), 0);
    if (n < 12 || answer[0] != query[0] || answer[1] != query[1]) continue;
    const std::string_view m(answer.data(), static_cast<size_t>(n));
    auto u8 = [&](size_t i) { return i < m.size() ? static_cast<uint8_t>(m[i]) : 0; };
    auto u16 = [&](size_t i) { return u8(i) << 8 | u8(i + 1); };
    auto skip_name = [&](size_t i) {
      while (i < m.size() && u8(i) != 0 && u8(i) < 0xc0) i += 1 + u8(i);
      return i + (u8(i) >= 0xc0 ? 2 : 1);
    };
    size_t at = skip_name(12) + 4;
    for (int left = u16(6); left > 0 && at < m.size(); --left) {
      at = skip_name(at);
      const int type = u16(at), length = u16(at + 8);
      at += 10;
      if (type == 1 && length == 4 && at + 4 <= m.size()) {
        char text[INET_ADDRSTRLEN];
        ::inet_ntop(AF_INET, m.data() + at, text, sizeof text);
        return std::string(text);
      }
      at += static_cast<size_t>(length);
    }
    return error("the name " + name + " has no address");
  }
  return error("the name server did not answer for " + name);
}

Result<std::string> resolve(const std::string& host) {
  if (is_literal(host)) return host;
  if (const auto known = from_hosts_file(host); !known.empty()) return known;
  if (host == "localhost") return std::string("127.0.0.1");
  std::ifstream file("/etc/resolv.conf");
  std::string line;
  Result<std::string> last = error("no name server in /etc/resolv.conf to look up " + host);
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string keyword, server;
    words >> keyword >> server;
    if (keyword != "nameserver") continue;
    last = ask(server, host);
    if (last) return last;
  }
  return last;
}

Result<int> connect_to(const std::string& address, int port) {
  sockaddr_storage to{};
  socklen_t size = sizeof(sockaddr_in);
  auto* four = reinterpret_cast<sockaddr_in*>(&to);
  auto* six = reinterpret_cast<sockaddr_in6*>(&to);
  if (::inet_pton(AF_INET, address.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(static_cast<uint16_t>(port));
  } else if (::inet_pton(AF_INET6, address.c_str(), &six->sin6_addr) == 1) {
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(static_cast<uint16_t>(port));
    size = sizeof *six;
  } else {
    return error("not an address: " + address);
  }
  Socket s(::socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (s.fd < 0) return system_error("socket");
  set_timeouts(s.fd, kTimeoutSeconds);
  if (::connect(s.fd, reinterpret_cast<sockaddr*>(&to), size) != 0)
    return system_error("connecting to " + address);
  return std::exchange(s.fd, -1);
}

struct FreeTls {
  void operator()(SSL* s) const { SSL_free(s); }
  void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
};

Error tls_error(const std::string& what) {
  const unsigned long code = ERR_get_error();
  const char* reason = code ? ERR_reason_error_string(code) : nullptr;
  return error(what + ": " + (reason ? reason : "TLS failed"));
}

// Bytes over the socket, with TLS when there is any.
struct Stream {
  int fd;
  std::unique_ptr<SSL_CTX, FreeTls> context;
  std::unique_ptr<SSL, FreeTls> tls;

  Result<void> start_tls(const std::string& host, const std::string& ca_file) {
    context.reset(SSL_CTX_new(TLS_client_method()));
    if (!context) return tls_error("TLS");
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    std::string authorities = ca_file;
    for (const char* path : kAuthorities) {
      if (authorities.empty() && ::access(path, R_OK) == 0) authorities = path;
    }
    if (authorities.empty()) return error("no trusted authorities: give --ca FILE or set AWS_CA_BUNDLE");
    if (SSL_CTX_load_verify_file(context.get(), authorities.c_str()) != 1) return tls_error(authorities);
    tls.reset(SSL_new(context.get()));
    if (!tls) return tls_error("TLS");
    if (is_literal(host)) {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls.get()), host.c_str());
    } else {
      SSL_set1_host(tls.get(), host.c_str());
      SSL_set_tlsext_host_name(tls.get(), host.c_str());
    }
    SSL_set_fd(tls.get(), fd);
    if (SSL_connect(tls.get()) == 1) return {};
    const long verified = SSL_get_verify_result(tls.get());
    if (verified != X509_V_OK)
      return error("the certificate of " + host + ": " + X509_verify_cert_error_string(verified));
    return tls_error("TLS with " + host);
  }
  Result<void> write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = tls ? SSL_write(tls.get(), bytes.data(), static_cast<int>(bytes.size()))
                            : ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) {
        if (!tls && errno == EINTR) continue;
        return error("sending failed");
      }
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return {};
  }
  // Empty at the end.
  Result<std::string> read() {
    char buffer[16 << 10];
    while (true) {
      const ssize_t n =
          tls ? SSL_read(tls.get(), buffer, sizeof buffer) : ::recv(fd, buffer, sizeof buffer, 0);
      if (n > 0) return std::string(buffer, static_cast<size_t>(n));
      if (tls && SSL_get_error(tls.get(), static_cast<int>(n)) == SSL_ERROR_ZERO_RETURN) return std::string();
      if (!tls && n == 0) return std::string();
      if (!tls && errno == EINTR) continue;
      return error("no answer in time, or the connection broke");
    }
  }
};

Result<std::string> unchunk(std::string_view text) {
  std::string out;
  while (true) {
    const auto end = text.find("\r\n");
    if (end == std::string_view::npos || end > 16) return error("a damaged answer");
    size_t size = 0;
    for (const char c : text.substr(0, std::min(end, text.find(';')))) {
      const auto digit = std::string_view("0123456789abcdef").find(static_cast<char>(c | 0x20));
      if (digit == std::string_view::npos || size > kMaxAnswer) return error("a damaged answer");
      size = size * 16 + digit;
    }
    text.remove_prefix(end + 2);
    if (size == 0) return out;
    if (text.size() < size + 2) return error("a damaged answer");
    out += text.substr(0, size);
    text.remove_prefix(size + 2);
  }
}

}  // namespace

std::string Url::host_header() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == (tls ? 443 : 80) ? name : name + ":" + std::to_string(port);
}

Result<Url> parse_url(std::string_view text) {
  Url url;
  if (text.starts_with("https://")) {
    url.tls = true;
    url.port = 443;
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
  } else {
    return error("an endpoint must begin with http:// or https://");
  }
  const auto slash = text.find('/');
  if (slash != std::string_view::npos) url.path = text.substr(slash);
  std::string_view authority = text.substr(0, slash);
  if (authority.starts_with("[")) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return error("an endpoint's host is cut off");
    url.host = authority.substr(1, end - 1);
    authority.remove_prefix(end + 1);
  } else {
    url.host = authority.substr(0, authority.find(':'));
    authority.remove_prefix(url.host.size());
  }
  if (authority.starts_with(":")) {
    const auto port = parse_int(authority.substr(1));
    if (!port || *port < 1 || *port > 65535) return error("an endpoint's port is not a number");
    url.port = static_cast<int>(*port);
  }
  if (url.host.empty() || url.host.find_first_of(" \r\n@") != std::string::npos ||
      url.path.find_first_of(" \r\n") != std::string::npos) {
    return error("an endpoint is not a URL");
  }
  return url;
}

bool is_local_address(const std::string& host) {
  in_addr four;
  if (::inet_pton(AF_INET, host.c_str(), &four) == 1) {
    const uint32_t a = ntohl(four.s_addr);
    return (a >> 24) == 127 || (a >> 16) == 0xa9fe;
  }
  return host == "localhost" || host == "::1" || host == "fd00:ec2::23";
}

Result<Answer> exchange(const Url& url, const Exchange& request, const std::string& ca_file) {
  if (!url.tls && !is_local_address(url.host)) {
    return error("plain HTTP is for loopback and link-local addresses alone, not for " + url.host);
  }
  const auto address = TRY(resolve(url.host));
  if (!url.tls && !is_local_address(address)) return error(url.host + " is not a local address");
  const Socket socket(TRY(connect_to(address, url.port)));
  Stream stream{socket.fd, nullptr, nullptr};
  if (url.tls) TRY(stream.start_tls(url.host, ca_file));
  std::string head = request.method + " " + url.path + " HTTP/1.1\r\nHost: " + url.host_header() +
                     "\r\nConnection: close\r\nContent-Length: " + std::to_string(request.body.size()) +
                     "\r\n";
  for (const auto& [name, value] : request.headers) head += name + ": " + value + "\r\n";
  auto written = stream.write(head + "\r\n" + request.body);
  wipe(head);
  TRY(std::move(written));
  std::string text;
  std::optional<size_t> length;
  size_t body = std::string::npos;
  bool chunked = false;
  while (!length || text.size() < body + *length) {
    const auto piece = TRY(stream.read());
    if (piece.empty()) break;
    text += piece;
    if (text.size() > kMaxAnswer) return error("the answer is too large");
    if (body != std::string::npos) continue;
    const auto end = text.find("\r\n\r\n");
    if (end == std::string::npos) continue;
    body = end + 4;
    for (const auto line : split(std::string_view(text).substr(0, end), '\n')) {
      const auto colon = line.find(':');
      if (colon == std::string_view::npos) continue;
      const std::string name = lower(line.substr(0, colon));
      const auto value = trim(line.substr(colon + 1));
      if (name == "content-length") {
        const auto n = parse_int(value);
        if (!n || *n < 0) return error("a damaged answer");
        length = static_cast<size_t>(*n);
      }
      if (name == "transfer-encoding") chunked = iequals(value, "chunked");
    }
  }
  if (body == std::string::npos || !text.starts_with("HTTP/1.") || text.size() < 12)
    return error("no HTTP answer from " + url.host);
  Answer answer;
  const auto status = parse_int(std::string_view(text).substr(9, 3));
  answer.status = status ? static_cast<int>(*status) : 0;
  if (chunked) {
    answer.body = TRY(unchunk(std::string_view(text).substr(body)));
  } else {
    if (length && text.size() < body + *length) return error("the answer is cut off");
    answer.body = text.substr(body);
  }
  wipe(text);
  return answer;
}

}  // namespace bastide::kmscrypt
