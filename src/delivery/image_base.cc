// Images that builds stand on.
#include <fmt/format.h>

#include "delivery/image_build.h"

namespace bastide::delivery {

std::string missing_image(const std::string& text, const ImageName& name) {
  return fmt::format(
      "the image {} is not in this registry; make it of a root filesystem: bastide image import ROOTFS.tar "
      "{} "
      "(mmdebstrap --variant=minbase bookworm ROOTFS.tar makes one of Debian)",
      text, name.text());
}

Result<std::vector<std::string>> DockerfileBuilder::layers_of(const aws::Principal& principal,
                                                              const std::string& account,
                                                              const std::string& region,
                                                              const std::string& image) {
  const ImageName name = TRY(parse_image_name(image));
  auto pulled = registry_.pull({principal, account, region}, name);
  if (!pulled && pulled.error().code == "NotFound") return error("NotFound", missing_image(image, name));
  if (!pulled) return std::move(pulled).error();
  std::vector<std::string> out;
  for (const auto& layer : pulled.value().layers) out.push_back(layer.digest);
  return out;
}

}  // namespace bastide::delivery
