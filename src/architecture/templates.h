// The pieces that the templates are made of, and one function a template.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "architecture/architecture.h"

namespace bastide::architecture {

using Accounts = std::map<std::string, std::string>;

inline constexpr const char* kSharedCidr = "10.0.0.0/16";  // the network of those who run the house
inline constexpr const char* kExports = "bastide";  // exports are bastide:WHAT

json::Value ref(const char* name);
json::Value att(const char* resource, const char* attribute);
json::Value sub(std::string text);
json::Value import_of(const std::string& name);
json::Value list(const std::vector<std::string>& texts);
json::Value allow(const std::vector<std::string>& actions, json::Value resource, json::Value condition = {});
json::Value policy(json::Array statements);
json::Value named_policy(const std::string& name, json::Array statements);
json::Value trust_account(const std::string& account, json::Value condition = {});
json::Value trust_service(const std::string& service);
json::Value resource(const char* type, json::Value properties);
json::Value retained(json::Value resource);  // what destroying a stack must not take along
json::Value output(json::Value value, const std::string& export_name = "");
json::Value document(const std::string& description, json::Value resources, json::Value outputs,
                     json::Value parameters = {}, json::Value conditions = {});
std::string logical(const std::string& name);  // "my-app" -> "MyApp"

json::Value access_template(const Architecture& a, const Accounts& accounts, const std::string& account);
json::Value people_template(const Architecture& a, const Accounts& accounts);
json::Value policies_template(const Architecture& a, const Accounts& accounts);
json::Value shared_template(const Architecture& a, const Accounts& accounts);
json::Value network_template(const std::string& what, const std::string& cidr, bool balancer, json::Value peering_role = {});
json::Value peering_role(const Architecture& a, const Accounts& accounts);  // of shared-services
json::Value peering_template(const Accounts& accounts, const std::string& environment);
json::Value peering_routes_template(const Architecture& a);
json::Value platform_template(const Architecture& a, const Accounts& accounts,
                              const std::string& environment);
json::Value static_template(const Architecture& a, const Accounts& accounts, const App& app,
                            const std::string& environment);
json::Value monitoring_template(const Architecture& a, const std::string& environment);
json::Value app_template(const Architecture& a, const App& app, const std::string& environment, int priority);

}  // namespace bastide::architecture
