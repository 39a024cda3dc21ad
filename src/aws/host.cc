#include <arpa/inet.h>

#include "aws/front.h"
#include "base/bytes.h"

namespace bastide::aws {
namespace {

std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

bool ip_literal(std::string_view host) {
  unsigned char address[16];
  if (host.starts_with('[') && host.ends_with(']')) {
    return inet_pton(AF_INET6, std::string(host.substr(1, host.size() - 2)).c_str(), address) == 1;
  }
  return inet_pton(AF_INET, std::string(host).c_str(), address) == 1;
}

bool below(std::string_view host, std::string_view suffix) {  // suffix: ".localhost"
  return host.size() > suffix.size() && iequals(host.substr(host.size() - suffix.size()), suffix);
}

}  // namespace

// A page that a browser loaded from elsewhere can point its own name at us, but never an IP literal.
bool host_allowed(std::string_view host, const std::vector<std::string>& allowed) {
  std::string_view name = without_port(host);
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty()) return false;
  if (iequals(name, "localhost") || below(name, ".localhost") || ip_literal(name)) return true;
  for (const std::string& one : allowed) {
    if (one.starts_with("*.") ? below(name, std::string_view(one).substr(1)) : iequals(name, one))
      return true;
  }
  return false;
}

}  // namespace bastide::aws
