// One blocking HTTP exchange, with or without TLS, in a static program: names are looked up in /etc/hosts and
// by a DNS query of its own, since glibc's resolver needs shared libraries.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace bastide::kmscrypt {

struct Url {
  bool tls = false;
  std::string host;  // without brackets
  int port = 80;
  std::string path = "/";
  std::string host_header() const;
};
Result<Url> parse_url(std::string_view text);

// Loopback and link-local addresses: the only ones that plain HTTP may go to.
bool is_local_address(const std::string& host);

struct Exchange {
  std::string method = "GET";
  std::vector<std::pair<std::string, std::string>> headers;  // Host, Content-Length and Connection are added
  std::string body;
};
struct Answer {
  int status = 0;
  std::string body;
};
Result<Answer> exchange(const Url& url, const Exchange& request, const std::string& ca_file);

}  // namespace bastide::kmscrypt
