#include "store/blobs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <mutex>

#include "base/bytes.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

constexpr size_t kCachedHashes = 64;  // uploads whose hash is kept as they grow
constexpr size_t kReadPiece = 256 << 10;
constexpr std::string_view kAlgorithm = "sha256:";

bool valid_upload(std::string_view id) {
  return id.size() == 32 && std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

Result<int64_t> file_size(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return sys::system_error(path);
  return static_cast<int64_t>(st.st_size);
}

}  // namespace

bool valid_digest(std::string_view digest) {
  if (!digest.starts_with(kAlgorithm) || digest.size() != kAlgorithm.size() + 64) return false;
  digest.remove_prefix(kAlgorithm.size());
  return std::all_of(digest.begin(), digest.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

struct Blobs::Impl {
  // The hash of an upload's first `size` bytes.
  struct Hash {
    Sha256 sha;
    int64_t size = 0;
  };

  std::string folder;
  std::mutex mutex;  // of hashes
  std::map<std::string, Hash> hashes;

  std::string upload_path(const std::string& id) const { return folder + "/uploads/" + id; }
  std::string shard(const std::string& digest) const { return folder + "/sha256/" + digest.substr(7, 2); }
  std::string blob_path(const std::string& digest) const { return shard(digest) + "/" + digest.substr(7); }

  std::optional<Hash> take_hash(const std::string& id) {
    const std::lock_guard lock(mutex);
    const auto it = hashes.find(id);
    if (it == hashes.end()) return std::nullopt;
    Hash h = std::move(it->second);
    hashes.erase(it);
    return h;
  }
  void keep_hash(const std::string& id, Hash h) {
    const std::lock_guard lock(mutex);
    if (hashes.size() < kCachedHashes) hashes.insert_or_assign(id, std::move(h));
  }

  // Reads what of the file the hash has not seen yet.
  static Result<void> catch_up(Hash& hash, int fd, int64_t size) {
    std::string piece(kReadPiece, '\0');
    while (hash.size < size) {
      const ssize_t n = ::pread(fd, piece.data(), piece.size(), hash.size);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return sys::system_error("reading an upload");
      if (n == 0) return error("an upload shrank");
      hash.sha.update({piece.data(), static_cast<size_t>(n)});
      hash.size += n;
    }
    return {};
  }

  Result<void> publish(int fd, const std::string& from, const std::string& digest) {
    if (::fsync(fd) != 0) return sys::system_error(from);
    TRY(sys::make_folders(shard(digest)));
    if (::rename(from.c_str(), blob_path(digest).c_str()) != 0) return sys::system_error(from);
    TRY(sys::sync_folder(shard(digest)));
    return sys::sync_folder(folder + "/sha256");
  }
};

Result<std::unique_ptr<Blobs>> Blobs::open(const std::string& folder) {
  TRY(sys::make_folders(folder + "/uploads"));
  TRY(sys::make_folders(folder + "/sha256"));
  auto blobs = std::make_unique<Blobs>();
  blobs->impl_ = std::make_shared<Impl>();
  blobs->impl_->folder = folder;
  return blobs;
}

Result<std::string> Blobs::begin_upload() {
  std::string id = hex(random_bytes(16));
  const sys::Fd fd(::open(impl_->upload_path(id).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return sys::system_error("beginning an upload");
  TRY(sys::sync_folder(impl_->folder + "/uploads"));
  return id;
}

Result<int64_t> Blobs::upload_size(const std::string& id) {
  if (!valid_upload(id)) return error("NotFound", "no upload has this id");
  return file_size(impl_->upload_path(id));
}

Result<int64_t> Blobs::append(const std::string& id, std::string_view bytes) {
  if (!valid_upload(id)) return error("NotFound", "no upload has this id");
  const std::string path = impl_->upload_path(id);
  const sys::Fd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!fd) return sys::system_error("the upload");
  const int64_t before = TRY(file_size(path));
  auto hash = impl_->take_hash(id);
  if (!hash && before == 0) hash.emplace();
  if (auto written = sys::write_all(fd.get(), bytes); !written) {
    if (::ftruncate(fd.get(), before) != 0) return sys::system_error("taking back a failed append");
    return std::move(written).error();
  }
  if (hash && hash->size == before) {
    hash->sha.update(bytes);
    hash->size += static_cast<int64_t>(bytes.size());
    impl_->keep_hash(id, std::move(*hash));
  }
  return before + static_cast<int64_t>(bytes.size());
}

Result<void> Blobs::cancel_upload(const std::string& id) {
  if (!valid_upload(id)) return error("NotFound", "no upload has this id");
  impl_->take_hash(id);
  if (::unlink(impl_->upload_path(id).c_str()) != 0) return sys::system_error("the upload");
  return {};
}

Result<void> Blobs::finish_upload(const std::string& id, const std::string& digest) {
  if (!valid_digest(digest)) return error("DigestMismatch", "not a SHA-256 digest");
  if (!valid_upload(id)) return error("NotFound", "no upload has this id");
  const std::string path = impl_->upload_path(id);
  const sys::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    Error missing = sys::system_error("the upload");
    // Finished before, by an answer that was lost.
    const bool known = missing.code == "NotFound" && sys::exists(impl_->blob_path(digest));
    return known ? Result<void>() : missing;
  }
  const int64_t size = TRY(file_size(path));
  auto hash = impl_->take_hash(id);
  if (!hash || hash->size > size) hash.emplace();
  TRY(Impl::catch_up(*hash, fd.get(), size));
  if (std::string(kAlgorithm) + hex(hash->sha.finish()) != digest) {
    return error("DigestMismatch", "the content does not have the digest " + digest);
  }
  return impl_->publish(fd.get(), path, digest);
}

Result<std::string> Blobs::put(std::string_view bytes) {
  std::string digest = std::string(kAlgorithm) + sha256_hex(bytes);
  if (sys::exists(impl_->blob_path(digest))) return digest;
  const std::string path = impl_->upload_path(hex(random_bytes(16)));
  const sys::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return sys::system_error("a blob");
  auto written = sys::write_all(fd.get(), bytes);
  if (written) written = impl_->publish(fd.get(), path, digest);
  if (!written) {
    ::unlink(path.c_str());
    return std::move(written).error();
  }
  return digest;
}

Result<bool> Blobs::has(const std::string& digest) {
  return valid_digest(digest) && sys::exists(impl_->blob_path(digest));
}

Result<int64_t> Blobs::size(const std::string& digest) {
  if (!valid_digest(digest)) return error("NotFound", "not a SHA-256 digest");
  return file_size(impl_->blob_path(digest));
}

Result<sys::Fd> Blobs::open_read(const std::string& digest) {
  if (!valid_digest(digest)) return error("NotFound", "not a SHA-256 digest");
  return sys::open_read(impl_->blob_path(digest));
}

Result<std::string> Blobs::read(const std::string& digest, size_t max_bytes) {
  auto fd = TRY(open_read(digest));
  return sys::read_all(fd.get(), max_bytes);
}

Result<void> Blobs::remove(const std::string& digest) {
  if (!valid_digest(digest)) return error("NotFound", "not a SHA-256 digest");
  TRY(sys::remove_file(impl_->blob_path(digest)));
  if (!sys::exists(impl_->shard(digest))) return {};
  return sys::sync_folder(impl_->shard(digest));
}

Result<std::vector<std::string>> Blobs::list() {
  std::vector<std::string> out;
  const auto shards = TRY(sys::list_folder(impl_->folder + "/sha256"));
  for (const auto& shard : shards) {
    const auto names = TRY(sys::list_folder(impl_->folder + "/sha256/" + shard));
    for (const auto& name : names) {
      std::string digest = std::string(kAlgorithm) + name;
      if (valid_digest(digest)) out.push_back(std::move(digest));
    }
  }
  return out;
}

Result<void> Blobs::expire_uploads(int64_t age_ms) {
  const auto names = TRY(sys::list_folder(impl_->folder + "/uploads"));
  struct timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  for (const auto& name : names) {
    struct stat st;
    const std::string path = impl_->upload_path(name);
    if (::stat(path.c_str(), &st) != 0) continue;
    const int64_t age =
        (now.tv_sec - st.st_mtim.tv_sec) * 1000 + (now.tv_nsec - st.st_mtim.tv_nsec) / 1'000'000;
    if (age < age_ms) continue;
    impl_->take_hash(name);
    TRY(sys::remove_file(path));
  }
  return {};
}

}  // namespace bastide::store
