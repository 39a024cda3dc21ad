// bastide status [--json]; bastide services; bastide down
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/table.h"
#include "model/type.h"

namespace bastide::cli {
namespace {

constexpr Millis kStopPatience = 90 * kSecond;

double time_of(const json::Value& v, const char* member) {
  const json::Value* t = v.find(member);
  return t && t->is_number() ? t->number() : 0;
}

std::string health(const std::string& state) {
  if (state == "HEALTHY") return green("healthy");
  if (state == "EMPTY") return dim("no release yet");
  return state == "DEPLOYING" ? yellow("deploying") : red(lower(state));
}

Result<int> run_status(Context& context, const Arguments& a) {
  const auto status = TRY(context.call("shared-services", "bastide", "GetStatus", json::object()));
  if (a.flag("--json")) {
    std::fputs(json::pretty(status).c_str(), stdout);
    return 0;
  }
  std::printf("%s %s, tier %s, started %s, home %s\n", bold("Bastide").c_str(), status.get("version").c_str(),
              bold(status.get("tier")).c_str(), ago(time_of(status, "startedAt")).c_str(), context.home().c_str());
  for (const auto& note : status.get_array("tierNotes")) {
    if (note.is_string()) std::printf("  %s\n", note.string().c_str());
  }
  std::printf("\n");
  Table components({"ROLE", "STATE", "PROCESS", ""});
  for (const auto& c : status.get_array("components")) {
    components.add({c.get("name"), c.get("state") == "RUNNING" ? green("running") : red(lower(c.get("state"))),
                    c.has("pid") ? std::to_string(c.get_int("pid")) : "-", c.get("message")});
  }
  std::fputs(components.text().c_str(), stdout);
  std::printf("\n");
  Table table({"ENVIRONMENT", "ACCOUNT", "APP", "STATE", "TASKS", "COMMIT", "DEPLOYED", "URL"});
  for (const auto& e : status.get_array("environments")) {
    for (const auto& d : e.get_array("deployments")) {
      table.add({bold(e.get("name")), e.get("account"), d.get("app"), health(d.get("health")),
                 fmt::format("{}/{}", d.get_int("runningCount"), d.get_int("desiredCount")), d.get("commit", "-").substr(0, 12),
                 ago(time_of(d, "deployedAt")), d.get("url")});
      if (!d.get("message").empty()) table.add({"", "", "", yellow(d.get("message"))});
    }
  }
  std::fputs(table.text().c_str(), stdout);
  return 0;
}

Result<int> run_services(Context&, const Arguments& a) {
  json::Value all = json::object();
  Table table({"SERVICE", "PROTOCOL", "OPERATIONS", "OF"});
  for (const model::Service* s : model::services()) {
    size_t built = 0;
    json::Array names;
    for (size_t i = 0; i < s->operation_count; ++i) {
      if (!s->operations[i].implemented) continue;
      ++built;
      names.emplace_back(s->operations[i].name);
    }
    if (built == 0) continue;
    std::vector<std::string> protocols;
    for (const auto& [bit, name] : {std::pair{model::kQuery, "query"}, {model::kEc2, "ec2"}, {model::kJson, "json"}, {model::kRestXml, "rest-xml"}, {model::kRestJson, "rest-json"}}) {
      if (s->protocols & bit) protocols.emplace_back(name);
    }
    table.add({s->name, join(protocols, ", "), std::to_string(built), std::to_string(s->operation_count)});
    all[s->name] = std::move(names);
  }
  std::fputs(a.flag("--json") ? json::pretty(all).c_str() : table.text().c_str(), stdout);
  return 0;
}

Result<int> run_down(Context& context, const Arguments&) {
  const auto instance = context.instance();
  if (!instance && instance.error().code == "NotFound") {
    std::printf("Bastide does not run on %s.\n", context.home().c_str());
    return 0;
  }
  if (!instance) return Error(instance.error());
  const auto pid = static_cast<pid_t>(instance->pid);
  if (::kill(pid, SIGUSR1) != 0) return error("cannot stop process " + std::to_string(pid) + ": " + fmt::format("{}", errno == EPERM ? "it belongs to another user" : "it is gone"));
  const Millis deadline = Clock::system().steady() + kStopPatience;
  while (serve::running(context.home())) {
    if (Clock::system().steady() > deadline) return error("process " + std::to_string(pid) + " still runs after " + human_duration(kStopPatience));
    ::usleep(50'000);
  }
  std::printf("Bastide has stopped: containers and networks are gone, everything kept is in %s.\n", context.home().c_str());
  return 0;
}

}  // namespace

Command status_command() {
  return {"status", "Shows the roles, what this host enforces, and what runs in each environment", "bastide status",
          {{"--json", Option::Kind::flag, "As JSON"}}, run_status};
}
Command services_command() {
  return {"services", "Lists the AWS services and operations that are built", "bastide services",
          {{"--json", Option::Kind::flag, "With the operations' names"}}, run_services};
}
Command down_command() {
  return {"down", "Stops Bastide with its containers and networks; keeps all state", "bastide down", {}, run_down};
}

}  // namespace bastide::cli
