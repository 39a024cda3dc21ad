// How IAM's entities lie in the store. Names are unique without regard to case, and kept as they were given.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "gen/iam.h"
#include "store/database.h"

namespace bastide::services::iam_rows {

namespace m = model::iam;

enum class Kind { user, role, group, policy, profile };
struct Noun {
  const char* kind;    // of the row
  const char* type;    // in ARNs
  const char* word;    // in messages
  const char* prefix;  // of unique ids
};
const Noun& noun(Kind kind);

// AIDA and 17 characters; https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
std::string unique_id(std::string_view prefix);
// AKIA or ASIA and 16 characters, of which the first carry the account, as AWS's do.
std::string access_key_id(std::string_view prefix, const std::string& account);
std::string account_of_access_key(const std::string& id);  // empty: not one of these

store::Key key_of(const std::string& account, Kind kind, const std::string& name);
store::Key account_key(const std::string& account);
std::string arn_of(const std::string& account, Kind kind, const json::Value& body);
std::string arn_of(const std::string& account, Kind kind, const std::string& path, const std::string& name);

Error no_such(Kind kind, const std::string& name);
Result<json::Value> need(store::Reader& r, const std::string& account, Kind kind, const std::string& name);
Result<void> save(store::Writer& w, const std::string& account, Kind kind, const json::Value& body);

// A managed policy that is not AWS's: by its ARN, within the account.
Result<json::Value> need_policy(store::Reader& r, const std::string& account, const std::string& arn);
std::string name_in_arn(const std::string& arn);

using Tags = std::optional<std::vector<m::Tag>>;
Result<void> merge_tags(json::Value& body, const std::vector<m::Tag>& tags, const char* quota);
std::vector<m::Tag> tags_of(const json::Value& body);
Tags optional_tags(const json::Value& body);

m::User user_shape(const std::string& account, const json::Value& body);
m::Role role_shape(const std::string& account, const json::Value& body);
m::Group group_shape(const std::string& account, const json::Value& body);
m::Policy policy_shape(const json::Value& body);

}  // namespace bastide::services::iam_rows
