// bastide logs query 'fields ... | stats ...'
#include <fmt/format.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/duration.h"
#include "cli/table.h"

namespace bastide::cli {
namespace {

std::atomic<bool> interrupted = false;

Result<int> run_query(Context& context, const Arguments& a) {
  const std::string profile = a.get("--env").empty() ? "shared-services" : a.get("--env");
  std::vector<std::string> groups = a.all("--group");
  if (groups.empty()) {
    const std::string app = a.get("--app");
    if (app.empty()) return error("Invalid", "say which logs: --app APP --env ENV, or --group NAME");
    groups.push_back(a.get("--env").empty() ? "/bastide/pipeline/" + app
                                            : "/bastide/" + a.get("--env") + "/" + app);
  }
  const Millis now = Clock::system().wall(), since = TRY(parse_duration("--since", a.get("--since")));
  json::Value names = json::array();
  for (const auto& g : groups) names.push(g);
  const auto started = TRY(context.call(profile, "logs", "StartQuery",
                                        json::object({{"logGroupNames", std::move(names)},
                                                      {"queryString", a.get("QUERY")},
                                                      {"startTime", (now - since) / kSecond},
                                                      {"endTime", now / kSecond + 1}})));
  const json::Value id = json::object({{"queryId", started.get("queryId")}});
  ::signal(SIGINT, [](int) { interrupted = true; });
  json::Value answer;
  long pause = 30'000'000;
  for (bool told = false;;) {
    answer = TRY(context.call(profile, "logs", "GetQueryResults", id));
    const std::string status = answer.get("status");
    const json::Value* s = answer.find("statistics");
    if (::isatty(STDERR_FILENO) && s != nullptr) {
      const json::Value* seen = s->find("recordsScanned");
      std::fprintf(stderr, "\r%s: %.0f events", status.c_str(),
                   seen != nullptr && seen->is_number() ? seen->number() : 0.0);
      told = true;
    }
    if (status != "Running" && status != "Scheduled") {
      if (told) std::fprintf(stderr, "\r\x1b[K");
      if (status == "Complete") break;
      return error("the query ended as " + status);
    }
    if (interrupted) {
      TRY(context.call(profile, "logs", "StopQuery", id));
      return error("cancelled");
    }
    const timespec wait = {0, pause};
    ::nanosleep(&wait, nullptr);
    pause = std::min(pause * 2, 500'000'000L);
  }
  std::vector<std::string> head;
  for (const auto& row : answer.get_array("results")) {
    for (const auto& f : row.array()) {
      const std::string name = f.get("field");
      if (name != "@ptr" && std::find(head.begin(), head.end(), name) == head.end()) head.push_back(name);
    }
  }
  Table table(head);
  for (const auto& row : answer.get_array("results")) {
    json::Value one = json::object();
    for (const auto& f : row.array()) {
      if (f.get("field") != "@ptr") one[f.get("field")] = f.get("value");
    }
    if (a.flag("--json")) {
      std::printf("%s\n", json::print(one).c_str());
      continue;
    }
    std::vector<std::string> cells;
    for (const auto& name : head) cells.push_back(replace_all(one.get(name), "\n", " "));
    table.add(std::move(cells));
  }
  if (!a.flag("--json"))
    std::fputs(table.empty() ? "nothing was found in this time\n" : table.text().c_str(), stdout);
  return 0;
}

}  // namespace

Command logs_query_command() {
  return {"logs query",
          "Asks logs with CloudWatch Logs Insights",
          "bastide logs query 'stats count(*) as n by status | sort n desc' --app storefront --env stage",
          {{"QUERY", Option::Kind::positional, "The query", "", true},
           {"--app", Option::Kind::value, "The app"},
           {"--env", Option::Kind::value, "The environment"},
           {"--group", Option::Kind::values, "Log groups by name, instead of an app's"},
           {"--since", Option::Kind::value, "How far back", "1h"},
           {"--json", Option::Kind::flag, "One JSON object a line"}},
          run_query};
}

}  // namespace bastide::cli
