// How long an answer may be used: RFC 9111 sections 3 and 4.2, and CloudFront's rules above them. Functions
// over values: no clock, no store.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "edge/cache_control.h"
#include "edge/head.h"

namespace bastide::edge {

// What of an answer's head decides about caching.
struct AnswerFacts {
  int status = 0;
  CacheControl control;
  std::optional<Millis> date, expires, last_modified;  // expires: 0 where it cannot be read
  int64_t age = 0;                                     // the Age field, seconds
  bool vary_any = false;                               // Vary: *
  bool sets_cookie = false;
  std::string_view etag;
};
AnswerFacts facts_of(const ResponseHead& head);

struct TtlRule {
  bool rfc9111 = false;
  int64_t min = 0, standard = 86400, max = 31536000;  // seconds: MinTTL, DefaultTTL, MaxTTL
  int64_t error_min = 10;                             // ErrorCachingMinTTL of this status
};

// What of the request decides: a header or cookie that reached the origin and is no part of the key.
struct AskFacts {
  bool authorization = false;  // Authorization
  bool cookies = false;        // Cookie
};

struct Lifetime {
  bool store = false;
  const char* why = "";  // for explain: what decided
  int64_t fresh = 0;     // seconds after the answer was made; 0: validated each time
  int64_t while_revalidate = 0;
  int64_t if_error = 0;  // seconds past `fresh` that a stale answer may stand in for an error
};

// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/Expiration.html
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HTTPStatusCodes.html
Lifetime lifetime(const AnswerFacts& answer, const AskFacts& ask, const TtlRule& rule, Millis received);

// Section 4.2.3: the age, in milliseconds, of an answer when it came.
Millis initial_age(const AnswerFacts& answer, Millis asked, Millis received);

}  // namespace bastide::edge
