// bastide logs APP --env ENV [--follow] [--since 10m] [--grep TEXT] [--json]
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <set>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/table.h"

namespace bastide::cli {
namespace {

constexpr Millis kPoll = 500;

Result<Millis> parse_since(const std::string& text) {
  if (text.empty()) return error("Invalid", "--since wants a number and s, m, h or d, such as 10m");
  const int64_t n = TRY(parse_int(text.substr(0, text.size() - 1)));
  switch (text.back()) {
    case 's': return n * kSecond;
    case 'm': return n * kMinute;
    case 'h': return n * kHour;
    case 'd': return n * kDay;
    default: return error("Invalid", "--since wants a number and s, m, h or d, such as 10m; got '" + text + "'");
  }
}

void print_event(const json::Value& event, bool as_json) {
  if (as_json) {
    std::printf("%s\n", json::print(event).c_str());
    return;
  }
  const std::string stream = event.get("logStreamName");
  const std::string task = stream.substr(stream.rfind('/') + 1).substr(0, 8);
  std::printf("%s %s %s\n", dim(iso8601(event.get_int("timestamp"))).c_str(), dim(task).c_str(), event.get("message").c_str());
}

Result<int> run_logs(Context& context, const Arguments& a) {
  const std::string app = a.get("APP");
  const std::string environment = a.get("--env");
  const std::string group = environment.empty() ? "/bastide/pipeline/" + app : "/bastide/" + environment + "/" + app;
  const std::string profile = environment.empty() ? "shared-services" : environment;
  Millis start = Clock::system().wall() - TRY(parse_since(a.get("--since")));
  std::set<std::string> shown;
  for (;;) {
    std::string token;
    Millis newest = start;
    do {
      json::Value input = json::object({{"logGroupName", group}, {"startTime", start}});
      if (!a.get("--grep").empty()) input["filterPattern"] = "\"" + replace_all(a.get("--grep"), "\"", "\\\"") + "\"";
      if (!token.empty()) input["nextToken"] = token;
      const auto answer = TRY(context.call(profile, "logs", "FilterLogEvents", input));
      for (const auto& event : answer.get_array("events")) {
        if (!shown.insert(event.get("eventId")).second) continue;
        print_event(event, a.flag("--json"));
        newest = std::max<Millis>(newest, event.get_int("timestamp"));
      }
      token = answer.get("nextToken");
    } while (!token.empty());
    if (!a.flag("--follow")) return 0;
    std::fflush(stdout);
    // Events may come a little late: look at the last ten seconds again, and tell each once.
    start = std::max<Millis>(start, newest - 10 * kSecond);
    ::usleep(kPoll * 1000);
  }
}

}  // namespace

Command logs_command() {
  return {"logs",
          "Shows what an app writes, or the pipeline where no environment is named",
          "bastide logs storefront --env stage --follow",
          {{"APP", Option::Kind::positional, "The app", "", true},
           {"--env", Option::Kind::value, "The environment"},
           {"--follow", Option::Kind::flag, "Go on as lines come"},
           {"--since", Option::Kind::value, "How far back", "1h"},
           {"--grep", Option::Kind::value, "Only lines that hold this text"},
           {"--json", Option::Kind::flag, "One JSON object a line"}},
          run_logs};
}

}  // namespace bastide::cli
