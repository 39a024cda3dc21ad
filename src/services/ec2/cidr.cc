#include "services/ec2/cidr.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include "base/bytes.h"

namespace bastide::services {

std::optional<Cidr> Cidr::parse(std::string_view text) {
  auto slash = text.find('/');
  if (slash == std::string_view::npos || text.size() > 18) return std::nullopt;
  in_addr raw{};
  if (inet_pton(AF_INET, std::string(text.substr(0, slash)).c_str(), &raw) != 1) return std::nullopt;
  auto length = parse_int(text.substr(slash + 1));
  if (!length || *length < 0 || *length > 32) return std::nullopt;
  Cidr out;
  out.length = static_cast<int>(*length);
  out.address = ntohl(raw.s_addr) & out.mask();
  return out;
}

std::string Cidr::text() const {
  return fmt::format("{}.{}.{}.{}/{}", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255,
                     length);
}

}  // namespace bastide::services
