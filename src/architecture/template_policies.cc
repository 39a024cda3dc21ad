// What nobody in some accounts may do, not even their administrators: service control policies.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
#include "architecture/templates.h"

namespace bastide::architecture {

json::Value policies_template(const Architecture& a, const Accounts& accounts) {
  json::Value resources = json::object(), outputs = json::object();
  for (const auto& p : a.policies) {
    json::Value content = p.document;
    if (content.is_null()) {
      json::Value statement =
          json::object({{"Effect", "Deny"}, {"Action", list(p.deny)}, {"Resource", "*"}});
      content = policy({std::move(statement)});
    }
    json::Value targets = json::array();
    for (const auto& name : p.accounts) targets.push(accounts.at(name));
    const std::string id = "Policy" + logical(p.name);
    resources[id] = resource("AWS::Organizations::Policy",
                             json::object({{"Name", "bastide-" + p.name},
                                           {"Type", "SERVICE_CONTROL_POLICY"},
                                           {"Description", "Of " + a.name + ", by bastide.yaml"},
                                           {"Content", std::move(content)},
                                           {"TargetIds", std::move(targets)}}));
    outputs[id + "Id"] = output(att(id.c_str(), "Id"));
  }
  return document("What nobody may do in some accounts of " + a.name, std::move(resources),
                  std::move(outputs));
}

}  // namespace bastide::architecture
