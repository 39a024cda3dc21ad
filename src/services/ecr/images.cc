// ECR's operations on images.
#include <fmt/format.h>

#include <algorithm>

#include "services/ecr/ecr.h"
#include "services/ecr/token.h"

namespace bastide::services {

namespace m = model::ecr;
using ecr::ImageId;
using ecr::ImageRecord;
using ecr::invalid_parameter;
using ecr::RepositoryRef;

namespace {

constexpr size_t kDefaultPage = 100;

m::ImageIdentifier identifier(const std::string& digest, const std::string& tag) {
  m::ImageIdentifier id;
  if (!digest.empty()) id.image_digest = digest;
  if (!tag.empty()) id.image_tag = tag;
  return id;
}

ImageId id_from(const m::ImageIdentifier& id) {
  return {id.image_digest.value_or(""), id.image_tag.value_or("")};
}

// Why an entry of a batch cannot even be looked up; empty: it can.
std::pair<std::string, std::string> bad_id(const ImageId& id) {
  if (id.digest.empty() && id.tag.empty()) {
    return {"MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"};
  }
  if (!id.digest.empty() && !store::valid_digest(id.digest)) {
    return {
        "InvalidImageDigest",
        "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"};
  }
  if (!id.tag.empty() && !ecr::valid_tag(id.tag)) {
    return {"InvalidImageTag", "Invalid request parameters: image tag is not valid"};
  }
  return {};
}

m::ImageFailure failure(const m::ImageIdentifier& id, std::string code, std::string reason) {
  m::ImageFailure f;
  f.image_id = id;
  f.failure_code = std::move(code);
  f.failure_reason = std::move(reason);
  return f;
}

bool wanted(const std::string& status, bool tagged) {
  return status.empty() || status == "ANY" || (status == "TAGGED") == tagged;
}

}  // namespace

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
Result<m::PutImageResponse> Ecr::put_image(Call& call, const m::PutImageRequest& request) {
  const RepositoryRef ref = ecr::ref_of(call, request);
  const std::string tag = request.image_tag.value_or("");
  const auto outcome =
      TRY(images_.put(ref, request.image_manifest, request.image_manifest_media_type.value_or(""), tag,
                      request.image_digest.value_or("")));
  if (outcome.existed) {
    return fault(
        "ImageAlreadyExistsException",
        fmt::format("Image with digest '{}' and tag '{}' already exists in the repository with name '{}' in "
                    "registry with id '{}'",
                    outcome.image.digest, tag.empty() ? "null" : tag, ref.name, ref.account));
  }
  m::PutImageResponse response;
  auto& image = response.image.emplace();
  image.registry_id = ref.account;
  image.repository_name = ref.name;
  image.image_id = identifier(outcome.image.digest, tag);
  image.image_manifest = request.image_manifest;
  image.image_manifest_media_type = outcome.image.media_type;
  return response;
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html
Result<m::BatchGetImageResponse> Ecr::batch_get_image(Call& call, const m::BatchGetImageRequest& request) {
  const RepositoryRef ref = ecr::ref_of(call, request);
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    TRY(ecr::load_repository(r, ref));
    return {};
  }));
  m::BatchGetImageResponse response;
  auto& images = response.images.emplace();
  auto& failures = response.failures.emplace();
  for (const auto& wanted_id : request.image_ids) {
    const ImageId id = id_from(wanted_id);
    if (auto [code, why] = bad_id(id); !code.empty()) {
      failures.push_back(failure(wanted_id, code, why));
      continue;
    }
    auto found = images_.find(ref, id);
    if (!found) {
      if (found.error().code != "ImageNotFoundException") return std::move(found).error();
      failures.push_back(failure(wanted_id, "ImageNotFound", "Requested image not found"));
      continue;
    }
    auto& image = images.emplace_back();
    image.registry_id = ref.account;
    image.repository_name = ref.name;
    image.image_id = identifier(found.value().digest, id.tag);
    image.image_manifest = TRY(images_.manifest(found.value().digest));
    image.image_manifest_media_type = found.value().media_type;
  }
  return response;
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html
Result<m::BatchDeleteImageResponse> Ecr::batch_delete_image(Call& call,
                                                            const m::BatchDeleteImageRequest& request) {
  const RepositoryRef ref = ecr::ref_of(call, request);
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    TRY(ecr::load_repository(r, ref));
    return {};
  }));
  m::BatchDeleteImageResponse response;
  auto& deleted = response.image_ids.emplace();
  auto& failures = response.failures.emplace();
  for (const auto& wanted_id : request.image_ids) {
    const ImageId id = id_from(wanted_id);
    if (auto [code, why] = bad_id(id); !code.empty()) {
      failures.push_back(failure(wanted_id, code, why));
      continue;
    }
    auto removed = images_.remove(ref, id);
    if (removed) {
      for (const auto& r : removed.value()) deleted.push_back(identifier(r.digest, r.tag));
      continue;
    }
    const Error& e = removed.error();
    if (e.code == "ImageNotFoundException") {
      failures.push_back(failure(wanted_id, "ImageNotFound", "Requested image not found"));
    } else if (e.code == "ImageTagDoesNotMatchDigest" || e.code == "ImageReferencedByManifestList") {
      failures.push_back(failure(wanted_id, e.code, e.message));
    } else {
      return std::move(removed).error();
    }
  }
  return response;
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html
Result<m::DescribeImagesResponse> Ecr::describe_images(Call& call, const m::DescribeImagesRequest& request) {
  const RepositoryRef ref = ecr::ref_of(call, request);
  const auto repository = TRY(database_.get(ref.key()));
  if (!repository) return ecr::repository_not_found(ref);
  const bool scan = ecr::repository_from(*repository).scan_on_push;
  const auto all = TRY(images_.images(ref));
  m::DescribeImagesResponse response;
  auto& out = response.image_details.emplace();
  const auto add = [&](const ecr::TaggedImage& t) {
    auto& d = out.emplace_back();
    d.registry_id = ref.account;
    d.repository_name = ref.name;
    d.image_digest = t.image.digest;
    if (!t.tags.empty()) d.image_tags = t.tags;
    d.image_size_in_bytes = t.image.size;
    d.image_pushed_at = t.image.pushed_at;
    d.image_manifest_media_type = t.image.media_type;
    if (!t.image.artifact_type.empty()) d.artifact_media_type = t.image.artifact_type;
    if (!t.image.subject.empty()) d.subject_manifest_digest = t.image.subject;
    if (scan) {
      auto& status = d.image_scan_status.emplace();
      status.status = "UNSUPPORTED_IMAGE";
      status.description = "This registry has no image scanner.";
    }
  };
  if (request.image_ids && !request.image_ids->empty()) {
    if (request.max_results || request.next_token) {
      return invalid_parameter("maxResults and nextToken cannot be used together with imageIds");
    }
    std::vector<std::string> seen;
    for (const auto& wanted_id : *request.image_ids) {
      const auto found = TRY(images_.find(ref, id_from(wanted_id)));
      if (std::find(seen.begin(), seen.end(), found.digest) != seen.end()) continue;
      seen.push_back(found.digest);
      for (const auto& t : all) {
        if (t.image.digest == found.digest) add(t);
      }
    }
    return response;
  }
  const std::string status = request.filter ? request.filter->tag_status.value_or("") : "";
  const std::string listing =
      fmt::format("DescribeImages/{}/{}/{}/{}", ref.account, ref.region, ref.name, status);
  std::string after;
  if (request.next_token) after = TRY(ecr::open_page(keyring_, listing, *request.next_token));
  const size_t page = request.max_results ? static_cast<size_t>(*request.max_results) : kDefaultPage;
  for (const auto& t : all) {
    if (t.image.digest <= after || !wanted(status, !t.tags.empty())) continue;
    if (out.size() == page) {
      response.next_token = ecr::seal_page(keyring_, listing, *out.back().image_digest);
      break;
    }
    add(t);
  }
  return response;
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ListImages.html
Result<m::ListImagesResponse> Ecr::list_images(Call& call, const m::ListImagesRequest& request) {
  const RepositoryRef ref = ecr::ref_of(call, request);
  const std::string status = request.filter ? request.filter->tag_status.value_or("") : "";
  const std::string listing =
      fmt::format("ListImages/{}/{}/{}/{}", ref.account, ref.region, ref.name, status);
  std::string after;
  if (request.next_token) after = TRY(ecr::open_page(keyring_, listing, *request.next_token));
  const size_t page = request.max_results ? static_cast<size_t>(*request.max_results) : kDefaultPage;
  m::ListImagesResponse response;
  auto& out = response.image_ids.emplace();
  std::string last;
  const auto all = TRY(images_.images(ref));
  for (const auto& t : all) {
    if (!wanted(status, !t.tags.empty())) continue;
    std::vector<std::string> tags = t.tags;
    if (tags.empty()) tags.emplace_back();
    for (const auto& tag : tags) {
      const std::string place = t.image.digest + " " + tag;
      if (place <= after) continue;
      if (out.size() == page) {
        response.next_token = ecr::seal_page(keyring_, listing, last);
        return response;
      }
      out.push_back(identifier(t.image.digest, tag));
      last = place;
    }
  }
  return response;
}

}  // namespace bastide::services
