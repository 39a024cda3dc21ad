#include "edge/origin.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "net/connect.h"
#include "sys/file.h"

namespace bastide::edge {
namespace {

constexpr size_t kMaxKept = 128;  // of one place
constexpr size_t kMaxNames = 1'000;
constexpr Millis kNamesFor = 30 * kSecond;

bool private_v4(uint32_t a) {  // in host order
  auto in = [a](uint32_t net, int bits) { return (a >> (32 - bits)) == (net >> (32 - bits)); };
  return in(0x00000000, 8) || in(0x0a000000, 8) || in(0x64400000, 10) || in(0x7f000000, 8) ||
         in(0xa9fe0000, 16) || in(0xac100000, 12) || in(0xc0000000, 24) || in(0xc0a80000, 16) ||
         in(0xc6120000, 15) || a >= 0xe0000000;
}

}  // namespace

bool private_address(const std::string& literal) {
  in_addr v4{};
  if (inet_pton(AF_INET, literal.c_str(), &v4) == 1) return private_v4(ntohl(v4.s_addr));
  in6_addr v6{};
  if (inet_pton(AF_INET6, literal.c_str(), &v6) != 1) return true;
  const auto* b = v6.s6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6) || IN6_IS_ADDR_V4COMPAT(&v6) || (b[0] == 0 && b[1] == 0x64)) {
    uint32_t inner = 0;
    std::memcpy(&inner, b + 12, 4);
    return private_v4(ntohl(inner));
  }
  return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_UNSPECIFIED(&v6) || IN6_IS_ADDR_LINKLOCAL(&v6) ||
         (b[0] & 0xfe) == 0xfc || b[0] == 0xff;
}

void Origins::set_authorities(const std::string& pem) {
  if (tls_ && pem == authorities_) return;
  authorities_ = pem;
  std::string all = pem;
  if (!pem.empty()) {
    auto systems = sys::read_file("/etc/ssl/certs/ca-certificates.crt", 8u << 20);
    if (systems) all += "\n" + *systems;
  }
  auto made = net::TlsContext::client(all);
  tls_ = made ? *made : nullptr;
}

Result<Origins::Connection> Origins::connect(const internal::EdgeOrigin& origin, bool https,
                                             const std::string& client, bool fresh) {
  Connection out;
  out.place = origin.protocol == "s3" ? "s3"
                                      : (https ? "https " : "http ") + origin.host + ":" +
                                            std::to_string(https ? origin.https_port : origin.http_port);
  auto& kept = kept_[out.place];
  while (!fresh && !kept.empty()) {
    auto last = std::move(kept.back());
    kept.pop_back();
    if (last.upstream->socket.looks_dead()) continue;
    out.upstream = std::move(last.upstream);
    out.reused = true;
    return out;
  }
  Error failed;
  for (int attempt = 0; attempt < origin.attempts; ++attempt) {
    auto socket = open(origin, https, client);
    if (socket) {
      out.upstream = std::make_unique<Upstream>(std::move(*socket));
      return out;
    }
    failed = std::move(socket).error();
    if (failed.code == "Denied" || failed.code == "NotFound") break;
  }
  return failed;
}

Result<net::Socket> Origins::open(const internal::EdgeOrigin& origin, bool https, const std::string& client) {
  if (origin.protocol == "s3") return net::Socket::connect_unix(options_.s3_socket, origin.connect_timeout);
  if (options_.is_balancer && options_.is_balancer(https, origin.host)) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
      return sys::system_error("a pair of sockets");
    sys::Fd ours(pair[0]), theirs(pair[1]);
    auto inside = TRY(net::Socket::adopt(std::move(theirs)));
    auto shared = std::make_shared<net::Socket>(std::move(inside));
    net::spawn([serve = options_.serve, shared, https, client] { serve(std::move(*shared), https, client); });
    return net::Socket::adopt(std::move(ours));
  }
  const auto addresses = TRY(resolve(origin.host));
  const auto port = https ? origin.https_port : origin.http_port;
  Error failed = error("NotFound", "the name " + origin.host + " has no address");
  for (const auto& address : addresses) {
    if (!options_.allow_private && private_address(address)) {
      failed = error("Denied", origin.host + " stands at the private address " + address);
      continue;
    }
    auto fd = TRY(make_socket(address.find(':') == std::string::npos ? AF_INET : AF_INET6));
    auto socket = net::connect_from(std::move(fd), address, port, origin.connect_timeout);
    if (!socket) {
      failed = std::move(socket).error();
      continue;
    }
    if (!https) return socket;
    if (!tls_) return error("no certificate authorities to check origins by");
    auto secured = socket->start_tls_client(*tls_, origin.host, origin.connect_timeout);
    if (secured) return socket;
    failed = std::move(secured).error();
  }
  return failed;
}

Result<std::vector<std::string>> Origins::resolve(const std::string& host) {
  unsigned char raw[16];
  if (inet_pton(AF_INET, host.c_str(), raw) == 1 || inet_pton(AF_INET6, host.c_str(), raw) == 1)
    return std::vector<std::string>{host};
  const auto now = Clock::system().steady();
  auto known = names_.find(host);
  if (known != names_.end() && known->second.until > now) return known->second.addresses;
  const auto look_up = [&]() -> Result<std::vector<std::string>> {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* list = nullptr;
    if (const int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); failed != 0)
      return error("NotFound", "the name " + host + ": " + ::gai_strerror(failed));
    std::vector<std::string> out;
    for (const auto* a = list; a != nullptr && out.size() < 8; a = a->ai_next) {
      char text[INET6_ADDRSTRLEN];
      const void* address =
          a->ai_family == AF_INET
              ? static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(a->ai_addr)->sin_addr)
              : &reinterpret_cast<sockaddr_in6*>(a->ai_addr)->sin6_addr;
      if (inet_ntop(a->ai_family, address, text, sizeof text) != nullptr) out.emplace_back(text);
    }
    ::freeaddrinfo(list);
    return out;
  };
  auto found = TRY(net::offload_result([&]() -> Result<std::vector<std::string>> {
    if (!options_.host_network) return look_up();
    Result<std::vector<std::string>> out = error("no answer");
    options_.host_network->run([&] { out = look_up(); });
    return out;
  }));
  if (names_.size() >= kMaxNames) names_.clear();
  names_[host] = {found, now + kNamesFor};
  return found;
}

Result<sys::Fd> Origins::make_socket(int family) {
  const auto make = [&]() -> Result<sys::Fd> {
    sys::Fd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return sys::system_error("socket");
    return fd;
  };
  if (!options_.host_network) return make();
  return net::offload_result([&]() -> Result<sys::Fd> {
    Result<sys::Fd> out = error("no socket");
    options_.host_network->run([&] { out = make(); });
    return out;
  });
}

void Origins::keep(Connection connection, const internal::EdgeOrigin& origin, Millis now) {
  auto& kept = kept_[connection.place];
  if (kept.size() >= kMaxKept || !connection.upstream->in.empty()) return;
  kept.push_back({std::move(connection.upstream), now + origin.keep_alive});
}

void Origins::sweep(Millis now) {
  for (auto it = kept_.begin(); it != kept_.end();) {
    std::erase_if(it->second, [&](const Kept& k) { return k.until <= now; });
    it = it->second.empty() ? kept_.erase(it) : std::next(it);
  }
}

}  // namespace bastide::edge
