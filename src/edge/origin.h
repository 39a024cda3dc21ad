// Connections to origins: control's own S3 over a unix socket, load balancers of this very edge over a pair
// of sockets, and any other over TCP from the host's network. On the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "edge/host_network.h"
#include "edge/target.h"
#include "internal/edge_cdn.h"
#include "net/tls.h"
#include "sys/fd.h"

namespace bastide::edge {

// Whether an address is this machine's, a private network's or a special one: refused as an origin unless
// the snapshot allows it.
bool private_address(const std::string& literal);

class Origins {
 public:
  struct Options {
    std::string s3_socket;                      // path
    std::shared_ptr<HostNetwork> host_network;  // where origins outside are reached; empty: as this process
    bool allow_private = false;
    // Serves one end of a pair as a viewer's connection of this edge; false: no balancer has the name.
    std::function<bool(bool https, const std::string& host)> is_balancer;
    std::function<void(net::Socket socket, bool https, std::string client)> serve;
  };
  Options& options() { return options_; }
  void set_authorities(const std::string& pem);  // beside the system's

  struct Connection {
    std::unique_ptr<Upstream> upstream;
    std::string place;  // for keep()
    bool reused = false;
  };
  // A kept connection, or a new one. "Timeout", "Denied" (a private address), or what went wrong. Waits.
  Result<Connection> connect(const internal::EdgeOrigin& origin, bool https, const std::string& client,
                             bool fresh);
  void keep(Connection connection, const internal::EdgeOrigin& origin, Millis now);
  void sweep(Millis now);

 private:
  Result<net::Socket> open(const internal::EdgeOrigin& origin, bool https, const std::string& client);
  Result<std::vector<std::string>> resolve(const std::string& host);
  Result<sys::Fd> make_socket(int family);

  struct Kept {
    std::unique_ptr<Upstream> upstream;
    Millis until = 0;
  };
  struct Known {
    std::vector<std::string> addresses;
    Millis until = 0;
  };
  Options options_;
  std::shared_ptr<net::TlsContext> tls_;
  std::string authorities_;
  std::map<std::string, std::vector<Kept>> kept_;
  std::map<std::string, Known> names_;
};

}  // namespace bastide::edge
