// Lifecycle rules as they judge objects. No waiting, no state.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "store/objects.h"

namespace bastide::services::s3 {

struct LifecycleRule {
  std::string prefix;
  std::vector<std::pair<std::string, std::string>> tags;
  int64_t larger_than = -1, smaller_than = -1;
  int64_t days = 0;  // 0: none, of each of these
  Millis date = 0;
  bool lone_markers = false;
  int64_t noncurrent_days = 0, noncurrent_kept = 0;
  int64_t abort_days = 0;
};

struct Expired {
  std::string key, version;
  int64_t sequence = 0;
  bool latest = false;
  bool permanently = false;  // else as DeleteObject without a version does
};

std::vector<LifecycleRule> rules_of(const json::Value& configuration);  // the enabled ones
// `rows`: versions in order, newest first within a key. A key whose versions go on in the next page is judged
// by what is there.
std::vector<Expired> expired(const std::vector<LifecycleRule>& rules,
                             const std::vector<store::objects::Object>& rows, Millis now);
bool upload_expired(const std::vector<LifecycleRule>& rules, const store::objects::Upload& upload,
                    Millis now);

}  // namespace bastide::services::s3
