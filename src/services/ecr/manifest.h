// Image manifests as the registry reads them: Docker's schema 2 and the OCI's, single images and indexes.
// https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md and image-index.md
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace bastide::services::ecr {

inline constexpr size_t kMaxManifestBytes = 4u << 20;

inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";

struct Descriptor {
  std::string media_type;
  std::string digest;
  int64_t size = 0;
};

struct Manifest {
  std::string media_type;
  std::vector<Descriptor> blobs;      // configuration and layers that the registry must hold
  std::vector<Descriptor> manifests;  // of an index
  std::string subject;                // digest, or empty
  std::string artifact_type;
  json::Value annotations;
  int64_t size = 0;  // of everything it refers to
};

// `content_type` may be empty: the manifest then says what it is. Fault: InvalidParameterException.
Result<Manifest> parse_manifest(std::string_view text, std::string_view content_type);

}  // namespace bastide::services::ecr
