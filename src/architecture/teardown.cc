#include "architecture/teardown.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "architecture/apply_accounts.h"
#include "architecture/cloud.h"
#include "yaml/yaml.h"

namespace bastide::architecture {
namespace {

constexpr int kMaxPages = 100;

bool gone(const Error& e) {
  return e.code.find("NoSuchEntity") != std::string::npos || e.code.find("NotFound") != std::string::npos;
}

// !Ref, !Sub, !GetAtt: and so on, written out.
Result<json::Value> written_out(const yaml::Node& node, json::Value value) {
  const std::string name = node.tag.substr(std::min<size_t>(1, node.tag.size()));
  if (name.empty()) return error("Invalid", node.mark.text() + ": unknown tag");
  if (name == "Ref" || name == "Condition") return json::object({{name, std::move(value)}});
  if (name == "GetAtt" && value.is_string()) {
    const std::string text = value.string();
    const size_t dot = text.find('.');
    if (dot != std::string::npos) value = json::array({text.substr(0, dot), text.substr(dot + 1)});
  }
  return json::object({{"Fn::" + name, std::move(value)}});
}

// The template without its protection of data.
Result<std::string> unprotected(const std::string& text) {
  auto node = TRY(yaml::parse(text));
  json::Value t = TRY(yaml::to_json(node, written_out));
  json::Value* resources = t.find("Resources");
  if (resources == nullptr || !resources->is_object()) return text;
  for (auto& [logical, r] : resources->object()) {
    for (const char* policy : {"DeletionPolicy", "UpdateReplacePolicy"}) {
      if (r.has(policy)) r[policy] = "Delete";
    }
    if (r.get("Type") == "AWS::ECR::Repository") r["Properties"]["EmptyOnDelete"] = true;
  }
  return yaml::print(t);
}

class Teardown {
 public:
  Teardown(const Architecture& a, const Call& call, const Observer& observer, const TeardownOptions& options)
      : a_(a), call_(call), observer_(observer), options_(options) {}

  Result<std::vector<Kept>> run() {
    const auto accounts = TRY(find_accounts(a_, call_));
    for (const auto& name : options_.accounts) {
      if (accounts.count(name) == 0) return error("NotFound", "the account " + name + " is not known");
    }
    for (const auto& [name, id] : accounts) {
      if (wanted(name)) TRY(end_what_runs(name));
    }
    if (accounts.count("security") != 0 && wanted("security")) TRY(end_logins());
    TRY(collect(accounts));
    if (options_.data) TRY(unprotect());
    TRY(remove_all());
    return std::move(kept_);
  }

 private:
  struct State {
    std::string account, name, id;
    std::set<std::string> before;  // those that must be gone first
    enum { waiting, unprotecting, deleting, done, failed } step = waiting;
    std::string reason;
    Millis retry = 0;
    std::string key() const { return account + "/" + name; }
  };

  bool wanted(const std::string& account) const {
    return options_.accounts.empty() ||
           std::find(options_.accounts.begin(), options_.accounts.end(), account) != options_.accounts.end();
  }
  void tell(const std::string& account, const std::string& what, const std::string& state,
            const std::string& reason = "") const {
    if (observer_.step) observer_.step(account, what, state, reason);
  }

  // An environment that the file does not name any more has its clusters too: apps are known by their stacks.
  Result<void> end_what_runs(const std::string& account) {
    const auto stacks = TRY(describe_stacks(call_, account));
    for (const auto& s : stacks) {
      const std::string name = s.get("StackName");
      if (tag_of(s, kArchitectureTag) == a_.name && name.starts_with("bastide-app-"))
        TRY(end_deployments(a_, account, name.substr(12), call_, observer_));
    }
    return {};
  }

  // Passwords and keys that people were given stand in the way of their users' deletion.
  Result<void> end_logins() {
    const auto stack = TRY(describe_stack(call_, "security", "bastide-people"));
    if (!stack) return {};
    const json::Value listed = TRY(call_("security", "cloudformation", "DescribeStackResources",
                                         json::object({{"StackName", "bastide-people"}})));
    for (const auto& r : listed.get_array("StackResources")) {
      const std::string user = r.get("PhysicalResourceId");
      if (r.get("ResourceType") != "AWS::IAM::User" || user.empty()) continue;
      const json::Value named = json::object({{"UserName", user}});
      auto keys = call_("security", "iam", "ListAccessKeys", named);
      if (!keys && gone(keys.error())) continue;
      if (!keys) return std::move(keys).error();
      for (const auto& key : keys->get_array("AccessKeyMetadata")) {
        TRY(unless_gone(call_("security", "iam", "DeleteAccessKey",
                              json::object({{"UserName", user}, {"AccessKeyId", key.get("AccessKeyId")}}))));
      }
      TRY(unless_gone(call_("security", "iam", "DeleteLoginProfile", named)));
      auto devices = TRY(call_("security", "iam", "ListMFADevices", named));
      for (const auto& device : devices.get_array("MFADevices")) {
        const std::string serial = device.get("SerialNumber");
        TRY(unless_gone(call_("security", "iam", "DeactivateMFADevice",
                              json::object({{"UserName", user}, {"SerialNumber", serial}}))));
        TRY(unless_gone(
            call_("security", "iam", "DeleteVirtualMFADevice", json::object({{"SerialNumber", serial}}))));
      }
    }
    return {};
  }

  static Result<void> unless_gone(Result<json::Value> answer) {
    if (!answer && !gone(answer.error())) return std::move(answer).error();
    return {};
  }

  Result<void> collect(const std::map<std::string, std::string>& accounts) {
    std::map<std::string, std::string> ids = accounts;
    for (const char* name : {"management", "security", "shared-services"}) ids.emplace(name, "000000000000");
    for (const auto& e : a_.environments) ids.emplace(e.name, "000000000000");
    const auto stacks = TRY(compile(a_, ids));
    for (const auto& [account, id] : accounts) {
      if (!wanted(account)) continue;
      const auto there = TRY(describe_stacks(call_, account));
      for (const auto& s : there) {
        if (tag_of(s, kArchitectureTag) != a_.name || !s.get("ParentId").empty()) continue;
        states_.push_back({account, s.get("StackName"), s.get("StackId"), {}, State::waiting, "", 0});
      }
    }
    for (const auto& s : stacks) {
      for (const auto& on : s.after) {
        if (auto* state = find(on)) state->before.insert(s.account + "/" + s.name);
      }
    }
    return {};
  }

  State* find(const std::string& key) {
    auto it = std::find_if(states_.begin(), states_.end(), [&](const State& s) { return s.key() == key; });
    return it == states_.end() ? nullptr : &*it;
  }

  // A bucket goes only when it is empty.
  Result<void> empty_bucket(const std::string& account, const std::string& bucket) {
    for (int page = 0; page < kMaxPages * 100; ++page) {
      auto listed = call_(account, "s3", "ListObjectVersions", json::object({{"Bucket", bucket}}));
      if (!listed && listed.error().code == "NoSuchBucket") return {};
      if (!listed) return std::move(listed).error();
      size_t gone = 0;
      for (const char* list : {"Versions", "DeleteMarkers"}) {
        for (const auto& one : listed->get_array(list)) {
          TRY(call_(account, "s3", "DeleteObject",
                    json::object({{"Bucket", bucket}, {"Key", one.get("Key")}, {"VersionId", one.get("VersionId")}})));
          ++gone;
        }
      }
      if (gone == 0) return {};
    }
    return error("Failed", "the bucket " + bucket + " does not get empty");
  }

  Result<void> empty_buckets(const State& s) {
    const json::Value out = TRY(call_(s.account, "cloudformation", "DescribeStackResources", json::object({{"StackName", s.id}})));
    for (const auto& r : out.get_array("StackResources")) {
      if (r.get("ResourceType") == "AWS::S3::Bucket" && !r.get("PhysicalResourceId").empty())
        TRY(empty_bucket(s.account, r.get("PhysicalResourceId")));
    }
    return {};
  }

  Result<void> unprotect() {
    for (auto& s : states_) {
      TRY(empty_buckets(s));
      const json::Value now =
          TRY(call_(s.account, "cloudformation", "GetTemplate", json::object({{"StackName", s.id}})));
      const std::string body = now.get("TemplateBody");
      auto changed = unprotected(body);
      if (!changed) return error("Failed", s.key() + ": " + changed.error().message);
      Stack next;
      next.name = s.name;
      next.template_body = *changed;
      json::Value in = stack_input(next);
      in.remove("Parameters");
      in.remove("Tags");
      const auto there = TRY(describe_stack(call_, s.account, s.id));
      if (!there || wreck(there->get("StackStatus"))) continue;
      json::Value parameters = json::array();
      for (const auto& p : there->get_array("Parameters"))
        parameters.push(json::object({{"ParameterKey", p.get("ParameterKey")}, {"UsePreviousValue", true}}));
      in["Parameters"] = std::move(parameters);
      auto out = call_(s.account, "cloudformation", "UpdateStack", in);
      if (!out && out.error().message.find("No updates are to be performed") == std::string::npos)
        return error("Failed", s.key() + ": " + out.error().message);
      if (out) s.step = State::unprotecting;
    }
    for (auto& s : states_) {
      if (s.step != State::unprotecting) continue;
      for (Millis p = kFirstPause;; p = std::min(p * 2, kLongestPause)) {
        const auto now = TRY(describe_stack(call_, s.account, s.id));
        if (!now || at_rest(now->get("StackStatus"))) break;
        pause(p);
      }
      s.step = State::waiting;
    }
    return {};
  }

  Result<void> remove_all() {
    Millis rest = kFirstPause;
    while (true) {
      bool open = false, moved = false;
      for (auto& s : states_) {
        if (s.step == State::done || s.step == State::failed) continue;
        open = true;
        const auto before = s.step;
        auto ok = advance(s);
        if (!ok) {
          s.step = State::failed;
          s.reason = ok.error().message;
          tell(s.account, "stack " + s.name, "failed", s.reason);
        }
        moved = moved || s.step != before;
      }
      if (!open) break;
      rest = moved ? kFirstPause : std::min(kLongestPause, rest * 2);
      pause(rest);
    }
    std::vector<std::string> failures;
    for (const auto& s : states_) {
      if (s.step == State::failed) failures.push_back(s.key() + ": " + s.reason);
    }
    if (failures.empty()) return {};
    return error("Failed", fmt::format("{}", fmt::join(failures, "\n")));
  }

  Result<void> advance(State& s) {
    if (s.step == State::waiting) {
      for (const auto& key : s.before) {
        const State* other = find(key);
        if (other == nullptr || other->step == State::done) continue;
        if (other->step == State::failed) return error("Failed", "waits for " + key + ", which failed");
        return {};
      }
      const auto now = TRY(describe_stack(call_, s.account, s.id));
      if (now && now->get("StackStatus") != "DELETE_COMPLETE") {
        if (!at_rest(now->get("StackStatus"))) return {};
        auto out = call_(s.account, "cloudformation", "DeleteStack", json::object({{"StackName", s.name}}));
        if (!out) {
          // Another stack of the account still takes something from it.
          const bool used = out.error().message.find("in use by") != std::string::npos;
          if (used && ++s.retry < 50) return {};
          return std::move(out).error();
        }
      }
      tell(s.account, "stack " + s.name, "deleting");
      s.step = State::deleting;
      return {};
    }
    const auto now = TRY(describe_stack(call_, s.account, s.id));
    const std::string status = now ? now->get("StackStatus") : "DELETE_COMPLETE";
    if (!at_rest(status)) return {};
    if (status != "DELETE_COMPLETE") return error("Failed", status + ": " + TRY(why_not(s)));
    TRY(note_kept(s));
    s.step = State::done;
    tell(s.account, "stack " + s.name, "deleted");
    return {};
  }

  Result<std::string> why_not(const State& s) {
    const json::Value out =
        TRY(call_(s.account, "cloudformation", "DescribeStackEvents", json::object({{"StackName", s.id}})));
    for (const auto& e : out.get_array("StackEvents")) {
      if (e.get("ResourceStatus") == "DELETE_FAILED" && e.get("PhysicalResourceId") != s.id)
        return e.get("ResourceType") + " " + e.get("LogicalResourceId") + ": " +
               e.get("ResourceStatusReason");
    }
    return std::string("no resource says why");
  }

  Result<void> note_kept(const State& s) {
    json::Value in = json::object({{"StackName", s.id}});
    for (int page = 0; page < kMaxPages; ++page) {
      const json::Value out = TRY(call_(s.account, "cloudformation", "ListStackResources", in));
      for (const auto& r : out.get_array("StackResourceSummaries")) {
        if (r.get("ResourceStatus") == "DELETE_SKIPPED")
          kept_.push_back({s.account, r.get("ResourceType"), r.get("PhysicalResourceId")});
      }
      if (!out.has("NextToken")) break;
      in["NextToken"] = out.get("NextToken");
    }
    return {};
  }

  const Architecture& a_;
  const Call& call_;
  const Observer& observer_;
  const TeardownOptions& options_;
  std::vector<State> states_;
  std::vector<Kept> kept_;
};

Result<json::Value> settled(const Call& call, const std::string& account, const std::string& name) {
  for (Millis p = kFirstPause;; p = std::min(p * 2, kLongestPause)) {
    const auto now = TRY(describe_stack(call, account, name));
    if (!now) return error("NotFound", fmt::format("there is no stack {} in {}", name, account));
    if (at_rest(now->get("StackStatus"))) return *now;
    pause(p);
  }
}

Result<std::string> outcome(const Call& call, const std::string& account, const std::string& name) {
  const json::Value now = TRY(settled(call, account, name));
  const std::string status = now.get("StackStatus");
  if (status.ends_with("_FAILED")) return error("Failed", status + ": " + now.get("StackStatusReason"));
  return fmt::format("{}/{} is {}", account, name, status);
}

}  // namespace

Result<std::vector<Kept>> destroy(const Architecture& a, const Call& call, const Observer& observer,
                                  const TeardownOptions& options) {
  return Teardown(a, call, observer, options).run();
}

Result<std::string> roll_back_stack(const Call& call, const std::string& account, const std::string& name) {
  const auto there = TRY(describe_stack(call, account, name));
  if (!there) return error("NotFound", fmt::format("there is no stack {} in {}", name, account));
  const std::string status = there->get("StackStatus");
  const json::Value named = json::object({{"StackName", name}});
  if (status == "UPDATE_IN_PROGRESS") {
    TRY(call(account, "cloudformation", "CancelUpdateStack", named));
  } else if (status == "CREATE_FAILED" || status == "UPDATE_FAILED") {
    TRY(call(account, "cloudformation", "RollbackStack", named));
  } else if (status == "UPDATE_ROLLBACK_FAILED") {
    TRY(call(account, "cloudformation", "ContinueUpdateRollback", named));
  } else if (at_rest(status)) {
    return error("Invalid", fmt::format("{}/{} is {}: there is nothing to roll back", account, name, status));
  }
  return outcome(call, account, name);
}

Result<std::string> recover_stack(const Call& call, const std::string& account, const std::string& name,
                                  const std::vector<std::string>& skip) {
  const json::Value there = TRY(settled(call, account, name));
  const std::string status = there.get("StackStatus");
  json::Value in = json::object({{"StackName", name}});
  if (status == "UPDATE_ROLLBACK_FAILED") {
    json::Value list = json::array();
    for (const auto& s : skip) list.push(s);
    if (!skip.empty()) in["ResourcesToSkip"] = std::move(list);
    TRY(call(account, "cloudformation", "ContinueUpdateRollback", in));
  } else if (status == "UPDATE_FAILED") {
    TRY(call(account, "cloudformation", "RollbackStack", in));
  } else if (wreck(status)) {
    TRY(call(account, "cloudformation", "DeleteStack", in));
    for (Millis p = kFirstPause;; p = std::min(p * 2, kLongestPause)) {
      const auto now = TRY(describe_stack(call, account, name));
      if (!now)
        return fmt::format("{}/{} is cleared away ({}); the next up makes it anew", account, name, status);
      if (at_rest(now->get("StackStatus")))
        return error("Failed", now->get("StackStatus") + ": " + now->get("StackStatusReason"));
      pause(p);
    }
  } else {
    return error("Invalid", fmt::format("{}/{} is {}: there is nothing to recover", account, name, status));
  }
  return outcome(call, account, name);
}

}  // namespace bastide::architecture
