// The services that a stack calls, as far as the tests need them: a world kept in a file, so that a killed
// process leaves what it had made.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "aws/local_client.h"
#include "base/crypto.h"
#include "sys/file.h"

namespace bastide::services::cfn {

class FakeAws final : public aws::LocalClient {
 public:
  explicit FakeAws(std::string path) : path_(std::move(path)) { load(); }

  std::vector<std::string> calls;         // "iam:CreateRole"
  std::map<std::string, Error> failures;  // by call, or by call and name: "ssm:PutParameter/b"
  int die_after = -1;                     // the process ends after so many calls that changed something
  json::Value world = json::object();

  size_t count(const char* kind) const { return world.get_object(kind).size(); }
  void load() {
    if (auto text = sys::read_file(path_)) world = json::parse(*text).value();
  }

  Result<json::Value> call(const aws::Principal& principal, const std::string& account, const std::string&,
                           const std::string& service, const std::string& operation,
                           const json::Value& in) override {
    EXPECT_EQ(principal.account, account);
    const std::string what = service + ":" + operation;
    calls.push_back(what);
    for (const auto& key : {what, what + "/" + in.get("Name", in.get("RoleName"))}) {
      if (auto it = failures.find(key); it != failures.end()) return it->second;
    }
    const std::string before = json::print(world);
    auto out = service == "iam"   ? iam(operation, in)
               : service == "kms" ? kms(operation, in)
                                  : ssm(operation, in);
    if (before == json::print(world)) return out;
    EXPECT_TRUE(sys::write_file(path_, json::print(world), 0600));
    if (die_after == 0) ::_exit(42);
    if (die_after > 0) --die_after;
    return out;
  }

 protected:
  Result<void> call_typed(const aws::Principal&, const std::string&, const std::string&, const std::string&,
                          const std::string&, const void*, void*) override {
    return error("only JSON calls are expected");
  }

 private:
  static double now() { return static_cast<double>(Clock::system().wall()) / 1000; }

  Result<json::Value> iam(const std::string& op, const json::Value& in) {
    json::Value& roles = world["roles"];
    if (roles.is_null()) roles = json::object();
    const std::string name = in.get("RoleName");
    if (op == "CreateRole") {
      if (roles.has(name)) return fault("EntityAlreadyExists", "Role with name " + name + " already exists.");
      roles[name] = json::object({{"Arn", "arn:aws:iam::111122223333:role/" + name},
                                  {"RoleId", "AROA"},
                                  {"CreateDate", now()},
                                  {"policies", json::object()},
                                  {"trust", in.get("AssumeRolePolicyDocument")}});
      return json::object({{"Role", roles[name]}});
    }
    if (!roles.has(name)) return fault("NoSuchEntity", "The role with name " + name + " cannot be found.");
    if (op == "GetRole") return json::object({{"Role", roles[name]}});
    if (op == "PutRolePolicy") {
      roles[name]["policies"][in.get("PolicyName")] = in.get("PolicyDocument");
    } else if (op == "DeleteRolePolicy") {
      roles[name]["policies"].remove(in.get("PolicyName"));
    } else if (op == "UpdateAssumeRolePolicy") {
      roles[name]["trust"] = in.get("PolicyDocument");
    } else if (op == "DeleteRole") {
      if (!roles[name].get_object("policies").empty())
        return fault("DeleteConflict", "must delete policies first");
      roles.remove(name);
    } else {
      return error("unexpected iam:" + op);
    }
    return json::object();
  }

  Result<json::Value> kms(const std::string& op, const json::Value& in) {
    json::Value& keys = world["keys"];
    if (keys.is_null()) keys = json::object();
    if (op == "CreateKey") {
      const std::string id = hex_id();
      keys[id] = json::object({{"KeyId", id},
                               {"Arn", "arn:aws:kms:us-east-1:111122223333:key/" + id},
                               {"tags", *in.find("Tags")}});
      return json::object({{"KeyMetadata", keys[id]}});
    }
    if (op == "ListKeys") {
      json::Value list = json::array();
      for (const auto& [id, key] : keys.object()) list.push(json::object({{"KeyId", id}}));
      return json::object({{"Keys", std::move(list)}});
    }
    const std::string id = in.get("KeyId");
    if (!keys.has(id)) return fault("NotFoundException", "no key " + id);
    if (op == "ListResourceTags") return json::object({{"Tags", *keys[id].find("tags")}});
    if (op == "DescribeKey") return json::object({{"KeyMetadata", keys[id]}});
    if (op == "UpdateKeyDescription") return json::object();
    if (op == "ScheduleKeyDeletion") {
      keys.remove(id);
      return json::object();
    }
    return error("unexpected kms:" + op);
  }

  Result<json::Value> ssm(const std::string& op, const json::Value& in) {
    json::Value& all = world["parameters"];
    if (all.is_null()) all = json::object();
    const std::string name = in.get("Name");
    if (op == "PutParameter") {
      if (all.has(name) && !in.get_bool("Overwrite"))
        return fault("ParameterAlreadyExists", "The parameter already exists.");
      all[name] = json::object({{"Value", in.get("Value")}, {"LastModifiedDate", now()}});
      return json::object();
    }
    if (!all.has(name)) return fault("ParameterNotFound", "Parameter " + name + " not found.");
    if (op == "GetParameter") return json::object({{"Parameter", all[name]}});
    if (op == "DeleteParameter") {
      all.remove(name);
      return json::object();
    }
    return error("unexpected ssm:" + op);
  }

  static std::string hex_id() { return random_text(16, "0123456789abcdef"); }

  std::string path_;
};

}  // namespace bastide::services::cfn
