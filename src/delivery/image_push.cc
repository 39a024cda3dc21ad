// The end of every build and import: configuration, manifest, and the name that ECS takes.
#include <fmt/format.h>
#include <sys/utsname.h>

#include "base/crypto.h"
#include "delivery/image_build.h"
#include "delivery/image_stage.h"
#include "gen/ecr.h"
#include "net/loop.h"
#include "sys/file.h"

namespace bastide::delivery {

namespace m = model::ecr;

namespace {
constexpr std::string_view kConfigType = "application/vnd.oci.image.config.v1+json";
constexpr std::string_view kManifestType = "application/vnd.oci.image.manifest.v1+json";
}  // namespace

std::string host_architecture() {
  utsname name{};
  ::uname(&name);
  const std::string_view machine = name.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  return std::string(machine);
}

Result<std::string> push_image(ImageRegistry& registry, const ImageRegistry::Who& who,
                               const std::string& repository, const std::string& tag,
                               const json::Value& config, const std::vector<Layer>& layers) {
  const std::string text = json::print(config);
  const std::string digest = "sha256:" + sha256_hex(text);
  const sys::Fd file = TRY(sys::memory_file("config", text, true));
  TRY(registry.push_blob(who, repository, digest, file.get(), static_cast<int64_t>(text.size())));
  json::Array descriptors;
  for (const auto& layer : layers) {
    // Layers that came with Docker's types keep their bytes.
    const std::string type = layer.media_type == "application/vnd.docker.image.rootfs.diff.tar.gzip"
                                 ? std::string(kLayerType)
                                 : layer.media_type;
    descriptors.push_back(
        json::object({{"mediaType", type}, {"digest", layer.digest}, {"size", layer.size}}));
  }
  const json::Value manifest = json::object(
      {{"schemaVersion", 2},
       {"mediaType", std::string(kManifestType)},
       {"config",
        json::object({{"mediaType", std::string(kConfigType)}, {"digest", digest}, {"size", text.size()}})},
       {"layers", std::move(descriptors)}});
  return registry.push_manifest(who, repository, tag, json::print(manifest));
}

Result<std::string> image_uri(aws::LocalClient& client, const ImageRegistry::Who& who,
                              const std::string& repository, const std::string& digest) {
  m::DescribeRepositoriesRequest request;
  request.repository_names.emplace().push_back(repository);
  const auto answer =
      TRY(client.call<m::op::DescribeRepositories>(who.principal, who.account, who.region, request));
  if (!answer.repositories || answer.repositories->empty())
    return error("NotFound", "no repository " + repository);
  return answer.repositories->front().repository_uri.value_or(repository) + "@" + digest;
}

Result<ImageResult> import_rootfs(aws::LocalClient& client, store::Blobs& blobs,
                                  const std::string& work_folder, ImportRequest request) {
  ImageRegistry registry(client, blobs);
  const ImageRegistry::Who who{request.principal, request.account, request.region};
  auto spool = TRY(Spool::open(work_folder));
  FileTree tree(spool);
  auto read = net::offload_result([&] { return tree.read_archive(request.rootfs.get(), false); });
  if (!read) return std::move(read).error().context("the root filesystem");
  if (tree.find("oci-layout") || tree.find("manifest.json")) {
    return error("Invalid",
                 "this is an image archive, not a root filesystem: copy it with skopeo copy oci-archive:FILE "
                 "docker://...");
  }
  if (tree.entries().empty()) return error("Invalid", "the archive is empty");
  auto layer = TRY(net::offload_result([&] { return repack_layer(request.rootfs.get(), work_folder); }));
  TRY(registry.push_blob(who, request.repository, layer.layer.digest, layer.file.get(), layer.layer.size));

  StageState state;
  state.layers.push_back(layer.layer);
  state.set_environment("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  state.config["Cmd"] = json::array({"/bin/sh"});
  state.history.push_back(
      json::object({{"created", iso8601(request.created)}, {"created_by", "bastide image import"}}));
  ImageResult out;
  out.digest = TRY(push_image(registry, who, request.repository, request.tag,
                              state.image_config(request.created), state.layers));
  out.uri = TRY(image_uri(client, who, request.repository, out.digest));
  return out;
}

}  // namespace bastide::delivery
