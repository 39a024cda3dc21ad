// ECR's operations on repositories.
#include <fmt/format.h>

#include "aws/arn.h"
#include "base/bytes.h"
#include "services/ecr/ecr.h"
#include "services/ecr/rules.h"
#include "services/ecr/token.h"

namespace bastide::services {

namespace m = model::ecr;
using ecr::invalid_parameter;
using ecr::Repository;
using ecr::RepositoryRef;

namespace {

constexpr size_t kDefaultPage = 100;
constexpr size_t kMaxTags = 50;

std::vector<m::ImageTagMutabilityExclusionFilter> filters_of(const Repository& r) {
  std::vector<m::ImageTagMutabilityExclusionFilter> out;
  for (const auto& pattern : r.exclusions) {
    auto& filter = out.emplace_back();
    filter.filter_type = "WILDCARD";
    filter.filter = pattern;
  }
  return out;
}

template <class Request>
Result<void> set_mutability(Repository& r, const std::string& mode, const Request& request) {
  const auto& filters = request.image_tag_mutability_exclusion_filters;
  const bool wants = mode.ends_with("_WITH_EXCLUSION");
  if (wants != (filters && !filters->empty())) {
    return invalid_parameter(
        "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: 'Filters "
        "are given "
        "with IMMUTABLE_WITH_EXCLUSION and MUTABLE_WITH_EXCLUSION, and only with these'");
  }
  r.mutability = mode;
  r.exclusions.clear();
  if (filters) {
    for (const auto& f : *filters) r.exclusions.push_back(f.filter);
  }
  return {};
}

}  // namespace

namespace ecr {

m::Repository describe(const Repository& r, const std::string& endpoint) {
  m::Repository out;
  out.repository_arn = r.ref.arn();
  out.registry_id = r.ref.account;
  out.repository_name = r.ref.name;
  out.repository_uri = repository_uri(r.ref, endpoint);
  out.created_at = r.created_at;
  out.image_tag_mutability = r.mutability;
  if (!r.exclusions.empty()) out.image_tag_mutability_exclusion_filters = filters_of(r);
  out.image_scanning_configuration.emplace().scan_on_push = r.scan_on_push;
  out.encryption_configuration.emplace().encryption_type = "AES256";
  return out;
}

Result<RepositoryRef> ref_from_arn(const std::string& text) {
  auto arn = aws::parse_arn(text);
  if (!arn || arn.value().service != "ecr" || !arn.value().resource.starts_with("repository/")) {
    return invalid_parameter(
        "Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'");
  }
  return RepositoryRef{arn.value().account, arn.value().region, arn.value().resource.substr(11)};
}

aws::Rule<m::op::CreateRepository> Rules::create() const {
  return {"ecr:CreateRepository",
          [](const aws::Call& call,
             const m::CreateRepositoryRequest& request) -> Result<std::vector<aws::Target>> {
            const RepositoryRef ref = ref_of(call, request);
            std::vector<aws::Target> all(1);
            all[0].resource = ref.arn();
            all[0].owner = ref.account;
            if (request.tags) {
              for (const auto& tag : *request.tags) {
                all[0].context.emplace_back("aws:RequestTag/" + tag.key, tag.value);
                all[0].context.emplace_back("aws:TagKeys", tag.key);
              }
            }
            return all;
          }};
}

aws::Rule<m::op::DescribeRepositories> Rules::describe() const {
  return {
      "ecr:DescribeRepositories",
      [&db = database](const aws::Call& call,
                       const m::DescribeRepositoriesRequest& request) -> Result<std::vector<aws::Target>> {
        const std::string account = request.registry_id ? *request.registry_id : call.account;
        std::vector<aws::Target> all;
        if (request.repository_names) {
          for (const auto& name : *request.repository_names) {
            auto target = TRY(repository_target(db, {account, call.region, name}));
            all.push_back(std::move(target));
          }
        }
        if (all.empty()) {
          auto& target = all.emplace_back();
          target.resource = RepositoryRef{account, call.region, "*"}.arn();
          target.owner = account;
        }
        return all;
      }};
}

}  // namespace ecr

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
Result<m::CreateRepositoryResponse> Ecr::create_repository(Call& call,
                                                           const m::CreateRepositoryRequest& request) {
  Repository r;
  r.ref = ecr::ref_of(call, request);
  if (!ecr::valid_repository_name(r.ref.name)) {
    return invalid_parameter(
        "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular "
        "expression "
        "'(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*''");
  }
  if (!ecr::split_name(r.ref.name).account.empty()) {
    return invalid_parameter(
        "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'the first part of a name "
        "cannot be "
        "twelve digits: in this registry's URIs it names an account'");
  }
  if (request.encryption_configuration && request.encryption_configuration->encryption_type != "AES256") {
    return invalid_parameter(
        fmt::format("Invalid parameter at 'encryptionConfiguration' failed to satisfy constraint: '{} is not "
                    "available: this "
                    "registry encrypts with AES256 only'",
                    request.encryption_configuration->encryption_type));
  }
  TRY(set_mutability(r, request.image_tag_mutability.value_or("MUTABLE"), request));
  if (request.image_scanning_configuration) {
    r.scan_on_push = request.image_scanning_configuration->scan_on_push.value_or(false);
  }
  if (request.tags) {
    for (const auto& tag : *request.tags) r.tags[tag.key] = tag.value;
    if (r.tags.size() > kMaxTags) return fault("TooManyTagsException", "A repository has at most 50 tags");
  }
  r.created_at = call.now;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto existing = TRY(w.get(r.ref.key()));
    if (existing) {
      return fault("RepositoryAlreadyExistsException",
                   fmt::format("The repository with name '{}' already exists in the registry with id '{}'",
                               r.ref.name, r.ref.account));
    }
    TRY(ecr::save_repository(w, r));
    return w.emit("ecr.repository", r.ref.arn());
  }));
  m::CreateRepositoryResponse response;
  response.repository = ecr::describe(r, call.endpoint);
  return response;
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeRepositories.html
Result<m::DescribeRepositoriesResponse> Ecr::describe_repositories(
    Call& call, const m::DescribeRepositoriesRequest& request) {
  const std::string account = request.registry_id.value_or(call.account);
  m::DescribeRepositoriesResponse response;
  auto& out = response.repositories.emplace();
  if (request.repository_names && !request.repository_names->empty()) {
    if (request.max_results || request.next_token) {
      return invalid_parameter("maxResults and nextToken cannot be used together with repositoryNames");
    }
    TRY(database_.read([&](store::Reader& r) -> Result<void> {
      for (const auto& name : *request.repository_names) {
        const Repository repository = TRY(ecr::load_repository(r, {account, call.region, name}));
        out.push_back(ecr::describe(repository, call.endpoint));
      }
      return {};
    }));
    return response;
  }
  const std::string listing = fmt::format("DescribeRepositories/{}/{}", account, call.region);
  std::string after;
  if (request.next_token) after = TRY(ecr::open_page(keyring_, listing, *request.next_token));
  const size_t page = request.max_results ? static_cast<size_t>(*request.max_results) : kDefaultPage;
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    auto rows = TRY(r.list(account, call.region, "ecr.repository", after, page + 1));
    const bool more = rows.size() > page;
    if (more) rows.resize(page);
    for (const auto& row : rows) out.push_back(ecr::describe(ecr::repository_from(row), call.endpoint));
    if (more) response.next_token = ecr::seal_page(keyring_, listing, rows.back().key.id);
    return {};
  }));
  return response;
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DeleteRepository.html
Result<m::DeleteRepositoryResponse> Ecr::delete_repository(Call& call,
                                                           const m::DeleteRepositoryRequest& request) {
  const RepositoryRef ref = ecr::ref_of(call, request);
  m::DeleteRepositoryResponse response;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const Repository r = TRY(ecr::load_repository(w, ref));
    auto images = TRY(w.list(ref.account, ref.region, "ecr.image", "", 1, ref.name + "@"));
    if (!images.empty() && !request.force.value_or(false)) {
      return fault(
          "RepositoryNotEmptyException",
          fmt::format("The repository with name '{}' in registry with id '{}' cannot be deleted because it "
                      "still contains images",
                      ref.name, ref.account));
    }
    TRY(images_.remove_everything(w, ref));
    TRY(w.remove(ref.key()));
    response.repository = ecr::describe(r, call.endpoint);
    return w.emit("ecr.repository", ref.arn());
  }));
  return response;
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImageTagMutability.html
Result<m::PutImageTagMutabilityResponse> Ecr::put_image_tag_mutability(
    Call& call, const m::PutImageTagMutabilityRequest& request) {
  const RepositoryRef ref = ecr::ref_of(call, request);
  Repository changed;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    changed = TRY(ecr::load_repository(w, ref));
    TRY(set_mutability(changed, request.image_tag_mutability, request));
    return ecr::save_repository(w, changed);
  }));
  m::PutImageTagMutabilityResponse response;
  response.registry_id = ref.account;
  response.repository_name = ref.name;
  response.image_tag_mutability = changed.mutability;
  if (!changed.exclusions.empty()) response.image_tag_mutability_exclusion_filters = filters_of(changed);
  return response;
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_TagResource.html
Result<m::TagResourceResponse> Ecr::tag_resource(Call&, const m::TagResourceRequest& request) {
  const RepositoryRef ref = TRY(ecr::ref_from_arn(request.resource_arn));
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    Repository r = TRY(ecr::load_repository(w, ref));
    for (const auto& tag : request.tags) r.tags[tag.key] = tag.value;
    if (r.tags.size() > kMaxTags) return fault("TooManyTagsException", "A repository has at most 50 tags");
    return ecr::save_repository(w, r);
  }));
  return m::TagResourceResponse{};
}

Result<m::UntagResourceResponse> Ecr::untag_resource(Call&, const m::UntagResourceRequest& request) {
  const RepositoryRef ref = TRY(ecr::ref_from_arn(request.resource_arn));
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    Repository r = TRY(ecr::load_repository(w, ref));
    for (const auto& key : request.tag_keys) r.tags.erase(key);
    return ecr::save_repository(w, r);
  }));
  return m::UntagResourceResponse{};
}

Result<m::ListTagsForResourceResponse> Ecr::list_tags_for_resource(
    Call&, const m::ListTagsForResourceRequest& request) {
  const RepositoryRef ref = TRY(ecr::ref_from_arn(request.resource_arn));
  m::ListTagsForResourceResponse response;
  auto& out = response.tags.emplace();
  TRY(database_.read([&](store::Reader& reader) -> Result<void> {
    const Repository r = TRY(ecr::load_repository(reader, ref));
    for (const auto& [key, value] : r.tags) {
      auto& tag = out.emplace_back();
      tag.key = key;
      tag.value = value;
    }
    return {};
  }));
  return response;
}

}  // namespace bastide::services
