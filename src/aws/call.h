// One API call on its way: who, for which account and region, from where. Handed to every operation.
#pragma once

#include <string>

#include "aws/principal.h"
#include "base/time.h"

namespace bastide::aws {

struct Stream;  // stream.h

struct Call {
  Principal principal;
  std::string account;    // whose resources an operation works on: the principal's account
  std::string region;     // of the signature's scope
  std::string service;    // "kms"
  std::string operation;  // "Encrypt"
  std::string request_id;
  std::string source_ip;  // empty for internal calls
  std::string user_agent;
  std::string endpoint;  // "http://127.0.0.1:4566": for URLs in answers
  bool secure = false;   // came over TLS, or from this process
  Millis now = 0;
  std::string referer;       // of the HTTP request: aws:Referer
  Stream* stream = nullptr;  // streaming bodies; null for internal calls
};

}  // namespace bastide::aws
