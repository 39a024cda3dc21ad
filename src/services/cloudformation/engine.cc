#include "services/cloudformation/engine.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "net/loop.h"
#include "services/cloudformation/execution.h"
#include "services/cloudformation/parameters.h"
#include "services/cloudformation/types.h"

namespace bastide::services::cfn {
namespace {

Result<Template> parsed(const std::string& text) {
  return net::offload_result([&] { return parse_template(text); });
}

std::string failure_text(const Execution& e, const char* what) {
  if (!e.failed.empty()) {
    auto names = e.failed;
    std::sort(names.begin(), names.end());
    return fmt::format("The following resource(s) failed to {}: [{}]. ", what, join(names, ", "));
  }
  return e.stack_problem;
}

}  // namespace

void Engine::start() {
  records_.db().run_jobs(kJobKind, [this](store::Job& job) -> Result<std::optional<Millis>> {
    const size_t a = job.key.find('/'), b = job.key.find('/', a + 1);
    if (a == std::string::npos || b == std::string::npos) return std::optional<Millis>();
    TRY(run(job.key.substr(0, a), job.key.substr(a + 1, b - a - 1), job.key.substr(b + 1)));
    return std::optional<Millis>();
  });
}

Result<aws::Principal> Engine::actor(const Stack& s) {
  aws::Principal p = s.principal;
  if (!s.role_arn.empty()) {
    // https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html
    const json::Value out = TRY(client_.call(
        aws::Principal::service("cloudformation.amazonaws.com"), s.account, s.region, "sts", "AssumeRole",
        json::object({{"RoleArn", s.role_arn}, {"RoleSessionName", "AWSCloudFormation"}})));
    const json::Value* user = out.find("AssumedRoleUser");
    if (user == nullptr) return error("AssumeRole answered without a user");
    p = {};
    p.kind = aws::Principal::Kind::assumed_role;
    p.account = s.account;
    p.arn = user->get("Arn");
    p.id = user->get("AssumedRoleId");
    p.role_arn = s.role_arn;
    p.name = s.role_arn.substr(s.role_arn.rfind('/') + 1);
  }
  p.called_via = {"cloudformation.amazonaws.com"};
  return p;
}

Result<Scope> Engine::scope(const Stack& s, const Template& t, const Version& v,
                            const aws::Principal& actor) {
  Scope scope;
  scope.account = s.account;
  scope.region = s.region;
  scope.stack_name = s.name;
  scope.stack_id = s.uuid.empty() ? "" : s.arn();
  scope.notification_arns = s.notification_arns;
  scope.mappings = &t.mappings;
  scope.parameters =
      TRY(parameter_values(t, v.parameters, [&](const std::string& name) -> Result<std::string> {
        auto out =
            client_.call(actor, s.account, s.region, "ssm", "GetParameter", json::object({{"Name", name}}));
        if (!out) {
          return validation(
              fmt::format("Unable to fetch parameters [{}] from parameter store for this account.", name));
        }
        const json::Value* p = out->find("Parameter");
        return p == nullptr ? std::string() : p->get("Value");
      }));
  scope.zones = [this, &s, actor](const std::string& region) -> Result<json::Value> {
    const json::Value out =
        TRY(client_.call(actor, s.account, region, "ec2", "DescribeAvailabilityZones", json::object()));
    json::Value zones = json::array();
    for (const auto& zone : out.get_array("AvailabilityZones")) zones.push(zone.get("ZoneName"));
    return zones;
  };
  scope.conditions = TRY(evaluate_conditions(scope, t.conditions));
  return scope;
}

Result<void> Engine::to_status(Stack& stack, std::string status, std::string reason,
                               std::function<Result<void>(store::Writer&)> also) {
  stack.status = std::move(status);
  stack.reason = std::move(reason);
  const Millis now = clock_.wall();
  if (stack.gone()) stack.deleted = now;
  return records_.db().write([&, this](store::Writer& w) -> Result<void> {
    if (also) TRY(also(w));
    TRY(records_.put(w, stack));
    return records_.event(w, stack, now);
  });
}

Result<void> Engine::finish_deploy(Stack& stack, std::vector<Output> outputs,
                                   std::vector<std::string> imports, const char* complete) {
  Stack done = stack;
  done.outputs = std::move(outputs);
  done.imports = std::move(imports);
  std::optional<Version> next;
  next = TRY(records_.version(stack, "next"));
  if (next) {
    done.parameters = next->parameters;
    done.tags = next->tags;
  }
  TRY(to_status(done, complete, "", [&, this](store::Writer& w) -> Result<void> {
    TRY(records_.put_exports(w, done));
    if (!next) return {};
    TRY(records_.put_version(w, done, "current", *next));
    return records_.remove_version(w, done, "next");
  }));
  stack = std::move(done);
  return {};
}

Result<void> Engine::run(const std::string& account, const std::string& region, const std::string& id) {
  auto found = TRY(records_.stack(account, region, id));
  if (!found) return {};
  Stack& stack = *found;
  while (stack.busy()) {
    const std::string status = stack.status;
    auto who = actor(stack);
    Execution e(records_, client_, clock_, stack, who ? *who : stack.principal);
    TRY(e.load());
    if (!who) e.stack_problem = "Role " + stack.role_arn + " is invalid or cannot be assumed";
    const bool importing = status == "IMPORT_IN_PROGRESS";
    const bool forward = status == "CREATE_IN_PROGRESS" || status == "UPDATE_IN_PROGRESS" || importing;
    if (forward || status == "UPDATE_ROLLBACK_IN_PROGRESS") {
      const bool update = status == "UPDATE_IN_PROGRESS";
      auto version = TRY(records_.version(stack, update || importing ? "next" : "current"));
      if (!version && importing) version = TRY(records_.version(stack, "current"));
      if (!version) return error("stack " + stack.arn() + " has no template");
      auto t = TRY(parsed(version->executed()));
      const json::Value tags = stack.tags;
      stack.tags = version->tags;
      std::optional<Result<Scope>> s;
      std::vector<Output> outputs;
      if (e.stack_problem.empty()) {
        s.emplace(scope(stack, t, *version, *who));
        if (!*s) {
          e.stack_problem = s->error().message;
        } else {
          if (forward) e.adopt = version->imports;
          TRY(e.deploy(t, **s,
                       status == "CREATE_IN_PROGRESS" || importing ? Execution::Purpose::create
                       : update                                    ? Execution::Purpose::update
                                                                   : Execution::Purpose::rollback));
        }
      }
      if (e.failed.empty() && e.stack_problem.empty()) {
        auto got = e.outputs(t);
        if (got) {
          outputs = std::move(*got);
        } else {
          e.stack_problem = got.error().message;
        }
      }
      if (e.failed.empty() && e.stack_problem.empty() && forward) {
        auto finished = finish_deploy(stack, std::move(outputs), e.imports,
                                      importing ? "IMPORT_COMPLETE"
                                      : update  ? "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
                                                : "CREATE_COMPLETE");
        if (finished) continue;
        if (!finished.error().fault) return finished;
        e.stack_problem = finished.error().message;
      }
      stack.tags = tags;
      const bool ok = e.failed.empty() && e.stack_problem.empty();
      if (importing) {
        TRY(to_status(stack, "IMPORT_ROLLBACK_IN_PROGRESS", failure_text(e, "import")));
      } else if (status == "CREATE_IN_PROGRESS") {
        const std::string why = failure_text(e, "create");
        if (stack.on_failure == "DO_NOTHING") {
          TRY(to_status(stack, "CREATE_FAILED", why));
        } else if (stack.on_failure == "DELETE") {
          TRY(to_status(stack, "DELETE_IN_PROGRESS", why + "Delete requested by user."));
        } else {
          TRY(to_status(stack, "ROLLBACK_IN_PROGRESS", why + "Rollback requested by user."));
        }
      } else if (update) {
        const std::string why = failure_text(e, "update");
        TRY(to_status(stack, stack.keep_failed_update ? "UPDATE_FAILED" : "UPDATE_ROLLBACK_IN_PROGRESS",
                      why));
      } else if (ok) {
        TRY(to_status(stack, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", ""));
      } else {
        TRY(to_status(stack, "UPDATE_ROLLBACK_FAILED", failure_text(e, "update")));
      }
    } else if (status == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" ||
               status == "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS") {
      auto version = TRY(records_.version(stack, "current"));
      if (!version) return error("stack " + stack.arn() + " has no template");
      auto t = TRY(parsed(version->executed()));
      auto s = TRY(scope(stack, t, *version, who ? *who : stack.principal));
      TRY(e.clean_up(t, s));
      const bool rolled_back = status.starts_with("UPDATE_ROLLBACK");
      stack.retain.clear();
      stack.update_policy = nullptr;
      TRY(to_status(stack, rolled_back ? "UPDATE_ROLLBACK_COMPLETE" : "UPDATE_COMPLETE", "",
                    [&, this](store::Writer& w) { return records_.remove_version(w, stack, "next"); }));
    } else if (status == "IMPORT_ROLLBACK_IN_PROGRESS") {
      TRY(e.forget_imported());
      TRY(to_status(stack, "IMPORT_ROLLBACK_COMPLETE", "",
                    [&, this](store::Writer& w) { return records_.remove_version(w, stack, "next"); }));
    } else if (status == "ROLLBACK_IN_PROGRESS" || status == "DELETE_IN_PROGRESS") {
      const bool rollback = status == "ROLLBACK_IN_PROGRESS";
      TRY(e.remove_all(rollback));
      if (!e.failed.empty()) {
        TRY(to_status(stack, rollback ? "ROLLBACK_FAILED" : "DELETE_FAILED", failure_text(e, "delete")));
      } else {
        stack.outputs.clear();
        Stack gone = stack;
        if (!rollback) gone.imports.clear();
        TRY(to_status(gone, rollback ? "ROLLBACK_COMPLETE" : "DELETE_COMPLETE", "",
                      [&, this](store::Writer& w) { return records_.put_exports(w, gone); }));
        stack = std::move(gone);
      }
    } else {
      return error("stack " + stack.arn() + " has the unknown status " + status);
    }
  }
  return {};
}

Result<std::vector<Wanted>> wanted_resources(const Template& t, const Scope& scope) {
  std::vector<Wanted> out;
  std::set<std::string> present;
  auto holds = [&](const std::string& condition) {
    return condition.empty() || (scope.conditions.count(condition) != 0 && scope.conditions.at(condition));
  };
  for (const auto& r : t.resources) {
    if (holds(r.condition)) present.insert(r.logical);
  }
  Scope open = scope;  // resources are left open, so that what remains are the references
  open.ref = {};
  open.attribute = {};
  open.import_value = {};
  open.zones = {};
  std::set<std::string> missing;
  std::vector<std::pair<std::string, std::set<std::string>>> depends;
  for (const auto& r : t.resources) {
    if (present.count(r.logical) == 0) continue;
    Wanted w;
    w.decl = &r;
    const auto properties = TRY(evaluate_properties(open, r.properties));
    for (const auto& name : references(properties)) {
      if (name.starts_with("AWS::")) continue;
      if (present.count(name) == 0) {
        missing.insert(name);
      } else {
        w.after.insert(name);
      }
    }
    for (const auto& name : r.depends_on) {
      if (present.count(name) != 0) w.after.insert(name);
    }
    depends.emplace_back(r.logical, w.after);
    out.push_back(std::move(w));
  }
  if (!missing.empty()) {
    return validation(fmt::format(
        "Template format error: Unresolved resource dependencies [{}] in the Resources block of the template",
        join(missing, ", ")));
  }
  TRY(check_cycles(depends));
  return out;
}

void merge_tags(const std::string& type, const json::Value& stack_tags, json::Value& properties) {
  const std::string kind = tags_kind(type);
  if (kind.empty() || !stack_tags.is_array() || stack_tags.array().empty()) return;
  json::Value merged = kind == "object" ? json::object() : json::array();
  if (const json::Value* own = properties.find("Tags")) merged = *own;
  for (const auto& tag : stack_tags.array()) {
    if (kind == "object") {
      if (!merged.has(tag.get("Key"))) merged[tag.get("Key")] = tag.get("Value");
      continue;
    }
    bool there = false;
    for (const auto& own : merged.array()) there = there || own.get("Key") == tag.get("Key");
    if (!there) merged.push(tag);
  }
  properties["Tags"] = std::move(merged);
}

}  // namespace bastide::services::cfn
