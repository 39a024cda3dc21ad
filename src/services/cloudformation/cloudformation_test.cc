// Stacks through the service's own operations, on the real store and in real fibers; the other services are
// fakes.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>

#include "net/loop.h"
#include "services/cloudformation/fake_aws_test.h"
#include "services/cloudformation/service.h"

namespace bastide::services {
namespace {

namespace op = model::cloudformation::op;
namespace m = model::cloudformation;

const char* kKeyAndRole = R"(
Parameters:
  Text: {Type: String, Default: one}
Resources:
  Key:
    Type: AWS::KMS::Key
    Properties: {Description: !Ref Text}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: []}
      Policies:
        - PolicyName: use
          PolicyDocument: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "kms:*", Resource: !GetAtt Key.Arn}]}
  A:
    Type: AWS::SSM::Parameter
    Properties: {Name: a, Type: String, Value: !Sub "${Role} ${Text}"}
  B:
    Type: AWS::SSM::Parameter
    DependsOn: A
    Properties: {Name: b, Type: String, Value: !GetAtt Role.Arn}
Outputs:
  KeyArn: {Value: !GetAtt Key.Arn, Export: {Name: !Sub "${AWS::StackName}-key"}}
)";

class House {
 public:
  explicit House(const std::string& folder) : aws(folder + "/world.json") {
    db = std::move(store::Database::open(folder + "/metadata.sqlite", Clock::system()).value());
    keyring = std::move(store::Keyring::open(folder + "/master.key", folder + "/check").value());
    service = std::make_unique<Cloudformation>(*db, *keyring, aws, Clock::system());
    service->offer(registry);
  }

  template <class Op>
  Result<typename Op::Response> run(typename Op::Request in) {
    aws::Call call;
    call.principal = aws::Principal::root("111122223333");
    call.account = "111122223333";
    call.region = "us-east-1";
    typename Op::Response out;
    const aws::Entry* entry = registry.find("cloudformation", Op::operation.name);
    CHECK(entry != nullptr);
    TRY(entry->run(call, &in, &out));
    return out;
  }

  Result<std::string> create(const std::string& text, const std::string& on_failure = "ROLLBACK") {
    op::CreateStack::Request in;
    in.stack_name = "s";
    in.template_body = text;
    in.on_failure = on_failure;
    in.capabilities = {"CAPABILITY_NAMED_IAM"};
    auto out = TRY(run<op::CreateStack>(std::move(in)));
    TRY(wait());
    return out.stack_id.value_or("");
  }

  Result<void> update(const std::string& text, std::vector<m::Parameter> parameters = {}) {
    op::UpdateStack::Request in;
    in.stack_name = "s";
    in.template_body = text;
    in.parameters = std::move(parameters);
    in.capabilities = {"CAPABILITY_NAMED_IAM"};
    TRY(run<op::UpdateStack>(std::move(in)));
    return wait();
  }

  // Until the stack rests.
  Result<void> wait() {
    for (int i = 0; i < 2000; ++i) {
      auto stacks = TRY(run<op::ListStacks>({}));
      if (std::all_of(stacks.stack_summaries->begin(), stacks.stack_summaries->end(),
                      [](const auto& s) { return !s.stack_status.ends_with("_IN_PROGRESS"); })) {
        return {};
      }
      net::sleep_for(5);
    }
    return error("Timeout", "the stack never rests");
  }

  std::string status() {
    auto out = run<op::ListStacks>({});
    return out->stack_summaries->at(0).stack_status;
  }

  std::vector<std::string> events() {
    op::DescribeStackEvents::Request in;
    in.stack_name = run<op::ListStacks>({})->stack_summaries->at(0).stack_id.value();
    auto out = run<op::DescribeStackEvents>(in);
    std::vector<std::string> list;
    for (const auto& e : *out->stack_events)
      list.push_back(*e.logical_resource_id + " " + *e.resource_status);
    std::reverse(list.begin(), list.end());
    return list;
  }

  cfn::FakeAws aws;
  std::unique_ptr<store::Database> db;
  std::unique_ptr<store::Keyring> keyring;
  aws::Registry registry;
  std::unique_ptr<Cloudformation> service;
};

class Stacks : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bastide-cfn-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  void TearDown() override { EXPECT_TRUE(sys::remove_tree(folder_)); }

  void in_house(const std::function<void(House&)>& f, int die_after = -1) {
    net::Loop loop;
    loop.spawn([&] {
      House house(folder_);
      house.aws.die_after = die_after;
      house.service->start();
      f(house);
      loop.stop();
      kept_ = std::move(house.db);  // outlives the house, whose jobs may still write
    });
    loop.run();
    kept_.reset();  // before the loop: its writer thread answers there
  }

  std::string folder_;
  std::unique_ptr<store::Database> kept_;
};

TEST_F(Stacks, AreMadeInOrderAndGiveOutputsAndExports) {
  in_house([](House& h) {
    auto id = h.create(kKeyAndRole);
    ASSERT_TRUE(id.ok()) << id.error().message;
    EXPECT_EQ(h.status(), "CREATE_COMPLETE");
    EXPECT_EQ(id->find("arn:aws:cloudformation:us-east-1:111122223333:stack/s/"), 0u);
    const auto& value = h.aws.world.find("parameters")->find("a")->get("Value");
    EXPECT_EQ(value.find("s-Role-"), 0u) << value;
    EXPECT_EQ(value.substr(value.size() - 4), " one");
    const auto events = h.events();
    EXPECT_EQ(events.front(), "s CREATE_IN_PROGRESS");
    EXPECT_EQ(events.back(), "s CREATE_COMPLETE");
    const auto place = [&](const char* e) {
      return std::find(events.begin(), events.end(), e) - events.begin();
    };
    EXPECT_LT(place("Key CREATE_COMPLETE"), place("Role CREATE_IN_PROGRESS"));
    EXPECT_LT(place("A CREATE_COMPLETE"), place("B CREATE_IN_PROGRESS"));
    const auto exports = h.run<op::ListExports>({});
    ASSERT_EQ(exports->exports->size(), 1u);
    EXPECT_EQ(exports->exports->at(0).name, "s-key");
    EXPECT_EQ(h.create(kKeyAndRole).error().code, "AlreadyExistsException");
  });
}

TEST_F(Stacks, AFailedCreateIsRolledBackWithItsReason) {
  in_house([](House& h) {
    h.aws.failures["ssm:PutParameter/b"] = fault("ValidationException", "not that one");
    ASSERT_TRUE(h.create(kKeyAndRole).ok());
    EXPECT_EQ(h.status(), "ROLLBACK_COMPLETE");
    EXPECT_EQ(h.aws.count("roles") + h.aws.count("keys") + h.aws.count("parameters"), 0u);
    op::DescribeStackEvents::Request in;
    in.stack_name = "s";
    bool told = false;
    const auto answer = h.run<op::DescribeStackEvents>(in);
    for (const auto& e : *answer->stack_events) {
      if (e.logical_resource_id == "B" && e.resource_status == "CREATE_FAILED") {
        told = e.resource_status_reason->find("not that one") != std::string::npos;
      }
    }
    EXPECT_TRUE(told);
    EXPECT_EQ(h.update(kKeyAndRole).error().message.find("Stack:arn:"), 0u) << "only to be deleted";
  });
}

TEST_F(Stacks, AnotherAnswerThanTheServiceGivesIsNotTakenForOurs) {
  in_house([](House& h) {
    h.aws.world["parameters"]["a"] = json::object({{"Value", "somebody's"}, {"LastModifiedDate", 1.0}});
    ASSERT_TRUE(h.create(kKeyAndRole).ok());
    EXPECT_EQ(h.status(), "ROLLBACK_COMPLETE");
    EXPECT_EQ(h.aws.world.find("parameters")->find("a")->get("Value"), "somebody's")
        << "and it is not deleted either";
  });
}

TEST_F(Stacks, UpdatesChangeInPlaceReplaceAndCleanUp) {
  in_house([](House& h) {
    ASSERT_TRUE(h.create(kKeyAndRole).ok());
    EXPECT_EQ(h.update(kKeyAndRole).error().message, "No updates are to be performed.");
    std::string next = kKeyAndRole;
    next.replace(next.find("Name: b"), 7, "Name: c");
    m::Parameter two;
    two.parameter_key = "Text";
    two.parameter_value = "two";
    ASSERT_TRUE(h.update(next, {two}).ok());
    EXPECT_EQ(h.status(), "UPDATE_COMPLETE");
    EXPECT_TRUE(h.aws.world.find("parameters")->has("c"));
    EXPECT_FALSE(h.aws.world.find("parameters")->has("b"));
    const auto value = h.aws.world.find("parameters")->find("a")->get("Value");
    EXPECT_EQ(value.substr(value.size() - 4), " two");
    EXPECT_EQ(h.aws.count("keys"), 1u) << "a key's description changes in place";
    const auto events = h.events();
    EXPECT_NE(std::find(events.begin(), events.end(), "s UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"), events.end());
  });
}

TEST_F(Stacks, AFailedUpdateGoesBackToTheLastGoodState) {
  in_house([](House& h) {
    ASSERT_TRUE(h.create(kKeyAndRole).ok());
    const std::string before = json::print(*h.aws.world.find("parameters")->find("b"));
    const auto key = h.aws.world.get_object("keys")[0].first;
    std::string next = kKeyAndRole;
    next.replace(next.find("Name: b"), 7, "Name: c");
    next += "  Extra: {Value: x}\n";
    next.replace(next.find("Outputs:"), 8,
                 "  Z:\n    Type: AWS::SSM::Parameter\n    DependsOn: B\n    Properties: {Name: z, Type: "
                 "String, Value: z}\nOutputs:");
    h.aws.failures["ssm:PutParameter/z"] = fault("ValidationException", "no z");
    m::Parameter two;
    two.parameter_key = "Text";
    two.parameter_value = "two";
    ASSERT_TRUE(h.update(next, {two}).ok());
    EXPECT_EQ(h.status(), "UPDATE_ROLLBACK_COMPLETE");
    EXPECT_TRUE(h.aws.world.find("parameters")->has("b"));
    EXPECT_FALSE(h.aws.world.find("parameters")->has("c"));
    EXPECT_EQ(json::print(*h.aws.world.find("parameters")->find("b")), before)
        << "the replaced one was never touched";
    const auto value = h.aws.world.find("parameters")->find("a")->get("Value");
    EXPECT_EQ(value.substr(value.size() - 4), " one");
    EXPECT_EQ(h.aws.world.get_object("keys")[0].first, key);
    EXPECT_TRUE(h.update(next.replace(next.find("Name: z"), 7, "Name: y")).ok())
        << "and it can be updated again";
    EXPECT_EQ(h.status(), "UPDATE_COMPLETE");
  });
}

TEST_F(Stacks, ChangeSetsTellReplacementBeforeAnythingHappens) {
  in_house([](House& h) {
    ASSERT_TRUE(h.create(kKeyAndRole).ok());
    std::string next = kKeyAndRole;
    next.replace(next.find("Name: b"), 7, "Name: c");
    op::CreateChangeSet::Request in;
    in.stack_name = "s";
    in.change_set_name = "look";
    in.template_body = next;
    in.capabilities = {"CAPABILITY_NAMED_IAM"};
    ASSERT_TRUE(h.run<op::CreateChangeSet>(in).ok());
    op::DescribeChangeSet::Request which;
    which.change_set_name = "look";
    which.stack_name = "s";
    const auto seen = h.run<op::DescribeChangeSet>(which);
    ASSERT_TRUE(seen.ok()) << seen.error().message;
    ASSERT_EQ(seen->changes->size(), 1u);
    const auto& change = *seen->changes->at(0).resource_change;
    EXPECT_EQ(change.logical_resource_id, "B");
    EXPECT_EQ(change.replacement, "True");
    EXPECT_FALSE(h.aws.world.find("parameters")->has("c"));
    op::ExecuteChangeSet::Request go;
    go.change_set_name = "look";
    go.stack_name = "s";
    ASSERT_TRUE(h.run<op::ExecuteChangeSet>(go).ok());
    ASSERT_TRUE(h.wait().ok());
    EXPECT_EQ(h.status(), "UPDATE_COMPLETE");
    EXPECT_EQ(h.run<op::ExecuteChangeSet>(go).error().code, "InvalidChangeSetStatus");
    in.change_set_name = "nothing";
    ASSERT_TRUE(h.run<op::CreateChangeSet>(in).ok());
    which.change_set_name = "nothing";
    const auto none = h.run<op::DescribeChangeSet>(which);
    EXPECT_EQ(none->status, "FAILED");
    EXPECT_EQ(none->status_reason->find("The submitted information didn't contain changes."), 0u);
  });
}

TEST_F(Stacks, DeleteHonoursRetainProtectionAndImports) {
  in_house([](House& h) {
    std::string text = kKeyAndRole;
    text.replace(text.find("Type: AWS::KMS::Key"), 19, "Type: AWS::KMS::Key\n    DeletionPolicy: Retain");
    ASSERT_TRUE(h.create(text).ok());
    op::CreateStack::Request user;
    user.stack_name = "user";
    user.template_body =
        "Resources: {P: {Type: 'AWS::SSM::Parameter', Properties: {Name: p, Type: String, Value: "
        "!ImportValue s-key}}}";
    ASSERT_TRUE(h.run<op::CreateStack>(user).ok());
    ASSERT_TRUE(h.wait().ok());
    EXPECT_EQ(h.aws.world.find("parameters")->find("p")->get("Value").find("arn:aws:kms:"), 0u);
    op::DeleteStack::Request in;
    in.stack_name = "s";
    EXPECT_EQ(h.run<op::DeleteStack>(in).error().message,
              "Export s-key cannot be deleted as it is in use by user");
    op::DeleteStack::Request first;
    first.stack_name = "user";
    ASSERT_TRUE(h.run<op::DeleteStack>(first).ok());
    ASSERT_TRUE(h.wait().ok());
    op::UpdateTerminationProtection::Request protect;
    protect.stack_name = "s";
    protect.enable_termination_protection = true;
    ASSERT_TRUE(h.run<op::UpdateTerminationProtection>(protect).ok());
    EXPECT_EQ(h.run<op::DeleteStack>(in).error().message,
              "Stack [s] cannot be deleted while TerminationProtection is enabled");
    protect.enable_termination_protection = false;
    ASSERT_TRUE(h.run<op::UpdateTerminationProtection>(protect).ok());
    ASSERT_TRUE(h.run<op::DeleteStack>(in).ok());
    ASSERT_TRUE(h.wait().ok());
    EXPECT_EQ(h.aws.count("keys"), 1u);
    EXPECT_EQ(h.aws.count("roles") + h.aws.count("parameters"), 0u);
    op::DescribeStacks::Request gone;
    gone.stack_name = "s";
    EXPECT_EQ(h.run<op::DescribeStacks>(gone).error().message, "Stack with id s does not exist");
    EXPECT_TRUE(h.run<op::DeleteStack>(in).ok()) << "deleting what is gone is done";
  });
}

// The process is killed after each change in turn; the next one finishes the stack and makes nothing twice.
TEST_F(Stacks, AKillAnywhereResumesWithoutMakingThingsTwice) {
  for (int after = 0; after < 5; ++after) {
    const pid_t child = ::fork();
    if (child == 0) {
      in_house([](House& h) { (void)h.create(kKeyAndRole); }, after);
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 42)
        << "killed after change " << after << ": " << status;
    in_house([&](House& h) {
      ASSERT_TRUE(h.wait().ok());
      EXPECT_EQ(h.status(), "CREATE_COMPLETE") << after;
      EXPECT_EQ(h.aws.count("keys"), 1u) << after;
      EXPECT_EQ(h.aws.count("roles"), 1u) << after;
      EXPECT_EQ(h.aws.count("parameters"), 2u) << after;
      EXPECT_EQ(h.aws.world.get_object("roles")[0].second.get_object("policies").size(), 1u) << after;
    });
    kept_.reset();
    TearDown();
    SetUp();
  }
}

}  // namespace
}  // namespace bastide::services
