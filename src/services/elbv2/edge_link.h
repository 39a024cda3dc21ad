// Control's side of the channel to edge: sends whole snapshots after changes, takes health and access events.
// Connects to run/edge.sock, again and again; edge goes on with its last snapshot meanwhile. On the loop that
// starts it.
#pragma once

#include <memory>
#include <string>

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
  };
  explicit EdgeLink(Parts parts);
  ~EdgeLink();
  void start();
  int64_t acknowledged() const;  // the number of the snapshot that edge uses; 0: none yet

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace bastide::services
