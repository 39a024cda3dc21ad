// A client of AWS's APIs, ours or Amazon's: the CLI, the helper in containers and the target `aws` use it.
// By name and JSON; every protocol that the model has. Works in a fiber or outside one.
#pragma once

#include <memory>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace bastide::aws {

struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  Millis expires_at = 0;
};

struct ClientConfig {
  std::string endpoint;          // "http://127.0.0.1:4566"; empty: AWS's own for the service and region
  std::string ca_pem;            // trusted beside nothing else when not empty
  std::string region = "us-east-1";
  Credentials credentials;
  int attempts = 3;              // of throttled and failed calls, with back-off
};

class Client {
 public:
  explicit Client(ClientConfig config);
  ~Client();
  // An answer of an error status is a fault with AWS's code and message.
  Result<json::Value> call(const std::string& service, const std::string& operation, const json::Value& input);
  const ClientConfig& config() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bastide::aws
