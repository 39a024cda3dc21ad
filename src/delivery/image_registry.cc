#include "delivery/image_registry.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "aws/arn.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "gen/ecr.h"
#include "net/loop.h"

namespace bastide::delivery {

namespace m = model::ecr;

namespace {

constexpr size_t kPart = 8u << 20;
constexpr size_t kMaxConfig = 4u << 20;
constexpr std::string_view kManifestType = "application/vnd.oci.image.manifest.v1+json";

Result<std::string> read_part(int fd, int64_t at, size_t count) {
  std::string out(count, '\0');
  size_t done = 0;
  while (done < count) {
    const ssize_t n = ::pread(fd, out.data() + done, count - done, at + static_cast<int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return sys::system_error("cannot read a layer");
    if (n == 0) return error("a layer is shorter than expected");
    done += static_cast<size_t>(n);
  }
  return out;
}

}  // namespace

Result<PulledImage> ImageRegistry::pull(const Who& who, const ImageName& name) {
  m::BatchGetImageRequest request;
  if (!name.account.empty()) request.registry_id = name.account;
  request.repository_name = name.repository;
  auto& id = request.image_ids.emplace_back();
  if (!name.digest.empty()) {
    id.image_digest = name.digest;
  } else {
    id.image_tag = name.tag;
  }
  auto answer = client_.call<m::op::BatchGetImage>(who.principal, who.account, who.region, request);
  if (!answer) {
    const std::string& code = answer.error().code;
    if (code == "RepositoryNotFoundException" || code == "InvalidParameterException") {
      return error("NotFound", "there is no image " + name.text());
    }
    return std::move(answer).error();
  }
  const auto& images = answer.value().images;
  if (!images || images->empty()) return error("NotFound", "there is no image " + name.text());
  const auto& image = images->front();
  const json::Value manifest = TRY(json::parse(image.image_manifest.value_or("")));
  const json::Value* config = manifest.find("config");
  if (config == nullptr) return error("Invalid", name.text() + " is an index of images, not an image");

  PulledImage out;
  if (image.image_id) out.digest = image.image_id->image_digest.value_or("");
  const std::string config_digest = config->get("digest");
  const std::string text = TRY(net::offload_result([&] { return blobs_.read(config_digest, kMaxConfig); }));
  out.config = TRY(json::parse(text));
  const json::Value* rootfs = out.config.find("rootfs");
  static const json::Value nothing;
  const auto& ids = (rootfs ? *rootfs : nothing).get_array("diff_ids");
  const auto& layers = manifest.get_array("layers");
  if (ids.size() != layers.size())
    return error("Invalid", name.text() + " has another number of layers than of diff_ids");
  for (size_t i = 0; i < layers.size(); ++i) {
    out.layers.push_back({layers[i].get("digest"), ids[i].is_string() ? ids[i].string() : "",
                          layers[i].get("mediaType"), layers[i].get_int("size")});
  }
  return out;
}

Result<sys::Fd> ImageRegistry::open_layer(const std::string& digest) {
  return net::offload_result([&] { return blobs_.open_read(digest); });
}

Result<void> ImageRegistry::push_blob(const Who& who, const std::string& repository,
                                      const std::string& digest, int fd, int64_t size) {
  m::BatchCheckLayerAvailabilityRequest check;
  check.repository_name = repository;
  check.layer_digests.push_back(digest);
  const auto available =
      TRY(client_.call<m::op::BatchCheckLayerAvailability>(who.principal, who.account, who.region, check));
  if (available.layers && !available.layers->empty() &&
      available.layers->front().layer_availability.value_or("") == "AVAILABLE") {
    return {};
  }
  m::InitiateLayerUploadRequest begin;
  begin.repository_name = repository;
  const auto begun =
      TRY(client_.call<m::op::InitiateLayerUpload>(who.principal, who.account, who.region, begin));
  const std::string upload = begun.upload_id.value_or("");
  for (int64_t at = 0; at < size;) {
    const auto count = static_cast<size_t>(std::min<int64_t>(size - at, static_cast<int64_t>(kPart)));
    m::UploadLayerPartRequest part;
    part.repository_name = repository;
    part.upload_id = upload;
    part.part_first_byte = at;
    part.part_last_byte = at + static_cast<int64_t>(count) - 1;
    part.layer_part_blob = TRY(net::offload_result([&] { return read_part(fd, at, count); }));
    TRY(client_.call<m::op::UploadLayerPart>(who.principal, who.account, who.region, part));
    at += static_cast<int64_t>(count);
  }
  m::CompleteLayerUploadRequest complete;
  complete.repository_name = repository;
  complete.upload_id = upload;
  complete.layer_digests.push_back(digest);
  auto done = client_.call<m::op::CompleteLayerUpload>(who.principal, who.account, who.region, complete);
  if (!done && done.error().code != "LayerAlreadyExistsException") return std::move(done).error();
  return {};
}

Result<std::string> ImageRegistry::push_manifest(const Who& who, const std::string& repository,
                                                 const std::string& tag, const std::string& manifest) {
  const std::string digest = "sha256:" + sha256_hex(manifest);
  m::PutImageRequest request;
  request.repository_name = repository;
  request.image_manifest = manifest;
  request.image_manifest_media_type = std::string(kManifestType);
  request.image_tag = tag;
  request.image_digest = digest;
  auto put = client_.call<m::op::PutImage>(who.principal, who.account, who.region, request);
  if (!put && put.error().code != "ImageAlreadyExistsException") return std::move(put).error();
  return digest;
}

}  // namespace bastide::delivery
