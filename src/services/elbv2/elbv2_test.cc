#include "services/elbv2/elbv2.h"

#include <gtest/gtest.h>

#include "net/message.h"
#include "net/test_loop.h"
#include "services/elbv2/edge_link.h"
#include "services/elbv2/snapshot.h"
#include "sys/file.h"

namespace bastide::services {
namespace {

using json::array;
using json::object;
using json::Value;

// The other services, as far as load balancers ask them.
struct Others : aws::LocalClient {
  using aws::LocalClient::call;
  Result<Value> call(const aws::Principal&, const std::string&, const std::string&, const std::string&,
                     const std::string& operation, const Value& input) override {
    if (operation == "DescribeVpcs") {
      if (input.get_array("VpcIds")[0].string() != "vpc-1")
        return fault("InvalidVpcID.NotFound", "not there");
      return object();
    }
    if (operation == "DescribeSubnets") {
      json::Array out;
      for (const auto& id : input.get_array("SubnetIds")) {
        auto zone = id.string() == "subnet-a" ? "us-east-1a" : id.string() == "subnet-b" ? "us-east-1b" : "";
        if (*zone == 0)
          return fault("InvalidSubnetID.NotFound", "The subnet ID '" + id.string() + "' does not exist");
        out.push_back(object({{"SubnetId", id}, {"VpcId", "vpc-1"}, {"AvailabilityZone", zone}}));
      }
      return object({{"Subnets", out}});
    }
    if (operation == "PutLogEvents") {
      if (!group_exists) return fault("ResourceNotFoundException", "The specified log group does not exist.");
      for (const auto& e : input.get_array("logEvents"))
        lines.push_back(input.get("logGroupName") + " " + e.get("message"));
      return object();
    }
    if (operation == "CreateLogStream") group_exists = true;
    return object();
  }
  Result<void> call_typed(const aws::Principal&, const std::string&, const std::string&, const std::string&,
                          const std::string&, const void*, void*) override {
    return error("by name alone");
  }
  bool group_exists = false;
  std::vector<std::string> lines;
};

struct Elbv2Test : ::testing::Test {
  Elbv2Test() : folder("/tmp/elbv2-test-" + std::to_string(::getpid())) {
    EXPECT_TRUE(sys::make_folders(folder + "/run"));
    db = store::Database::open(folder + "/metadata.sqlite", clock).value();
    keyring = store::Keyring::open(folder + "/master.key", folder + "/check").value();
    elb = std::make_unique<Elbv2>(*db, others, board);
    elb->offer(registry);
  }
  ~Elbv2Test() override {
    elb.reset();
    db.reset();
    EXPECT_TRUE(sys::remove_tree(folder));
  }
  Result<Value> call(const std::string& operation, const Value& input) {
    const auto* entry = registry.find("elbv2", operation);
    if (entry == nullptr) return error("no operation " + operation);
    auto request = entry->make_request(), response = entry->make_response();
    TRY(model::read_json_value(input, *entry->operation->input, request.get(), nullptr));
    aws::Call c;
    c.account = "111122223333";
    c.region = "us-east-1";
    c.now = Clock::system().wall();
    TRY(entry->targets(c, request.get()));
    TRY(entry->run(c, request.get(), response.get()));
    return model::write_json_value(*entry->operation->output, response.get());
  }
  std::string code(const std::string& operation, const Value& input) {
    auto r = call(operation, input);
    return r ? "" : r.error().code;
  }
  Value balancer_request() { return object({{"Name", "web"}, {"Subnets", array({"subnet-a", "subnet-b"})}}); }
  std::string balancer() {
    return call("CreateLoadBalancer", balancer_request())
        .value()
        .get_array("LoadBalancers")[0]
        .get("LoadBalancerArn");
  }
  std::string group(const std::string& name = "app") {
    auto in = object({{"Name", name},
                      {"Protocol", "HTTP"},
                      {"Port", 8080},
                      {"VpcId", "vpc-1"},
                      {"TargetType", "ip"},
                      {"HealthCheckPath", "/health"}});
    return call("CreateTargetGroup", in).value().get_array("TargetGroups")[0].get("TargetGroupArn");
  }
  static Value forward(const std::string& arn) {
    return array({object({{"Type", "forward"}, {"TargetGroupArn", arn}})});
  }
  static Value fixed() {
    return array({object(
        {{"Type", "fixed-response"},
         {"FixedResponseConfig",
          object({{"StatusCode", "503"}, {"ContentType", "text/plain"}, {"MessageBody", "not yet"}})}})});
  }
  std::string listener(const std::string& lb, const std::string& protocol, const Value& actions) {
    auto in = object({{"LoadBalancerArn", lb},
                      {"Protocol", protocol},
                      {"Port", protocol == "HTTP" ? 80 : 443},
                      {"DefaultActions", actions}});
    return call("CreateListener", in).value().get_array("Listeners")[0].get("ListenerArn");
  }
  static Value host(const std::string& name) {
    return array({object({{"Field", "host-header"}, {"Values", array({name})}})});
  }
  Value rule(const std::string& listener, int priority, const std::string& host_name, const Value& actions) {
    return object({{"ListenerArn", listener},
                   {"Priority", priority},
                   {"Conditions", host(host_name)},
                   {"Actions", actions}});
  }
  static Value target(const std::string& arn, const std::string& address) {
    return object({{"TargetGroupArn", arn}, {"Targets", array({object({{"Id", address}})})}});
  }
  Value health(const std::string& arn) {
    return call("DescribeTargetHealth", object({{"TargetGroupArn", arn}})).value();
  }
  static std::string state(const Value& health) {
    const auto& all = health.get_array("TargetHealthDescriptions");
    return all.empty() ? "none" : all[0].find("TargetHealth")->get("State");
  }

  std::string folder;
  Clock& clock = Clock::system();
  std::unique_ptr<store::Database> db;
  std::unique_ptr<store::Keyring> keyring;
  Others others;
  HealthBoard board;
  std::unique_ptr<Elbv2> elb;
  aws::Registry registry;
};

TEST_F(Elbv2Test, EveryOperationOfTheModelIsOffered) {
  const auto* service = model::find_service("elbv2");
  ASSERT_NE(service, nullptr);
  for (uint16_t i = 0; i < service->operation_count; ++i) {
    const auto& operation = service->operations[i];
    EXPECT_EQ(operation.implemented != nullptr, registry.find("elbv2", operation.name) != nullptr)
        << operation.name;
  }
}

TEST_F(Elbv2Test, ABalancerNeedsTwoZonesAndIsMadeOnce) {
  auto arn = balancer();
  EXPECT_NE(arn.find("arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/web/"),
            std::string::npos);
  EXPECT_EQ(balancer(), arn) << "the same request again";
  auto other = balancer_request();
  other["Subnets"] = array({"subnet-a"});
  EXPECT_EQ(code("CreateLoadBalancer", other), "ValidationError");
  other["Subnets"] = array({"subnet-a", "subnet-b"});
  other["SecurityGroups"] = array({"sg-1"});
  EXPECT_EQ(code("CreateLoadBalancer", other), "DuplicateLoadBalancerName");
  other["Subnets"] = array({"subnet-a", "subnet-x"});
  EXPECT_EQ(code("CreateLoadBalancer", other), "SubnetNotFound");
  auto shown = call("DescribeLoadBalancers", object({{"Names", array({"web"})}}))
                   .value()
                   .get_array("LoadBalancers")[0];
  EXPECT_NE(shown.get("DNSName").find(".us-east-1.elb.localhost"), std::string::npos);
  EXPECT_EQ(code("DescribeLoadBalancers", object({{"Names", array({"nobody"})}})), "LoadBalancerNotFound");
  auto protect =
      object({{"LoadBalancerArn", arn},
              {"Attributes", array({object({{"Key", "deletion_protection.enabled"}, {"Value", "true"}})})}});
  EXPECT_EQ(code("ModifyLoadBalancerAttributes", protect), "");
  EXPECT_EQ(code("DeleteLoadBalancer", object({{"LoadBalancerArn", arn}})), "OperationNotPermitted");
  protect["Attributes"] = array({object({{"Key", "access_logs.s3.enabled"}, {"Value", "true"}})});
  EXPECT_EQ(code("ModifyLoadBalancerAttributes", protect), "InvalidConfigurationRequest");
}

TEST_F(Elbv2Test, GroupsInUseStayAndTargetsShowTheirState) {
  auto g = group();
  auto lb = balancer();
  EXPECT_EQ(code("RegisterTargets", target(g, "8.8.8.8")), "InvalidTarget");
  EXPECT_EQ(code("RegisterTargets", target(g, "10.10.1.5")), "");
  EXPECT_EQ(state(health(g)), "unused");
  auto l = listener(lb, "HTTP", forward(g));
  EXPECT_EQ(state(health(g)), "initial");
  board.set(g, "10.10.1.5:8080", {"unhealthy", "Target.Timeout", "Request timed out", clock.wall() + 1});
  EXPECT_EQ(state(health(g)), "unhealthy");
  EXPECT_EQ(code("DeleteTargetGroup", object({{"TargetGroupArn", g}})), "ResourceInUse");
  EXPECT_EQ(code("DeregisterTargets", target(g, "10.10.1.5")), "");
  EXPECT_EQ(state(health(g)), "draining");
  EXPECT_EQ(code("DeleteListener", object({{"ListenerArn", l}})), "");
  EXPECT_EQ(code("DeleteTargetGroup", object({{"TargetGroupArn", g}})), "");
  EXPECT_EQ(code("DescribeTargetHealth", object({{"TargetGroupArn", g}})), "TargetGroupNotFound");
}

TEST_F(Elbv2Test, RulesHaveTheirOwnPriorities) {
  auto lb = balancer();
  auto l = listener(lb, "HTTP", fixed());
  auto in = rule(l, 10, "a.example", fixed());
  auto first = call("CreateRule", in).value().get_array("Rules")[0].get("RuleArn");
  EXPECT_EQ(code("CreateRule", in), "PriorityInUse");
  auto second =
      call("CreateRule", rule(l, 20, "b.example", fixed())).value().get_array("Rules")[0].get("RuleArn");
  auto pair = [](const std::string& arn, int priority) {
    return object({{"RuleArn", arn}, {"Priority", priority}});
  };
  EXPECT_EQ(code("SetRulePriorities", object({{"RulePriorities", array({pair(first, 20)})}})),
            "PriorityInUse");
  EXPECT_EQ(
      code("SetRulePriorities", object({{"RulePriorities", array({pair(first, 20), pair(second, 10)})}})),
      "");
  auto rules = call("DescribeRules", object({{"ListenerArn", l}})).value();
  ASSERT_EQ(rules.get_array("Rules").size(), 3u);
  EXPECT_EQ(rules.get_array("Rules")[0].get("RuleArn"), second);
  EXPECT_EQ(rules.get_array("Rules")[2].get("Priority"), "default");
  EXPECT_EQ(code("DeleteRule", object({{"RuleArn", rules.get_array("Rules")[2].get("RuleArn")}})),
            "OperationNotPermitted");
  auto bad = in;
  bad["Priority"] = 30;
  bad["Conditions"] = array({object({{"Field", "source-ip"}, {"Values", array({"10.0.0.0/8"})}})});
  EXPECT_EQ(code("CreateRule", bad), "InvalidConfigurationRequest");
  bad["Conditions"] = host("c.example");
  bad["Actions"] = array({object({{"Type", "authenticate-oidc"}})});
  EXPECT_EQ(code("CreateRule", bad), "InvalidLoadBalancerAction");
  bad["Actions"] =
      array({object({{"Type", "redirect"}, {"RedirectConfig", object({{"StatusCode", "HTTP_301"}})}})});
  EXPECT_EQ(code("CreateRule", bad), "InvalidLoadBalancerAction") << "it leads to itself";
  EXPECT_EQ(
      code(
          "CreateListener",
          object({{"LoadBalancerArn", lb}, {"Protocol", "HTTP"}, {"Port", 80}, {"DefaultActions", fixed()}})),
      "DuplicateListener");
  EXPECT_EQ(
      code("CreateListener",
           object(
               {{"LoadBalancerArn", lb}, {"Protocol", "HTTP"}, {"Port", 8080}, {"DefaultActions", fixed()}})),
      "InvalidConfigurationRequest");
  auto https =
      object({{"LoadBalancerArn", lb}, {"Protocol", "HTTPS"}, {"Port", 443}, {"DefaultActions", fixed()}});
  https["Certificates"] =
      array({object({{"CertificateArn", "arn:aws:acm:us-east-1:111122223333:certificate/x"}})});
  EXPECT_EQ(code("CreateListener", https), "CertificateNotFound");
}

TEST_F(Elbv2Test, ASnapshotHasEverythingThatEdgeNeeds) {
  auto lb = balancer();
  auto g = group();
  auto l = listener(lb, "HTTPS", fixed());
  ASSERT_EQ(code("CreateRule", rule(l, 5, "Shop.example", forward(g))), "");
  auto redirect = array({object(
      {{"Type", "redirect"},
       {"RedirectConfig", object({{"Protocol", "HTTPS"}, {"Port", "443"}, {"StatusCode", "HTTP_301"}})}})});
  listener(lb, "HTTP", redirect);
  ASSERT_EQ(code("RegisterTargets", target(g, "10.10.1.5")), "");
  LocalCertificates local(*db, *keyring, clock, folder);
  auto compiled = compile_snapshot(*db, local, nullptr);
  ASSERT_TRUE(compiled.ok()) << compiled.error().message;
  compiled->number = 1;
  auto read = internal::edge_snapshot(internal::to_json(*compiled));
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read->listeners.size(), 2u);
  const auto& https = read->listeners[read->listeners[0].socket == "https" ? 0 : 1];
  const auto& http = read->listeners[read->listeners[0].socket == "https" ? 1 : 0];
  EXPECT_EQ(http.fallback.location, "https://#{host}:#{https_port}/#{path}?#{query}");
  EXPECT_EQ(https.rules[0].action.forward[0].target_group, g);
  EXPECT_NE(std::find(https.host_names.begin(), https.host_names.end(), "shop.example"),
            https.host_names.end());
  EXPECT_EQ(read->target_groups[0].targets[0].id, "10.10.1.5:8080");
  ASSERT_EQ(read->certificates.size(), 1u);
  auto again = compile_snapshot(*db, local, nullptr);
  EXPECT_EQ(again->certificates[0].key_pem, read->certificates[0].key_pem) << "kept, not issued anew";
  auto rows = db->list("", "", "elbv2.certificate").value();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(json::print(rows[0].body).find("PRIVATE"), std::string::npos);
}

TEST_F(Elbv2Test, TheLinkSendsSnapshotsAndTakesEvents) {
  net::TestLoop loop;
  loop.run([&] {
    std::vector<internal::EdgeSnapshot> got;
    std::shared_ptr<net::Channel> channel;
    auto listen = [&] {
      return std::make_unique<net::ChannelListener>(
          net::listen_messages(folder + "/run/edge.sock").value(), "edge",
          [&](std::unique_ptr<net::Channel> c) {
            channel = std::move(c);
            channel->on_message([&](net::Message m) -> Result<net::Message> {
              auto text = TRY(sys::read_all(m.fds.at(0).get(), 1 << 20));
              auto value = TRY(json::parse(text));
              got.push_back(TRY(internal::edge_snapshot(value)));
              net::Message answer;
              answer.body = object({{"number", got.back().number}});
              return answer;
            });
          });
    };
    auto edge = listen();
    EdgeLink link({*db, *keyring, others, board, clock, folder});
    link.start();
    auto wait = [&](auto until) {
      for (int i = 0; i < 300 && !until(); ++i) net::sleep_for(10);
      return until();
    };
    ASSERT_TRUE(wait([&] { return got.size() == 1; })) << "an empty one first";
    auto lb = balancer();
    auto g = group();
    listener(lb, "HTTP", forward(g));
    ASSERT_EQ(code("RegisterTargets", target(g, "10.10.1.5")), "");
    ASSERT_TRUE(wait(
        [&] { return !got.back().target_groups.empty() && !got.back().target_groups[0].targets.empty(); }));
    EXPECT_GT(got.back().number, got.front().number);
    auto say = [&](Value body) {
      net::Message m;
      m.body = std::move(body);
      return channel->call(std::move(m), 5 * kSecond).ok();
    };
    EXPECT_TRUE(say(object({{"kind", "target.health"},
                            {"target_group", g},
                            {"target", "10.10.1.5:8080"},
                            {"state", "healthy"},
                            {"at", clock.wall() + 5}})));
    EXPECT_EQ(state(health(g)), "healthy");
    internal::AccessEntry entry;
    entry.time = entry.created = clock.wall();
    entry.balancer = lb;
    entry.type = "http";
    entry.status = 200;
    auto batch = object({{"kind", "access"},
                         {"source", "s"},
                         {"sequence", 1},
                         {"entries", array({internal::to_json(entry)})}});
    EXPECT_TRUE(say(batch));
    EXPECT_TRUE(say(batch));
    ASSERT_EQ(others.lines.size(), 1u) << "a batch counts once";
    EXPECT_EQ(others.lines[0].substr(0, 17), "/aws/elb/web http");
    // Nothing left on the leaving target: it goes at once.
    ASSERT_EQ(code("DeregisterTargets", target(g, "10.10.1.5")), "");
    ASSERT_TRUE(wait([&] { return got.back().target_groups[0].targets[0].draining; }));
    EXPECT_TRUE(say(object({{"kind", "target.health"},
                            {"target_group", g},
                            {"target", "10.10.1.5:8080"},
                            {"state", "draining"},
                            {"at", clock.wall()}})));
    EXPECT_EQ(state(health(g)), "none");
    ASSERT_TRUE(wait([&] { return got.back().target_groups[0].targets.empty(); }));
    // Edge is started anew: it gets the snapshot again.
    auto before = got.size();
    channel->close();
    ASSERT_TRUE(wait([&] { return got.size() > before; }));
  });
}

}  // namespace
}  // namespace bastide::services
