// What delivery knows of the architecture: the apps, how each is built and tested, and where it runs in each
// environment, with the ids that the stacks made. `bastide up` hands it over (PutArchitecture); delivery keeps it in
// the store, so that a push can never change the pipeline that judges it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace bastide::internal {

struct Placement {            // an app in an environment
  std::string environment;    // "stage"
  std::string account;
  std::string deploy_role;    // ARN that the pipeline assumes there
  std::string cluster;        // name
  std::string task_role, execution_role;  // ARNs
  std::string log_group;
  std::string target_group;   // ARN
  std::string listener;       // ARN; delivery adds a rule from `host` to the target group with the first release
  std::string host;           // "storefront.stage.localhost"
  int priority = 1;           // of that rule
  std::vector<std::string> subnets, security_groups;
  int count = 1;
  int cpu = 256;              // CPU units
  int memory = 256;           // MiB
  std::map<std::string, std::string> variables;
  std::string url;
  // Static files behind the CDN; empty: the app has none.
  std::string static_bucket, static_distribution, static_role, static_url;
};

struct Step {
  std::string name;           // "build"
  std::string command;        // for `sh -c`, in the sandbox
  Millis timeout = 10 * kMinute;
};

struct App {
  std::string name;
  std::string dockerfile = "Dockerfile";
  std::string build_image;    // empty: the host's tools, read-only
  bool network = false;       // of build and test
  std::vector<Step> steps;    // build, test, in order
  int port = 8080;
  std::string static_folder;  // of the repository; empty: none
  std::vector<Placement> placements;  // in the order of promotion: stage first

  const Placement* placement(std::string_view environment) const;
};

struct Plan {
  std::string name;               // of the architecture
  std::string region;
  std::string account;            // shared-services: images, runs, repositories
  std::string pipeline_role;      // ARN, in shared-services
  std::string branch = "main";    // what deploys to the first environment
  std::string promote_tag = "v*"; // which tags promote; empty: none
  std::string promote_branch;     // or a branch
  bool approval = true;           // promotion waits for a person
  std::vector<App> apps;

  const App* app(std::string_view name) const;
};

json::Value to_json(const Plan& plan);
Result<Plan> plan_from_json(const json::Value& v);

// `*` any characters, `?` one: how branches and tags are named in the file.
bool matches_glob(std::string_view pattern, std::string_view text);

}  // namespace bastide::internal
