// What both doors of the registry (ECR's API and /v2/) do with images and layers. Rows: "ecr.image" (one a
// manifest, "<repository>@<digest>"), "ecr.tag" ("<repository>:<tag>"), "ecr.layer" (a blob that a repository
// may read) and "ecr.upload". Manifests and layers are blobs. Nothing here authorises. On the loop's thread,
// in a fiber: calls wait for disk.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "services/ecr/manifest.h"
#include "services/ecr/repository.h"
#include "store/blobs.h"
#include "store/database.h"

namespace bastide::services::ecr {

inline constexpr int64_t kMaxLayerBytes = 52'000ll << 20;
inline constexpr size_t kMaxPartBytes = 20u << 20;
inline constexpr Millis kUploadLife = 24 * kHour;

struct ImageRecord {
  std::string digest;
  std::string media_type;
  int64_t size = 0;  // of what it refers to
  int64_t manifest_bytes = 0;
  Millis pushed_at = 0;
  std::vector<std::string> manifests;
  std::string subject, artifact_type;
  json::Value annotations;
};

struct ImageId {
  std::string digest, tag;  // either may be empty
};

struct TaggedImage {
  ImageRecord image;
  std::vector<std::string> tags;  // sorted
};

struct PutOutcome {
  ImageRecord image;
  bool existed = false;  // with that tag
};

class ImageStore {
 public:
  ImageStore(store::Database& database, store::Blobs& blobs, Clock& clock)
      : database_(database), blobs_(blobs), clock_(clock) {}

  // Verifies that everything it refers to is there. Empty tag: by digest alone. `expected` may be empty.
  Result<PutOutcome> put(const RepositoryRef& ref, const std::string& text, const std::string& media_type,
                         const std::string& tag, const std::string& expected);
  Result<ImageRecord> find(const RepositoryRef& ref, const ImageId& id);  // ImageNotFoundException
  Result<std::string> manifest(const std::string& digest);
  Result<std::vector<TaggedImage>> images(const RepositoryRef& ref);  // by digest
  Result<std::vector<std::string>> tags(const RepositoryRef& ref, const std::string& after, size_t limit);
  Result<std::vector<ImageRecord>> referrers(const RepositoryRef& ref, const std::string& subject);
  // Removes the tag (and the image with its last one), or the image with all its tags. What was removed.
  Result<std::vector<ImageId>> remove(const RepositoryRef& ref, const ImageId& id);
  Result<void> remove_everything(store::Writer& writer, const RepositoryRef& ref);

  Result<std::string> begin_upload(const RepositoryRef& ref);                    // its id
  Result<int64_t> upload_size(const RepositoryRef& ref, const std::string& id);  // UploadNotFoundException
  // "InvalidLayerPartException" unless `at` is the size so far.
  Result<int64_t> append(const RepositoryRef& ref, const std::string& id, int64_t at, std::string_view bytes);
  Result<void> complete(const RepositoryRef& ref, const std::string& id, const std::string& digest);
  Result<void> cancel(const RepositoryRef& ref, const std::string& id);
  Result<void> expire_uploads();

  Result<int64_t> layer_size(const RepositoryRef& ref, const std::string& digest);  // LayersNotFoundException
  Result<sys::Fd> open_layer(const std::string& digest);
  Result<bool> mount(const RepositoryRef& from, const RepositoryRef& to, const std::string& digest);

 private:
  Result<std::string> blob_upload(const RepositoryRef& ref, const std::string& id);
  Result<void> check_references(store::Reader& reader, const RepositoryRef& ref, const Manifest& manifest);

  store::Database& database_;
  store::Blobs& blobs_;
  Clock& clock_;
  std::set<std::string> busy_;  // uploads that a fiber works on
};

Error image_not_found(const RepositoryRef& ref, const ImageId& id);

}  // namespace bastide::services::ecr
