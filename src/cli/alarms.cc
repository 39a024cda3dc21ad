// bastide alarms ls|history|test; bastide console
#include <fmt/format.h>

#include <time.h>

#include <cstdio>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/table.h"

namespace bastide::cli {
namespace {

constexpr Millis kTestFor = 2 * kMinute;  // how long an alarm's test may take

std::string coloured(const std::string& state) {
  if (state == "OK") return green(state);
  return state == "ALARM" ? red(state) : yellow(state);
}

Result<int> run_list(Context& context, const Arguments& a) {
  Table table({"STATE", "ALARM", "SINCE", "WHY"});
  json::Value input = json::object({{"AlarmTypes", json::array({"MetricAlarm", "CompositeAlarm"})}});
  int ringing = 0;
  for (;;) {
    const auto answer = TRY(context.call(a.get("--env"), "cloudwatch", "DescribeAlarms", input));
    for (const char* list : {"MetricAlarms", "CompositeAlarms"}) {
      for (const auto& alarm : answer.get_array(list)) {
        const std::string state = alarm.get("StateValue");
        ringing += state == "ALARM";
        const json::Value* since = alarm.find("StateTransitionedTimestamp");
        table.add({coloured(state), alarm.get("AlarmName"),
                   since != nullptr && since->is_number() ? ago(since->number()) : "",
                   state == "ALARM" ? alarm.get("StateReason") : ""});
      }
    }
    if (answer.get("NextToken").empty()) break;
    input["NextToken"] = answer.get("NextToken");
  }
  std::fputs(table.empty() ? "there are no alarms\n" : table.text().c_str(), stdout);
  return ringing > 0 && a.flag("--check") ? 2 : 0;
}

Result<int> run_history(Context& context, const Arguments& a) {
  json::Value input = json::object({{"MaxRecords", 100}});
  if (!a.get("ALARM").empty()) input["AlarmName"] = a.get("ALARM");
  const auto answer = TRY(context.call(a.get("--env"), "cloudwatch", "DescribeAlarmHistory", input));
  Table table({"WHEN", "ALARM", "KIND", "WHAT"});
  for (const auto& h : answer.get_array("AlarmHistoryItems")) {
    const json::Value* when = h.find("Timestamp");
    table.add(
        {when != nullptr && when->is_number() ? iso8601(static_cast<Millis>(when->number()) * kSecond) : "",
         h.get("AlarmName"), h.get("HistoryItemType"), h.get("HistorySummary")});
  }
  std::fputs(table.empty() ? "nothing happened in the last two weeks\n" : table.text().c_str(), stdout);
  return 0;
}

// Sets the alarm off, so that whoever it tells sees that it would; the next evaluation gives it its own state
// again.
Result<int> run_test(Context& context, const Arguments& a) {
  const std::string name = a.get("ALARM"), profile = a.get("--env");
  const auto found = TRY(context.call(profile, "cloudwatch", "DescribeAlarms",
                                      json::object({{"AlarmNames", json::array({name})}})));
  if (found.get_array("MetricAlarms").empty() && found.get_array("CompositeAlarms").empty())
    return error("NotFound", "there is no alarm " + name + "; 'bastide alarms ls' lists them");
  const Millis start = Clock::system().wall();
  TRY(context.call(
      profile, "cloudwatch", "SetAlarmState",
      json::object(
          {{"AlarmName", name}, {"StateValue", "ALARM"}, {"StateReason", "A test by bastide alarms test"}})));
  std::printf("%s is in ALARM until its next evaluation\n", name.c_str());
  size_t actions = 0;
  for (const char* list : {"MetricAlarms", "CompositeAlarms"}) {
    for (const auto& alarm : found.get_array(list)) actions += alarm.get_array("AlarmActions").size();
  }
  if (actions == 0) {
    std::printf("it tells nobody: it has no actions\n");
    return 0;
  }
  while (Clock::system().wall() < start + kTestFor) {
    const auto history =
        TRY(context.call(profile, "cloudwatch", "DescribeAlarmHistory",
                         json::object({{"AlarmName", name},
                                       {"HistoryItemType", "Action"},
                                       {"StartDate", static_cast<double>(start) / kSecond}})));
    const auto& items = history.get_array("AlarmHistoryItems");
    if (items.size() >= actions) {
      for (const auto& i : items) std::printf("%s\n", i.get("HistorySummary").c_str());
      return 0;
    }
    struct timespec pause = {0, 300'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return error("Timeout", "the alarm's actions did not end within two minutes");
}

Result<int> run_console(Context& context, const Arguments& a) {
  const std::string endpoint = TRY(context.endpoint());
  const auto c = TRY(context.credentials(a.get("--profile")));
  if (c.session_token.empty())
    return error("Invalid", "the profile " + a.get("--profile") +
                                " has long-term keys: they are not handed to a browser");
  json::Value session = json::object({{"AccessKeyId", c.access_key_id},
                                      {"SecretAccessKey", c.secret_access_key},
                                      {"SessionToken", c.session_token},
                                      {"Region", context.region()}});
  if (c.expires_at > 0) session["Expiration"] = iso8601(c.expires_at);
  // After the # : a browser sends it to nobody, and the page takes it out of the address at once.
  std::printf("%s/console/#session=%s\n", endpoint.c_str(), base64url(json::print(session)).c_str());
  std::fprintf(stderr, "The link signs in whoever has it%s. Do not pass it on.\n",
               c.expires_at > 0 ? (" until " + iso8601(c.expires_at - c.expires_at % kSecond)).c_str() : "");
  return 0;
}

Option env() {
  return {"--env", Option::Kind::value, "The environment, or an account's profile", "operator"};
}

}  // namespace

Command alarms_list_command() {
  return {"alarms ls",
          "Lists alarms and what rings",
          "bastide alarms ls --env stage",
          {env(), {"--check", Option::Kind::flag, "End with status 2 where one rings"}},
          run_list};
}
Command alarms_history_command() {
  return {"alarms history",
          "What alarms did in the last two weeks",
          "bastide alarms history --env stage",
          {{"ALARM", Option::Kind::positional, "Only this alarm"}, env()},
          run_history};
}
Command alarms_test_command() {
  return {"alarms test",
          "Sets an alarm off, and shows whether its actions went well",
          "bastide alarms test storefront-5xx --env stage",
          {{"ALARM", Option::Kind::positional, "The alarm", "", true}, env()},
          run_test};
}
Command console_command() {
  return {"console",
          "Prints a link that signs in to the web console",
          "bastide console",
          {{"--profile", Option::Kind::value, "Whose session", "operator"}},
          run_console};
}

}  // namespace bastide::cli
