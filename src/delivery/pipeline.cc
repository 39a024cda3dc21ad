#include "delivery/pipeline.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "net/loop.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::delivery {
namespace {

constexpr Millis kWaitForTurn = 300;

double seconds(Millis t) { return static_cast<double>(t) / 1000; }

std::string brief(const std::string& commit) { return commit.substr(0, 12); }

// Adds the static helper to the workspace as ./kmscrypt, so that a Dockerfile can COPY it.
Result<void> add_boot_helper(const sys::Fd& tar, const std::string& helper) {
  const size_t slash = helper.rfind('/');
  sys::Command command{.argv = {"tar", "--append", "--file", "/proc/self/fd/0", "--owner=0", "--group=0", "--mode=0755", "--mtime=@0",
                                "--directory", helper.substr(0, slash), helper.substr(slash + 1)}};
  command.input_fd = tar.get();
  TRY(sys::run_ok(command));
  if (::lseek(tar.get(), 0, SEEK_SET) != 0) return sys::system_error("lseek");
  return {};
}

std::string number_of(const std::string& run) { return run.substr(run.rfind('/') + 1); }

}  // namespace

Pipeline::Pipeline(Parts parts)
    : parts_(std::move(parts)),
      records_(parts_.db),
      deployer_(parts_.client, records_, parts_.assume, parts_.clock) {}

void Pipeline::start() {
  parts_.db.run_jobs("delivery.run", [this](store::Job& job) { return run_job(job); });
}

Result<Repository> Pipeline::repository(const Plan& plan, const std::string& app) const {
  return net::offload_result([&] { return Repository::open(parts_.repositories + "/" + app + ".git", plan.branch); });
}

Result<bool> Pipeline::earlier_run_unfinished(const std::string& app, const std::string& run) {
  const int64_t mine = TRY(parse_int(number_of(run)));
  for (const auto& other : TRY(records_.runs(app))) {
    const std::string state = other.get("state");
    if (state != "QUEUED" && state != "RUNNING") continue;
    if (TRY(parse_int(number_of(other.get("runId")))) < mine) return true;
  }
  return false;
}

Result<std::optional<Millis>> Pipeline::run_job(store::Job& job) {
  const std::string id = job.key;
  const auto run = TRY(records_.run(id));
  const std::string app_name = run.get("app");
  if (run.get("state") != "QUEUED" && run.get("state") != "RUNNING") return std::optional<Millis>{};
  if (TRY(earlier_run_unfinished(app_name, id))) return std::optional<Millis>{kWaitForTurn};

  const Plan plan = TRY(records_.plan());
  TRY(records_.change_run(id, [](json::Value& r) { r["state"] = "RUNNING"; }));
  const App* app = plan.app(app_name);
  const auto outcome = [&]() -> Result<void> {
    if (!app) return error("the architecture has no app '" + app_name + "' any more");
    return run.get("kind") == "promote" ? deploy_release(plan, *app, run) : deliver(plan, *app, run);
  }();
  const Millis now = parts_.clock.wall();
  say(id, outcome ? fmt::format("done in {}", human_duration(now - static_cast<Millis>(run.find("startedAt")->number() * 1000)))
                  : "FAILED: " + outcome.error().message);
  flush_log(plan, id);
  TRY(records_.change_run(id, [&](json::Value& r) {
    r["state"] = outcome ? "SUCCEEDED" : "FAILED";
    r["endedAt"] = seconds(now);
    if (!outcome) r["message"] = outcome.error().message;
  }));
  progress_.finish(id);
  return std::optional<Millis>{};
}

Result<void> Pipeline::deliver(const Plan& plan, const App& app, const json::Value& run) {
  const std::string id = run.get("runId");
  const std::string commit = run.get("commit");
  const Placement& first = app.placements.front();
  const std::string release = release_id(app.name, commit);
  auto known = records_.release(release);
  if (!known) {
    const auto repository = TRY(this->repository(plan, app.name));
    sys::Fd source;
    int64_t committed_at = 0;
    TRY(step(id, "checkout", [&]() -> Result<std::string> {
      committed_at = TRY(net::offload_result([&] { return repository.committed_at(commit); }));
      source = TRY(net::offload_result([&] { return repository.archive(commit); }));
      TRY(net::offload_result([&] { return add_boot_helper(source, parts_.boot_helper); }));
      return fmt::format("{} {}", brief(commit), TRY(net::offload_result([&] { return repository.subject(commit); })));
    }));
    sys::Fd workspace = TRY(build_and_test(plan, app, run, std::move(source)));
    known = TRY(make_image(plan, app, run, std::move(workspace), committed_at));
  } else {
    say(id, fmt::format("release {} exists already: {}", brief(commit), known->get("imageDigest")));
  }
  TRY(records_.change_run(id, [&](json::Value& r) { r["releaseId"] = release; }));
  TRY(publish_static(plan, app, first, id, commit));
  return step(id, "deploy " + first.environment, [&]() -> Result<std::string> {
    TRY(deployer_.deploy(plan, app, first, *known, [&](std::string line) { say(id, line); }));
    return first.url;
  });
}

Result<sys::Fd> Pipeline::build_and_test(const Plan& plan, const App& app, const json::Value& run, sys::Fd source) {
  const std::string id = run.get("runId");
  if (app.steps.empty()) return source;
  internal::SandboxSpec spec;
  spec.id = hex(random_bytes(16));
  spec.account = plan.account;
  spec.host_tools = app.build_image.empty();
  spec.network = app.network;
  if (!app.build_image.empty()) {
    const aws::Principal principal = TRY(parts_.assume(plan.pipeline_role, "run-" + number_of(id)));
    auto layers = parts_.images.layers_of(principal, plan.account, plan.region, app.build_image);
    if (!layers) return std::move(layers).error().context("the image of the build steps");
    spec.layers = std::move(layers).value();
  }
  TRY(parts_.sandboxes.open(spec, std::move(source)));
  const auto outcome = [&]() -> Result<sys::Fd> {
    for (const Step& s : app.steps) {
      TRY(step(id, s.name, [&]() -> Result<std::string> {
        std::string partial;
        const auto output = [&](std::string_view text) {
          partial += text;
          for (size_t end; (end = partial.find('\n')) != std::string::npos; partial.erase(0, end + 1)) {
            say(id, "  " + partial.substr(0, end));
          }
        };
        internal::SandboxExec exec;
        exec.id = spec.id;
        exec.argv = {"/bin/sh", "-ec", s.command};
        exec.environment = {"COMMIT=" + run.get("commit"), "CI=true", "HOME=/tmp", "PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8"};
        exec.timeout = s.timeout;
        const auto exit = TRY(parts_.sandboxes.exec(exec, output));
        if (!partial.empty()) say(id, "  " + partial);
        if (exit.timed_out) return error("took longer than " + human_duration(s.timeout) + ": " + s.command);
        if (exit.status != 0) return error(fmt::format("ended with status {}: {}", exit.status, s.command));
        return std::string();
      }));
    }
    return parts_.sandboxes.export_tar(spec.id, "workspace");
  }();
  const auto closed = parts_.sandboxes.close(spec.id);
  if (!closed) log::warn("sandbox {} of run {} was not closed: {}", spec.id, id, closed.error().message);
  if (!outcome) return Error(outcome.error());
  return TRY(outcome->duplicate());
}

Result<json::Value> Pipeline::make_image(const Plan& plan, const App& app, const json::Value& run, sys::Fd workspace,
                                         int64_t committed_at) {
  const std::string id = run.get("runId");
  const std::string commit = run.get("commit");
  ImageResult image;
  TRY(step(id, "image", [&]() -> Result<std::string> {
    ImageRequest request;
    request.principal = TRY(parts_.assume(plan.pipeline_role, "run-" + number_of(id)));
    request.account = plan.account;
    request.region = plan.region;
    request.repository = app.name;
    request.tag = commit;
    request.dockerfile = app.dockerfile;
    request.workspace = std::move(workspace);
    request.arguments = {{"COMMIT", commit}};
    request.network = app.network;
    request.created = committed_at;
    image = TRY(parts_.images.build(std::move(request), [&](std::string line) { say(id, "  " + line); }));
    return image.digest;
  }));
  const auto steps = TRY(records_.run(id)).get_array("steps");
  json::Value release = json::object({{"releaseId", release_id(app.name, commit)},
                                      {"app", app.name},
                                      {"commit", commit},
                                      {"imageDigest", image.digest},
                                      {"imageUri", image.uri},
                                      {"state", "BUILT"},
                                      {"approvalState", plan.approval ? "PENDING" : "NOT_REQUIRED"},
                                      {"approvals", json::Array{}},
                                      {"createdAt", seconds(parts_.clock.wall())},
                                      {"createdBy", run.get("startedBy")},
                                      {"environments", json::Array{}},
                                      {"runId", id}});
  TRY(records_.put_release(release));
  return release;
}

Result<void> Pipeline::deploy_release(const Plan& plan, const App& app, const json::Value& run) {
  const std::string id = run.get("runId");
  const auto release = TRY(records_.release(run.get("releaseId")));
  const Placement* placement = app.placement(run.get("environment"));
  if (!placement) return error("the app " + app.name + " has no environment '" + run.get("environment") + "' any more");
  TRY(publish_static(plan, app, *placement, id, release.get("commit")));
  return step(id, "deploy " + placement->environment, [&]() -> Result<std::string> {
    say(id, "  image " + release.get("imageDigest"));
    TRY(deployer_.deploy(plan, app, *placement, release, [&](std::string line) { say(id, line); }));
    TRY(records_.change_release(release.get("releaseId"), [](json::Value& r) -> Result<void> {
      r["state"] = "PROMOTED";
      return {};
    }));
    return placement->url;
  });
}

Result<void> Pipeline::step(const std::string& run, const std::string& name, const std::function<Result<std::string>()>& f) {
  const Millis start = parts_.clock.wall();
  say(run, name);
  const auto record = [&](const char* state, const std::string& message, bool ended) {
    return records_.change_run(run, [=, this](json::Value& r) {
      json::Array steps = r.get_array("steps");
      auto mine = std::find_if(steps.begin(), steps.end(), [&](const auto& s) { return s.get("name") == name; });
      if (mine == steps.end()) mine = steps.insert(steps.end(), json::object({{"name", name}}));
      (*mine)["state"] = state;
      (*mine)["startedAt"] = seconds(start);
      if (ended) (*mine)["endedAt"] = seconds(parts_.clock.wall());
      if (!message.empty()) (*mine)["message"] = message;
      r["steps"] = std::move(steps);
    });
  };
  TRY(record("RUNNING", "", false));
  const auto outcome = f();
  TRY(record(outcome ? "SUCCEEDED" : "FAILED", outcome ? *outcome : outcome.error().message, true));
  if (!outcome) return Error(outcome.error()).context(name);
  say(run, fmt::format("{}: ok in {}{}{}", name, human_duration(parts_.clock.wall() - start), outcome->empty() ? "" : ", ", *outcome));
  return {};
}

void Pipeline::say(const std::string& run, const std::string& line) {
  progress_.say(run, line);
  unsent_[run].push_back(json::object({{"timestamp", parts_.clock.wall()}, {"message", line.empty() ? " " : line}}));
}

// A run's lines are kept in the shared-services account: group /bastide/pipeline/<app>, stream run-<number>.
void Pipeline::flush_log(const Plan& plan, const std::string& run) {
  auto events = std::move(unsent_[run]);
  unsent_.erase(run);
  const std::string group = "/bastide/pipeline/" + run.substr(0, run.find('/'));
  const std::string stream = "run-" + number_of(run);
  const auto sent = [&]() -> Result<void> {
    const auto principal = TRY(parts_.assume(plan.pipeline_role, "logs"));
    const auto call = [&](const char* operation, json::Value input) -> Result<void> {
      const auto answer = parts_.client.call(principal, plan.account, plan.region, "logs", operation, input);
      if (!answer && answer.error().code != "ResourceAlreadyExistsException") return Error(answer.error());
      return {};
    };
    TRY(call("CreateLogGroup", json::object({{"logGroupName", group}})));
    TRY(call("CreateLogStream", json::object({{"logGroupName", group}, {"logStreamName", stream}})));
    for (size_t at = 0; at < events.size(); at += 1000) {
      json::Array batch(events.begin() + static_cast<ptrdiff_t>(at),
                        events.begin() + static_cast<ptrdiff_t>(std::min(events.size(), at + 1000)));
      TRY(call("PutLogEvents", json::object({{"logGroupName", group}, {"logStreamName", stream}, {"logEvents", std::move(batch)}})));
    }
    return {};
  }();
  if (!sent) log::warn("the log of run {} was not kept: {}", run, sent.error().message);
}

}  // namespace bastide::delivery
