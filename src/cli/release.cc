// release ls, pipeline ls, approve, reject, promote, rollback: the service `bastide` as commands.
#include <fmt/format.h>

#include <cstdio>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/follow.h"
#include "cli/table.h"

namespace bastide::cli {
namespace {

constexpr const char* kProfile = "shared-services";

std::string names(const json::Array& all) {
  std::vector<std::string> out;
  for (const auto& v : all) {
    if (v.is_string()) out.push_back(v.string());
  }
  return join(out, ", ");
}

double time_of(const json::Value& v, const char* member) {
  const json::Value* t = v.find(member);
  return t && t->is_number() ? t->number() : 0;
}

Result<int> start_and_follow(Context& context, const char* operation, const json::Value& input, const std::string& verb) {
  const auto answer = TRY(context.call(kProfile, "bastide", operation, input));
  const json::Value* release = answer.find("release");
  std::printf("%s %s (%s)\n", verb.c_str(), release ? release->get("releaseId").c_str() : "", release ? release->get("imageDigest").c_str() : "");
  if (answer.get("runId").empty()) return 0;
  return follow_run(context, answer.get("runId"));
}

// The newest release that fits: of the app and whose commit or tag begins with the text; or the one that waits.
Result<json::Value> find_release(Context& context, const std::string& text, bool waiting) {
  const auto answer = TRY(context.call(kProfile, "bastide", "ListReleases", json::object()));
  std::vector<std::string> known;
  for (const auto& r : answer.get_array("releases")) {
    if (text.empty() ? (!waiting || r.get("approvalState") == "PENDING") && !r.get("tag").empty()
                     : r.get("releaseId") == text || r.get("commit").starts_with(text) || r.get("tag") == text) {
      return r;
    }
    known.push_back(r.get("commit").substr(0, 12));
  }
  if (text.empty()) return error("NotFound", waiting ? "no release waits for approval: push a tag of a release first (git tag v1 && git push --tags)" : "name a commit or tag");
  return error("NotFound", "no release '" + text + "'; there are: " + join(known, ", "));
}

Result<int> run_list(Context& context, const Arguments& a) {
  json::Value input = json::object();
  if (!a.get("APP").empty()) input["app"] = a.get("APP");
  const auto answer = TRY(context.call(kProfile, "bastide", "ListReleases", input));
  if (a.flag("--json")) {
    std::fputs(json::pretty(answer).c_str(), stdout);
    return 0;
  }
  Table table({"APP", "COMMIT", "TAG", "STATE", "RAN IN", "APPROVAL", "DIGEST", "MADE"});
  for (const auto& r : answer.get_array("releases")) {
    table.add({r.get("app"), r.get("commit").substr(0, 12), r.get("tag", "-"), r.get("state"), names(r.get_array("environments")),
               lower(r.get("approvalState")), r.get("imageDigest").substr(0, 19), ago(time_of(r, "createdAt"))});
  }
  std::fputs(table.text().c_str(), stdout);
  return 0;
}

Result<int> run_runs(Context& context, const Arguments& a) {
  json::Value input = json::object();
  if (!a.get("APP").empty()) input["app"] = a.get("APP");
  const auto answer = TRY(context.call(kProfile, "bastide", "ListPipelineRuns", input));
  if (a.flag("--json")) {
    std::fputs(json::pretty(answer).c_str(), stdout);
    return 0;
  }
  Table table({"RUN", "COMMIT", "STATE", "LAST STEP", "STARTED", "MESSAGE"});
  for (const auto& r : answer.get_array("runs")) {
    const auto& steps = r.get_array("steps");
    const std::string state = r.get("state");
    table.add({r.get("runId"), r.get("commit").substr(0, 12), state == "FAILED" ? red(state) : state == "SUCCEEDED" ? green(state) : state,
               steps.empty() ? "-" : steps.back().get("name"), ago(time_of(r, "startedAt")), r.get("message").substr(0, 100)});
  }
  std::fputs(table.text().c_str(), stdout);
  return 0;
}

Result<int> run_again(Context& context, const Arguments& a) {
  json::Value input = json::object();
  if (!a.get("APP").empty()) input["app"] = a.get("APP");
  if (!a.get("--commit").empty()) input["commit"] = a.get("--commit");
  const auto answer = TRY(context.call(kProfile, "bastide", "StartPipelineRun", input));
  const json::Value* run = answer.find("run");
  std::printf("run %s of %s\n", run->get("runId").c_str(), run->get("commit").substr(0, 12).c_str());
  return follow_run(context, run->get("runId"));
}

Result<int> decide(Context& context, const Arguments& a, bool approved) {
  const auto release = TRY(find_release(context, a.get("COMMIT"), true));
  json::Value input = json::object({{"releaseId", release.get("releaseId")}});
  if (!a.get("--env").empty()) input["environment"] = a.get("--env");
  if (!a.get("--reason").empty()) input["reason"] = a.get("--reason");
  return start_and_follow(context, approved ? "ApproveRelease" : "RejectRelease", input, approved ? "approved" : "rejected");
}

Result<int> run_promote(Context& context, const Arguments& a) {
  const auto release = TRY(find_release(context, a.get("COMMIT"), false));
  return start_and_follow(context, "PromoteRelease", json::object({{"releaseId", release.get("releaseId")}, {"environment", a.get("--env")}}), "promoting");
}

Result<int> run_rollback(Context& context, const Arguments& a) {
  json::Value input = json::object({{"environment", a.get("--env")}});
  if (!a.get("--app").empty()) input["app"] = a.get("--app");
  if (!a.get("--to").empty()) input["releaseId"] = TRY(find_release(context, a.get("--to"), false)).get("releaseId");
  return start_and_follow(context, "RollbackEnvironment", input, "rolling " + a.get("--env") + " back to");
}

std::vector<Option> decision_options() {
  return {{"COMMIT", Option::Kind::positional, "A commit, tag or release; else the one that waits"},
          {"--env", Option::Kind::value, "The environment it is for"},
          {"--reason", Option::Kind::value, "Why, for the record"}};
}

}  // namespace

Command release_list_command() {
  return {"release ls", "Lists releases: commit, digest, where they ran, who approved", "bastide release ls storefront",
          {{"APP", Option::Kind::positional, "Only this app's"}, {"--json", Option::Kind::flag, "As JSON"}}, run_list};
}
Command pipeline_list_command() {
  return {"pipeline ls", "Lists pipeline runs, newest first", "bastide pipeline ls storefront",
          {{"APP", Option::Kind::positional, "Only this app's"}, {"--json", Option::Kind::flag, "As JSON"}}, run_runs};
}
Command pipeline_run_command() {
  return {"pipeline run", "Runs the pipeline again: builds, tests and deploys the branch's head, or a commit pushed before", "bastide pipeline run storefront",
          {{"APP", Option::Kind::positional, "The app; not needed where there is one"}, {"--commit", Option::Kind::value, "A full commit id that was pushed to the branch before"}},
          run_again};
}
Command approve_command() {
  return {"approve", "Approves the release that waits for an environment, which deploys it", "bastide approve --reason 'tested on stage'", decision_options(),
          [](Context& c, const Arguments& a) { return decide(c, a, true); }};
}
Command reject_command() {
  return {"reject", "Rejects the release that waits for an environment", "bastide reject --reason 'slow'", decision_options(),
          [](Context& c, const Arguments& a) { return decide(c, a, false); }};
}
Command promote_command() {
  return {"promote", "Takes a release to the next environment: the same image, by digest", "bastide promote v1 --env prod",
          {{"COMMIT", Option::Kind::positional, "A commit, tag or release", "", true}, {"--env", Option::Kind::value, "The environment", "prod"}}, run_promote};
}
Command rollback_command() {
  return {"rollback", "Takes an environment back to the release it ran before", "bastide rollback --env prod",
          {{"--env", Option::Kind::value, "The environment", "", true},
           {"--app", Option::Kind::value, "The app, where there are several"},
           {"--to", Option::Kind::value, "A commit or tag instead of the one before"}},
          run_rollback};
}

}  // namespace bastide::cli
