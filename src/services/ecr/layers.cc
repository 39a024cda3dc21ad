// Layers of ImageStore: uploads, and which blobs a repository may read.
#include <fmt/format.h>

#include "base/crypto.h"
#include "net/loop.h"
#include "services/ecr/image_store.h"

namespace bastide::services::ecr {
namespace {

store::Key upload_key(const RepositoryRef& ref, const std::string& id) {
  return {ref.account, ref.region, "ecr.upload", id};
}
store::Key layer_key(const RepositoryRef& ref, const std::string& digest) {
  return {ref.account, ref.region, "ecr.layer", ref.name + "@" + digest};
}

Error upload_not_found(const RepositoryRef& ref, const std::string& id) {
  return fault(
      "UploadNotFoundException",
      fmt::format("The upload with id '{}' does not exist in the repository with name '{}' in the registry "
                  "with id '{}'",
                  id.substr(0, 100), ref.name, ref.account));
}

std::string uuid() {
  const std::string digits = random_text(32, "0123456789abcdef");
  return fmt::format("{}-{}-{}-{}-{}", digits.substr(0, 8), digits.substr(8, 4), digits.substr(12, 4),
                     digits.substr(16, 4), digits.substr(20, 12));
}

// One fiber at a time works on an upload.
class Busy {
 public:
  Busy(std::set<std::string>& all, const std::string& id)
      : all_(all), id_(id), mine_(all.insert(id).second) {}
  ~Busy() {
    if (mine_) all_.erase(id_);
  }
  Busy(const Busy&) = delete;
  bool mine() const { return mine_; }

 private:
  std::set<std::string>& all_;
  std::string id_;
  bool mine_;
};

}  // namespace

Result<std::string> ImageStore::begin_upload(const RepositoryRef& ref) {
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    TRY(load_repository(r, ref));
    return {};
  }));
  const std::string upload = TRY(net::offload_result([&] { return blobs_.begin_upload(); }));
  const std::string id = uuid();
  const Millis now = clock_.wall();
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    TRY(load_repository(w, ref));
    return w.put(upload_key(ref, id),
                 json::object({{"repository", ref.name}, {"upload", upload}, {"started_at", now}}));
  }));
  return id;
}

Result<std::string> ImageStore::blob_upload(const RepositoryRef& ref, const std::string& id) {
  auto row = TRY(database_.get(upload_key(ref, id)));
  if (!row || row->body.get("repository") != ref.name) return upload_not_found(ref, id);
  return row->body.get("upload");
}

Result<int64_t> ImageStore::upload_size(const RepositoryRef& ref, const std::string& id) {
  const std::string upload = TRY(blob_upload(ref, id));
  auto size = net::offload_result([&] { return blobs_.upload_size(upload); });
  if (!size && size.error().code == "NotFound") return upload_not_found(ref, id);
  return size;
}

Result<int64_t> ImageStore::append(const RepositoryRef& ref, const std::string& id, int64_t at,
                                   std::string_view bytes) {
  const std::string upload = TRY(blob_upload(ref, id));
  Busy busy(busy_, ref.account + "/" + id);
  const auto out_of_order = [&](int64_t size) {
    return fault(
        "InvalidLayerPartException",
        fmt::format("The layer part of upload '{}' starts at byte {}, but {} bytes were received so far", id,
                    at, size));
  };
  const int64_t size = TRY(upload_size(ref, id));
  if (!busy.mine() || size != at) return out_of_order(size);
  if (size + static_cast<int64_t>(bytes.size()) > kMaxLayerBytes) {
    return fault("LimitExceededException", fmt::format("A layer holds at most {} bytes", kMaxLayerBytes));
  }
  return net::offload_result([&] { return blobs_.append(upload, bytes); });
}

Result<void> ImageStore::complete(const RepositoryRef& ref, const std::string& id,
                                  const std::string& digest) {
  if (!store::valid_digest(digest)) {
    return fault("InvalidLayerException",
                 "The layer digest must be sha256: and 64 lower-case hexadecimal digits");
  }
  const std::string upload = TRY(blob_upload(ref, id));
  Busy busy(busy_, ref.account + "/" + id);
  if (!busy.mine()) return fault("InvalidLayerException", "The upload is still receiving a part");
  const int64_t size = TRY(upload_size(ref, id));
  auto finished = net::offload_result([&] { return blobs_.finish_upload(upload, digest); });
  if (!finished) {
    if (finished.error().code == "NotFound") return upload_not_found(ref, id);
    if (finished.error().code == "DigestMismatch") {
      return fault(
          "InvalidLayerException",
          fmt::format("The layer's bytes do not have the digest '{}' in the repository with name '{}' in the "
                      "registry with id '{}'",
                      digest, ref.name, ref.account));
    }
    return std::move(finished).error();
  }
  return database_.write([&](store::Writer& w) -> Result<void> {
    TRY(load_repository(w, ref));
    TRY(w.remove(upload_key(ref, id)));
    return w.put(layer_key(ref, digest), json::object({{"size", size}}));
  });
}

Result<void> ImageStore::cancel(const RepositoryRef& ref, const std::string& id) {
  const std::string upload = TRY(blob_upload(ref, id));
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    TRY(w.remove(upload_key(ref, id)));
    return {};
  }));
  auto cancelled = net::offload_result([&] { return blobs_.cancel_upload(upload); });
  if (!cancelled && cancelled.error().code != "NotFound") return cancelled;
  return {};
}

Result<void> ImageStore::expire_uploads() {
  const Millis before = clock_.wall() - kUploadLife;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto rows = TRY(w.list("*", "*", "ecr.upload"));
    for (const auto& row : rows) {
      if (row.body.get_int("started_at") < before) TRY(w.remove(row.key));
    }
    return {};
  }));
  return net::offload_result([&] { return blobs_.expire_uploads(kUploadLife); });
}

Result<int64_t> ImageStore::layer_size(const RepositoryRef& ref, const std::string& digest) {
  int64_t size = 0;
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    TRY(load_repository(r, ref));
    auto row = TRY(r.get(layer_key(ref, digest)));
    if (!row) {
      return fault(
          "LayersNotFoundException",
          fmt::format("The layer with digest '{}' does not exist in the repository with name '{}' in the "
                      "registry with id '{}'",
                      digest.substr(0, 100), ref.name, ref.account));
    }
    size = row->body.get_int("size");
    return {};
  }));
  return size;
}

Result<sys::Fd> ImageStore::open_layer(const std::string& digest) {
  return net::offload_result([&] { return blobs_.open_read(digest); });
}

Result<bool> ImageStore::mount(const RepositoryRef& from, const RepositoryRef& to,
                               const std::string& digest) {
  bool mounted = false;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    TRY(load_repository(w, to));
    auto source = TRY(w.get(layer_key(from, digest)));
    mounted = source.has_value();
    if (mounted) TRY(w.put(layer_key(to, digest), source->body));
    return {};
  }));
  return mounted;
}

}  // namespace bastide::services::ecr
