#include "internal/plan.h"

#include <algorithm>

namespace bastide::internal {
namespace {

json::Value strings(const std::vector<std::string>& in) {
  json::Array out(in.begin(), in.end());
  return out;
}

std::vector<std::string> strings(const json::Array& in) {
  std::vector<std::string> out;
  for (const auto& v : in) {
    if (v.is_string()) out.push_back(v.string());
  }
  return out;
}

json::Value to_json(const Placement& p) {
  json::Value variables{json::Object{}};
  for (const auto& [name, value] : p.variables) variables[name] = value;
  return json::object({{"environment", p.environment},
                       {"account", p.account},
                       {"deploy_role", p.deploy_role},
                       {"cluster", p.cluster},
                       {"task_role", p.task_role},
                       {"execution_role", p.execution_role},
                       {"log_group", p.log_group},
                       {"target_group", p.target_group},
                       {"listener", p.listener},
                       {"host", p.host},
                       {"priority", p.priority},
                       {"subnets", strings(p.subnets)},
                       {"security_groups", strings(p.security_groups)},
                       {"count", p.count},
                       {"cpu", p.cpu},
                       {"memory", p.memory},
                       {"variables", std::move(variables)},
                       {"url", p.url},
                       {"static_bucket", p.static_bucket},
                       {"static_distribution", p.static_distribution},
                       {"static_role", p.static_role},
                       {"static_url", p.static_url}});
}

Placement placement_from_json(const json::Value& v) {
  Placement p;
  p.environment = v.get("environment");
  p.account = v.get("account");
  p.deploy_role = v.get("deploy_role");
  p.cluster = v.get("cluster");
  p.task_role = v.get("task_role");
  p.execution_role = v.get("execution_role");
  p.log_group = v.get("log_group");
  p.target_group = v.get("target_group");
  p.listener = v.get("listener");
  p.host = v.get("host");
  p.priority = static_cast<int>(v.get_int("priority", 1));
  p.subnets = strings(v.get_array("subnets"));
  p.security_groups = strings(v.get_array("security_groups"));
  p.count = static_cast<int>(v.get_int("count", p.count));
  p.cpu = static_cast<int>(v.get_int("cpu", p.cpu));
  p.memory = static_cast<int>(v.get_int("memory", p.memory));
  for (const auto& [name, value] : v.get_object("variables")) {
    if (value.is_string()) p.variables[name] = value.string();
  }
  p.url = v.get("url");
  p.static_bucket = v.get("static_bucket");
  p.static_distribution = v.get("static_distribution");
  p.static_role = v.get("static_role");
  p.static_url = v.get("static_url");
  return p;
}

App app_from_json(const json::Value& v) {
  App a;
  a.name = v.get("name");
  a.dockerfile = v.get("dockerfile", a.dockerfile);
  a.build_image = v.get("build_image");
  a.network = v.get_bool("network");
  for (const auto& s : v.get_array("steps")) {
    a.steps.push_back({s.get("name"), s.get("command"), s.get_int("timeout_ms", 10 * kMinute)});
  }
  a.port = static_cast<int>(v.get_int("port", a.port));
  a.static_folder = v.get("static_folder");
  for (const auto& p : v.get_array("placements")) a.placements.push_back(placement_from_json(p));
  return a;
}

}  // namespace

const Placement* App::placement(std::string_view environment) const {
  const auto it = std::find_if(placements.begin(), placements.end(), [&](const auto& p) { return p.environment == environment; });
  return it == placements.end() ? nullptr : &*it;
}

const App* Plan::app(std::string_view wanted) const {
  const auto it = std::find_if(apps.begin(), apps.end(), [&](const auto& a) { return a.name == wanted; });
  return it == apps.end() ? nullptr : &*it;
}

json::Value to_json(const Plan& plan) {
  json::Array apps;
  for (const App& a : plan.apps) {
    json::Array steps, placements;
    for (const Step& s : a.steps) {
      steps.push_back(json::object({{"name", s.name}, {"command", s.command}, {"timeout_ms", s.timeout}}));
    }
    for (const Placement& p : a.placements) placements.push_back(to_json(p));
    apps.push_back(json::object({{"name", a.name},
                                 {"dockerfile", a.dockerfile},
                                 {"build_image", a.build_image},
                                 {"network", a.network},
                                 {"steps", std::move(steps)},
                                 {"port", a.port},
                                 {"static_folder", a.static_folder},
                                 {"placements", std::move(placements)}}));
  }
  return json::object({{"name", plan.name},
                       {"region", plan.region},
                       {"account", plan.account},
                       {"pipeline_role", plan.pipeline_role},
                       {"branch", plan.branch},
                       {"promote_tag", plan.promote_tag},
                       {"promote_branch", plan.promote_branch},
                       {"approval", plan.approval},
                       {"apps", std::move(apps)}});
}

Result<Plan> plan_from_json(const json::Value& v) {
  Plan plan;
  plan.name = v.get("name");
  plan.region = v.get("region");
  plan.account = v.get("account");
  plan.pipeline_role = v.get("pipeline_role");
  plan.branch = v.get("branch", plan.branch);
  plan.promote_tag = v.get("promote_tag", plan.promote_tag);
  plan.promote_branch = v.get("promote_branch");
  plan.approval = v.get_bool("approval", plan.approval);
  for (const auto& a : v.get_array("apps")) plan.apps.push_back(app_from_json(a));
  if (plan.name.empty() || plan.region.empty() || plan.account.empty() || plan.pipeline_role.empty()) {
    return error("Invalid", "a plan needs name, region, account and pipeline_role");
  }
  for (const App& a : plan.apps) {
    const bool plain = !a.name.empty() && a.name.size() <= 64 &&
                       a.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos &&
                       a.name.front() != '-';
    if (!plain) return error("Invalid", "app name '" + a.name + "' is not made of a-z, 0-9 and -");
    if (a.placements.empty()) return error("Invalid", "app '" + a.name + "' runs in no environment");
  }
  return plan;
}

bool matches_glob(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace bastide::internal
