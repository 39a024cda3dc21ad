// What may be queued, and when: pushes, promotions, approvals, roll-backs.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "delivery/pipeline.h"
#include "net/loop.h"

namespace bastide::delivery {
namespace {

bool ran_in(const json::Value& release, const std::string& environment) {
  const auto& all = release.get_array("environments");
  return std::any_of(all.begin(), all.end(), [&](const auto& v) { return v.is_string() && v.string() == environment; });
}

const json::Value* approval_of(const json::Value& release, const std::string& environment) {
  const json::Value* found = nullptr;
  for (const auto& a : release.get_array("approvals")) {
    if (a.get("environment") == environment) found = &a;
  }
  return found;
}

}  // namespace

Result<Pipeline::Triggered> Pipeline::queue(const App& app, const std::string& kind, const std::string& commit,
                                            const std::string& ref, const std::string& environment,
                                            const std::string& principal) {
  json::Value run = json::object({{"app", app.name},
                                  {"kind", kind},
                                  {"commit", commit},
                                  {"ref", ref},
                                  {"state", "QUEUED"},
                                  {"startedAt", static_cast<double>(parts_.clock.wall()) / 1000},
                                  {"startedBy", principal},
                                  {"steps", json::Array{}}});
  if (!environment.empty()) {
    run["environment"] = environment;
    run["releaseId"] = release_id(app.name, commit);
  }
  return Triggered{TRY(records_.make_run(std::move(run))), ""};
}

Result<Pipeline::Triggered> Pipeline::pushed(const Plan& plan, const App& app, const std::string& ref,
                                             const std::string& principal) {
  const auto repository = TRY(this->repository(plan, app.name));
  const auto commit = TRY(net::offload_result([&] { return repository.commit_of(ref); }));
  constexpr std::string_view heads = "refs/heads/", tags = "refs/tags/";
  if (ref == std::string(heads) + plan.branch) return queue(app, "deliver", commit, ref, "", principal);
  const bool promotes =
      (ref.starts_with(tags) && !plan.promote_tag.empty() && internal::matches_glob(plan.promote_tag, ref.substr(tags.size()))) ||
      (ref.starts_with(heads) && !plan.promote_branch.empty() && ref.substr(heads.size()) == plan.promote_branch);
  if (!promotes) {
    return Triggered{"", fmt::format("{} starts nothing: '{}' deploys to {}, {} promotes", ref, plan.branch,
                                     app.placements.front().environment,
                                     plan.promote_branch.empty() ? "a tag '" + plan.promote_tag + "'" : "the branch '" + plan.promote_branch + "'")};
  }
  const std::string id = release_id(app.name, commit);
  if (!records_.release(id)) {
    return Triggered{"", fmt::format("commit {} has no release: push it to '{}' first, so that it is built and tested", commit.substr(0, 12), plan.branch)};
  }
  TRY(records_.change_release(id, [&](json::Value& r) -> Result<void> {
    r["tag"] = ref.substr(ref.rfind('/') + 1);
    return {};
  }));
  auto promoted = promote(plan, app, id, "", principal);
  if (!promoted && promoted.error().fault) return Triggered{"", promoted.error().message};
  return promoted;
}

Result<Pipeline::Triggered> Pipeline::again(const Plan& plan, const App& app, const std::string& commit,
                                            const std::string& principal) {
  const std::string ref = "refs/heads/" + plan.branch;
  const auto runs = TRY(records_.runs(app.name));
  if (!commit.empty()) {
    const bool pushed = std::any_of(runs.begin(), runs.end(), [&](const json::Value& r) {
      return r.get("kind") == "deliver" && r.get("commit") == commit;
    });
    if (!pushed) {
      return fault("ResourceNotFoundException",
                   fmt::format("commit {} was never pushed to the branch '{}' of {}", commit.substr(0, 12), plan.branch, app.name));
    }
    return queue(app, "deliver", commit, ref, "", principal);
  }
  const auto repository = TRY(this->repository(plan, app.name));
  const auto head = net::offload_result([&] { return repository.commit_of(ref); });
  if (!head) {
    return fault("ResourceNotFoundException", fmt::format("the branch '{}' of {} has no commit: push one first", plan.branch, app.name));
  }
  return queue(app, "deliver", *head, ref, "", principal);
}

Result<Pipeline::Triggered> Pipeline::promote(const Plan& plan, const App& app, const std::string& release_name,
                                              const std::string& environment, const std::string& principal) {
  const auto release = TRY(records_.release(release_name));
  size_t target = 1;
  while (target < app.placements.size() &&
         (environment.empty() ? ran_in(release, app.placements[target].environment) && target + 1 < app.placements.size()
                              : app.placements[target].environment != environment)) {
    ++target;
  }
  if (target >= app.placements.size()) {
    return fault("ValidationException", environment.empty() ? "the app " + app.name + " has only one environment"
                                                            : "'" + environment + "' is no environment that " + app.name + " is promoted to");
  }
  const std::string before = app.placements[target - 1].environment;
  const std::string to = app.placements[target].environment;
  const std::string commit = release.get("commit");
  if (!ran_in(release, before)) {
    return fault("ConflictException", fmt::format("release {} has not run in {}: {} takes only what {} has run", commit.substr(0, 12), before, to, before));
  }
  if (plan.approval) {
    const json::Value* approval = approval_of(release, to);
    if (approval && approval->get("decision") == "REJECTED") {
      return fault("ConflictException", fmt::format("release {} was rejected for {} by {}", commit.substr(0, 12), to, approval->get("principal")));
    }
    if (!approval) {
      TRY(records_.change_release(release_name, [&](json::Value& r) -> Result<void> {
        r["approvalState"] = "PENDING";
        r["promotion"] = to;
        return {};
      }));
      return fault("ConflictException", fmt::format("release {} waits for approval for {}: ./bastide approve", commit.substr(0, 12), to));
    }
  }
  return queue(app, "promote", commit, release.get("tag"), to, principal);
}

Result<Pipeline::Triggered> Pipeline::approve(const Plan& plan, const std::string& release_name, const std::string& environment,
                                              const std::string& principal, const std::string& reason, bool approved) {
  const auto release = TRY(records_.release(release_name));
  const App* app = plan.app(release.get("app"));
  if (!app) return fault("ResourceNotFoundException", "the architecture has no app '" + release.get("app") + "'");
  const std::string to = !environment.empty() ? environment : release.get("promotion", app->placements.back().environment);
  const Placement* placement = app->placement(to);
  if (!placement || placement == &app->placements.front()) {
    return fault("ValidationException", "'" + to + "' is no environment that asks for approval");
  }
  TRY(records_.change_release(release_name, [&](json::Value& r) -> Result<void> {
    if (approval_of(r, to) && approval_of(r, to)->get("decision") == "APPROVED" && approved) {
      return fault("ConflictException", "release " + release_name + " is approved for " + to + " already");
    }
    json::Value entry = json::object({{"decision", approved ? "APPROVED" : "REJECTED"},
                                      {"principal", principal},
                                      {"at", static_cast<double>(parts_.clock.wall()) / 1000},
                                      {"environment", to}});
    if (!reason.empty()) entry["reason"] = reason;
    json::Array approvals = r.get_array("approvals");
    approvals.push_back(std::move(entry));
    r["approvals"] = std::move(approvals);
    r["approvalState"] = approved ? "APPROVED" : "REJECTED";
    if (!approved) r["state"] = "REJECTED";
    r.remove("promotion");
    return {};
  }));
  if (!approved) return Triggered{"", "rejected"};
  return promote(plan, *app, release_name, to, principal);
}

Result<Pipeline::Triggered> Pipeline::rollback(const Plan&, const App& app, const std::string& environment,
                                               const std::string& release_name, const std::string& principal) {
  const Placement* placement = app.placement(environment);
  if (!placement) return fault("ResourceNotFoundException", "the app " + app.name + " has no environment '" + environment + "'");
  const auto deployment = TRY(records_.deployment(app.name, environment));
  std::string target = release_name;
  const auto& history = deployment.get_array("history");
  if (target.empty()) {
    for (const auto& v : history) {
      if (v.is_string() && v.string() != deployment.get("releaseId")) target = v.string();
    }
    if (target.empty()) return fault("ConflictException", environment + " has run no earlier release of " + app.name);
  }
  const bool known = std::any_of(history.begin(), history.end(), [&](const auto& v) { return v.is_string() && v.string() == target; });
  if (!known) return fault("ConflictException", environment + " has never run the release " + target);
  const auto release = TRY(records_.release(target));
  return queue(app, "promote", release.get("commit"), "rollback", environment, principal);
}

}  // namespace bastide::delivery
