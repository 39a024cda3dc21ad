#include "services/organizations/rows.h"

#include "aws/arn.h"
#include "base/crypto.h"

namespace bastide::services::organization_rows {

Result<std::optional<json::Value>> find(store::Reader& r) {
  auto list = TRY(r.list("*", "", "organizations.organization"));
  if (list.empty()) return std::optional<json::Value>();
  return std::optional<json::Value>(std::move(list.front().body));
}

Result<json::Value> need(store::Reader& r, const aws::Call& call) {
  auto org = TRY(find(r));
  std::optional<store::Resource> member;
  if (org) member = TRY(r.get(key_of(*org, "account", call.account)));
  if (!member) {
    return fault("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.",
                 400);
  }
  return std::move(*org);
}

Result<json::Value> need_management(store::Reader& r, const aws::Call& call) {
  auto org = TRY(need(r, call));
  if (org.get("management") != call.account) {
    return fault("AccessDeniedException", "You don't have permissions to access this resource.", 400);
  }
  return org;
}

store::Key key_of(const json::Value& org, const std::string& noun, const std::string& id) {
  return {org.get("management"), "", "organizations." + noun, id};
}

std::string arn_of(const json::Value& org, const std::string& id) {
  const std::string organization = org.get("id");
  if (id == kFullAccess) return "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess";
  std::string what = "account/" + organization + "/" + id;
  if (id.starts_with("r-")) what = "root/" + organization + "/" + id;
  if (id.starts_with("ou-")) what = "ou/" + organization + "/" + id;
  if (id.starts_with("p-")) what = "policy/" + organization + "/service_control_policy/" + id;
  return aws::make_arn("organizations", "", org.get("management"), what);
}

std::string random_id(const std::string& prefix, size_t characters) {
  return prefix + random_text(characters, "abcdefghijklmnopqrstuvwxyz0123456789");
}

Result<void> save_org(store::Writer& w, const json::Value& org) {
  return w.put(key_of(org, "organization", "organization"), org);
}

Result<std::vector<store::Resource>> rows(store::Reader& r, const json::Value& org, const std::string& noun) {
  return r.list(org.get("management"), "", "organizations." + noun);
}

Result<json::Value> need_account(store::Reader& r, const json::Value& org, const std::string& id) {
  auto row = TRY(r.get(key_of(org, "account", id)));
  if (!row) return fault("AccountNotFoundException", "You specified an account that doesn't exist.", 400);
  return std::move(row->body);
}

Result<json::Value> need_unit(store::Reader& r, const json::Value& org, const std::string& id) {
  auto row = TRY(r.get(key_of(org, "ou", id)));
  if (!row) {
    return fault("OrganizationalUnitNotFoundException",
                 "You specified an organizational unit that doesn't exist.", 400);
  }
  return std::move(row->body);
}

Result<json::Value> need_policy(store::Reader& r, const json::Value& org, const std::string& id) {
  if (id == kFullAccess) return full_access_policy();
  auto row = TRY(r.get(key_of(org, "policy", id)));
  if (!row) return fault("PolicyNotFoundException", "You specified a policy that doesn't exist.", 400);
  return std::move(row->body);
}

Result<Node> need_target(store::Reader& r, const json::Value& org, const std::string& id) {
  if (id == org.get("root")) {
    return Node{"ROOT",
                json::object({{"id", id},
                              {"name", "Root"},
                              {"policies", json::Value(org.get_array("root_policies"))},
                              {"tags", org.has("root_tags") ? *org.find("root_tags") : json::object()}})};
  }
  for (const auto& [noun, type] : {std::pair{"ou", "ORGANIZATIONAL_UNIT"}, std::pair{"account", "ACCOUNT"}}) {
    auto row = TRY(r.get(key_of(org, noun, id)));
    if (row) return Node{type, std::move(row->body)};
  }
  return fault("TargetNotFoundException", "You specified a target that doesn't exist.", 400);
}

Result<void> save_target(store::Writer& w, json::Value& org, const Node& node, const std::string& id) {
  if (node.type == "ROOT") {
    org["root_policies"] = json::Value(node.body.get_array("policies"));
    if (const auto* tags = node.body.find("tags")) org["root_tags"] = *tags;
    return save_org(w, org);
  }
  return w.put(key_of(org, node.type == "ACCOUNT" ? "account" : "ou", id), node.body);
}

Result<Node> need_parent(store::Reader& r, const json::Value& org, const std::string& id) {
  auto node = need_target(r, org, id);
  if (!node || node->type == "ACCOUNT") {
    return fault("ParentNotFoundException", "You specified a parent that doesn't exist.", 400);
  }
  return node;
}

json::Value full_access_policy() {
  return json::object(
      {{"id", kFullAccess},
       {"name", "FullAWSAccess"},
       {"description", "Allows access to every operation"},
       {"aws", true},
       {"content",
        R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})"}});
}

m::Account account_shape(const json::Value& org, const json::Value& body) {
  m::Account a;
  a.id = body.get("id");
  a.arn = arn_of(org, body.get("id"));
  a.email = body.get("email");
  a.name = body.get("name");
  a.status = body.get("status");
  a.state = body.get("status");
  a.joined_method = body.get("method");
  a.joined_timestamp = body.get_int("created");
  return a;
}

m::OrganizationalUnit unit_shape(const json::Value& org, const json::Value& body) {
  m::OrganizationalUnit u;
  u.id = body.get("id");
  u.arn = arn_of(org, body.get("id"));
  u.name = body.get("name");
  return u;
}

m::PolicySummary policy_shape(const json::Value& org, const json::Value& body) {
  return {body.get("id"), arn_of(org, body.get("id")), body.get("name"), body.get("description"),
          kScp,           body.get_bool("aws")};
}

m::Root root_shape(const json::Value& org) {
  m::Root root;
  root.id = org.get("root");
  root.arn = arn_of(org, org.get("root"));
  root.name = "Root";
  root.policy_types.emplace();
  if (org.get_bool("scp")) root.policy_types->push_back({kScp, "ENABLED"});
  return root;
}

m::Organization organization_shape(const json::Value& org) {
  m::Organization o;
  o.id = org.get("id");
  o.arn = aws::make_arn("organizations", "", org.get("management"), "organization/" + org.get("id"));
  o.feature_set = org.get("features", "ALL");
  o.master_account_id = org.get("management");
  o.master_account_arn = arn_of(org, org.get("management"));
  o.master_account_email = org.get("email");
  o.available_policy_types.emplace();
  o.available_policy_types->push_back({kScp, "ENABLED"});
  return o;
}

m::CreateAccountStatus status_shape(const json::Value& body) {
  m::CreateAccountStatus s;
  s.id = body.get("id");
  s.account_name = body.get("name");
  s.state = body.get("state");
  s.requested_timestamp = body.get_int("requested");
  s.completed_timestamp = body.get_int("completed");
  if (body.has("account")) s.account_id = body.get("account");
  if (body.has("failure")) s.failure_reason = body.get("failure");
  return s;
}

}  // namespace bastide::services::organization_rows
