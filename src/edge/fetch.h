// Getting an answer: from the cache, from somebody who fetches it already, or from an origin. The fetch runs
// in a fiber of its own: a viewer who leaves does not take it along.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "edge/ask.h"
#include "edge/cache.h"
#include "edge/config.h"
#include "edge/distribution.h"
#include "edge/origin.h"

namespace bastide::edge {

// Counters of one distribution since this edge started.
struct CdnStats {
  int64_t requests = 0, hits = 0, misses = 0, refreshes = 0, stale = 0, errors = 0, refused = 0;
  int64_t bytes = 0, origin_requests = 0, origin_failures = 0, collapsed = 0;
};

struct Cdn {
  Cdn(Clock& c, const std::string& folder, CacheLimits limits) : clock(c), cache(folder, limits) {}
  Clock& clock;
  Cache cache;
  Origins origins;
  std::map<std::string, CdnStats> stats;
};

// What is asked, whose, and the viewer's head for the fields that answers vary by.
struct Job {
  std::shared_ptr<Config> config;  // keeps the next two
  const Distribution* distribution = nullptr;
  const internal::EdgeBehavior* behavior = nullptr;
  Ask ask;
  std::string head_text;  // request has views into it
  RequestHead request;
  std::shared_ptr<Object> stale;  // to be validated
  std::shared_ptr<Fill> fill;
  bool registered = false;  // others may find the fill
};

// In a fiber of its own; tells through the job's fill.
void start_fetch(const std::shared_ptr<Cdn>& cdn, std::shared_ptr<Job> job);

struct Got {
  enum class How { hit, miss, refresh, stale } how = How::miss;
  std::shared_ptr<Object> object;
  std::string failed;
  int failed_status = 502;
  const char* layer = "origin";
};

// `head_text`: the viewer's whole head. Waits.
Got obtain(const std::shared_ptr<Cdn>& cdn, const std::shared_ptr<Config>& config,
           const Distribution& distribution, const internal::EdgeBehavior& behavior, Ask ask,
           const std::string& head_text, const std::vector<Field>& fields);

// The head of a request to an origin, with its empty line.
std::string origin_head(const Distribution& distribution, const internal::EdgeOrigin& origin, const Ask& ask,
                        const std::string& more, Millis now);
bool origin_https(const internal::EdgeOrigin& origin, bool viewer_https);
// The answer's head from the origin; interim answers are skipped. "Timeout", "Closed", "Invalid". Waits.
Result<void> read_response(Upstream& upstream, ResponseHead& head, Millis timeout);
// The fields that are kept and passed on: none of the connection, none that the edge writes itself.
std::string passed_fields(const ResponseHead& head, bool keep_cookies);
std::string request_id();  // X-Amz-Cf-Id

}  // namespace bastide::edge
