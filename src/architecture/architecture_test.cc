#include "architecture/architecture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "architecture/own_stacks.h"
#include "architecture/preview.h"
#include "architecture/reader.h"
#include "architecture/schema.h"
#include "architecture/teardown.h"
#include "base/bytes.h"
#include "sys/file.h"

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
    if (op == "DescribeStacks" && !in.has("StackName")) {
      json::Value list = json::array();
      for (const auto& [key, s] : stacks) {
        if (key.starts_with(account + "/")) list.push(s);
      }
      return json::object({{"Stacks", std::move(list)}});
    }
    if (op == "ValidateTemplate") return json::object();
    if (op == "CreateChangeSet") {
      order.push_back("look at " + id);
      stacks[id] = in;
      return json::object({{"Id", in.get("StackName")}, {"StackId", in.get("StackName")}});
    }
    if (op == "DescribeChangeSet") return json::object({{"Status", "CREATE_COMPLETE"}});
    if (op == "ExecuteChangeSet") return call(account, service, "CreateStack", stacks.at(id));
    if (op == "GetTemplate") return json::object({{"TemplateBody", stacks.at(id).get("Template")}});
    if (op == "DescribeStackResources") return json::object({{"StackResources", json::array()}});
    if (op == "ListStackResources") return json::object({{"StackResourceSummaries", json::array()}});
    if (service != "cloudformation") return fault("NotFoundException", "nothing of the kind");
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
                        {"StackName", in.get("StackName")},
                        {"Tags", *in.find("Tags")},
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
    if (op == "ContinueUpdateRollback") {
      order.push_back("continue " + id);
      stacks.at(id)["StackStatus"] = "UPDATE_ROLLBACK_COMPLETE";
      return json::object();
    }
    if (op == "DeleteStack") {
      order.push_back("delete " + id);
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

TEST(Apply, AFailedRollbackIsContinuedFirstAndAnUnwantedStackGoes) {
  auto a = parse(kExample, "bastide.yaml");
  FakeAws aws;
  const Call call = [&](auto& account, auto& service, auto& op, auto& in) {
    return aws.call(account, service, op, in);
  };
  a->own_stacks.push_back(
      {"stage", "notes", "Resources: {T: {Type: 'AWS::SNS::Topic'}}\n", "stacks/stage/notes.yaml"});
  ASSERT_TRUE(apply(*a, call, {}, {}).ok());
  ASSERT_TRUE(aws.stacks.count("stage/notes"));
  aws.stacks["stage/bastide-network"]["StackStatus"] = "UPDATE_ROLLBACK_FAILED";
  a->own_stacks.clear();
  aws.order.clear();
  auto again = apply(*a, call, {}, {});
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(aws.order, (std::vector<std::string>{"continue stage/bastide-network", "delete stage/notes"}));
}

TEST(Preview, TellsWhatIsNewAndNothingWhereNothingChanges) {
  auto a = parse(kExample, "bastide.yaml");
  auto before = preview(*a, nullptr, true);
  ASSERT_TRUE(before.ok()) << before.error().message;
  EXPECT_FALSE(before->clean());
  EXPECT_EQ(before->new_accounts.size(), 5u);
  EXPECT_EQ(before->stacks[0].action, "create");
  EXPECT_EQ(before->stacks[0].changes[0].type, "AWS::IAM::Role");
  FakeAws aws;
  const Call call = [&](auto& account, auto& service, auto& op, auto& in) {
    return aws.call(account, service, op, in);
  };
  ASSERT_TRUE(apply(*a, call, {}, {}).ok());
  auto after = preview(*a, &call, false);
  ASSERT_TRUE(after.ok()) << after.error().message;
  EXPECT_TRUE(after->clean()) << json::pretty(to_json(*after));
  // A file without prod leaves that account alone, and says so.
  Architecture smaller = *a;
  smaller.environments.pop_back();
  smaller.groups.clear();
  smaller.people.clear();
  for (auto& s : aws.stacks) s.second["Template"] = s.second.get("Template");
  std::vector<std::string> asked;
  const Call counting = [&](const std::string& account, auto& service, auto& op,
                            auto& in) -> Result<json::Value> {
    asked.push_back(account);
    if (std::string(op).find("ChangeSet") != std::string::npos)
      return json::object({{"Status", "CREATE_COMPLETE"}, {"Changes", json::array()}});
    return aws.call(account, service, op, in);
  };
  auto left = preview(smaller, &counting, false);
  ASSERT_TRUE(left.ok()) << left.error().message;
  EXPECT_EQ(left->left_accounts, std::vector<std::string>{"prod"});
  EXPECT_EQ(std::count(asked.begin(), asked.end(), "prod"), 0);
}

TEST(Destroy, GoesTheOtherWayRound) {
  auto a = parse(kExample, "bastide.yaml");
  FakeAws aws;
  const Call call = [&](auto& account, auto& service, auto& op, auto& in) {
    return aws.call(account, service, op, in);
  };
  ASSERT_TRUE(apply(*a, call, {}, {}).ok());
  aws.stacks["stage/somebody-elses"] =
      json::object({{"StackName", "somebody-elses"}, {"StackStatus", "CREATE_COMPLETE"}});
  aws.order.clear();
  auto only = destroy(*a, call, {}, {.data = false, .accounts = {"prod"}});
  ASSERT_TRUE(only.ok()) << only.error().message;
  // What stands on another stack goes before it; nothing of other accounts goes.
  const auto at = [&](const char* stack) {
    const auto found = std::find(aws.order.begin(), aws.order.end(), std::string("delete prod/bastide-") + stack);
    EXPECT_NE(found, aws.order.end()) << stack;
    return found - aws.order.begin();
  };
  EXPECT_LT(at("app-web"), at("platform"));
  EXPECT_LT(at("platform"), at("network"));
  EXPECT_LT(at("peering"), at("network"));
  EXPECT_LT(at("monitoring"), at("platform"));
  EXPECT_GE(at("access"), 0);
  EXPECT_EQ(aws.order.size(), 6u);
  ASSERT_TRUE(destroy(*a, call, {}, {}).ok());
  ASSERT_EQ(aws.stacks.size(), 1u) << "only what is not ours is left";
  EXPECT_TRUE(aws.stacks.count("stage/somebody-elses"));
  EXPECT_FALSE(destroy(*a, call, {}, {.data = false, .accounts = {"prd"}}).ok());
}

class OwnStacks : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/own-stacks-XXXXXX";
    folder = ::mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  void write(const std::string& file, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(folder + "/" + file).parent_path());
    ASSERT_TRUE(sys::write_file(folder + "/" + file, text));
  }
  std::string why() {
    auto own = read_own_stacks(folder, {"stage", "prod"});
    return own ? "no error" : own.error().message.substr(own.error().message.find("stacks/"));
  }
  std::string folder;
};

TEST_F(OwnStacks, JoinThePlanInTheOrderOfTheirExports) {
  write("stacks/stage/a.yaml", "Resources: {X: {Type: T, Properties: {V: !ImportValue shared-b}}}\n");
  write("stacks/stage/b.json",
        R"({"Resources":{"X":{"Type":"T"}},"Outputs":{"O":{"Value":"1","Export":{"Name":"shared-b"}}}})");
  write("stacks/stage/README.md", "not a template");
  auto own = read_own_stacks(folder, {"stage", "prod"});
  ASSERT_TRUE(own.ok()) << own.error().message;
  auto a = parse(kExample, "bastide.yaml");
  a->own_stacks = *own;
  auto stacks = compile(*a, kAccounts);
  ASSERT_TRUE(stacks.ok()) << stacks.error().message;
  ASSERT_GT(stacks->size(), 2u);
  EXPECT_EQ((*stacks)[stacks->size() - 2].name, "b");
  EXPECT_EQ(stacks->back().name, "a");
  EXPECT_EQ(stacks->back().after.back(), "stage/b");
  EXPECT_EQ(stacks->back().tags.at("bastide:architecture"), "shop");
}

TEST_F(OwnStacks, MistakesHaveTheirPlace) {
  write("stacks/stge/a.yaml", "Resources: {}\n");
  EXPECT_EQ(why(), "stacks/stge: there is no account 'stge'; did you mean 'stage'?");
  std::filesystem::remove_all(folder + "/stacks");
  write("stacks/prod/bastide-x.yaml", "Resources: {}\n");
  EXPECT_EQ(why().find("stacks/prod/bastide-x.yaml: names that begin"), 0u);
  std::filesystem::remove_all(folder + "/stacks");
  write("stacks/prod/x.yaml", "Resources:\n  A: [1\n");
  EXPECT_EQ(why().find("stacks/prod/x.yaml:"), 0u);
  write("stacks/prod/x.yaml", "Parameters: {}\n");
  EXPECT_EQ(why(), "stacks/prod/x.yaml:1:1: a template needs the section 'Resources'");
}

TEST(Errors, OfCloudFormationGetTheirPlaceInTheTemplate) {
  const std::string text =
      "Resources:\n  Logs:\n    Type: AWS::Logs::LogGroup\n    Properties:\n      RetentionInDays: soon\n      Colour: red\n"
      "  Other:\n    Type: AWS::Nothing::Here\n";
  EXPECT_EQ(place_of_error(text, "a.yaml", "Template format error: Unrecognized resource types: [AWS::Nothing::Here]"),
            "a.yaml:8:11: Template format error: Unrecognized resource types: [AWS::Nothing::Here]");
  EXPECT_EQ(place_of_error(text, "a.yaml", "Properties validation failed for resource Logs with message:\n[#/RetentionInDays: expected type: Integer, found: String]").substr(0, 12),
            "a.yaml:5:24:");
  EXPECT_EQ(place_of_error(text, "a.yaml", "Properties validation failed for resource Logs with message:\n[#: extraneous key [Colour] is not permitted]").substr(0, 11),
            "a.yaml:6:7:");
  EXPECT_EQ(place_of_error(text, "a.yaml", "who knows").substr(0, 11), "a.yaml:1:1:");
}

TEST(Destroy, WithItsDataTakesTheProtectionFromTemplatesOfEveryForm) {
  auto a = parse(kExample, "bastide.yaml");
  FakeAws aws;
  std::vector<std::string> updates;
  const Call call = [&](auto& account, auto& service, auto& op, auto& in) {
    if (op == std::string("UpdateStack")) updates.push_back(in.get("TemplateBody"));
    return aws.call(account, service, op, in);
  };
  a->own_stacks.push_back({"stage", "notes", "Resources:\n  K: {Type: 'AWS::KMS::Key', DeletionPolicy: Retain, Properties: {Description: !Sub 'x', KeyPolicy: !GetAtt A.B}}\n", "f"});
  ASSERT_TRUE(apply(*a, call, {}, {}).ok());
  updates.clear();
  auto done = destroy(*a, call, {}, {.data = true, .accounts = {"stage"}});
  ASSERT_TRUE(done.ok()) << done.error().message;
  std::string all;
  for (const auto& body : updates) all += body;
  EXPECT_EQ(all.find("DeletionPolicy: Retain"), std::string::npos);
  EXPECT_NE(all.find("DeletionPolicy: Delete"), std::string::npos);
  EXPECT_NE(all.find("Sub"), std::string::npos);
  EXPECT_EQ(aws.stacks.count("stage/notes"), 0u);
}

TEST(Policies, BindAccountsAndGroupsOfThem) {
  auto a = parse(changed("apps:\n", "policies:\n  no-leaving: {accounts: [environments, security], deny: 'organizations:LeaveOrganization'}\napps:\n"), "f");
  ASSERT_TRUE(a.ok()) << a.error().message;
  EXPECT_EQ(a->policies[0].accounts, (std::vector<std::string>{"stage", "prod", "security"}));
  auto stacks = compile(*a, kAccounts);
  ASSERT_TRUE(stacks.ok());
  const std::string& body = stack_of(*stacks, "management", "bastide-policies").template_body;
  EXPECT_NE(body.find("Name: bastide-no-leaving"), std::string::npos) << body;
  EXPECT_NE(body.find("- organizations:LeaveOrganization"), std::string::npos) << body;
  EXPECT_NE(body.find("555555555555"), std::string::npos) << body;
  EXPECT_NE(why(changed("apps:\n", "policies:\n  x: {accounts: [prd], deny: ['a:b']}\napps:\n")).find("did you mean 'prod'?"), std::string::npos);
  EXPECT_NE(why(changed("apps:\n", "policies:\n  x: {accounts: [management], deny: ['a:b']}\napps:\n")).find("do not bind the management"), std::string::npos);
  EXPECT_NE(why(changed("apps:\n", "policies:\n  x: {accounts: [prod]}\napps:\n")).find("either 'deny' or 'document'"), std::string::npos);
  EXPECT_NE(why(changed("apps:\n", "policies:\n  x: {accounts: [prod], deny: [everything]}\napps:\n")).find("is no action"), std::string::npos);
}

TEST(Schema, NamesEveryKeyThatTheFileMayHave) {
  // The file's own reader is the judge: a file with every key of the schema is read without a mistake.
  const json::Value schema = file_schema();
  const json::Value& keys = *schema.find("properties");
  std::string all;
  for (const auto& [key, v] : keys.object()) all += key + " ";
  EXPECT_EQ(all.find("name region environments"), 0u);
  auto names = [&](const char* section) {
    std::string out;
    const json::Value* each = keys.find(section)->find("additionalProperties");
    for (const auto& [key, v] : each->get_object("properties")) out += key + ", ";
    return out.substr(0, out.size() - 2);
  };
  // "known are ..." lists what the reader takes.
  const std::string known = why(changed("    port: 8080", "    zzzzzzzzzzzz: 8080"));
  const std::string all_of_an_app = names("apps");
  for (auto name : split(all_of_an_app, ',')) EXPECT_NE(known.find(trim(name)), std::string::npos) << name;
}

TEST_F(OwnStacks, ACircleIsNamed) {
  write("stacks/stage/a.yaml",
        "Resources: {X: {Type: T, Properties: {V: !ImportValue b}}}\nOutputs: {O: {Value: 1, Export: {Name: "
        "a}}}\n");
  write("stacks/stage/b.yaml",
        "Resources: {X: {Type: T, Properties: {V: !ImportValue a}}}\nOutputs: {O: {Value: 1, Export: {Name: "
        "b}}}\n");
  auto a = parse(kExample, "bastide.yaml");
  a->own_stacks = read_own_stacks(folder, {"stage"}).value();
  auto stacks = compile(*a, kAccounts);
  ASSERT_FALSE(stacks.ok());
  EXPECT_EQ(stacks.error().message, "stacks import from one another in a circle: stage/a, stage/b");
}

}  // namespace
}  // namespace bastide::architecture
