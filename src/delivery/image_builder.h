// What the pipeline asks of the image builder: one Dockerfile, one workspace, one immutable tag.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "aws/principal.h"
#include "base/result.h"
#include "sys/fd.h"

namespace bastide::delivery {

struct ImageRequest {
  aws::Principal principal;     // who pushes
  std::string account, region;  // of the repository
  std::string repository;       // "web"
  std::string tag;              // the full commit sha
  std::string dockerfile;       // path in the workspace
  sys::Fd workspace;            // a tar
  std::vector<std::pair<std::string, std::string>> arguments;  // build arguments: COMMIT
  bool network = false;         // whether RUN may reach the internet
  int64_t created = 0;          // seconds; the commit's time, so that the same commit gives the same digest
};

struct ImageResult {
  std::string digest;           // of the manifest
  std::string uri;              // "<repository uri>@<digest>": what a task definition names
};

class ImageBuilder {
 public:
  virtual ~ImageBuilder() = default;
  // Errors name file and line of the Dockerfile. Waits.
  virtual Result<ImageResult> build(ImageRequest request, const std::function<void(std::string line)>& say) = 0;
  // The layers of an image of the registry, lowest first: what steps that run inside it stand on. Waits.
  virtual Result<std::vector<std::string>> layers_of(const aws::Principal& principal, const std::string& account,
                                                     const std::string& region, const std::string& image) = 0;
};

}  // namespace bastide::delivery
