#include "services/ecr/manifest.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "services/ecr/repository.h"
#include "store/blobs.h"

namespace bastide::services::ecr {
namespace {

constexpr size_t kMaxDescriptors = 10'000;

Error invalid(std::string_view why) {
  return invalid_parameter(
      fmt::format("Invalid parameter at 'ImageManifest' failed to satisfy constraint: '{}'", why));
}

Result<Descriptor> read_descriptor(const json::Value& value) {
  Descriptor d{value.get("mediaType"), value.get("digest"), value.get_int("size", -1)};
  if (!store::valid_digest(d.digest)) return invalid("a descriptor has no valid sha256 digest");
  if (d.size < 0) return invalid("a descriptor has no size");
  return d;
}

// Layers that are fetched from elsewhere are not in the registry.
bool foreign(const Descriptor& d) {
  return d.media_type.find("foreign") != std::string::npos ||
         d.media_type.find("nondistributable") != std::string::npos;
}

bool is_index(std::string_view type) { return type == kOciIndex || type == kDockerList; }
bool is_image(std::string_view type) { return type == kOciManifest || type == kDockerManifest; }

}  // namespace

Result<Manifest> parse_manifest(std::string_view text, std::string_view content_type) {
  if (text.size() > kMaxManifestBytes) return invalid("The manifest is larger than 4 MiB");
  auto parsed = json::parse(text);
  if (!parsed || !parsed.value().is_object()) return invalid("Invalid JSON syntax");
  const json::Value& root = parsed.value();
  if (root.get_int("schemaVersion") != 2) return invalid("schemaVersion must be 2");

  Manifest out;
  const std::string own = root.get("mediaType");
  out.media_type = trim(content_type.substr(0, content_type.find(';')));
  if (out.media_type.empty()) out.media_type = own;
  if (out.media_type.empty()) out.media_type = root.has("manifests") ? kOciIndex : kOciManifest;
  if (!own.empty() && own != out.media_type) return invalid("mediaType differs from the content type");

  if (is_index(out.media_type)) {
    if (root.has("config") || root.has("layers")) return invalid("an index has neither config nor layers");
    const auto& manifests = root.get_array("manifests");
    if (manifests.size() > kMaxDescriptors) return invalid("too many manifests");
    for (const auto& m : manifests) out.manifests.push_back(TRY(read_descriptor(m)));
  } else if (is_image(out.media_type)) {
    if (root.has("manifests")) return invalid("an image manifest has no manifests");
    const json::Value* config = root.find("config");
    if (config == nullptr) return invalid("config is missing");
    out.blobs.push_back(TRY(read_descriptor(*config)));
    out.artifact_type = out.blobs.front().media_type;
    const auto& layers = root.get_array("layers");
    if (layers.size() > kMaxDescriptors) return invalid("too many layers");
    for (const auto& l : layers) {
      auto layer = TRY(read_descriptor(l));
      if (!foreign(layer)) out.blobs.push_back(std::move(layer));
    }
  } else {
    return invalid(fmt::format("the media type {} is not supported", out.media_type.substr(0, 100)));
  }
  for (const auto& b : out.blobs) out.size += b.size;
  for (const auto& m : out.manifests) out.size += m.size;
  if (const json::Value* subject = root.find("subject")) out.subject = TRY(read_descriptor(*subject))
  .digest;
  out.artifact_type = root.get("artifactType", out.artifact_type);
  if (const json::Value* annotations = root.find("annotations"); annotations && annotations->is_object()) {
    out.annotations = *annotations;
  }
  return out;
}

}  // namespace bastide::services::ecr
