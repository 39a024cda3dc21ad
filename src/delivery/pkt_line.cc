#include "delivery/pkt_line.h"

#include <fmt/format.h>

#include <charconv>

#include "base/bytes.h"

namespace bastide::delivery {
namespace {

constexpr size_t kMaxCommands = 1000;

// The next packet's payload; a flush is an empty payload with `flush` set.
struct Packets {
  std::string_view rest;
  bool flush = false;

  Result<std::string_view> next() {
    size_t length = 0;
    const auto [end, ec] = std::from_chars(rest.data(), rest.data() + std::min<size_t>(4, rest.size()), length, 16);
    if (rest.size() < 4 || ec != std::errc{} || end != rest.data() + 4) return error("Invalid", "a broken packet line");
    flush = length == 0;
    if (flush) {
      rest.remove_prefix(4);
      return std::string_view{};
    }
    if (length < 4 || length > rest.size()) return error("Invalid", "a packet line of a wrong length");
    const auto payload = rest.substr(4, length - 4);
    rest.remove_prefix(length);
    return payload;
  }
};

bool is_sha(std::string_view text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::string pkt_line(std::string_view payload) {
  CHECK(payload.size() <= 65'516);
  return fmt::format("{:04x}{}", payload.size() + 4, payload);
}

std::string side_band(int band, std::string_view payload) {
  std::string out;
  while (!payload.empty()) {
    const auto piece = payload.substr(0, 65'000);
    out += fmt::format("{:04x}{}{}", piece.size() + 5, static_cast<char>(band), piece);
    payload.remove_prefix(piece.size());
  }
  return out;
}

Result<PushCommands> parse_push(std::string_view request) {
  Packets packets{request};
  PushCommands out;
  for (;;) {
    std::string_view line = TRY(packets.next());
    if (packets.flush) return out;
    const size_t zero = line.find('\0');
    if (zero != std::string_view::npos) {
      for (const auto capability : split(line.substr(zero + 1), ' ')) {
        if (trim(capability) == "side-band-64k") out.side_band_64k = true;
      }
      line = line.substr(0, zero);
    }
    line = trim(line);
    if (line.starts_with("shallow ")) continue;
    if (line.size() < 83 || !is_sha(line.substr(0, 40)) || !is_sha(line.substr(41, 40)) || line[40] != ' ' || line[81] != ' ') {
      return error("Invalid", "not a push command");
    }
    if (out.updates.size() >= kMaxCommands) return error("TooLarge", "more than 1,000 refs in one push");
    out.updates.push_back({std::string(line.substr(0, 40)), std::string(line.substr(41, 40)), std::string(line.substr(82))});
  }
}

std::vector<std::string> accepted_refs(std::string_view report, bool side_band_64k) {
  std::string inner;
  if (side_band_64k) {
    Packets packets{report};
    while (!packets.rest.empty()) {
      const auto packet = packets.next();
      if (!packet || packets.flush) break;
      if (!packet->empty() && packet->front() == 1) inner += packet->substr(1);
    }
    report = inner;
  }
  std::vector<std::string> out;
  Packets packets{report};
  while (!packets.rest.empty()) {
    const auto line = packets.next();
    if (!line || packets.flush) break;
    if (line->starts_with("ok ")) out.emplace_back(trim(line->substr(3)));
  }
  return out;
}

}  // namespace bastide::delivery
