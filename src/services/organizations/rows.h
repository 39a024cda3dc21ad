// How the organisation lies in the store: rows of its management account.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "services/organizations/organizations.h"

namespace bastide::services::organization_rows {

namespace m = model::organizations;

inline constexpr const char* kFullAccess = "p-FullAWSAccess";
inline constexpr const char* kScp = "SERVICE_CONTROL_POLICY";

// A body: {id, management, email, root, created, scp: bool, services: {principal: time}, root_policies,
// root_tags}.
Result<std::optional<json::Value>> find(store::Reader& r);
// The organisation, for a caller in it. AWSOrganizationsNotInUseException otherwise.
Result<json::Value> need(store::Reader& r, const aws::Call& call);
// The same, for a caller in the management account. AccessDeniedException otherwise.
Result<json::Value> need_management(store::Reader& r, const aws::Call& call);

// Rows of "organizations.account", ".ou", ".policy", ".request".
store::Key key_of(const json::Value& org, const std::string& noun, const std::string& id);
std::string arn_of(const json::Value& org, const std::string& id);  // of a root, OU, account or policy
std::string random_id(const std::string& prefix, size_t characters);

// A target is a root, an OU or an account; its body keeps the policies attached to it.
struct Node {
  std::string type;  // "ROOT", "ORGANIZATIONAL_UNIT", "ACCOUNT"
  json::Value body;
};
Result<Node> need_target(store::Reader& r, const json::Value& org, const std::string& id);
Result<void> save_target(store::Writer& w, json::Value& org, const Node& node, const std::string& id);
Result<Node> need_parent(store::Reader& r, const json::Value& org, const std::string& id);
Result<json::Value> need_account(store::Reader& r, const json::Value& org, const std::string& id);
Result<json::Value> need_unit(store::Reader& r, const json::Value& org, const std::string& id);
Result<json::Value> need_policy(store::Reader& r, const json::Value& org, const std::string& id);
Result<void> save_org(store::Writer& w, const json::Value& org);
Result<std::vector<store::Resource>> rows(store::Reader& r, const json::Value& org, const std::string& noun);

json::Value full_access_policy();
m::Account account_shape(const json::Value& org, const json::Value& body);
m::OrganizationalUnit unit_shape(const json::Value& org, const json::Value& body);
m::PolicySummary policy_shape(const json::Value& org, const json::Value& body);
m::Root root_shape(const json::Value& org);
m::Organization organization_shape(const json::Value& org);
m::CreateAccountStatus status_shape(const json::Value& body);

}  // namespace bastide::services::organization_rows
