#include "architecture/preview.h"

#include <fmt/format.h>

#include <algorithm>

#include "architecture/apply_accounts.h"
#include "architecture/cloud.h"
#include "architecture/own_stacks.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "yaml/yaml.h"

namespace bastide::architecture {
namespace {

constexpr int kMaxPages = 100;
constexpr Millis kDriftBound = 10 * kMinute, kChangeSetBound = 5 * kMinute;
// Stands in templates for an account that is yet to be made.
constexpr const char* kUnknownAccount = "000000000000";

Result<std::vector<PlannedChange>> everything_in(const Stack& s) {
  std::vector<PlannedChange> out;
  auto node = TRY(yaml::parse(s.template_body));
  const yaml::Node* resources = node.find("Resources");
  if (resources == nullptr) return out;
  for (const auto& m : resources->members) {
    const yaml::Node* type = m.value.find("Type");
    PlannedChange c;
    c.action = "add";
    c.logical = m.key;
    if (type != nullptr) c.type = type->text;
    out.push_back(std::move(c));
  }
  return out;
}

PlannedChange planned(const json::Value& change) {
  const json::Value* r = change.find("ResourceChange");
  PlannedChange out;
  if (r == nullptr) return out;
  const std::string action = r->get("Action"), replacement = r->get("Replacement");
  out.type = r->get("ResourceType");
  out.logical = r->get("LogicalResourceId");
  out.physical = r->get("PhysicalResourceId");
  out.kept = r->get("PolicyAction") == "Retain";
  const bool replaces = action == "Modify" && (replacement == "True" || replacement == "Conditional");
  out.perhaps = replaces && replacement == "Conditional";
  out.action = action == "Add"      ? "add"
               : action == "Remove" ? "delete"
               : action == "Import" ? "import"
               : replaces           ? "replace"
                                    : "change";
  for (const auto& d : r->get_array("Details")) {
    const json::Value* target = d.find("Target");
    if (target == nullptr) continue;
    std::string what = target->get("Name", target->get("Attribute"));
    const std::string recreation = target->get("RequiresRecreation");
    if (replaces && recreation == "Always") what += " cannot change in place";
    if (replaces && recreation == "Conditionally") what += " may not change in place";
    if (!d.get("CausingEntity").empty()) what += " (follows " + d.get("CausingEntity") + ")";
    if (std::find(out.why.begin(), out.why.end(), what) == out.why.end()) out.why.push_back(std::move(what));
  }
  return out;
}

bool same_parameters(const Stack& s, const json::Value& there) {
  if (!s.parameters.empty() || !there.get_array("Parameters").empty()) return false;
  for (const auto& [key, value] : s.tags) {
    if (tag_of(there, key) != value) return false;
  }
  return there.get_array("Tags").size() == s.tags.size();
}

// The change set of an update: made, read, deleted.
// Nothing: there is nothing to do. An empty list: only outputs change.
Result<std::optional<std::vector<PlannedChange>>> changes_of(const Stack& s, const Call& call) {
  json::Value in = stack_input(s);
  const std::string name = "bastide-plan-" + random_text(10, "abcdefghijklmnopqrstuvwxyz0123456789");
  in["ChangeSetName"] = name;
  in["ChangeSetType"] = "UPDATE";
  TRY(call(s.account, "cloudformation", "CreateChangeSet", in));
  const json::Value named = json::object({{"StackName", s.name}, {"ChangeSetName", name}});
  std::vector<PlannedChange> out;
  bool nothing = false;
  Error failed;
  json::Value ask = named;
  Millis waited = 0;
  for (int page = 0; page < kMaxPages;) {
    auto described = call(s.account, "cloudformation", "DescribeChangeSet", ask);
    if (!described) {
      failed = described.error();
      break;
    }
    const std::string status = described->get("Status");
    if (status.ends_with("_PENDING") || status.ends_with("_IN_PROGRESS")) {
      if (waited > kChangeSetBound) {
        failed = error("Timeout", "the change set of " + s.name + " is not made in time");
        break;
      }
      pause(kFirstPause * 10);
      waited += kFirstPause * 10;
      continue;
    }
    const std::string reason = described->get("StatusReason");
    nothing = status == "FAILED";
    if (status == "FAILED" && reason.find("didn't contain changes") == std::string::npos &&
        reason.find("No updates are to be performed") == std::string::npos) {
      failed = error("Failed", reason);
      break;
    }
    for (const auto& c : described->get_array("Changes")) out.push_back(planned(c));
    if (!described->has("NextToken")) break;
    ask["NextToken"] = described->get("NextToken");
    ++page;
  }
  TRY(call(s.account, "cloudformation", "DeleteChangeSet", named));
  if (!failed.message.empty()) return failed;
  if (nothing) return std::optional<std::vector<PlannedChange>>();
  return std::optional<std::vector<PlannedChange>>(std::move(out));
}

Result<StackPreview> preview_of(const Stack& s, const Call& call, const Standing& standing) {
  StackPreview out{s.account, s.name, "create", "", {}};
  std::optional<json::Value> there;
  if (auto account = standing.find(s.account); account != standing.end()) {
    for (const auto& one : account->second) {
      if (one.get("StackName") == s.name) there = one;
    }
  }
  if (!there) {
    out.changes = TRY(everything_in(s));
    return out;
  }
  const std::string status = there->get("StackStatus");
  if (wreck(status)) {
    out.reason = "is deleted first, since its last creation failed (" + status + ")";
    out.changes = TRY(everything_in(s));
    return out;
  }
  if (!at_rest(status)) {
    out.action = "recover";
    out.reason = "an interrupted run goes on (" + status + ")";
    return out;
  }
  if (status == "UPDATE_ROLLBACK_FAILED") {
    out.action = "recover";
    out.reason = "its rollback is continued first: " + there->get("StackStatusReason");
    return out;
  }
  out.action = "none";
  if (same_parameters(s, *there)) {
    const json::Value now =
        TRY(call(s.account, "cloudformation", "GetTemplate", json::object({{"StackName", s.name}})));
    if (now.get("TemplateBody") == s.template_body) return out;
  }
  auto changes = TRY(changes_of(s, call));
  if (!changes) return out;
  out.action = "update";
  if (changes->empty()) out.reason = "only its outputs change";
  out.changes = std::move(*changes);
  return out;
}

Result<std::vector<PlannedChange>> everything_of(const std::string& account, const std::string& stack,
                                                 const Call& call) {
  std::vector<PlannedChange> out;
  json::Value in = json::object({{"StackName", stack}});
  for (int page = 0; page < kMaxPages; ++page) {
    const json::Value listed = TRY(call(account, "cloudformation", "ListStackResources", in));
    for (const auto& r : listed.get_array("StackResourceSummaries")) {
      if (r.get("ResourceStatus") == "DELETE_COMPLETE") continue;
      PlannedChange c;
      c.action = "delete";
      c.type = r.get("ResourceType");
      c.logical = r.get("LogicalResourceId");
      c.physical = r.get("PhysicalResourceId");
      out.push_back(std::move(c));
    }
    if (!listed.has("NextToken")) break;
    in["NextToken"] = listed.get("NextToken");
  }
  return out;
}

}  // namespace

bool Preview::clean() const {
  return new_accounts.empty() && drift.empty() &&
         std::all_of(stacks.begin(), stacks.end(), [](const StackPreview& s) { return s.action == "none"; });
}

Result<std::vector<DriftedResource>> detect_drift(const std::vector<StackName>& stacks, const Call& call) {
  struct Running {
    StackName stack;
    std::string id;
  };
  std::vector<Running> running;
  for (const auto& s : stacks) {
    auto out = call(s.account, "cloudformation", "DetectStackDrift", json::object({{"StackName", s.name}}));
    if (!out && out.error().code == "ValidationError") continue;  // being made, or broken
    if (!out) return std::move(out).error();
    running.push_back({s, out->get("StackDriftDetectionId")});
  }
  std::vector<DriftedResource> all;
  for (const auto& r : running) {
    Millis waited = 0;
    for (Millis step = 2;; step = std::min(step * 2, kLongestPause)) {
      const json::Value now = TRY(call(r.stack.account, "cloudformation", "DescribeStackDriftDetectionStatus",
                                       json::object({{"StackDriftDetectionId", r.id}})));
      const std::string status = now.get("DetectionStatus");
      if (status == "DETECTION_FAILED") {
        return error("Failed", fmt::format("{}/{}: drift could not be detected: {}", r.stack.account,
                                           r.stack.name, now.get("DetectionStatusReason")));
      }
      if (status != "DETECTION_IN_PROGRESS") {
        if (now.get_int("DriftedStackResourceCount") == 0) break;
        json::Value in =
            json::object({{"StackName", r.stack.name},
                          {"StackResourceDriftStatusFilters", json::array({"MODIFIED", "DELETED"})}});
        for (int page = 0; page < kMaxPages; ++page) {
          const json::Value out =
              TRY(call(r.stack.account, "cloudformation", "DescribeStackResourceDrifts", in));
          for (const auto& d : out.get_array("StackResourceDrifts")) {
            DriftedResource one{r.stack.account,
                                r.stack.name,
                                d.get("ResourceType"),
                                d.get("LogicalResourceId"),
                                d.get("PhysicalResourceId"),
                                d.get("StackResourceDriftStatus"),
                                {}};
            for (const auto& p : d.get_array("PropertyDifferences")) {
              one.properties.push_back({p.get("PropertyPath"), p.get("ExpectedValue"), p.get("ActualValue"),
                                        p.get("DifferenceType")});
            }
            all.push_back(std::move(one));
          }
          if (!out.has("NextToken")) break;
          in["NextToken"] = out.get("NextToken");
        }
        break;
      }
      if (waited > kDriftBound)
        return error("Timeout", "drift detection of " + r.stack.name + " takes too long");
      pause(step);
      waited += step;
    }
  }
  return all;
}

Result<Preview> preview(const Architecture& a, const Call* call, bool with_drift) {
  Preview out;
  std::map<std::string, std::string> accounts, all;
  if (call != nullptr) {
    TRY(validate_own_stacks(a, *call));
    all = TRY(find_accounts(a, *call));
  }
  std::vector<std::string> names = {"management", "security", "shared-services"};
  for (const auto& e : a.environments) names.push_back(e.name);
  for (const auto& name : names) {
    auto it = all.find(name);
    if (it != all.end()) accounts[name] = it->second;
    if (it == all.end()) out.new_accounts.push_back(name);
  }
  for (const auto& [name, id] : all) {
    if (std::find(names.begin(), names.end(), name) == names.end()) out.left_accounts.push_back(name);
  }
  std::map<std::string, std::string> ids = accounts;
  for (const auto& name : names) ids.emplace(name, kUnknownAccount);
  const auto stacks = TRY(compile(a, ids));
  Standing standing;
  if (call != nullptr) standing = TRY(standing_stacks(accounts, *call));
  std::vector<StackName> to_look_at;
  for (const auto& s : stacks) {
    auto one = preview_of(s, call != nullptr ? *call : Call(), standing);
    if (!one) return error("Failed", fmt::format("{}/{}: {}", s.account, s.name, one.error().message));
    if (one->action == "none" || one->action == "update") to_look_at.push_back({s.account, s.name});
    out.stacks.push_back(std::move(*one));
  }
  if (call == nullptr) return out;
  const auto unwanted = unwanted_stacks(a, standing, stacks);
  for (const auto& [account, name] : unwanted) {
    StackPreview one{account, name, "delete", "the file does not name it any more", {}};
    one.changes = TRY(everything_of(account, name, *call));
    out.stacks.push_back(std::move(one));
  }
  if (with_drift) out.drift = TRY(detect_drift(to_look_at, *call));
  return out;
}

json::Value to_json(const std::vector<DriftedResource>& drift) {
  json::Value out = json::array();
  for (const auto& d : drift) {
    json::Value properties = json::array();
    for (const auto& p : d.properties) {
      properties.push(
          json::object({{"path", p.path}, {"expected", p.expected}, {"actual", p.actual}, {"kind", p.kind}}));
    }
    out.push(json::object({{"account", d.account},
                           {"stack", d.stack},
                           {"type", d.type},
                           {"logical", d.logical},
                           {"physical", d.physical},
                           {"status", d.status},
                           {"properties", std::move(properties)}}));
  }
  return out;
}

json::Value to_json(const Preview& p) {
  json::Value stacks = json::array(), made = json::array(), left = json::array();
  for (const auto& name : p.new_accounts) made.push(name);
  for (const auto& name : p.left_accounts) left.push(name);
  for (const auto& s : p.stacks) {
    json::Value changes = json::array();
    for (const auto& c : s.changes) {
      json::Value why = json::array();
      for (const auto& w : c.why) why.push(w);
      changes.push(json::object({{"action", c.action},
                                 {"type", c.type},
                                 {"logical", c.logical},
                                 {"physical", c.physical},
                                 {"why", std::move(why)},
                                 {"conditional", c.perhaps},
                                 {"retained", c.kept}}));
    }
    stacks.push(json::object({{"account", s.account},
                              {"name", s.name},
                              {"action", s.action},
                              {"reason", s.reason},
                              {"changes", std::move(changes)}}));
  }
  return json::object({{"clean", p.clean()},
                       {"newAccounts", std::move(made)},
                       {"leftAccounts", std::move(left)},
                       {"stacks", std::move(stacks)},
                       {"drift", to_json(p.drift)}});
}

}  // namespace bastide::architecture
