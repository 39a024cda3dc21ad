// Images in and out of ECR for builds: by ECR's own operations, so that every pull and push is authorised and
// audited; bytes of layers are read from the blobs. In fibers; waits.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "aws/image_name.h"
#include "aws/local_client.h"
#include "base/json.h"
#include "base/result.h"
#include "delivery/image_layer.h"
#include "store/blobs.h"

namespace bastide::delivery {

using aws::ImageName;
using aws::parse_image_name;

struct PulledImage {
  std::string digest;
  json::Value config;         // the image's configuration
  std::vector<Layer> layers;  // lowest first
};

class ImageRegistry {
 public:
  struct Who {
    aws::Principal principal;
    std::string account;
    std::string region;
  };
  ImageRegistry(aws::LocalClient& client, store::Blobs& blobs) : client_(client), blobs_(blobs) {}

  // "NotFound" where there is no such repository or image.
  Result<PulledImage> pull(const Who& who, const ImageName& name);
  Result<sys::Fd> open_layer(const std::string& digest);
  // Nothing is sent where the repository has it.
  Result<void> push_blob(const Who& who, const std::string& repository, const std::string& digest, int fd,
                         int64_t size);
  // The manifest's digest; the same image under the same tag is no error.
  Result<std::string> push_manifest(const Who& who, const std::string& repository, const std::string& tag,
                                    const std::string& manifest);

 private:
  aws::LocalClient& client_;
  store::Blobs& blobs_;
};

}  // namespace bastide::delivery
