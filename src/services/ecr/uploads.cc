// ECR's operations on layers.
#include <fmt/format.h>

#include "services/ecr/ecr.h"
#include "services/ecr/token.h"

namespace bastide::services {

namespace m = model::ecr;
using ecr::RepositoryRef;

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchCheckLayerAvailability.html
Result<m::BatchCheckLayerAvailabilityResponse> Ecr::batch_check_layer_availability(
    Call& call, const m::BatchCheckLayerAvailabilityRequest& request) {
  const RepositoryRef ref = ecr::ref_of(call, request);
  m::BatchCheckLayerAvailabilityResponse response;
  auto& layers = response.layers.emplace();
  auto& failures = response.failures.emplace();
  for (const auto& digest : request.layer_digests) {
    if (!store::valid_digest(digest)) {
      auto& f = failures.emplace_back();
      f.layer_digest = digest;
      f.failure_code = "InvalidLayerDigest";
      f.failure_reason = "Invalid layer digest";
      continue;
    }
    auto size = images_.layer_size(ref, digest);
    if (!size && size.error().code != "LayersNotFoundException") return std::move(size).error();
    auto& layer = layers.emplace_back();
    layer.layer_digest = digest;
    layer.layer_availability = size ? "AVAILABLE" : "UNAVAILABLE";
    if (size) {
      layer.layer_size = size.value();
      layer.media_type = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    }
  }
  return response;
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_InitiateLayerUpload.html
Result<m::InitiateLayerUploadResponse> Ecr::initiate_layer_upload(
    Call& call, const m::InitiateLayerUploadRequest& request) {
  m::InitiateLayerUploadResponse response;
  response.upload_id = TRY(images_.begin_upload(ecr::ref_of(call, request)));
  response.part_size = static_cast<int64_t>(ecr::kMaxPartBytes);
  return response;
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_UploadLayerPart.html
Result<m::UploadLayerPartResponse> Ecr::upload_layer_part(Call& call,
                                                          const m::UploadLayerPartRequest& request) {
  const RepositoryRef ref = ecr::ref_of(call, request);
  const auto length = static_cast<int64_t>(request.layer_part_blob.size());
  if (length == 0 || request.part_last_byte - request.part_first_byte + 1 != length) {
    return ecr::invalid_parameter(
        fmt::format("The part has {} bytes, but partFirstByte and partLastByte say {} to {}", length,
                    request.part_first_byte, request.part_last_byte));
  }
  const int64_t size =
      TRY(images_.append(ref, request.upload_id, request.part_first_byte, request.layer_part_blob));
  m::UploadLayerPartResponse response;
  response.registry_id = ref.account;
  response.repository_name = ref.name;
  response.upload_id = request.upload_id;
  response.last_byte_received = size - 1;
  return response;
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CompleteLayerUpload.html
Result<m::CompleteLayerUploadResponse> Ecr::complete_layer_upload(
    Call& call, const m::CompleteLayerUploadRequest& request) {
  const RepositoryRef ref = ecr::ref_of(call, request);
  if (request.layer_digests.size() != 1) {
    return ecr::invalid_parameter("layerDigests names exactly one digest");
  }
  const std::string& digest = request.layer_digests.front();
  const int64_t size = TRY(images_.upload_size(ref, request.upload_id));
  if (size == 0) {
    return fault("EmptyUploadException",
                 fmt::format("The upload with id '{}' has no layer parts", request.upload_id));
  }
  if (images_.layer_size(ref, digest).ok()) {
    TRY(images_.cancel(ref, request.upload_id));
    return fault(
        "LayerAlreadyExistsException",
        fmt::format("The layer with digest '{}' already exists in the repository with name '{}' in the "
                    "registry with id '{}'",
                    digest, ref.name, ref.account));
  }
  TRY(images_.complete(ref, request.upload_id, digest));
  m::CompleteLayerUploadResponse response;
  response.registry_id = ref.account;
  response.repository_name = ref.name;
  response.upload_id = request.upload_id;
  response.layer_digest = digest;
  return response;
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetDownloadUrlForLayer.html
Result<m::GetDownloadUrlForLayerResponse> Ecr::get_download_url_for_layer(
    Call& call, const m::GetDownloadUrlForLayerRequest& request) {
  const RepositoryRef ref = ecr::ref_of(call, request);
  TRY(images_.layer_size(ref, request.layer_digest));
  m::GetDownloadUrlForLayerResponse response;
  response.layer_digest = request.layer_digest;
  response.download_url =
      fmt::format("{}/v2/{}/{}/blobs/{}?ticket={}", call.endpoint, ref.account, ref.name,
                  request.layer_digest, ecr::seal_ticket(keyring_, ref, request.layer_digest, call.now));
  return response;
}

}  // namespace bastide::services
