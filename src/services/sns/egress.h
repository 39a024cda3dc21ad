// The one way out for addresses that users give: HTTP(S) posts to subscribers, mail to a configured server.
// After a name is resolved, loopback, link-local, private and other special addresses are refused unless they
// are allowed; redirects are not followed. Waits; its own threads do the work, so that a slow subscriber
// holds up nobody else.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace bastide::services {

struct EgressConfig {
  std::vector<std::string> allow;  // CIDR ranges that may be reached all the same
  std::string smtp_url;            // "smtp://127.0.0.1:2525", "smtps://mail.example:465"; empty: no mail
  std::string smtp_from;           // "bastide@example.com"
  std::string smtp_user, smtp_password;
};

struct WebPost {
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  Millis timeout = 15 * kSecond;
};

struct Mail {
  std::string to, subject, body;
  std::vector<std::pair<std::string, std::string>> headers;
};

class Egress {
 public:
  explicit Egress(EgressConfig config);
  ~Egress();
  // The status of the answer. An address that is refused is an error of code "Denied".
  Result<int> post(WebPost post);
  Result<void> send(Mail mail);
  bool has_mail() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Whether an IP address (text) is one of the public Internet, or in one of `allow`. Pure.
bool reachable(const std::string& address, const std::vector<std::string>& allow);
// {"egress": {"allow": [..]}, "smtp": {"url", "from", "user", "password_file"}} of serve.yaml, as JSON.
Result<EgressConfig> egress_config(const json::Value& serve);

}  // namespace bastide::services
