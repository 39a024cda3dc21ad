#include "architecture/architecture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "architecture/reader.h"

namespace bastide::architecture {
namespace {

const char* kExample = R"(name: shop
environments:
  stage: {cidr: 10.10.0.0/16}
  prod: {cidr: 10.20.0.0/16}
groups:
  admins: {roles: {stage: [admin], prod: [admin]}}
people:
  ann: {groups: [admins]}
apps:
  web:
    build: make build
    port: 8080
    size: {prod: {count: 2, cpu: 512, memory: 256}}
)";

const std::map<std::string, std::string> kAccounts = {{"management", "111111111111"},
                                                      {"security", "222222222222"},
                                                      {"shared-services", "333333333333"},
                                                      {"stage", "444444444444"},
                                                      {"prod", "555555555555"}};

std::string why(std::string text) {
  auto a = parse(text, "bastide.yaml");
  return a ? "no error" : a.error().message;
}

std::string changed(const std::string& from, const std::string& to) {
  std::string text = kExample;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST(File, IsReadWithSafeDefaults) {
  auto a = parse(kExample, "bastide.yaml");
  ASSERT_TRUE(a.ok()) << a.error().message;
  EXPECT_EQ(a->region, "us-east-1");
  EXPECT_EQ(a->environments[0].name, "stage");
  EXPECT_EQ(a->apps[0].sizes.at("prod").count, 2);
  EXPECT_EQ(a->apps[0].sizes.at("stage").count, 1);
  EXPECT_TRUE(a->approval);
  EXPECT_EQ(a->promote_tag, "v*");
}

TEST(File, EveryMistakeHasItsPlaceAndTheProbableKey) {
  EXPECT_EQ(why(changed("    port: 8080", "    ports: 8080")),
            "bastide.yaml:12:5: unknown key 'ports' in app web; did you mean 'port'?");
  EXPECT_EQ(why(changed("port: 8080", "port: eighty")),
            "bastide.yaml:12:11: port must be a whole number, not a text");
  EXPECT_EQ(why(changed("port: 8080", "port: 0")), "bastide.yaml:12:11: port must be between 1 and 65535");
  EXPECT_EQ(why(changed("groups: [admins]", "groups: [admin]")),
            "bastide.yaml:8:17: unknown group 'admin'; did you mean 'admins'?");
  EXPECT_EQ(why(changed("size: {prod:", "size: {prd:")),
            "bastide.yaml:13:12: unknown environment 'prd'; did you mean 'prod'?");
  EXPECT_EQ(
      why(changed("10.20.0.0/16", "10.10.0.0/17")).find("bastide.yaml:4:16: cidr '10.10.0.0/17' overlaps"),
      0u);
  EXPECT_EQ(why(changed("10.20.0.0/16", "8.8.0.0/16")).find("bastide.yaml:4:16: cidr"), 0u);
  EXPECT_EQ(why("name: [x\n").find("bastide.yaml:"), 0u);
  EXPECT_EQ(why("name: shop\n"),
            "bastide.yaml:1:1: the file lacks the key 'environments'\nbastide.yaml:1:1: the file lacks the "
            "key 'apps'");
  EXPECT_NE(why(changed("apps:", "app:")).find("did you mean 'apps'?"), std::string::npos);
  EXPECT_NE(why(changed("stage: {cidr", "security: {cidr")).find("cannot be an environment"),
            std::string::npos);
}

TEST(Compile, IsDeterministicAndInOrderOfDependence) {
  auto a = parse(kExample, "bastide.yaml");
  ASSERT_TRUE(a.ok());
  auto stacks = compile(*a, kAccounts);
  ASSERT_TRUE(stacks.ok());
  std::set<std::string> seen;
  for (const auto& s : *stacks) {
    for (const auto& on : s.after) EXPECT_TRUE(seen.count(on)) << s.name << " before " << on;
    EXPECT_TRUE(seen.insert(s.account + "/" + s.name).second);
    EXPECT_LT(s.template_body.size(), 51'200u) << "what AWS takes without a bucket";
  }
  auto again = compile(*a, kAccounts);
  for (size_t i = 0; i < stacks->size(); ++i)
    EXPECT_EQ((*stacks)[i].template_body, (*again)[i].template_body);
  EXPECT_FALSE(compile(*a, {{"management", "111111111111"}}).ok());
}

const Stack& stack_of(const std::vector<Stack>& all, const std::string& account, const std::string& name) {
  for (const auto& s : all) {
    if (s.account == account && s.name == name) return s;
  }
  ADD_FAILURE() << account << "/" << name;
  return all[0];
}

TEST(Compile, AnAppDecryptsOnlyWithItsOwnEnvironmentsKey) {
  auto a = parse(kExample, "bastide.yaml");
  auto stacks = compile(*a, kAccounts);
  ASSERT_TRUE(stacks.ok());
  const std::string body = stack_of(*stacks, "stage", "bastide-app-web").template_body;
  EXPECT_EQ(body.substr(0, body.find("  Logs:")), R"(AWSTemplateFormatVersion: "2010-09-09"
Description: The place of web (shop) in stage
Parameters:
  HostName:
    Type: String
    Default: web.stage.localhost
Resources:
  TaskRole:
    Type: AWS::IAM::Role
    Properties:
      RoleName: bastide-task-web
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal:
              Service: ecs-tasks.amazonaws.com
            Action: sts:AssumeRole
      Policies:
        - PolicyName: decrypt-own-secrets
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - Effect: Allow
                Action: kms:Decrypt
                Resource:
                  Fn::ImportValue: bastide:key
)");
}

// An organisation and CloudFormation that do as they are told.
struct FakeAws {
  bool organisation = false;
  std::map<std::string, std::string> units, accounts;  // name -> id
  std::map<std::string, std::string> parents;
  std::map<std::string, json::Value> stacks;  // account/name
  std::string failing;
  std::vector<std::string> order;

  Result<json::Value> call(const std::string& account, const std::string& service, const std::string& op,
                           const json::Value& in) {
    if (service == "organizations") return organizations(op, in);
    const std::string id = account + "/" + in.get("StackName");
    if (op == "DescribeStacks") {
      auto it = stacks.find(id);
      if (it == stacks.end())
        return fault("ValidationError", "Stack with id " + in.get("StackName") + " does not exist");
      return json::object({{"Stacks", json::array({it->second})}});
    }
    if (op == "DescribeStackEvents") {
      if (id != failing) return json::object({{"StackEvents", json::array()}});
      return json::object(
          {{"StackEvents", json::array({json::object({{"EventId", "e"},
                                                      {"LogicalResourceId", "Vpc"},
                                                      {"ResourceType", "AWS::EC2::VPC"},
                                                      {"ResourceStatus", "CREATE_FAILED"},
                                                      {"ResourceStatusReason", "too many VPCs"}})})}});
    }
    if (op == "CreateStack") {
      order.push_back(id);
      stacks[id] =
          json::object({{"StackId", in.get("StackName")},
                        {"Template", in.get("TemplateBody")},
                        {"StackStatus", id == failing ? "ROLLBACK_COMPLETE" : "CREATE_COMPLETE"},
                        {"Outputs", json::array({json::object({{"OutputKey", "K"}, {"OutputValue", id}})})}});
      return json::object({{"StackId", in.get("StackName")}});
    }
    if (op == "UpdateStack") {
      auto& s = stacks.at(id);
      if (s.get("Template") == in.get("TemplateBody"))
        return fault("ValidationError", "No updates are to be performed.");
      s["Template"] = in.get("TemplateBody");
      s["StackStatus"] = "UPDATE_COMPLETE";
      order.push_back(id);
      return json::object({{"StackId", in.get("StackName")}});
    }
    if (op == "DeleteStack") {
      stacks.erase(id);
      return json::object();
    }
    return error("unexpected " + op);
  }

  Result<json::Value> organizations(const std::string& op, const json::Value& in) {
    if (op == "DescribeOrganization" && !organisation)
      return fault("AWSOrganizationsNotInUseException", "no");
    if (op == "DescribeOrganization" || op == "CreateOrganization") {
      organisation = true;
      return json::object({{"Organization", json::object({{"MasterAccountId", "111111111111"}})}});
    }
    if (op == "ListRoots") return json::object({{"Roots", json::array({json::object({{"Id", "r-1"}})})}});
    if (op == "ListOrganizationalUnitsForParent") {
      json::Value list = json::array();
      for (const auto& [name, id] : units) list.push(json::object({{"Name", name}, {"Id", id}}));
      return json::object({{"OrganizationalUnits", std::move(list)}});
    }
    if (op == "CreateOrganizationalUnit") {
      units[in.get("Name")] = "ou-" + in.get("Name");
      return json::object({{"OrganizationalUnit", json::object({{"Id", "ou-" + in.get("Name")}})}});
    }
    if (op == "ListAccounts") {
      json::Value list = json::array();
      for (const auto& [email, id] : accounts)
        list.push(json::object({{"Email", email}, {"Id", id}, {"Status", "ACTIVE"}}));
      return json::object({{"Accounts", std::move(list)}});
    }
    if (op == "CreateAccount") {
      const std::string id = kAccounts.at(in.get("AccountName"));
      accounts[in.get("Email")] = id;
      parents[id] = "r-1";
      return json::object({{"CreateAccountStatus", json::object({{"Id", id}})}});
    }
    if (op == "DescribeCreateAccountStatus") {
      return json::object(
          {{"CreateAccountStatus",
            json::object({{"State", "SUCCEEDED"}, {"AccountId", in.get("CreateAccountRequestId")}})}});
    }
    if (op == "ListParents")
      return json::object({{"Parents", json::array({json::object({{"Id", parents[in.get("ChildId")]}})})}});
    if (op == "MoveAccount") {
      EXPECT_EQ(parents[in.get("AccountId")], in.get("SourceParentId"));
      parents[in.get("AccountId")] = in.get("DestinationParentId");
      return json::object();
    }
    return error("unexpected " + op);
  }
};

TEST(Apply, MakesAllOfItOnceAndNothingTwice) {
  auto a = parse(kExample, "bastide.yaml");
  FakeAws aws;
  const Call call = [&](auto& account, auto& service, auto& op, auto& in) {
    return aws.call(account, service, op, in);
  };
  bool told = false;
  auto first = apply(*a, call, {}, [&](const auto& accounts) {
    told = true;
    EXPECT_TRUE(aws.order.empty()) << "before the first call as any of them";
    EXPECT_EQ(accounts, kAccounts);
  });
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_TRUE(told);
  EXPECT_TRUE(first->changed);
  EXPECT_EQ(aws.parents["444444444444"], "ou-environments");
  EXPECT_EQ(first->outputs.at("stage/bastide-network").at("K"), "stage/bastide-network");
  aws.order.clear();
  auto second = apply(*a, call, {}, {});
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(second->changed);
  EXPECT_TRUE(aws.order.empty());
}

TEST(Apply, AFailureSaysWhichResourceAndWhyAndTheNextRunMends) {
  auto a = parse(kExample, "bastide.yaml");
  FakeAws aws;
  aws.failing = "prod/bastide-network";
  const Call call = [&](auto& account, auto& service, auto& op, auto& in) {
    return aws.call(account, service, op, in);
  };
  std::vector<std::string> steps;
  Observer observer;
  observer.step = [&](auto& account, auto& what, auto& state, auto&) {
    steps.push_back(account + " " + what + " " + state);
  };
  auto failed = apply(*a, call, observer, {});
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message, "prod/bastide-network: AWS::EC2::VPC Vpc: too many VPCs");
  EXPECT_TRUE(aws.stacks.count("stage/bastide-app-web")) << "the other accounts go on";
  EXPECT_FALSE(aws.stacks.count("prod/bastide-platform"));
  EXPECT_NE(std::find(steps.begin(), steps.end(), "prod AWS::EC2::VPC Vpc failed"), steps.end());
  aws.failing.clear();
  auto mended = apply(*a, call, observer, {});
  ASSERT_TRUE(mended.ok()) << mended.error().message;
  EXPECT_TRUE(aws.stacks.count("prod/bastide-app-web"));
}

}  // namespace
}  // namespace bastide::architecture
