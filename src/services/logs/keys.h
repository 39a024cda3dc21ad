// Names under which groups, streams and events are kept.
#pragma once

#include "aws/arn.h"
#include "aws/call.h"
#include "store/database.h"

namespace bastide::services {

inline constexpr const char* kGroupKind = "logs.group";
inline constexpr const char* kStreamKind = "logs.stream";  // id: group:stream
inline constexpr const char* kMetricFilterKind = "logs.metric-filter";  // id: group:name
inline constexpr const char* kSequenceToken =
    "49039859600623613438943284742395312382459281935103616130";  // AWS ignores it

inline store::Key group_key(const aws::Call& call, const std::string& name) {
  return {call.account, call.region, kGroupKind, name};
}
inline store::Key stream_key(const aws::Call& call, const std::string& group, const std::string& stream) {
  return {call.account, call.region, kStreamKind, group + ":" + stream};
}
// The group's key in store::Logs.
inline std::string store_key(const std::string& account, const std::string& region, const std::string& name) {
  return account + "/" + region + "/" + name;
}
inline std::string group_arn(const aws::Call& call, const std::string& name) {
  return aws::make_arn("logs", call.region, call.account, "log-group:" + name);
}

Error no_group();
Error no_stream();
Error bad_parameter(const std::string& why);

}  // namespace bastide::services
