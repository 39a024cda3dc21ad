#include "delivery/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "aws/arn.h"
#include "base/bytes.h"
#include "model/json_codec.h"

namespace bastide::delivery {
namespace {

constexpr size_t kPage = 100;

// The records' JSON, as the operation's response.
template <class Op>
Result<typename Op::Response> answer(const json::Value& v) {
  typename Op::Response response;
  TRY(model::read_json_value(v, *Op::operation.output, &response, nullptr));
  return response;
}

template <class Op>
Result<typename Op::Response> release_and_run(Records& records, const std::string& release, const Pipeline::Triggered& triggered) {
  json::Value v = json::object({{"release", TRY(records.release(release))}});
  if (!triggered.run.empty()) v["runId"] = triggered.run;
  return answer<Op>(v);
}

// One page of what is newest first; the token is the id after which it goes on.
json::Value page(std::vector<json::Value> all, const char* member, const char* id, const std::optional<std::string>& token,
                 std::optional<int32_t> limit) {
  const size_t size = limit ? static_cast<size_t>(*limit) : kPage;
  size_t at = 0;
  if (token) {
    while (at < all.size() && all[at].get(id) != *token) ++at;
    if (at < all.size()) ++at;
  }
  json::Value out{json::Object{}};
  json::Array items(all.begin() + static_cast<ptrdiff_t>(at), all.begin() + static_cast<ptrdiff_t>(std::min(all.size(), at + size)));
  if (at + size < all.size()) out["nextToken"] = items.back().get(id);
  out[member] = std::move(items);
  return out;
}

double time_of(const json::Value& v, const char* member) {
  const json::Value* t = v.find(member);
  return t && t->is_number() ? t->number() : 0;
}

}  // namespace

Result<std::vector<aws::Target>> Service::on(const aws::Call& call, const std::string& resource, const std::string& environment) {
  aws::Target target;
  const auto plan = pipeline_.records().plan();
  target.owner = plan ? plan->account : call.account;
  target.resource = aws::make_arn("bastide", plan ? plan->region : call.region, target.owner, resource);
  if (!environment.empty()) target.context.emplace_back("bastide:Environment", environment);
  return std::vector<aws::Target>{std::move(target)};
}

void Service::offer(aws::Registry& registry) {
  registry.add<op::PutArchitecture>(this, &Service::put_architecture, {"bastide:PutArchitecture", [this](auto& c, auto&) { return on(c, "architecture", ""); }});
  registry.add<op::GetArchitecture>(this, &Service::get_architecture, {"bastide:GetArchitecture", [this](auto& c, auto&) { return on(c, "architecture", ""); }});
  registry.add<op::GetStatus>(this, &Service::get_status, {"bastide:GetStatus", [this](auto& c, auto&) { return on(c, "status", ""); }});
  registry.add<op::DescribeEnvironments>(this, &Service::describe_environments, {"bastide:DescribeEnvironments", [this](auto& c, auto&) { return on(c, "environment/*", ""); }});
  registry.add<op::ListPipelineRuns>(this, &Service::list_runs, {"bastide:ListPipelineRuns", [this](auto& c, auto& r) { return on(c, "run/" + r.app.value_or("*"), ""); }});
  registry.add<op::DescribePipelineRun>(this, &Service::describe_run, {"bastide:DescribePipelineRun", [this](auto& c, auto& r) { return on(c, "run/" + r.run_id, ""); }});
  registry.add<op::StartPipelineRun>(this, &Service::start_run, {"bastide:StartPipelineRun", [this](auto& c, auto& r) { return on(c, "run/" + r.app.value_or("*"), ""); }});
  registry.add<op::ListReleases>(this, &Service::list_releases, {"bastide:ListReleases", [this](auto& c, auto& r) { return on(c, "release/" + r.app.value_or("*"), ""); }});
  registry.add<op::DescribeRelease>(this, &Service::describe_release, {"bastide:DescribeRelease", [this](auto& c, auto& r) { return on(c, "release/" + r.release_id, ""); }});
  registry.add<op::PromoteRelease>(this, &Service::promote, {"bastide:PromoteRelease", [this](auto& c, auto& r) { return on(c, "release/" + r.release_id.value_or(r.app.value_or("*") + "/" + r.commit.value_or("*")), r.environment); }});
  registry.add<op::ApproveRelease>(this, &Service::approve, {"bastide:ApproveRelease", [this](auto& c, auto& r) { return on(c, "release/" + r.release_id, r.environment ? *r.environment : promotion_of(r.release_id)); }});
  registry.add<op::RejectRelease>(this, &Service::reject, {"bastide:RejectRelease", [this](auto& c, auto& r) { return on(c, "release/" + r.release_id, r.environment ? *r.environment : promotion_of(r.release_id)); }});
  registry.add<op::RollbackEnvironment>(this, &Service::rollback, {"bastide:RollbackEnvironment", [this](auto& c, auto& r) { return on(c, "environment/" + r.environment, r.environment); }});
}

// Which environment a release waits for: what policies see where the request names none.
std::string Service::promotion_of(const std::string& release) {
  const auto record = pipeline_.records().release(release);
  return record ? record->get("promotion") : "";
}

Result<const App*> Service::app_of(const Plan& plan, const std::optional<std::string>& name) {
  if (name) {
    const App* app = plan.app(*name);
    return app ? Result<const App*>(app) : fault("ResourceNotFoundException", "the architecture has no app '" + *name + "'");
  }
  if (plan.apps.size() == 1) return &plan.apps.front();
  return fault("ValidationException", "the architecture has several apps; name one");
}

Result<op::PutArchitecture::Response> Service::put_architecture(aws::Call& call, const op::PutArchitecture::Request& request) {
  const auto document = json::parse(request.architecture);
  if (!document) return fault("ValidationException", "architecture: " + document.error().message);
  const auto plan = internal::plan_from_json(*document);
  if (!plan) return fault("ValidationException", "architecture: " + plan.error().message);
  if (plan->account != call.account) {
    return fault("ValidationException", "the architecture belongs to account " + plan->account + ", not to " + call.account);
  }
  for (const App& app : plan->apps) TRY(pipeline_.repository(*plan, app.name));
  const auto stored = TRY(pipeline_.records().put_architecture(request.architecture, call.principal.arn, call.now, request.expected_version));
  op::PutArchitecture::Response response;
  response.version = stored.version;
  response.changed = stored.changed;
  return response;
}

Result<op::GetArchitecture::Response> Service::get_architecture(aws::Call&, const op::GetArchitecture::Request& request) {
  const auto current = TRY(pipeline_.records().architecture());
  if (request.version && *request.version != current.get("version")) {
    return fault("ResourceNotFoundException", "only version " + current.get("version") + " is kept");
  }
  return answer<op::GetArchitecture>(current);
}

Result<json::Value> Service::environment(const Plan& plan, const std::string& name) {
  json::Value out = json::object({{"name", name}, {"region", plan.region}});
  json::Array deployments;
  for (const App& app : plan.apps) {
    const Placement* placement = app.placement(name);
    if (!placement) continue;
    out["account"] = placement->account;
    out["requiresApproval"] = plan.approval && placement != &app.placements.front();
    auto d = TRY(pipeline_.records().deployment(app.name, name));
    d["app"] = app.name;
    d["url"] = placement->url;
    if (!d.has("health")) d["health"] = "EMPTY";
    d["desiredCount"] = placement->count;
    const auto principal = assume_(placement->deploy_role, "status");
    const auto found = principal ? client_.call(*principal, placement->account, plan.region, "ecs", "DescribeServices",
                                                json::object({{"cluster", placement->cluster}, {"services", json::array({app.name})}}))
                                 : Result<json::Value>(principal.error());
    if (found && !found->get_array("services").empty()) {
      const auto& service = found->get_array("services").front();
      d["runningCount"] = service.get_int("runningCount");
      d["desiredCount"] = service.get_int("desiredCount");
      if (d.get("health") == "HEALTHY" && service.get_int("runningCount") < service.get_int("desiredCount")) d["health"] = "DEGRADED";
    } else {
      d["runningCount"] = 0;
    }
    deployments.push_back(std::move(d));
  }
  out["deployments"] = std::move(deployments);
  return out;
}

Result<op::DescribeEnvironments::Response> Service::describe_environments(aws::Call&, const op::DescribeEnvironments::Request& request) {
  const Plan plan = TRY(pipeline_.records().plan());
  std::vector<std::string> names;
  for (const App& app : plan.apps) {
    for (const Placement& p : app.placements) {
      if (std::find(names.begin(), names.end(), p.environment) == names.end()) names.push_back(p.environment);
    }
  }
  if (request.names) {
    for (const auto& wanted : *request.names) {
      if (std::find(names.begin(), names.end(), wanted) == names.end()) {
        return fault("ResourceNotFoundException", "the architecture has no environment '" + wanted + "'; it has " + join(names, ", "));
      }
    }
    names = *request.names;
  }
  json::Array environments;
  for (const auto& name : names) environments.push_back(TRY(environment(plan, name)));
  return answer<op::DescribeEnvironments>(json::object({{"environments", std::move(environments)}}));
}

Result<op::GetStatus::Response> Service::get_status(aws::Call& call, const op::GetStatus::Request&) {
  json::Value out = TRY(host_());
  if (const auto plan = pipeline_.records().plan()) {
    json::Array accounts = json::Array{json::object({{"name", "shared-services"}, {"account", plan->account}})};
    std::set<std::string> told = {plan->account};
    for (const App& app : plan->apps) {
      for (const Placement& p : app.placements) {
        if (told.insert(p.account).second) accounts.push_back(json::object({{"name", p.environment}, {"account", p.account}}));
      }
    }
    out["accounts"] = std::move(accounts);
    const auto environments = TRY(describe_environments(call, {}));
    out["environments"] = model::write_json_value(*op::DescribeEnvironments::operation.output, &environments)["environments"];
  }
  return answer<op::GetStatus>(out);
}

Result<op::ListPipelineRuns::Response> Service::list_runs(aws::Call&, const op::ListPipelineRuns::Request& request) {
  auto runs = TRY(pipeline_.records().runs(request.app.value_or("")));
  if (request.state) std::erase_if(runs, [&](const auto& r) { return r.get("state") != *request.state; });
  return answer<op::ListPipelineRuns>(page(std::move(runs), "runs", "runId", request.next_token, request.max_results));
}

Result<op::DescribePipelineRun::Response> Service::describe_run(aws::Call&, const op::DescribePipelineRun::Request& request) {
  return answer<op::DescribePipelineRun>(json::object({{"run", TRY(pipeline_.records().run(request.run_id))}}));
}

Result<op::StartPipelineRun::Response> Service::start_run(aws::Call& call, const op::StartPipelineRun::Request& request) {
  const Plan plan = TRY(pipeline_.records().plan());
  const App* app = TRY(app_of(plan, request.app));
  const auto triggered = TRY(pipeline_.again(plan, *app, request.commit.value_or(""), call.principal.arn));
  return answer<op::StartPipelineRun>(json::object({{"run", TRY(pipeline_.records().run(triggered.run))}}));
}

Result<op::ListReleases::Response> Service::list_releases(aws::Call&, const op::ListReleases::Request& request) {
  auto releases = TRY(pipeline_.records().releases(request.app.value_or("")));
  if (request.environment) {
    std::erase_if(releases, [&](const auto& r) {
      const auto& in = r.get_array("environments");
      return std::none_of(in.begin(), in.end(), [&](const auto& e) { return e.is_string() && e.string() == *request.environment; });
    });
  }
  std::stable_sort(releases.begin(), releases.end(), [](const auto& a, const auto& b) { return time_of(a, "createdAt") > time_of(b, "createdAt"); });
  return answer<op::ListReleases>(page(std::move(releases), "releases", "releaseId", request.next_token, request.max_results));
}

Result<op::DescribeRelease::Response> Service::describe_release(aws::Call&, const op::DescribeRelease::Request& request) {
  return answer<op::DescribeRelease>(json::object({{"release", TRY(pipeline_.records().release(request.release_id))}}));
}

Result<op::PromoteRelease::Response> Service::promote(aws::Call& call, const op::PromoteRelease::Request& request) {
  const Plan plan = TRY(pipeline_.records().plan());
  std::string release = request.release_id.value_or("");
  if (release.empty()) {
    if (!request.commit) return fault("ValidationException", "releaseId or commit is required");
    release = release_id(TRY(app_of(plan, request.app))->name, *request.commit);
  }
  const auto record = TRY(pipeline_.records().release(release));
  const App* app = TRY(app_of(plan, record.get("app")));
  const auto triggered = TRY(pipeline_.promote(plan, *app, release, request.environment, call.principal.arn));
  return release_and_run<op::PromoteRelease>(pipeline_.records(), release, triggered);
}

Result<op::ApproveRelease::Response> Service::approve(aws::Call& call, const op::ApproveRelease::Request& request) {
  const Plan plan = TRY(pipeline_.records().plan());
  const auto triggered = TRY(pipeline_.approve(plan, request.release_id, request.environment.value_or(""), call.principal.arn, request.reason.value_or(""), true));
  return release_and_run<op::ApproveRelease>(pipeline_.records(), request.release_id, triggered);
}

Result<op::RejectRelease::Response> Service::reject(aws::Call& call, const op::RejectRelease::Request& request) {
  const Plan plan = TRY(pipeline_.records().plan());
  const auto triggered = TRY(pipeline_.approve(plan, request.release_id, request.environment.value_or(""), call.principal.arn, request.reason.value_or(""), false));
  return release_and_run<op::RejectRelease>(pipeline_.records(), request.release_id, triggered);
}

Result<op::RollbackEnvironment::Response> Service::rollback(aws::Call& call, const op::RollbackEnvironment::Request& request) {
  const Plan plan = TRY(pipeline_.records().plan());
  const App* app = TRY(app_of(plan, request.app));
  const auto triggered = TRY(pipeline_.rollback(plan, *app, request.environment, request.release_id.value_or(""), call.principal.arn));
  const auto run = TRY(pipeline_.records().run(triggered.run));
  return release_and_run<op::RollbackEnvironment>(pipeline_.records(), run.get("releaseId"), triggered);
}

}  // namespace bastide::delivery
