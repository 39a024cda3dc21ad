// Names of images in this house's registry, as FROM and task definitions write them: "app:tag",
// "app@sha256:...", with
// "<host:port>/", "<host:port>/<account>/" or "<account>.dkr.ecr.<region>.amazonaws.com/" before them.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace bastide::aws {

struct ImageName {
  std::string account;  // empty: the caller's
  std::string repository;
  std::string tag;  // "latest" where neither is given
  std::string digest;
  std::string text() const;
};
Result<ImageName> parse_image_name(std::string_view text);

}  // namespace bastide::aws
