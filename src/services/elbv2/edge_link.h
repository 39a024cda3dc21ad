// Control's side of the channel to edge: sends whole snapshots after changes, takes health and access events.
// Connects to run/edge.sock, again and again; edge goes on with its last snapshot meanwhile. On the loop that
// starts it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "aws/local_client.h"
#include "services/elbv2/certificates.h"
#include "services/elbv2/health_board.h"
#include "store/database.h"
#include "store/keyring.h"

namespace bastide::services {

class EdgeLink {
 public:
  struct Parts {
    store::Database& database;
    store::Keyring& keyring;
    aws::LocalClient& client;
    HealthBoard& board;
    Clock& clock;
    std::string home;
    CertificateSource* source = nullptr;
    // What others have in the snapshot (CloudFront's distributions), the topics that tell of their changes, and
    // whom to tell that edge uses it. Their certificates for AWS's own names are the local CA's.
    std::function<Result<void>(internal::EdgeSnapshot&)> more = {};
    std::vector<std::string> topics = {};
    std::function<void(const internal::EdgeSnapshot&)> sent = {};
    std::function<void(const internal::AccessEntry&)> observe = {};  // sees each access entry once
  };
  explicit EdgeLink(Parts parts);
  ~EdgeLink();
  void start();
  // Asks edge something that only it knows ("cdn.stats"). Waits.
  Result<json::Value> ask(json::Value request);
  int64_t acknowledged() const;  // the number of the snapshot that edge uses; 0: none yet

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace bastide::services
