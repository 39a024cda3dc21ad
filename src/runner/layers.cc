#include "runner/layers.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "runner/accounts.h"
#include "runner/archives.h"
#include "runner/validate.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

Result<void> check_digest(int fd, const std::string& digest) {
  Sha256 hash;
  std::string buffer(1 << 20, 0);
  off_t at = 0;
  for (;;) {
    const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return sys::system_error("reading the layer");
    if (n == 0) break;
    hash.update(std::string_view(buffer).substr(0, static_cast<size_t>(n)));
    at += n;
  }
  if ("sha256:" + hex(hash.finish()) != digest)
    return error("Invalid", "the layer is not what its digest says: " + digest);
  if (::lseek(fd, 0, SEEK_SET) != 0) return sys::system_error("reading the layer");
  return {};
}

bool known_media_type(const std::string& type) {
  for (const char* known :
       {"", "application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd", "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.diff.tar.zstd"}) {
    if (type == known) return true;
  }
  return false;
}

}  // namespace

Result<void> make_skeleton(const std::string& root, uint32_t uid) {
  for (const char* folder : {"", "/dev", "/proc", "/sys", "/etc"}) TRY(make_owned_folder(root + folder, uid));
  for (const char* file : {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}) {
    TRY(sys::write_file(root + file, "", 0644));
    if (::chown((root + file).c_str(), uid, uid) != 0) return sys::system_error(file);
  }
  return {};
}

Result<std::unique_ptr<Layers>> Layers::open(const Stage& stage) {
  std::unique_ptr<Layers> layers(new Layers(stage));
  const auto names = TRY(sys::list_folder(layers->folder_));
  for (const auto& name : names) {
    if (!name.starts_with(".new-")) continue;
    if (auto removed = sys::remove_tree(layers->folder_ + "/" + name); !removed)
      log::warn("{}", removed.error().message);
  }
  if (!sys::exists(layers->skeleton())) {
    const auto beside = layers->folder_ + "/.new-skeleton";
    TRY(make_skeleton(beside, stage.ids().neutral));
    if (::rename(beside.c_str(), layers->skeleton().c_str()) != 0) return sys::system_error("skeleton");
  }
  return layers;
}

std::string Layers::tree(const std::string& digest) const {
  return folder_ + "/" + replace_all(digest, ":", "-") + "/tree";
}

bool Layers::has(const std::string& digest) const { return is_digest(digest) && sys::exists(tree(digest)); }

std::vector<std::string> Layers::missing(const std::vector<std::string>& digests) const {
  std::vector<std::string> out;
  for (const auto& digest : digests) {
    if (!has(digest)) out.push_back(digest);
  }
  return out;
}

Result<void> Layers::put(const std::string& digest, const std::string& media_type, sys::Fd blob) {
  if (!is_digest(digest)) return error("Invalid", "not a digest: " + digest.substr(0, 100));
  if (!known_media_type(media_type))
    return error("Invalid", "not the media type of a layer: " + media_type.substr(0, 100));
  if (has(digest)) return {};
  TRY(check_digest(blob.get(), digest));
  const std::string beside = folder_ + "/.new-" + hex(random_bytes(8));
  const auto unpack = [&]() -> Result<void> {
    TRY(sys::make_folders(beside));
    TRY(make_owned_folder(beside + "/tree", stage_.ids().neutral));
    TRY(run_unpacker(stage_, "layer", blob.get(), beside + "/tree", stage_.ids().neutral));
    const auto folder = TRY(sys::open_read(beside));
    if (::syncfs(folder.get()) != 0) return sys::system_error("syncing the layer");
    const std::string final = folder_ + "/" + replace_all(digest, ":", "-");
    if (::rename(beside.c_str(), final.c_str()) != 0) {
      if (has(digest)) return sys::remove_tree(beside);  // somebody else was quicker
      return sys::system_error("keeping the layer");
    }
    return sys::sync_folder(folder_);
  };
  auto unpacked = unpack();
  if (!unpacked) {
    if (auto removed = sys::remove_tree(beside); !removed) log::warn("{}", removed.error().message);
    return std::move(unpacked).error().context("layer " + digest);
  }
  return {};
}

}  // namespace bastide::runner
