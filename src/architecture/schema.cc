#include "architecture/schema.h"

#include "architecture/architecture.h"

namespace bastide::architecture {
namespace {

using json::Value;

Value text(const char* what, const char* pattern = nullptr) {
  Value out = json::object({{"type", "string"}, {"description", what}});
  if (pattern != nullptr) out["pattern"] = pattern;
  return out;
}
Value number(const char* what, int low, int high, int fallback) {
  return json::object({{"type", "integer"},
                       {"description", what},
                       {"minimum", low},
                       {"maximum", high},
                       {"default", fallback}});
}
Value flag(const char* what, bool fallback) {
  return json::object({{"type", "boolean"}, {"description", what}, {"default", fallback}});
}
Value map(const char* what, Value properties, Value required = json::array()) {
  Value out = json::object({{"type", "object"},
                            {"description", what},
                            {"additionalProperties", false},
                            {"properties", std::move(properties)}});
  if (!required.array().empty()) out["required"] = std::move(required);
  return out;
}
// A map of names that the file chooses.
Value names(const char* what, const char* pattern, Value each) {
  return json::object({{"type", "object"},
                       {"description", what},
                       {"propertyNames", json::object({{"pattern", pattern}})},
                       {"additionalProperties", std::move(each)}});
}

constexpr const char* kName = "^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$";
constexpr const char* kPath = "^(?!/)(?!.*\\.\\.).+$";

}  // namespace

Value file_schema() {
  const App app;
  const Architecture a;
  Value size = map("How much of an app runs in an environment",
                   json::object({{"count", number("Tasks", 0, 100, 1)},
                                 {"cpu", number("CPU units: 1024 are a core", 64, 16384, 256)},
                                 {"memory", number("MiB", 32, 122880, 512)}}));
  Value one_app = map(
      "A git repository that becomes an image and a service",
      json::object(
          {{"source", text("The folder of its repository, relative to this file", kPath)},
           {"dockerfile", text("Its Dockerfile (default Dockerfile)", kPath)},
           {"build", text("The command that builds it; $COMMIT is the commit")},
           {"test", text("The command that tests it")},
           {"image", text("The image that build and test run in; empty: this host's programs")},
           {"network", flag("Whether build and test may use the network", app.network)},
           {"port", number("Where it listens", 1, 65535, app.port)},
           {"health", text("The path that answers 200 while it is well", "^/")},
           {"config",
            text("A file of the repository with encrypted values; {env} is the environment's name", kPath)},
           {"size", names("By environment", kName, std::move(size))},
           {"variables",
            names(
                "Environment variables, by environment", kName,
                json::object({{"type", "object"},
                              {"additionalProperties",
                               json::object({{"type", json::array({"string", "number", "boolean"})}})}}))}}));
  Value roles = names(
      "The roles that its members may assume, by account", kName,
      json::object({{"type", "array"},
                    {"items", json::object({{"enum", json::array({"admin", "developer", "readonly"})}})}}));
  Value group = map("A group of people", json::object({{"roles", std::move(roles)}}), json::array({"roles"}));
  Value person =
      map("A user of the security account",
          json::object(
              {{"groups", json::object({{"type", "array"}, {"items", json::object({{"type", "string"}})}})}}),
          json::array({"groups"}));
  Value environment =
      map("An account with a network of its own",
          json::object({{"cidr", text("A private IPv4 block of /16 to /20; blocks must not overlap",
                                      "^[0-9.]+/(1[6-9]|20)$")}}),
          json::array({"cidr"}));
  Value one_policy = map(
      "A service control policy: what nobody may do, not even administrators",
      json::object({{"accounts", json::object({{"description", "Accounts, or environments, platform, everything"},
                                               {"type", json::array({"array", "string"})},
                                               {"items", json::object({{"type", "string"}})}})},
                    {"deny", json::object({{"description", "Actions that are denied, as in iam:CreateUser"},
                                           {"type", json::array({"array", "string"})},
                                           {"items", json::object({{"type", "string"}})}})},
                    {"document", json::object({{"description", "A whole policy instead of deny"},
                                               {"type", "object"}})}}),
      json::array({"accounts"}));
  Value promote = map("How a release gets to the next environment",
                      json::object({{"tag", text("A tag that promotes its commit (default v*)")},
                                    {"branch", text("A branch that promotes what is merged into it")},
                                    {"approval", flag("Whether somebody must approve it", a.approval)}}));
  Value pipeline =
      map("From a push to an environment",
          json::object({{"branch", text("What is pushed here goes to the first environment (default main)")},
                        {"promote", std::move(promote)}}));
  Value out =
      map("The architecture of one organisation",
          json::object({{"name", text("Its name", kName)},
                        {"region", text("The AWS region (default us-east-1)")},
                        {"environments", names("In the order of promotion", kName, std::move(environment))},
                        {"groups", names("Who may do what", kName, std::move(group))},
                        {"people", names("Who there is", "^[A-Za-z0-9+=,.@_-]{1,64}$", std::move(person))},
                        {"apps", names("What runs", "^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$", std::move(one_app))},
                        {"policies", names("What nobody may do in some accounts", kName, std::move(one_policy))},
                        {"pipeline", std::move(pipeline)}}),
          json::array({"name", "environments", "apps"}));
  out["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  out["title"] = "bastide.yaml";
  return out;
}

}  // namespace bastide::architecture
