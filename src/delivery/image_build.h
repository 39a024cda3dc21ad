// The image builder: executes a Dockerfile over a workspace and pushes the image. COPY and WORKDIR are done
// here, on trees in memory; RUN in a sandbox of the runner. The same commit gives the same digest as long as
// its RUN steps do.
#pragma once

#include <string>

#include "aws/local_client.h"
#include "delivery/image_builder.h"
#include "delivery/image_registry.h"
#include "delivery/sandbox.h"
#include "store/blobs.h"

namespace bastide::delivery {

class DockerfileBuilder final : public ImageBuilder {
 public:
  // `work_folder`: for unnamed temporary files.
  DockerfileBuilder(aws::LocalClient& client, store::Blobs& blobs, Sandboxes& sandboxes,
                    std::string work_folder)
      : client_(client),
        registry_(client, blobs),
        sandboxes_(sandboxes),
        work_folder_(std::move(work_folder)) {}
  Result<ImageResult> build(ImageRequest request, const std::function<void(std::string line)>& say) override;
  Result<std::vector<std::string>> layers_of(const aws::Principal& principal, const std::string& account,
                                             const std::string& region, const std::string& image) override;

 private:
  aws::LocalClient& client_;
  ImageRegistry registry_;
  Sandboxes& sandboxes_;
  std::string work_folder_;
};

struct ImportRequest {
  aws::Principal principal;
  std::string account, region;
  std::string repository, tag;
  sys::Fd rootfs;  // a tar of a root filesystem: plain, gzip, zstd or xz
  Millis created = 0;
};

// An image of one layer, for FROM. Waits.
Result<ImageResult> import_rootfs(aws::LocalClient& client, store::Blobs& blobs,
                                  const std::string& work_folder, ImportRequest request);

// What to say of an image that is not in the registry.
std::string missing_image(const std::string& text, const ImageName& name);

// "<repository uri>@<digest>", as ECR names it.
Result<std::string> image_uri(aws::LocalClient& client, const ImageRegistry::Who& who,
                              const std::string& repository, const std::string& digest);

// Configuration and manifest of an image are pushed; layers are there already. The manifest's digest.
Result<std::string> push_image(ImageRegistry& registry, const ImageRegistry::Who& who,
                               const std::string& repository, const std::string& tag,
                               const json::Value& config, const std::vector<Layer>& layers);

std::string host_architecture();  // as OCI names it: "amd64", "arm64"

}  // namespace bastide::delivery
