#include "kmscrypt/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/bytes.h"
#include "base/crypto.h"
#include "sys/fd.h"
#include "sys/file.h"

namespace bastide::kmscrypt {
namespace {

constexpr size_t kMaxReply = 1u << 20;
constexpr Millis kDnsPatience = 3 * kSecond;

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

bool parse_ip(const std::string& text, uint16_t port, Address& out) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
  if (::inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    out.length = sizeof *v4;
    return true;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
  if (::inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    out.length = sizeof *v6;
    return true;
  }
  return false;
}

constexpr uint8_t kA = 1, kAaaa = 28;

// The first record of the type. https://www.rfc-editor.org/rfc/rfc1035#section-4.1
Result<std::string> query(const std::string& name, const std::string& server, uint8_t wanted) {
  std::string packet = random_bytes(2) + std::string("\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 10);
  for (const auto label : split(name, '.')) {
    if (label.empty() || label.size() > 63) return error("not a host name: " + name);
    packet += static_cast<char>(label.size());
    packet += label;
  }
  packet += std::string("\0\x00", 2) + static_cast<char>(wanted) + std::string("\x00\x01", 2);
  Address to;
  if (!parse_ip(server, 53, to)) return error("not a name server: " + server);
  const sys::Fd socket(::socket(to.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket || ::connect(socket.get(), reinterpret_cast<sockaddr*>(&to.storage), to.length) != 0 ||
      ::send(socket.get(), packet.data(), packet.size(), 0) < 0) {
    return sys::system_error("name server " + server);
  }
  pollfd p{socket.get(), POLLIN, 0};
  if (::poll(&p, 1, kDnsPatience) != 1)
    return error("Timeout", "the name server " + server + " does not answer");
  uint8_t answer[1500];
  const ssize_t n = ::recv(socket.get(), answer, sizeof answer, 0);
  if (n < 12 || std::memcmp(answer, packet.data(), 2) != 0) return error("a wrong answer of the name server");
  const auto size = static_cast<size_t>(n);
  const auto u16 = [&](size_t at) {
    return at + 1 < size ? static_cast<size_t>(answer[at] << 8 | answer[at + 1]) : 0;
  };
  const auto skip_name = [&](size_t at) {
    while (at < size && answer[at] != 0) {
      if ((answer[at] & 0xc0) == 0xc0) return at + 2;
      at += answer[at] + size_t{1};
    }
    return at + 1;
  };
  size_t at = skip_name(12) + 4;
  for (size_t i = 0; i < u16(6) && at < size; ++i) {
    at = skip_name(at);
    const size_t type = u16(at), length = u16(at + 8);
    at += 10;
    if (type == wanted && length == (wanted == kA ? 4u : 16u) && at + length <= size) {
      char text[INET6_ADDRSTRLEN];
      ::inet_ntop(wanted == kA ? AF_INET : AF_INET6, answer + at, text, sizeof text);
      return std::string(text);
    }
    at += length;
  }
  return error("NotFound", "the host " + name + " has no address");
}

// /etc/hosts: an address and its names a line.
std::string in_hosts(const std::string& host) {
  const auto text = sys::read_file("/etc/hosts", 1 << 20);
  if (!text) return "";
  for (auto line : split(*text, '\n')) {
    line = line.substr(0, line.find('#'));
    std::string address;
    while (!(line = trim(line)).empty()) {
      const size_t end = line.find_first_of(" \t");
      const std::string_view word = line.substr(0, end);
      if (!address.empty() && iequals(word, host)) return address;
      if (address.empty()) address = word;
      line = end == std::string_view::npos ? std::string_view() : line.substr(end);
    }
  }
  return "";
}

Result<Address> resolve(const std::string& host, uint16_t port) {
  Address out;
  if (parse_ip(host == "localhost" ? "127.0.0.1" : host, port, out)) return out;
  if (const auto known = in_hosts(host); !known.empty() && parse_ip(known, port, out)) return out;
  Error last = error("/etc/resolv.conf names no server to look up " + host);
  const auto configuration = sys::read_file("/etc/resolv.conf", 64 << 10);
  if (!configuration) return last;
  for (const auto line : split(*configuration, '\n')) {
    if (!line.starts_with("nameserver ")) continue;
    for (const uint8_t type : {kA, kAaaa}) {
      const auto address = query(host, std::string(trim(line.substr(11))), type);
      if (address && parse_ip(*address, port, out)) return out;
      if (!address) last = address.error();
      if (last.code != "NotFound") break;
    }
  }
  return last;
}

struct FreeSsl {
  void operator()(SSL* s) const { SSL_free(s); }
  void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
};

class Connection {
 public:
  static Result<Connection> open(const Url& url, Millis timeout) {
    const Address to = TRY(resolve(url.host, url.port));
    Connection c;
    c.fd_ = sys::Fd(::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{static_cast<time_t>(timeout / 1000),
                           static_cast<suseconds_t>(timeout % 1000 * 1000)};
    if (!c.fd_ || ::setsockopt(c.fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        ::setsockopt(c.fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0 ||
        ::connect(c.fd_.get(), reinterpret_cast<const sockaddr*>(&to.storage), to.length) != 0) {
      return sys::system_error("connect to " + url.host + ":" + std::to_string(url.port));
    }
    if (url.tls) TRY(c.start_tls(url.host));
    return c;
  }

  Result<void> send(std::string_view data) {
    while (!data.empty()) {
      const ssize_t n = ssl_ ? SSL_write(ssl_.get(), data.data(), static_cast<int>(data.size()))
                             : ::send(fd_.get(), data.data(), data.size(), MSG_NOSIGNAL);
      if (n <= 0) return sys::system_error("send");
      data.remove_prefix(static_cast<size_t>(n));
    }
    return {};
  }

  Result<std::string> receive_all() {
    std::string out;
    char buffer[16384];
    for (;;) {
      const ssize_t n =
          ssl_ ? SSL_read(ssl_.get(), buffer, sizeof buffer) : ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (n < 0 && !ssl_) return sys::system_error("receive");
      if (n <= 0) return out;
      out.append(buffer, static_cast<size_t>(n));
      if (out.size() > kMaxReply) return error("TooLarge", "an answer of more than 1 MiB");
    }
  }

 private:
  Result<void> start_tls(const std::string& host) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    const char* bundle = std::getenv("AWS_CA_BUNDLE");
    const std::string authorities = bundle ? bundle : "/etc/ssl/certs/ca-certificates.crt";
    if (SSL_CTX_load_verify_locations(context_.get(), authorities.c_str(), nullptr) != 1) {
      return error("no certificate authorities in " + authorities + "; set AWS_CA_BUNDLE");
    }
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
    SSL_set1_host(ssl_.get(), host.c_str());
    SSL_set_fd(ssl_.get(), fd_.get());
    if (SSL_connect(ssl_.get()) != 1) {
      const long verdict = SSL_get_verify_result(ssl_.get());
      return error("TLS to " + host + " failed" +
                   (verdict == X509_V_OK ? "" : std::string(": ") + X509_verify_cert_error_string(verdict)));
    }
    return {};
  }

  sys::Fd fd_;
  std::unique_ptr<SSL_CTX, FreeSsl> context_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
};

Result<std::string> unchunk(std::string_view in) {
  std::string out;
  for (;;) {
    const size_t end = in.find("\r\n");
    if (end == std::string_view::npos) return error("a chunked answer is cut off");
    size_t size = 0;
    for (const char c : in.substr(0, in.substr(0, end).find(';'))) {
      const size_t digit = std::string_view("0123456789abcdef").find(static_cast<char>(c | 0x20));
      if (digit == std::string_view::npos || size > kMaxReply) return error("a chunk of a wrong size");
      size = size * 16 + digit;
    }
    in.remove_prefix(end + 2);
    if (size == 0) return out;
    if (in.size() < size + 2) return error("a chunked answer is cut off");
    out += in.substr(0, size);
    in.remove_prefix(size + 2);
  }
}

}  // namespace

Result<Url> parse_url(const std::string& text) {
  Url url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    url.tls = true;
    url.port = 443;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return error("not an http or https URL: " + text);
  }
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos) url.path = rest.substr(slash);
  std::string_view authority = rest.substr(0, slash);
  const size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos) {
    const int64_t port = TRY(parse_int(authority.substr(colon + 1)));
    if (port < 1 || port > 65535) return error("not a port in " + text);
    url.port = static_cast<uint16_t>(port);
    authority = authority.substr(0, colon);
  }
  if (authority.starts_with('[') && authority.ends_with(']'))
    authority = authority.substr(1, authority.size() - 2);
  url.host = authority;
  if (url.host.empty()) return error("no host in " + text);
  return url;
}

Result<Reply> exchange(const Url& url, const std::string& head, const std::string& body, Millis timeout) {
  Connection connection = TRY(Connection::open(url, timeout));
  TRY(connection.send(head + "Connection: close\r\n\r\n" + body));
  const std::string answer = TRY(connection.receive_all());
  const size_t end = answer.find("\r\n\r\n");
  if (end == std::string::npos || !answer.starts_with("HTTP/1.") || answer.size() < 12)
    return error("no HTTP answer from " + url.host);
  Reply reply;
  reply.status = static_cast<int>(TRY(parse_int(answer.substr(9, 3))));
  const std::string headers = lower(answer.substr(0, end));
  const std::string_view rest = std::string_view(answer).substr(end + 4);
  reply.body = headers.find("\r\ntransfer-encoding: chunked") != std::string::npos ? TRY(unchunk(rest)) : std::string(rest);
  return reply;
}

}  // namespace bastide::kmscrypt
