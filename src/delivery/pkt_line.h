// Git's packet lines and side bands. https://git-scm.com/docs/protocol-common and .../pack-protocol
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bastide::delivery {

std::string pkt_line(std::string_view payload);             // at most 65,516 bytes of payload
inline constexpr std::string_view kFlush = "0000";
std::string side_band(int band, std::string_view payload);  // 1 data, 2 progress, 3 fatal

struct RefUpdate {
  std::string before, after;  // 40 hexadecimal digits; zeros: made or deleted
  std::string ref;            // "refs/heads/main"
  bool deletes() const { return after.find_first_not_of('0') == std::string::npos; }
};

struct PushCommands {
  std::vector<RefUpdate> updates;
  bool side_band_64k = false;
};

// The command list at the head of a receive-pack request; what follows it is the pack.
Result<PushCommands> parse_push(std::string_view request);

// Which refs of a receive-pack report were accepted ("ok <ref>").
std::vector<std::string> accepted_refs(std::string_view report, bool side_band_64k);

}  // namespace bastide::delivery
