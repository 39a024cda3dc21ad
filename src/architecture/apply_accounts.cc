#include "architecture/apply_accounts.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "net/loop.h"

namespace bastide::architecture {
namespace {

constexpr Millis kAccountBound = 20 * kMinute;  // AWS takes minutes
constexpr int kMaxPages = 100;

class Organisation {
 public:
  Organisation(const Architecture& a, const Call& call, const Observer& observer)
      : a_(a), call_(call), observer_(observer) {}

  Result<MadeAccounts> ensure() {
    TRY(ensure_organisation());
    const json::Value roots = TRY(org("ListRoots", json::object()));
    if (roots.get_array("Roots").empty()) return error("the organisation has no root");
    const std::string root = roots.get_array("Roots")[0].get("Id");
    if (!a_.policies.empty()) TRY(enable_policies(roots.get_array("Roots")[0]));
    const std::string platform = TRY(ensure_unit(root, "platform"));
    const std::string environments = TRY(ensure_unit(root, "environments"));
    TRY(read_accounts());
    TRY(ensure_account("security", platform));
    TRY(ensure_account("shared-services", platform));
    for (const auto& e : a_.environments) TRY(ensure_account(e.name, environments));
    TRY(finish_accounts());
    return std::move(out_);
  }

 private:
  Result<json::Value> org(const char* operation, const json::Value& input) {
    return call_("management", "organizations", operation, input);
  }
  void tell(const std::string& what, const std::string& state, const std::string& reason = "") {
    if (observer_.step) observer_.step("management", what, state, reason);
  }
  std::string email(const std::string& account) const { return a_.name + "+" + account + "@bastide.invalid"; }

  Result<void> enable_policies(const json::Value& root) {
    for (const auto& type : root.get_array("PolicyTypes")) {
      if (type.get("Type") == "SERVICE_CONTROL_POLICY" && type.get("Status") == "ENABLED") return {};
    }
    auto enabled = org("EnablePolicyType", json::object({{"RootId", root.get("Id")}, {"PolicyType", "SERVICE_CONTROL_POLICY"}}));
    if (!enabled && enabled.error().code != "PolicyTypeAlreadyEnabledException") return std::move(enabled).error();
    return {};
  }

  Result<void> ensure_organisation() {
    auto there = org("DescribeOrganization", json::object());
    if (!there && there.error().code == "AWSOrganizationsNotInUseException") {
      tell("organisation", "making");
      there = org("CreateOrganization", json::object({{"FeatureSet", "ALL"}}));
      out_.changed = true;
      if (there) tell("organisation", "done");
    }
    if (!there) return std::move(there).error();
    const json::Value* o = there->find("Organization");
    const std::string id = o == nullptr ? "" : o->get("ManagementAccountId", o->get("MasterAccountId"));
    if (id.empty()) return error("the organisation does not tell its management account");
    out_.accounts["management"] = id;
    return {};
  }

  Result<std::string> ensure_unit(const std::string& root, const std::string& name) {
    json::Value in = json::object({{"ParentId", root}});
    for (int page = 0; page < kMaxPages; ++page) {
      const json::Value out = TRY(org("ListOrganizationalUnitsForParent", in));
      for (const auto& unit : out.get_array("OrganizationalUnits")) {
        if (unit.get("Name") == name) return unit.get("Id");
      }
      if (!out.has("NextToken")) break;
      in["NextToken"] = out.get("NextToken");
    }
    tell("unit " + name, "making");
    const json::Value out =
        TRY(org("CreateOrganizationalUnit", json::object({{"ParentId", root}, {"Name", name}})));
    out_.changed = true;
    tell("unit " + name, "done");
    const json::Value* unit = out.find("OrganizationalUnit");
    return unit == nullptr ? std::string() : unit->get("Id");
  }

  Result<void> read_accounts() {
    json::Value in = json::object();
    for (int page = 0; page < kMaxPages; ++page) {
      const json::Value out = TRY(org("ListAccounts", in));
      for (const auto& account : out.get_array("Accounts")) {
        if (account.get("Status") == "ACTIVE") by_email_[account.get("Email")] = account.get("Id");
      }
      if (!out.has("NextToken")) break;
      in["NextToken"] = out.get("NextToken");
    }
    return {};
  }

  // Requests all accounts first; AWS makes them side by side.
  Result<void> ensure_account(const std::string& name, const std::string& unit) {
    auto it = by_email_.find(email(name));
    if (it != by_email_.end()) {
      out_.accounts[name] = it->second;
      return place(name, it->second, unit);
    }
    tell("account " + name, "making");
    const json::Value out =
        TRY(org("CreateAccount", json::object({{"AccountName", name},
                                               {"Email", email(name)},
                                               {"RoleName", "OrganizationAccountAccessRole"}})));
    const json::Value* status = out.find("CreateAccountStatus");
    if (status == nullptr) return error("CreateAccount answered without a status");
    waiting_.push_back({name, unit, status->get("Id")});
    out_.changed = true;
    return {};
  }

  Result<void> finish_accounts() {
    for (const auto& w : waiting_) {
      Millis waited = 0;
      for (Millis pause = 20;; pause = std::min<Millis>(pause * 2, 5 * kSecond)) {
        const json::Value out =
            TRY(org("DescribeCreateAccountStatus", json::object({{"CreateAccountRequestId", w.request}})));
        const json::Value* status = out.find("CreateAccountStatus");
        const std::string state = status == nullptr ? "" : status->get("State");
        if (state == "SUCCEEDED") {
          out_.accounts[w.name] = status->get("AccountId");
          break;
        }
        if (state == "FAILED") {
          tell("account " + w.name, "failed", status->get("FailureReason"));
          return error(
              fmt::format("the account {} could not be made: {}", w.name, status->get("FailureReason")));
        }
        if (waited > kAccountBound)
          return error("Timeout", "the account " + w.name + " is not made after 20 minutes");
        if (net::in_fiber()) {
          net::sleep_for(pause);
        } else {
          std::this_thread::sleep_for(std::chrono::milliseconds(pause));
        }
        waited += pause;
      }
      TRY(place(w.name, out_.accounts[w.name], w.unit));
      tell("account " + w.name, "done");
    }
    return {};
  }

  Result<void> place(const std::string& name, const std::string& id, const std::string& unit) {
    const json::Value out = TRY(org("ListParents", json::object({{"ChildId", id}})));
    if (out.get_array("Parents").empty())
      return error("the account " + name + " stands nowhere in the organisation");
    const std::string now = out.get_array("Parents")[0].get("Id");
    if (now == unit) return {};
    TRY(org("MoveAccount",
            json::object({{"AccountId", id}, {"SourceParentId", now}, {"DestinationParentId", unit}})));
    out_.changed = true;
    return {};
  }

  struct Waiting {
    std::string name, unit, request;
  };
  const Architecture& a_;
  const Call& call_;
  const Observer& observer_;
  MadeAccounts out_;
  std::map<std::string, std::string> by_email_;
  std::vector<Waiting> waiting_;
};

}  // namespace

Result<std::map<std::string, std::string>> find_accounts(const Architecture& a, const Call& call) {
  std::map<std::string, std::string> out;
  auto there = call("management", "organizations", "DescribeOrganization", json::object());
  if (!there && there.error().code == "AWSOrganizationsNotInUseException") return out;
  if (!there) return std::move(there).error();
  if (const json::Value* o = there->find("Organization"))
    out["management"] = o->get("ManagementAccountId", o->get("MasterAccountId"));
  const std::string front = a.name + "+", back = "@bastide.invalid";
  json::Value in = json::object();
  for (int page = 0; page < kMaxPages; ++page) {
    const json::Value listed = TRY(call("management", "organizations", "ListAccounts", in));
    for (const auto& account : listed.get_array("Accounts")) {
      const std::string email = account.get("Email");
      if (account.get("Status") != "ACTIVE" || !email.starts_with(front) || !email.ends_with(back)) continue;
      out[email.substr(front.size(), email.size() - front.size() - back.size())] = account.get("Id");
    }
    if (!listed.has("NextToken")) break;
    in["NextToken"] = listed.get("NextToken");
  }
  return out;
}

Result<MadeAccounts> ensure_accounts(const Architecture& a, const Call& call, const Observer& observer) {
  return Organisation(a, call, observer).ensure();
}

}  // namespace bastide::architecture
