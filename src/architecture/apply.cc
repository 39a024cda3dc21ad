// Accounts by the Organizations API, then stacks in the order of their dependence: whatever may run runs at
// once, and one loop watches all of it. Idempotent: a second run finds everything as it should be.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "architecture/apply_accounts.h"
#include "architecture/architecture.h"
#include "net/loop.h"

namespace bastide::architecture {
namespace {

constexpr Millis kFirstPause = 20, kLongestPause = 2 * kSecond;
constexpr int kMaxEventPages = 50;

bool at_rest(const std::string& status) { return !status.ends_with("_IN_PROGRESS"); }
bool good(const std::string& status) { return status == "CREATE_COMPLETE" || status == "UPDATE_COMPLETE"; }
// What a failed create leaves can only be deleted.
bool wreck(const std::string& status) {
  return status == "ROLLBACK_COMPLETE" || status == "ROLLBACK_FAILED" || status == "CREATE_FAILED" ||
         status == "DELETE_FAILED" || status == "REVIEW_IN_PROGRESS";
}

class Stacks {
 public:
  Stacks(const Call& call, const Observer& observer, std::vector<Stack> stacks)
      : call_(call), observer_(observer) {
    for (auto& s : stacks) {
      const std::string id = s.account + "/" + s.name;
      states_.push_back({std::move(s), id});
    }
  }

  Result<void> run() {
    Millis pause = kFirstPause;
    while (true) {
      bool moved = false, open = false;
      for (auto& s : states_) {
        const auto before = s.step;
        auto ok = advance(s);
        if (!ok) fail(s, ok.error().message);
        moved = moved || s.step != before;
        open = open || (s.step != Step::done && s.step != Step::failed && s.step != Step::skipped);
      }
      if (!open) break;
      pause = moved ? kFirstPause : std::min(kLongestPause, pause * 2);
      wait(pause);
    }
    std::vector<std::string> failures;
    for (const auto& s : states_) {
      if (s.step == Step::failed) failures.push_back(fmt::format("{}: {}", s.id, s.reason));
    }
    if (failures.empty()) return {};
    return error("Failed", fmt::format("{}", fmt::join(failures, "\n")));
  }

  Outputs outputs() const {
    Outputs out;
    for (const auto& s : states_) out[s.id] = s.outputs;
    return out;
  }
  bool changed() const {
    return std::any_of(states_.begin(), states_.end(), [](const State& s) { return s.changed; });
  }

 private:
  enum class Step { waiting, deleting, running, done, failed, skipped };
  struct State {
    Stack stack;
    std::string id;
    Step step = Step::waiting;
    std::map<std::string, std::string> outputs;
    std::string reason;
    std::string stack_id;
    std::set<std::string> seen;  // events
    bool changed = false;
  };

  static void wait(Millis d) {
    if (net::in_fiber()) {
      net::sleep_for(d);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(d));
    }
  }

  void tell(const State& s, const std::string& what, const std::string& state,
            const std::string& reason = "") const {
    if (observer_.step) observer_.step(s.stack.account, what, state, reason);
  }
  std::string title(const State& s) const { return "stack " + s.stack.name; }

  void fail(State& s, const std::string& why) {
    s.step = Step::failed;
    if (s.reason.empty()) s.reason = why;
    tell(s, title(s), "failed", s.reason);
  }

  Result<json::Value> cloudformation(const State& s, const char* operation, const json::Value& input) const {
    return call_(s.stack.account, "cloudformation", operation, input);
  }

  // Nothing: there is no such stack.
  Result<std::optional<json::Value>> describe(const State& s) const {
    auto out = cloudformation(s, "DescribeStacks",
                              json::object({{"StackName", s.stack_id.empty() ? s.stack.name : s.stack_id}}));
    if (!out && out.error().code == "ValidationError" &&
        out.error().message.find("does not exist") != std::string::npos) {
      return std::optional<json::Value>();
    }
    if (!out) return std::move(out).error();
    if (out->get_array("Stacks").empty()) return std::optional<json::Value>();
    return std::optional<json::Value>(out->get_array("Stacks")[0]);
  }

  Result<void> advance(State& s) {
    switch (s.step) {
      case Step::waiting:
        return begin(s);
      case Step::deleting:
      case Step::running:
        return watch(s);
      default:
        return {};
    }
  }

  Result<void> begin(State& s) {
    for (const auto& on : s.stack.after) {
      auto it = std::find_if(states_.begin(), states_.end(), [&](const State& o) { return o.id == on; });
      if (it == states_.end()) return error("the stack " + on + " is not part of the architecture");
      if (it->step == Step::failed || it->step == Step::skipped) {
        s.step = Step::skipped;
        tell(s, title(s), "skipped", "waits for " + on);
        return {};
      }
      if (it->step != Step::done) return {};
    }
    const auto there = TRY(describe(s));
    if (!there) return create(s);
    const std::string status = there->get("StackStatus");
    if (wreck(status)) {
      tell(s, title(s), "making", "clearing away what failed before (" + status + ")");
      TRY(cloudformation(s, "DeleteStack", json::object({{"StackName", s.stack.name}})));
      s.stack_id = there->get("StackId");
      s.step = Step::deleting;
      return {};
    }
    if (!at_rest(status)) {  // an earlier run was interrupted: it goes on by itself
      s.stack_id = there->get("StackId");
      s.step = Step::running;
      interrupted_.insert(s.id);
      tell(s, title(s), "making", "an interrupted run goes on");
      return {};
    }
    return update(s, *there);
  }

  json::Value input(const State& s) const {
    json::Value parameters = json::array();
    for (const auto& [key, value] : s.stack.parameters) {
      parameters.push(json::object({{"ParameterKey", key}, {"ParameterValue", value}}));
    }
    return json::object({{"StackName", s.stack.name},
                         {"TemplateBody", s.stack.template_body},
                         {"Parameters", std::move(parameters)},
                         {"Capabilities", json::array({"CAPABILITY_NAMED_IAM"})}});
  }

  Result<void> create(State& s) {
    json::Value in = input(s);
    in["OnFailure"] = "ROLLBACK";
    const json::Value out = TRY(cloudformation(s, "CreateStack", in));
    s.stack_id = out.get("StackId");
    s.step = Step::running;
    s.changed = true;
    tell(s, title(s), "making");
    return {};
  }

  Result<void> update(State& s, const json::Value& there) {
    TRY(remember_events(s, there.get("StackId")));
    auto out = cloudformation(s, "UpdateStack", input(s));
    if (!out && out.error().message.find("No updates are to be performed") != std::string::npos) {
      keep_outputs(s, there);
      s.step = Step::done;
      tell(s, title(s), s.changed ? "done" : "unchanged");
      return {};
    }
    if (!out) return std::move(out).error();
    s.stack_id = there.get("StackId");
    s.step = Step::running;
    s.changed = true;
    tell(s, title(s), "making");
    return {};
  }

  // Events of before this run are not told again.
  Result<void> remember_events(State& s, const std::string& stack_id) {
    const json::Value out =
        TRY(cloudformation(s, "DescribeStackEvents", json::object({{"StackName", stack_id}})));
    for (const auto& e : out.get_array("StackEvents")) s.seen.insert(e.get("EventId"));
    return {};
  }

  Result<void> tell_events(State& s) {
    std::vector<json::Value> fresh;
    json::Value in = json::object({{"StackName", s.stack_id}});
    for (int page = 0; page < kMaxEventPages; ++page) {
      const json::Value out = TRY(cloudformation(s, "DescribeStackEvents", in));
      bool known = false;
      for (const auto& e : out.get_array("StackEvents")) {
        known = !s.seen.insert(e.get("EventId")).second;
        if (known) break;
        fresh.push_back(e);
      }
      if (known || !out.has("NextToken")) break;
      in["NextToken"] = out.get("NextToken");
    }
    std::reverse(fresh.begin(), fresh.end());
    for (const auto& e : fresh) {
      if (e.get("PhysicalResourceId") == s.stack_id) continue;
      const std::string status = e.get("ResourceStatus"), reason = e.get("ResourceStatusReason");
      const std::string what = e.get("ResourceType") + " " + e.get("LogicalResourceId");
      if (status.ends_with("_FAILED")) {
        if (s.reason.empty()) s.reason = what + ": " + reason;
        tell(s, what, "failed", reason);
      } else {
        tell(s, what,
             at_rest(status)                ? status.starts_with("DELETE") ? "deleted" : "done"
             : status.starts_with("DELETE") ? "deleting"
                                            : "making");
      }
    }
    return {};
  }

  static void keep_outputs(State& s, const json::Value& stack) {
    s.outputs.clear();
    for (const auto& o : stack.get_array("Outputs")) s.outputs[o.get("OutputKey")] = o.get("OutputValue");
  }

  Result<void> watch(State& s) {
    const auto now = TRY(describe(s));
    const std::string status = now ? now->get("StackStatus") : "DELETE_COMPLETE";
    if (now) TRY(tell_events(s));
    if (!at_rest(status)) return {};
    if (s.step == Step::deleting) {
      if (status != "DELETE_COMPLETE")
        return error(s.reason.empty() ? "the stack could not be deleted: " + status : s.reason);
      s.stack_id.clear();
      s.reason.clear();
      s.step = Step::waiting;
      return {};
    }
    if (interrupted_.erase(s.id) != 0) {  // what went on was of another template: look again
      s.stack_id.clear();
      s.reason.clear();
      s.changed = true;
      s.step = Step::waiting;
      return {};
    }
    if (!good(status))
      return error(s.reason.empty() ? status + " " + (now ? now->get("StackStatusReason") : "") : s.reason);
    keep_outputs(s, *now);
    s.step = Step::done;
    tell(s, title(s), "done");
    return {};
  }

  const Call& call_;
  const Observer& observer_;
  std::vector<State> states_;
  std::set<std::string> interrupted_;
};

}  // namespace

Result<Applied> apply(
    const Architecture& a, const Call& call, const Observer& observer,
    const std::function<void(const std::map<std::string, std::string>& accounts)>& on_accounts) {
  Applied out;
  auto made = TRY(ensure_accounts(a, call, observer));
  out.accounts = std::move(made.accounts);
  if (on_accounts) on_accounts(out.accounts);
  auto stacks = TRY(compile(a, out.accounts));
  Stacks all(call, observer, std::move(stacks));
  TRY(all.run());
  out.outputs = all.outputs();
  out.changed = made.changed || all.changed();
  return out;
}

}  // namespace bastide::architecture
