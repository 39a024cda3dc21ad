// A repository of the registry as it is kept: the rows "ecr.repository", and how a policy and a client see
// it. https://docs.aws.amazon.com/AmazonECR/latest/userguide/Repositories.html
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "aws/authorize.h"
#include "base/result.h"
#include "store/database.h"

namespace bastide::services::ecr {

struct RepositoryRef {
  std::string account;
  std::string region;
  std::string name;
  std::string arn() const;
  store::Key key() const;
};

struct Repository {
  RepositoryRef ref;
  Millis created_at = 0;
  std::string mutability = "MUTABLE";   // as the API names it
  std::vector<std::string> exclusions;  // wildcards of tags that are the other way
  bool scan_on_push = false;
  std::string policy_text;  // empty: none
  std::map<std::string, std::string> tags;
};

// "<host:port>/<account>/<name>"; `endpoint` is the URL that the client called.
std::string repository_uri(const RepositoryRef& ref, const std::string& endpoint);

// "127.0.0.1:4566/111122223333/app" and "app" name repositories to this registry; the account is empty where
// the name does not say it. The first part of twelve digits is always an account.
struct NameInRegistry {
  std::string account;
  std::string name;
};
NameInRegistry split_name(std::string_view path);
bool valid_repository_name(std::string_view name);
bool valid_tag(std::string_view tag);

Result<std::optional<Repository>> find_repository(store::Reader& reader, const RepositoryRef& ref);
Result<Repository> load_repository(store::Reader& reader,
                                   const RepositoryRef& ref);  // RepositoryNotFoundException
Repository repository_from(const store::Resource& row);
Result<void> save_repository(store::Writer& writer, const Repository& repository);

bool tag_is_immutable(const Repository& repository, std::string_view tag);

// What a policy sees of it: resource policy included. A repository that is not there has none.
Result<aws::Target> repository_target(store::Database& database, const RepositoryRef& ref,
                                      std::string action = "");

Error repository_not_found(const RepositoryRef& ref);
Error invalid_parameter(std::string message);

}  // namespace bastide::services::ecr
