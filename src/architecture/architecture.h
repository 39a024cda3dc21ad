// bastide.yaml: the one file. Read, validated, compiled to CloudFormation templates, applied. Pure but for apply.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "internal/plan.h"

namespace bastide::architecture {

struct Size {                      // of an app in an environment
  int count = 1, cpu = 256, memory = 512;  // tasks, CPU units, MiB: as Fargate combines them
};

struct App {
  std::string name;
  std::string source;              // folder, relative to the file
  std::string dockerfile = "Dockerfile";
  std::string build, test;         // commands; empty: no such step
  std::string build_image;
  bool network = false;            // of build and test
  bool alarms = true;              // the default alarms
  int port = 8080;
  std::string health = "/health";
  std::string static_folder;       // published behind the CDN; empty: none
  std::string config;              // "config/{env}.json": where encrypted values live; empty: none
  std::map<std::string, Size> sizes;                                     // by environment
  std::map<std::string, std::map<std::string, std::string>> variables;   // by environment
};

struct Environment {
  std::string name;                // "stage"
  std::string cidr;                // "10.10.0.0/16"
};

struct Person {
  std::string name;
  std::vector<std::string> groups;
};

struct Group {
  std::string name;
  std::map<std::string, std::vector<std::string>> roles;  // account -> roles it may assume: admin, developer, readonly
};

struct Architecture {
  std::string name;                // "storefront"
  std::string region = "us-east-1";
  std::vector<Environment> environments;  // in the order of promotion
  std::vector<Person> people;
  std::vector<Group> groups;
  std::vector<App> apps;
  std::string branch = "main", promote_tag = "v*", promote_branch;
  bool approval = true;
  std::vector<std::string> notify;        // whom alarms tell: mail addresses and URLs

  struct Policy {                  // a service control policy
    std::string name;
    std::vector<std::string> accounts;  // by name
    std::vector<std::string> deny;      // actions; or
    json::Value document;               // all of it
  };
  std::vector<Policy> policies;

  struct OwnStack {                // stacks/ACCOUNT/NAME.yaml beside the file
    std::string account, name, text, file;
  };
  std::vector<OwnStack> own_stacks;
};

// `path`: the file, or its folder. Errors: "bastide.yaml:12:5: unknown key 'heatlh'; did you mean 'health'?"
Result<Architecture> load(const std::string& path);
Result<Architecture> parse(const std::string& text, const std::string& file_name);

struct Stack {
  std::string account;             // "stage": by name
  std::string name;                // "bastide-network"
  std::string template_body;       // JSON or YAML, readable, deterministic
  std::map<std::string, std::string> parameters;
  std::vector<std::string> after;  // "account/name" of stacks it waits for
  std::map<std::string, std::string> tags;
  std::map<std::string, std::string> inputs;  // parameters from outputs of other stacks: "account/name:Output"
};
// accounts: name -> id of management, security, shared-services and every environment.
Result<std::vector<Stack>> compile(const Architecture& a, const std::map<std::string, std::string>& accounts);

// What the stacks made, by "account/stack": output key -> value.
using Outputs = std::map<std::string, std::map<std::string, std::string>>;
// What delivery needs (internal/plan.h), and the profiles of the command line: name -> (account id, role ARN).
Result<internal::Plan> delivery_plan(const Architecture& a, const std::map<std::string, std::string>& accounts,
                                     const Outputs& outputs, int https_port);

// Applying. Calls go through `call`: as an account's administrator ("management", "stage", ...), so that it works over
// HTTP with assumed roles, here or against AWS.
struct Observer {
  // Every change of a step: account, region, what ("stack bastide-network", "AWS::EC2::VPC Vpc"), state ("making",
  // "done", "unchanged", "failed"), and a reason where it failed.
  std::function<void(const std::string& account, const std::string& what, const std::string& state, const std::string& reason)> step;
  std::function<void()> tick;  // while it waits: a picture may show how long things take
};
using Call = std::function<Result<json::Value>(const std::string& account, const std::string& service,
                                               const std::string& operation, const json::Value& input)>;
struct Applied {
  std::map<std::string, std::string> accounts;  // name -> id
  Outputs outputs;
  bool changed = false;
};
// Organisation, organisational units and accounts, then stacks in the order of their dependence, accounts side by side.
// `on_accounts` is told the account ids before the first call as any of them. Idempotent.
Result<Applied> apply(const Architecture& a, const Call& call, const Observer& observer,
                      const std::function<void(const std::map<std::string, std::string>& accounts)>& on_accounts);

}  // namespace bastide::architecture
