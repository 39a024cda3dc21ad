#include "services/ssm/name.h"

#include <algorithm>

#include "aws/arn.h"
#include "base/bytes.h"

namespace bastide::services::ssm {
namespace {

constexpr size_t kMaxName = 1011;
constexpr long kMaxLevels = 15;

bool name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
         c == '_';
}

bool path_characters(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return name_character(c) || c == '/'; });
}

Error invalid(std::string message) { return fault("ValidationException", std::move(message)); }

bool digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<Selected> select_parameter(std::string_view text) {
  Selected out;
  std::string_view name = text;
  std::string resource;
  if (text.starts_with("arn:")) {
    const auto arn = aws::parse_arn(text);
    if (!arn || arn->service != "ssm" || !arn->resource.starts_with("parameter/")) {
      return invalid("Invalid parameter ARN: " + std::string(text.substr(0, 200)));
    }
    out.account = arn->account;
    out.region = arn->region;
    out.by_arn = true;
    resource = arn->resource.substr(std::string_view("parameter/").size());
    if (resource.find('/') != std::string::npos) resource.insert(0, "/");
    name = resource;
  }
  const size_t colon = name.find(':');
  if (colon != std::string_view::npos) {
    const std::string_view rest = name.substr(colon + 1);
    if (rest.empty() || rest.find(':') != std::string_view::npos) {
      return invalid("Parameter name must be a fully qualified name.");
    }
    out.selector = name.substr(colon);
    if (digits(rest)) {
      out.version = TRY(parse_int(rest));
    } else {
      out.label = rest;
    }
    name = name.substr(0, colon);
  }
  out.name = name;
  return out;
}

Result<void> check_name(const std::string& name) {
  const std::string low = lower(name);
  std::string_view bare = low;
  if (bare.starts_with('/')) bare.remove_prefix(1);
  const bool path = bare.find('/') != std::string_view::npos;
  if (low.starts_with("/aws/")) {
    return fault("AccessDeniedException", "No access to reserved parameter name: " + name + ".");
  }
  if (bare.starts_with("aws") || bare.starts_with("ssm")) {
    return invalid(
        path ? "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, "
               "it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of "
               "letters, numbers and the following 3 symbols .-_"
             : "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).");
  }
  if (!path_characters(name)) {
    return invalid(
        "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can "
        "consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, "
        "numbers and the following 3 symbols .-_");
  }
  if (name.size() > kMaxName) return invalid("Parameter name can't be longer than 1011 characters.");
  if (bare.empty() || name.ends_with('/') || name.find("//") != std::string::npos ||
      (path && !name.starts_with('/'))) {
    return invalid("Parameter name must be a fully qualified name.");
  }
  if (std::count(name.begin(), name.end(), '/') > kMaxLevels) {
    return fault(
        "HierarchyLevelLimitExceededException",
        "A hierarchy can have a maximum of 15 levels. For more information, see Requirements and constraints "
        "for parameter names in the AWS Systems Manager User Guide.");
  }
  return {};
}

Result<void> check_path(const std::string& path) {
  if (path.starts_with('/') && path_characters(path) && path.find("//") == std::string::npos) return {};
  return invalid(
      "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a "
      "forward slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use "
      "only "
      "letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special "
      "characters "
      "are not allowed. All sub-paths, if specified, must use the forward slash symbol \"/\". Valid example: "
      "/get/parameters2-/by1./path0_.");
}

bool valid_label(std::string_view label) {
  const std::string low = lower(label);
  return !label.empty() && label.size() <= 100 && !(label[0] >= '0' && label[0] <= '9') &&
         !low.starts_with("aws") && !low.starts_with("ssm") &&
         std::all_of(label.begin(), label.end(), name_character);
}

}  // namespace bastide::services::ssm
