// Accounts by the Organizations API, then stacks in the order of their dependence: whatever may run runs at
// once, and one loop watches all of it. Idempotent: a second run finds everything as it should be.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "architecture/apply_accounts.h"
#include "architecture/architecture.h"
#include "architecture/cloud.h"
#include "architecture/own_stacks.h"

namespace bastide::architecture {
namespace {

constexpr int kMaxEventPages = 50;

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
    Millis rest = kFirstPause;
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
      rest = moved ? kFirstPause : std::min(kLongestPause, rest * 2);
      if (observer_.tick) observer_.tick();
      pause(rest);
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

  Result<std::optional<json::Value>> describe(const State& s) const {
    return describe_stack(call_, s.stack.account, s.stack_id.empty() ? s.stack.name : s.stack_id);
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
    for (const auto& [key, from] : s.stack.inputs) {
      const size_t colon = from.rfind(':');
      for (const auto& other : states_) {
        const auto value = other.outputs.find(from.substr(colon + 1));
        if (other.id == from.substr(0, colon) && value != other.outputs.end()) s.stack.parameters[key] = value->second;
      }
    }
    const auto there = TRY(describe(s));
    if (!there) return create(s);
    const std::string status = there->get("StackStatus");
    if (wreck(status)) {
      tell(s, title(s), "making", "clearing away what failed before (" + status + ")");
      TRY(remember_events(s, there->get("StackId")));
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
    if (status == "UPDATE_ROLLBACK_FAILED") {  // back to the last good state first
      tell(s, title(s), "making", "continues the rollback that failed before");
      TRY(remember_events(s, there->get("StackId")));
      TRY(cloudformation(s, "ContinueUpdateRollback", json::object({{"StackName", s.stack.name}})));
      s.stack_id = there->get("StackId");
      s.step = Step::running;
      interrupted_.insert(s.id);
      return {};
    }
    return update(s, *there);
  }

  // What an earlier architecture left standing (images, logs) is taken up again.
  Result<void> create_with_what_stands(State& s) {
    json::Value in = stack_input(s.stack);
    in["ChangeSetName"] = "bastide-up";
    in["ChangeSetType"] = "CREATE";
    in["ImportExistingResources"] = true;
    const json::Value out = TRY(cloudformation(s, "CreateChangeSet", in));
    s.stack_id = out.get("StackId");
    const json::Value named = json::object({{"StackName", s.stack_id}, {"ChangeSetName", out.get("Id")}});
    for (Millis p = kFirstPause;; p = std::min(p * 2, kLongestPause)) {
      const json::Value now = TRY(cloudformation(s, "DescribeChangeSet", named));
      const std::string status = now.get("Status");
      if (status == "FAILED") return error("Failed", now.get("StatusReason"));
      if (status == "CREATE_COMPLETE") break;
      pause(p);
    }
    TRY(cloudformation(s, "ExecuteChangeSet", named));
    s.step = Step::running;
    s.changed = true;
    tell(s, title(s), "making");
    return {};
  }

  Result<void> create(State& s) {
    if (s.stack.template_body.find("DeletionPolicy: Retain") != std::string::npos)
      return create_with_what_stands(s);
    json::Value in = stack_input(s.stack);
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
    auto out = cloudformation(s, "UpdateStack", stack_input(s.stack));
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
    if (interrupted_.erase(s.id) != 0 &&
        status != "UPDATE_ROLLBACK_FAILED") {  // what went on was of another template: look again
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

// Stacks that the file does not name any more, those first that nobody takes anything from.
Result<bool> remove_unwanted(const Architecture& a, const std::map<std::string, std::string>& accounts,
                             const std::vector<Stack>& wanted, const Call& call, const Observer& observer) {
  const Standing standing = TRY(standing_stacks(accounts, call));
  auto left = unwanted_stacks(a, standing, wanted);
  if (left.empty()) return false;
  auto tell = [&](const std::string& account, const std::string& name, const char* state,
                  const std::string& why) {
    if (observer.step) observer.step(account, "stack " + name, state, why);
  };
  while (!left.empty()) {
    std::vector<std::pair<std::string, std::string>> later;
    std::string reason;
    for (const auto& [account, name] : left) {
      if (name.starts_with("bastide-app-")) TRY(end_deployments(a, account, name.substr(12), call, observer));
      const auto there = TRY(describe_stack(call, account, name));
      if (!there) continue;
      auto out = call(account, "cloudformation", "DeleteStack", json::object({{"StackName", name}}));
      if (!out && out.error().message.find("in use by") != std::string::npos) {
        later.emplace_back(account, name);
        reason = out.error().message;
        continue;
      }
      if (!out) return std::move(out).error();
      tell(account, name, "deleting", "");
      const std::string id = there->get("StackId");
      std::string status;
      for (Millis p = kFirstPause;; p = std::min(p * 2, kLongestPause)) {
        const auto now = TRY(describe_stack(call, account, id));
        status = now ? now->get("StackStatus") : "DELETE_COMPLETE";
        if (at_rest(status)) {
          if (status != "DELETE_COMPLETE") {
            tell(account, name, "failed", now->get("StackStatusReason"));
            return error("Failed",
                         fmt::format("{}/{}: {} {}", account, name, status, now->get("StackStatusReason")));
          }
          break;
        }
        pause(p);
      }
      tell(account, name, "deleted", "");
    }
    if (later.size() == left.size())
      return error("Failed", later[0].first + "/" + later[0].second + ": " + reason);
    left = std::move(later);
  }
  return true;
}

}  // namespace

Result<Applied> apply(
    const Architecture& a, const Call& call, const Observer& observer,
    const std::function<void(const std::map<std::string, std::string>& accounts)>& on_accounts) {
  Applied out;
  TRY(validate_own_stacks(a, call));
  auto made = TRY(ensure_accounts(a, call, observer));
  out.accounts = std::move(made.accounts);
  if (on_accounts) on_accounts(out.accounts);
  const auto wanted = TRY(compile(a, out.accounts));
  Stacks all(call, observer, wanted);
  TRY(all.run());
  out.outputs = all.outputs();
  const bool removed = TRY(remove_unwanted(a, out.accounts, wanted, call, observer));
  out.changed = made.changed || all.changed() || removed;
  return out;
}

}  // namespace bastide::architecture
