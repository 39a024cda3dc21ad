#include "aws/virtual_host.h"

#include "base/bytes.h"

namespace bastide::aws {
namespace {

std::string_view name_of(std::string_view host) {
  if (host.starts_with('[')) return {};
  host = host.substr(0, host.find(':'));
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

// What stands before the label that says "S3", where one does.
std::string before_label(std::string_view name, bool website) {
  for (size_t at = name.find(".s3"); at != std::string_view::npos; at = name.find(".s3", at + 1)) {
    const std::string_view rest = name.substr(at + 1);
    const std::string_view label = rest.substr(0, rest.find('.'));
    const bool is_website = label == "s3-website" || label.starts_with("s3-website-");
    const bool is_rest = label == "s3" || (label.starts_with("s3-") && !is_website);
    if (label.size() < rest.size() && (website ? is_website : is_rest))
      return std::string(name.substr(0, at));
  }
  return {};
}

}  // namespace

std::string virtual_bucket(std::string_view host) {
  const std::string name = lower(name_of(host));
  if (name.starts_with("s3.") || name.starts_with("s3-")) return {};
  if (auto bucket = before_label(name, false); !bucket.empty()) return bucket;
  // Clients that were given http://localhost:PORT put the bucket right before it.
  constexpr std::string_view kLocal = ".localhost";
  if (!name.ends_with(kLocal) || name.find(".s3-website") != std::string::npos) return {};
  return name.substr(0, name.size() - kLocal.size());
}

std::string website_bucket(std::string_view host) { return before_label(lower(name_of(host)), true); }

}  // namespace bastide::aws
