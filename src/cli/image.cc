// bastide image import: a root filesystem becomes a base image in the registry, pushed as any client pushes (OCI
// distribution), so that the registry's own rules judge it.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>

#include "base/bytes.h"
#include "base/crypto.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "net/http_client.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::cli {
namespace {

constexpr const char* kProfile = "shared-services";
constexpr size_t kChunk = 8u << 20;

struct Compression {
  const char* media_type;
  std::vector<std::string> decompress;  // to get the layer's DiffID
};

// By magic number: RFC 1952 (gzip), RFC 8878 (zstd).
Result<Compression> compression_of(const std::string& head) {
  if (head.starts_with("\x1f\x8b")) return Compression{"application/vnd.oci.image.layer.v1.tar+gzip", {"gzip", "-dc"}};
  if (head.starts_with("\x28\xb5\x2f\xfd")) return Compression{"application/vnd.oci.image.layer.v1.tar+zstd", {"zstd", "-dc"}};
  if (head.starts_with(std::string("\xfd" "7zXZ", 5))) return error("Invalid", "xz is no layer format of OCI; give a plain, gzip or zstd tar");
  if (head.size() > 262 && head.substr(257, 5) == "ustar") return Compression{"application/vnd.oci.image.layer.v1.tar", {}};
  return error("Invalid", "not a tar archive (plain, gzip or zstd)");
}

Result<std::string> digest_of(int fd) {
  Sha256 hash;
  std::string buffer(kChunk, '\0');
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0) return sys::system_error("read");
    if (n == 0) return "sha256:" + hex(hash.finish());
    hash.update({buffer.data(), static_cast<size_t>(n)});
  }
}

class Registry {
 public:
  Registry(const std::string& endpoint, std::string authorization)
      : http_(*net::parse_endpoint(endpoint), {}), authorization_(std::move(authorization)) {}

  Result<net::Response> send(const std::string& method, const std::string& target, std::string body, const std::string& type, int expected) {
    net::Request request;
    request.method = method;
    request.target = target;
    request.headers.add("Authorization", authorization_);
    if (!type.empty()) request.headers.add("Content-Type", type);
    request.body = std::move(body);
    auto response = TRY(http_.send(request));
    if (response.status != expected && expected != 0) {
      return error(fmt::format("the registry answered {} to {} {}: {}", response.status, method, target.substr(0, target.find('?')), response.body.substr(0, 300)));
    }
    return response;
  }

  Result<bool> has(const std::string& repository, const std::string& digest) {
    return TRY(send("HEAD", "/v2/" + repository + "/blobs/" + digest, "", "", 0)).status == 200;
  }

  // In pieces, so that a large root filesystem needs little memory.
  Result<void> push(const std::string& repository, const std::string& digest, int fd) {
    if (TRY(has(repository, digest))) return {};
    auto started = TRY(send("POST", "/v2/" + repository + "/blobs/uploads/", "", "", 202));
    std::string location = path_of(started.headers.get("Location"));
    std::string buffer(kChunk, '\0');
    for (;;) {
      const ssize_t n = ::read(fd, buffer.data(), buffer.size());
      if (n < 0) return sys::system_error("read");
      if (n == 0) break;
      auto next = TRY(send("PATCH", location, buffer.substr(0, static_cast<size_t>(n)), "application/octet-stream", 202));
      location = path_of(next.headers.get("Location"));
    }
    location += (location.find('?') == std::string::npos ? "?" : "&") + ("digest=" + percent_encode(digest));
    TRY(send("PUT", location, "", "application/octet-stream", 201));
    return {};
  }

 private:
  static std::string path_of(const std::string& location) {
    const size_t scheme = location.find("://");
    return scheme == std::string::npos ? location : location.substr(location.find('/', scheme + 3));
  }

  net::HttpClient http_;
  std::string authorization_;
};

std::string architecture() {
  utsname names;
  if (::uname(&names) != 0) return "amd64";
  const std::string machine = names.machine;
  return machine == "aarch64" ? "arm64" : machine == "x86_64" ? "amd64" : machine;
}

Result<int> run_import(Context& context, const Arguments& a) {
  const std::string path = a.get("ROOTFS");
  const std::string name = a.get("NAME");
  const size_t colon = name.rfind(':');
  const std::string repository = name.substr(0, colon);
  const std::string tag = colon == std::string::npos ? "latest" : name.substr(colon + 1);

  sys::Fd file = TRY(sys::open_read(path));
  std::string head(512, '\0');
  const ssize_t n = ::pread(file.get(), head.data(), head.size(), 0);
  head.resize(n > 0 ? static_cast<size_t>(n) : 0);
  auto compression = compression_of(head);
  if (!compression) return std::move(compression).error().context(path);
  const std::string layer = TRY(digest_of(file.get()));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return sys::system_error(path);
  struct stat st;
  if (::fstat(file.get(), &st) != 0) return sys::system_error(path);
  std::string diff_id = layer;
  if (!compression->decompress.empty()) {
    sys::Command command{.argv = compression->decompress};
    sys::Fd plain(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!plain) return sys::system_error("temporary file");
    command.input_fd = file.get();
    command.output_fd = plain.get();
    TRY(sys::run_ok(command));
    if (::lseek(plain.get(), 0, SEEK_SET) != 0 || ::lseek(file.get(), 0, SEEK_SET) != 0) return sys::system_error(path);
    diff_id = TRY(digest_of(plain.get()));
  }

  const auto created = context.call(kProfile, "ecr", "CreateRepository", json::object({{"repositoryName", repository}, {"imageTagMutability", "IMMUTABLE"}}));
  if (!created && created.error().code != "RepositoryAlreadyExistsException") return Error(created.error());
  const auto token = TRY(context.call(kProfile, "ecr", "GetAuthorizationToken", json::object()));
  const auto& data = token.get_array("authorizationData");
  if (data.empty()) return error("ECR answered no token");
  Registry registry(TRY(context.endpoint()), "Basic " + data.front().get("authorizationToken"));

  std::printf("pushing %s of %.1f MiB\n", layer.substr(0, 19).c_str(), static_cast<double>(st.st_size) / (1 << 20));
  TRY(registry.push(repository, layer, file.get()));
  json::Value run = json::object({{"Env", json::array({"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})}, {"Cmd", json::array({"/bin/sh"})}});
  const std::string config = json::print(json::object({{"architecture", architecture()},
                                                       {"os", "linux"},
                                                       {"config", std::move(run)},
                                                       {"rootfs", json::object({{"type", "layers"}, {"diff_ids", json::array({diff_id})}})}}));
  const std::string config_digest = "sha256:" + sha256_hex(config);
  const sys::Fd config_file = TRY(sys::memory_file("config", config, false));
  TRY(registry.push(repository, config_digest, config_file.get()));
  constexpr const char* kManifest = "application/vnd.oci.image.manifest.v1+json";
  const std::string manifest = json::print(json::object(
      {{"schemaVersion", 2},
       {"mediaType", kManifest},
       {"config", json::object({{"mediaType", "application/vnd.oci.image.config.v1+json"}, {"digest", config_digest}, {"size", config.size()}})},
       {"layers", json::array({json::object({{"mediaType", compression->media_type}, {"digest", layer}, {"size", int64_t{st.st_size}}})})}}));
  TRY(registry.send("PUT", "/v2/" + repository + "/manifests/" + tag, manifest, kManifest, 201));
  std::printf("%s:%s is sha256:%s; use it as FROM %s:%s\n", repository.c_str(), tag.c_str(), sha256_hex(manifest).c_str(), repository.c_str(), tag.c_str());
  return 0;
}

}  // namespace

Command image_import_command() {
  return {"image import", "Makes a base image of a root filesystem (a tar, such as mmdebstrap makes)", "bastide image import rootfs.tar debian:12",
          {{"ROOTFS", Option::Kind::positional, "The tar: plain, gzip or zstd", "", true}, {"NAME", Option::Kind::positional, "repository:tag", "", true}},
          run_import};
}

}  // namespace bastide::cli
