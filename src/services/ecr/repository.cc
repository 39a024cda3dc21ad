#include "services/ecr/repository.h"

#include <fmt/format.h>

#include "aws/arn.h"
#include "base/bytes.h"
#include "base/wildcard.h"

namespace bastide::services::ecr {
namespace {

constexpr size_t kMaxNameLength = 256;
constexpr size_t kMaxTagLength = 128;

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// [a-z0-9]+ with separators (., _, __, any number of -) between, never at an end.
bool valid_part(std::string_view part) {
  if (part.empty() || !lower_or_digit(part.front()) || !lower_or_digit(part.back())) return false;
  size_t i = 0;
  while (i < part.size()) {
    if (lower_or_digit(part[i])) {
      ++i;
      continue;
    }
    size_t end = part.find_first_of("abcdefghijklmnopqrstuvwxyz0123456789", i);
    const std::string_view separator = part.substr(i, end - i);
    if (separator != "." && separator != "_" && separator != "__" &&
        separator.find_first_not_of('-') != std::string_view::npos) {
      return false;
    }
    i = end;
  }
  return true;
}

}  // namespace

std::string RepositoryRef::arn() const { return aws::make_arn("ecr", region, account, "repository/" + name); }
store::Key RepositoryRef::key() const { return {account, region, "ecr.repository", name}; }

std::string repository_uri(const RepositoryRef& ref, const std::string& endpoint) {
  const size_t scheme = endpoint.find("://");
  std::string host = scheme == std::string::npos ? endpoint : endpoint.substr(scheme + 3);
  while (!host.empty() && host.back() == '/') host.pop_back();
  return fmt::format("{}/{}/{}", host.empty() ? "127.0.0.1:4566" : host, ref.account, ref.name);
}

NameInRegistry split_name(std::string_view path) {
  const size_t slash = path.find('/');
  if (slash != std::string_view::npos && aws::valid_account_id(path.substr(0, slash))) {
    return {std::string(path.substr(0, slash)), std::string(path.substr(slash + 1))};
  }
  return {"", std::string(path)};
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
bool valid_repository_name(std::string_view name) {
  if (name.size() < 2 || name.size() > kMaxNameLength) return false;
  for (std::string_view part : split(name, '/')) {
    if (!valid_part(part)) return false;
  }
  return true;
}

bool valid_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > kMaxTagLength || tag.front() == '.' || tag.front() == '-') return false;
  for (char c : tag) {
    if (!lower_or_digit(c) && !(c >= 'A' && c <= 'Z') && c != '_' && c != '.' && c != '-') return false;
  }
  return true;
}

Repository repository_from(const store::Resource& row) {
  Repository r;
  r.ref = {row.key.account, row.key.region, row.key.id};
  r.created_at = row.body.get_int("created_at");
  r.mutability = row.body.get("mutability", "MUTABLE");
  for (const auto& e : row.body.get_array("exclusions")) {
    if (e.is_string()) r.exclusions.push_back(e.string());
  }
  r.scan_on_push = row.body.get_bool("scan_on_push");
  r.policy_text = row.body.get("policy");
  for (const auto& [key, value] : row.body.get_object("tags")) {
    if (value.is_string()) r.tags[key] = value.string();
  }
  return r;
}

Result<std::optional<Repository>> find_repository(store::Reader& reader, const RepositoryRef& ref) {
  auto row = TRY(reader.get(ref.key()));
  if (!row) return std::optional<Repository>{};
  return std::optional<Repository>(repository_from(*row));
}

Result<Repository> load_repository(store::Reader& reader, const RepositoryRef& ref) {
  auto found = TRY(find_repository(reader, ref));
  if (!found) return repository_not_found(ref);
  return std::move(*found);
}

Result<void> save_repository(store::Writer& writer, const Repository& r) {
  json::Value body = json::object({{"created_at", r.created_at},
                                   {"mutability", r.mutability},
                                   {"scan_on_push", r.scan_on_push},
                                   {"policy", r.policy_text}});
  json::Array exclusions;
  for (const auto& e : r.exclusions) exclusions.emplace_back(e);
  body["exclusions"] = std::move(exclusions);
  json::Object tags;
  for (const auto& [key, value] : r.tags) tags.emplace_back(key, value);
  body["tags"] = std::move(tags);
  return writer.put(r.ref.key(), body);
}

// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
bool tag_is_immutable(const Repository& repository, std::string_view tag) {
  bool excluded = false;
  for (const auto& pattern : repository.exclusions) excluded = excluded || matches_wildcard(pattern, tag);
  if (repository.mutability == "IMMUTABLE") return true;
  if (repository.mutability == "IMMUTABLE_WITH_EXCLUSION") return !excluded;
  if (repository.mutability == "MUTABLE_WITH_EXCLUSION") return excluded;
  return false;
}

Result<aws::Target> repository_target(store::Database& database, const RepositoryRef& ref,
                                      std::string action) {
  aws::Target target;
  target.action = std::move(action);
  target.resource = ref.arn();
  target.owner = ref.account;
  auto row = TRY(database.get(ref.key()));
  if (!row) return target;
  const Repository repository = repository_from(*row);
  for (const auto& [key, value] : repository.tags) {
    target.context.emplace_back("aws:ResourceTag/" + key, value);
    target.context.emplace_back("ecr:ResourceTag/" + key, value);
  }
  if (!repository.policy_text.empty()) {
    json::Value policy = TRY(json::parse(repository.policy_text));
    // A repository policy has no Resource: it is about its repository.
    if (json::Value* statements = policy.find("Statement")) {
      const auto complete = [](json::Value& statement) {
        if (statement.is_object() && !statement.has("Resource") && !statement.has("NotResource")) {
          statement["Resource"] = "*";
        }
      };
      if (statements->is_array()) {
        for (auto& statement : statements->array()) complete(statement);
      } else {
        complete(*statements);
      }
    }
    target.policy = std::move(policy);
  }
  return target;
}

Error repository_not_found(const RepositoryRef& ref) {
  return fault("RepositoryNotFoundException",
               fmt::format("The repository with name '{}' does not exist in the registry with id '{}'",
                           ref.name, ref.account));
}

Error invalid_parameter(std::string message) {
  return fault("InvalidParameterException", std::move(message));
}

}  // namespace bastide::services::ecr
