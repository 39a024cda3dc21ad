// One HTTP/1.1 exchange over a blocking socket, plain or TLS. Names are looked up by an own DNS query: a
// static program has no NSS.
#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"

namespace bastide::kmscrypt {

struct Url {
  bool tls = false;
  std::string host;
  uint16_t port = 80;
  std::string path = "/";
};
Result<Url> parse_url(const std::string& text);

struct Reply {
  int status = 0;
  std::string body;
};

// `head`: request line and headers, each with CRLF, without the final empty line. Bounded: 1 MiB, `timeout`
// in all.
Result<Reply> exchange(const Url& url, const std::string& head, const std::string& body, Millis timeout);

}  // namespace bastide::kmscrypt
