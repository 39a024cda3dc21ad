#include "aws/image_name.h"

#include <fmt/format.h>

#include "aws/arn.h"

namespace bastide::aws {
namespace {

bool sha256_digest(std::string_view text) {
  return text.size() == 71 && text.starts_with("sha256:") &&
         text.find_first_not_of("0123456789abcdef", 7) == std::string_view::npos;
}

// The host that stands before a name, if it is this registry.
bool own_host(std::string_view host) {
  const std::string_view name = host.substr(0, host.rfind(':'));
  return name == "localhost" || name == "127.0.0.1" || name.ends_with(".localhost") || name == "[::1]";
}

}  // namespace

std::string ImageName::text() const {
  std::string out = account.empty() ? repository : account + "/" + repository;
  return digest.empty() ? out + ":" + tag : out + "@" + digest;
}

Result<ImageName> parse_image_name(std::string_view text) {
  ImageName out;
  const std::string_view whole = text;
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    out.digest = text.substr(at + 1);
    if (!sha256_digest(out.digest)) return error("Invalid", fmt::format("{} has no valid digest", whole));
    text = text.substr(0, at);
  }
  const size_t slash = text.rfind('/');
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    out.tag = text.substr(colon + 1);
    text = text.substr(0, colon);
    if (out.tag.empty()) return error("Invalid", fmt::format("{} has an empty tag", whole));
  } else if (out.digest.empty()) {
    out.tag = "latest";
  }
  if (!out.digest.empty()) out.tag.clear();
  if (const size_t first = text.find('/'); first != std::string_view::npos) {
    const std::string_view host = text.substr(0, first);
    const size_t ecr = host.find(".dkr.ecr.");
    if (ecr != std::string_view::npos && valid_account_id(host.substr(0, ecr))) {
      out.account = host.substr(0, ecr);
      text.remove_prefix(first + 1);
    } else if (own_host(host)) {
      text.remove_prefix(first + 1);
    }
  }
  if (const size_t first = text.find('/'); first != std::string_view::npos && out.account.empty()) {
    if (valid_account_id(text.substr(0, first))) {
      out.account = text.substr(0, first);
      text.remove_prefix(first + 1);
    }
  }
  out.repository = text;
  const bool odd =
      out.repository.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-/:") != std::string::npos;
  if (out.repository.empty() || odd) return error("Invalid", fmt::format("{} is not an image name", whole));
  return out;
}

}  // namespace bastide::aws
