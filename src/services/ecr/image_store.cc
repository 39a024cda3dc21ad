#include "services/ecr/image_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "net/loop.h"

namespace bastide::services::ecr {
namespace {

store::Key image_key(const RepositoryRef& ref, const std::string& digest) {
  return {ref.account, ref.region, "ecr.image", ref.name + "@" + digest};
}
store::Key tag_key(const RepositoryRef& ref, const std::string& tag) {
  return {ref.account, ref.region, "ecr.tag", ref.name + ":" + tag};
}
std::string subject_index(const RepositoryRef& ref, const std::string& digest) {
  return fmt::format("{}/{}/{}@{}", ref.account, ref.region, ref.name, digest);
}

ImageRecord image_from(const store::Resource& row) {
  ImageRecord i;
  i.digest = row.key.id.substr(row.key.id.find('@') + 1);
  i.media_type = row.body.get("media_type");
  i.size = row.body.get_int("size");
  i.manifest_bytes = row.body.get_int("manifest_bytes");
  i.pushed_at = row.body.get_int("pushed_at");
  for (const auto& m : row.body.get_array("manifests")) i.manifests.push_back(m.string());
  i.subject = row.body.get("subject");
  i.artifact_type = row.body.get("artifact_type");
  if (const auto* a = row.body.find("annotations")) i.annotations = *a;
  return i;
}

json::Value body_of(const ImageRecord& i) {
  json::Array manifests;
  for (const auto& m : i.manifests) manifests.emplace_back(m);
  return json::object({{"media_type", i.media_type},
                       {"size", i.size},
                       {"manifest_bytes", i.manifest_bytes},
                       {"pushed_at", i.pushed_at},
                       {"manifests", std::move(manifests)},
                       {"subject", i.subject},
                       {"artifact_type", i.artifact_type},
                       {"annotations", i.annotations}});
}

Result<std::vector<TaggedImage>> read_images(store::Reader& reader, const RepositoryRef& ref) {
  std::map<std::string, std::vector<std::string>> tags;
  auto tag_rows = TRY(reader.list(ref.account, ref.region, "ecr.tag", "", 1'000'000, ref.name + ":"));
  for (const auto& row : tag_rows) {
    tags[row.body.get("digest")].push_back(row.key.id.substr(ref.name.size() + 1));
  }
  auto rows = TRY(reader.list(ref.account, ref.region, "ecr.image", "", 1'000'000, ref.name + "@"));
  std::vector<TaggedImage> out;
  for (const auto& row : rows) {
    TaggedImage t{image_from(row), {}};
    t.tags = tags[t.image.digest];
    out.push_back(std::move(t));
  }
  return out;
}

}  // namespace

Error image_not_found(const RepositoryRef& ref, const ImageId& id) {
  const auto word = [](const std::string& s) { return s.empty() ? "null" : s; };
  return fault(
      "ImageNotFoundException",
      fmt::format("The image with imageId {{imageDigest:'{}', imageTag:'{}'}} does not exist within the "
                  "repository with name '{}' in the registry with id '{}'",
                  word(id.digest), word(id.tag), ref.name, ref.account));
}

Result<void> ImageStore::check_references(store::Reader& reader, const RepositoryRef& ref,
                                          const Manifest& manifest) {
  for (const auto& blob : manifest.blobs) {
    auto row = TRY(reader.get({ref.account, ref.region, "ecr.layer", ref.name + "@" + blob.digest}));
    if (!row) {
      return fault(
          "LayersNotFoundException",
          fmt::format("Layers with digests '[{}]' required for pushing image into repository with name "
                      "'{}' in the registry with id '{}' do not exist",
                      blob.digest, ref.name, ref.account));
    }
  }
  for (const auto& m : manifest.manifests) {
    auto row = TRY(reader.get(image_key(ref, m.digest)));
    if (!row) {
      return fault(
          "ReferencedImagesNotFoundException",
          fmt::format("Images with digests '[{}]' required for pushing image into repository with name "
                      "'{}' in the registry with id '{}' do not exist",
                      m.digest, ref.name, ref.account));
    }
  }
  return {};
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
Result<PutOutcome> ImageStore::put(const RepositoryRef& ref, const std::string& text,
                                   const std::string& media_type, const std::string& tag,
                                   const std::string& expected) {
  if (!tag.empty() && !valid_tag(tag))
    return invalid_parameter("The image tag is not valid: " + tag.substr(0, 200));
  const Manifest manifest = TRY(parse_manifest(text, media_type));
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    TRY(load_repository(r, ref));
    return check_references(r, ref, manifest);
  }));
  const std::string digest = TRY(net::offload_result([&] { return blobs_.put(text); }));
  if (!expected.empty() && expected != digest) {
    return fault("ImageDigestDoesNotMatchException",
                 fmt::format("The specified image digest '{}' does not match the digest '{}' that Amazon ECR "
                             "calculated for the image.",
                             expected, digest));
  }
  PutOutcome outcome;
  const Millis now = clock_.wall();
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const Repository repository = TRY(load_repository(w, ref));
    TRY(check_references(w, ref, manifest));
    auto existing = TRY(w.get(image_key(ref, digest)));
    outcome.existed = existing.has_value() && tag.empty();
    if (!tag.empty()) {
      auto old = TRY(w.get(tag_key(ref, tag)));
      if (old && old->body.get("digest") == digest) {
        outcome.existed = true;
      } else if (old && tag_is_immutable(repository, tag)) {
        return fault("ImageTagAlreadyExistsException",
                     fmt::format("The image tag '{}' already exists in the '{}' repository and cannot be "
                                 "overwritten because the tag is immutable.",
                                 tag, ref.name));
      }
    }
    if (existing) {
      outcome.image = image_from(*existing);
    } else {
      ImageRecord& image = outcome.image;
      image.digest = digest;
      image.media_type = manifest.media_type;
      image.size = manifest.size;
      image.manifest_bytes = static_cast<int64_t>(text.size());
      image.pushed_at = now;
      for (const auto& m : manifest.manifests) image.manifests.push_back(m.digest);
      image.subject = manifest.subject;
      image.artifact_type = manifest.artifact_type;
      image.annotations = manifest.annotations;
      std::vector<store::Index> indexes;
      if (!image.subject.empty()) indexes.push_back({"subject", subject_index(ref, image.subject)});
      TRY(w.put(image_key(ref, digest), body_of(image), indexes));
    }
    if (!tag.empty() && !outcome.existed) TRY(w.put(tag_key(ref, tag), json::object({{"digest", digest}})));
    return {};
  }));
  return outcome;
}

Result<ImageRecord> ImageStore::find(const RepositoryRef& ref, const ImageId& id) {
  ImageRecord out;
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    TRY(load_repository(r, ref));
    std::string digest = id.digest;
    if (!id.tag.empty()) {
      auto row = TRY(r.get(tag_key(ref, id.tag)));
      if (!row) return image_not_found(ref, id);
      if (!digest.empty() && digest != row->body.get("digest")) return image_not_found(ref, id);
      digest = row->body.get("digest");
    }
    auto row = TRY(r.get(image_key(ref, digest)));
    if (!row) return image_not_found(ref, id);
    out = image_from(*row);
    return {};
  }));
  return out;
}

Result<std::string> ImageStore::manifest(const std::string& digest) {
  return net::offload_result([&] { return blobs_.read(digest, kMaxManifestBytes); });
}

Result<std::vector<TaggedImage>> ImageStore::images(const RepositoryRef& ref) {
  std::vector<TaggedImage> out;
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    TRY(load_repository(r, ref));
    out = TRY(read_images(r, ref));
    return {};
  }));
  return out;
}

Result<std::vector<std::string>> ImageStore::tags(const RepositoryRef& ref, const std::string& after,
                                                  size_t limit) {
  std::vector<std::string> out;
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    TRY(load_repository(r, ref));
    auto rows = TRY(r.list(ref.account, ref.region, "ecr.tag", after.empty() ? "" : ref.name + ":" + after,
                           limit, ref.name + ":"));
    for (const auto& row : rows) out.push_back(row.key.id.substr(ref.name.size() + 1));
    return {};
  }));
  return out;
}

Result<std::vector<ImageRecord>> ImageStore::referrers(const RepositoryRef& ref, const std::string& subject) {
  std::vector<ImageRecord> out;
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    TRY(load_repository(r, ref));
    auto rows = TRY(r.find("ecr.image", "subject", subject_index(ref, subject)));
    for (const auto& row : rows) out.push_back(image_from(row));
    return {};
  }));
  return out;
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html
Result<std::vector<ImageId>> ImageStore::remove(const RepositoryRef& ref, const ImageId& id) {
  std::vector<ImageId> removed;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    removed.clear();
    TRY(load_repository(w, ref));
    std::string digest = id.digest;
    if (!id.tag.empty()) {
      auto row = TRY(w.get(tag_key(ref, id.tag)));
      if (!row) return image_not_found(ref, id);
      const std::string tagged = row->body.get("digest");
      if (!digest.empty() && digest != tagged) {
        return fault("ImageTagDoesNotMatchDigest", "Requested image tag does not match the image digest");
      }
      digest = tagged;
    }
    const auto all = TRY(read_images(w, ref));
    const auto self =
        std::find_if(all.begin(), all.end(), [&](const auto& t) { return t.image.digest == digest; });
    if (self == all.end()) return image_not_found(ref, id);
    if (!id.tag.empty() && self->tags.size() > 1) {
      TRY(w.remove(tag_key(ref, id.tag)));
      removed.push_back({digest, id.tag});
      return {};
    }
    for (const auto& other : all) {
      const auto& parts = other.image.manifests;
      if (std::find(parts.begin(), parts.end(), digest) != parts.end()) {
        return fault("ImageReferencedByManifestList",
                     fmt::format("Requested image referenced by manifest list: [{}]", other.image.digest));
      }
    }
    for (const auto& tag : self->tags) {
      TRY(w.remove(tag_key(ref, tag)));
      removed.push_back({digest, tag});
    }
    if (self->tags.empty()) removed.push_back({digest, ""});
    TRY(w.remove(image_key(ref, digest)));
    return {};
  }));
  return removed;
}

Result<void> ImageStore::remove_everything(store::Writer& w, const RepositoryRef& ref) {
  for (const char* kind : {"ecr.image", "ecr.tag", "ecr.layer"}) {
    const std::string separator = std::string_view(kind) == "ecr.tag" ? ":" : "@";
    auto rows = TRY(w.list(ref.account, ref.region, kind, "", 1'000'000, ref.name + separator));
    for (const auto& row : rows) TRY(w.remove(row.key));
  }
  return {};
}

}  // namespace bastide::services::ecr
