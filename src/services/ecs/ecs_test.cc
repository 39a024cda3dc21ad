// A service's life on a runner that is made up: what users of ECS see while tasks come, fail, are replaced
// and go.
#include "services/ecs/ecs.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "base/crypto.h"
#include "net/http_client.h"
#include "net/socket.h"
#include "net/test_loop.h"
#include "sys/file.h"

namespace bastide::services {
namespace {

namespace m = model::ecs;
namespace op = model::ecs::op;

constexpr const char* kAccount = "444455556666";
constexpr const char* kRegion = "eu-west-1";
constexpr const char* kGroup = "arn:aws:elasticloadbalancing:eu-west-1:444455556666:targetgroup/web/1";

struct FakeRunner : ecs::Runner {
  Events events;
  std::map<std::string, internal::TaskSpec> specs;
  std::map<std::string, internal::TaskState> states;
  std::set<std::string> layers;
  std::string die_at_start;  // an environment entry: tasks with it end at once
  uint16_t credentials_port = 0;

  void on_events(Events e) override { events = std::move(e); }
  bool connected() const override { return true; }
  Result<std::vector<std::string>> missing_layers(const std::vector<std::string>& all) override {
    std::vector<std::string> out;
    for (const auto& d : all) {
      if (!layers.count(d)) out.push_back(d);
    }
    return out;
  }
  Result<void> put_layer(const std::string& digest, const std::string&, sys::Fd blob) override {
    EXPECT_TRUE(blob);
    layers.insert(digest);
    return {};
  }
  Result<void> ensure_network(const internal::NetworkSpec& n) override {
    EXPECT_EQ(n.cidr, "10.10.0.0/16");
    return {};
  }
  ecs::TaskListeners make_listeners() {
    ecs::TaskListeners out;
    out.credentials = net::listen_tcp("127.0.0.1", 0).value();
    out.api = net::listen_tcp("127.0.0.1", 0).value();
    credentials_port = net::local_port(out.credentials.get()).value();
    return out;
  }
  Result<std::pair<internal::TaskState, ecs::TaskListeners>> start(const internal::TaskSpec& spec) override {
    specs[spec.id] = spec;
    internal::TaskState state;
    state.id = spec.id;
    state.account = spec.account;
    state.address = spec.address;
    state.state = "running";
    state.started_at = Clock::system().wall();
    states[spec.id] = state;
    const auto& env = spec.image.environment;
    if (!die_at_start.empty() && std::find(env.begin(), env.end(), die_at_start) != env.end()) {
      net::spawn([this, id = spec.id] { end(id, 1); });
    }
    return std::make_pair(state, make_listeners());
  }
  void end(const std::string& id, int status) {
    if (!states.count(id) || states[id].state == "stopped") return;
    auto& s = states[id];
    s.state = "stopped";
    s.exit_status = status;
    EXPECT_TRUE(events.changed(s));
  }
  Result<void> stop(const std::string& id, Millis) override {
    if (!states.count(id)) return error("NotFound", "no such task");
    net::spawn([this, id] { end(id, 143); });
    return {};
  }
  Result<std::vector<internal::TaskState>> list() override {
    std::vector<internal::TaskState> out;
    for (const auto& [id, s] : states) out.push_back(s);
    return out;
  }
  Result<ecs::TaskListeners> listeners(const std::string&) override { return make_listeners(); }
  Result<void> forget(const std::string& id) override {
    states.erase(id);
    return {};
  }
  std::vector<std::string> running() const {
    std::vector<std::string> out;
    for (const auto& [id, s] : states) {
      if (s.state == "running") out.push_back(id);
    }
    return out;
  }
};

// The other services, as far as ECS asks them.
struct Others : aws::LocalClient {
  std::map<std::string, std::string> targets;  // address: state
  bool healthy = true;
  std::string manifest;
  std::vector<std::string> lines;
  std::vector<std::string> streams;
  std::vector<std::string> pulled_by;

  Result<json::Value> call(const aws::Principal& who, const std::string&, const std::string&,
                           const std::string& service, const std::string& operation,
                           const json::Value& input) override {
    if (operation == "DescribeSubnets") {
      return json::object({{"Subnets", json::array({json::object({{"SubnetId", "subnet-1"},
                                                                  {"VpcId", "vpc-1"},
                                                                  {"CidrBlock", "10.10.1.0/24"},
                                                                  {"AvailabilityZone", "eu-west-1b"}})})}});
    }
    if (operation == "DescribeVpcs") {
      return json::object({{"Vpcs", json::array({json::object({{"CidrBlock", "10.10.0.0/16"}})})}});
    }
    if (operation == "RegisterTargets" || operation == "DeregisterTargets") {
      const std::string address = input.get_array("Targets").front().get("Id");
      if (operation == "RegisterTargets") {
        targets[address] = "initial";
      } else {
        targets.erase(address);
      }
      return json::object();
    }
    if (operation == "DescribeTargetHealth") {
      json::Array all;
      for (const auto& [address, state] : targets) {
        all.push_back(
            json::object({{"Target", json::object({{"Id", address}, {"Port", 8080}})},
                          {"TargetHealth", json::object({{"State", healthy ? "healthy" : "unhealthy"},
                                                         {"Description", "Health checks failed"}})}}));
      }
      return json::object({{"TargetHealthDescriptions", std::move(all)}});
    }
    if (operation == "BatchGetImage") {
      pulled_by.push_back(who.arn);
      if (input.get_array("imageIds").front().get("imageTag") == "gone") {
        return json::object({{"images", json::Array{}}});
      }
      EXPECT_EQ(input.get("registryId"), "111122223333");
      return json::object(
          {{"images",
            json::array({json::object({{"imageManifest", manifest},
                                       {"imageId", json::object({{"imageDigest", "sha256:abc"}})}})})}});
    }
    if (operation == "CreateLogStream") {
      streams.push_back(input.get("logStreamName"));
      return json::object();
    }
    if (operation == "PutLogEvents") {
      for (const auto& e : input.get_array("logEvents")) lines.push_back(e.get("message"));
      return json::object();
    }
    return fault("NotExpected", service + " " + operation);
  }
  Result<void> call_typed(const aws::Principal&, const std::string&, const std::string&,
                          const std::string& service, const std::string& operation, const void*,
                          void*) override {
    return fault("NotExpected", service + " " + operation);
  }
};

struct EcsTest : testing::Test {
  std::string folder = "/tmp/bastide-ecs-" + std::to_string(::getpid());
  net::TestLoop loop;
  std::unique_ptr<store::Database> database;
  std::unique_ptr<store::Blobs> blobs;
  std::unique_ptr<store::Keyring> keyring;
  FakeRunner runner;
  Others others;
  std::unique_ptr<Ecs> ecs;
  aws::Registry registry;

  void SetUp() override {
    (void)sys::remove_tree(folder);
    ASSERT_TRUE(sys::make_folders(folder));
    database = store::Database::open(folder + "/metadata.sqlite", Clock::system()).value();
    blobs = store::Blobs::open(folder + "/blobs").value();
    keyring = store::Keyring::open(folder + "/master.key", folder + "/check").value();
    const std::string config =
        blobs->put(R"({"config":{"Entrypoint":["/app"],"Env":["A=image","B=image"]}})").value();
    const std::string layer = blobs->put("a layer").value();
    others.manifest = R"({"schemaVersion":2,"config":{"digest":")" + config + R"("},"layers":[{"digest":")" +
                      layer + R"(","mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":7}]})";
    make();
    ecs->offer(registry);
  }
  void make() {
    auto mint = [](const std::string& role, const std::string&) -> Result<ecs::RoleSession> {
      ecs::RoleSession s;
      s.principal.kind = aws::Principal::Kind::assumed_role;
      s.principal.arn = role + "/session";
      s.principal.account = kAccount;
      s.access_key_id = "ASIAEXAMPLE";
      s.secret_access_key = "secret";
      s.session_token = "token";
      s.expires_at = Clock::system().wall() + kHour;
      return s;
    };
    ecs = std::make_unique<Ecs>(
        EcsParts{*database, *blobs, *keyring, others, Clock::system(), runner, mint, [](net::Exchange& x) {
                   (void)x.respond({204, {}, "", {}}).ok();
                 }});
  }
  void TearDown() override {
    ecs.reset();
    database.reset();
    (void)sys::remove_tree(folder);
  }

  template <class Op>
  Result<typename Op::Response> call(const typename Op::Request& request) {
    aws::Call c;
    c.principal.account = c.account = kAccount;
    c.principal.arn = "arn:aws:iam::444455556666:user/admin";
    c.region = kRegion;
    c.now = Clock::system().wall();
    typename Op::Response response;
    TRY(registry.find("ecs", Op::operation.name)->run(c, &request, &response));
    return response;
  }
  std::string define(const std::string& value, const std::string& tag = "v1") {
    m::RegisterTaskDefinitionRequest r;
    r.family = "web";
    r.cpu = "256";
    r.memory = "512";
    r.task_role_arn = "arn:aws:iam::444455556666:role/task";
    r.execution_role_arn = "arn:aws:iam::444455556666:role/execution";
    auto& c = r.container_definitions.emplace_back();
    c.name = "web";
    c.image = "127.0.0.1:4566/111122223333/web:" + tag;
    c.port_mappings.emplace().emplace_back().container_port = 8080;
    auto& env = c.environment.emplace().emplace_back();
    env.name = "B";
    env.value = value;
    auto& log = c.log_configuration.emplace();
    log.log_driver = "awslogs";
    log.options.emplace() = {
        {"awslogs-group", "/ecs/web"}, {"awslogs-region", kRegion}, {"awslogs-stream-prefix", "web"}};
    auto made = call<op::RegisterTaskDefinition>(r);
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return made ? *made.value().task_definition->task_definition_arn : "";
  }
  void serve(const std::string& definition, int desired = 1, bool rollback = true) {
    m::CreateClusterRequest cluster;
    cluster.cluster_name = "stage";
    ASSERT_TRUE(call<op::CreateCluster>(cluster));
    m::CreateServiceRequest r;
    r.cluster = "stage";
    r.service_name = "web";
    r.task_definition = definition;
    r.desired_count = desired;
    r.network_configuration.emplace().awsvpc_configuration.emplace().subnets = {"subnet-1"};
    auto& b = r.load_balancers.emplace().emplace_back();
    b.target_group_arn = kGroup;
    b.container_name = "web";
    b.container_port = 8080;
    auto& breaker = r.deployment_configuration.emplace().deployment_circuit_breaker.emplace();
    breaker.enable = true;
    breaker.rollback = rollback;
    auto made = call<op::CreateService>(r);
    ASSERT_TRUE(made) << made.error().message;
  }
  m::Service describe() {
    m::DescribeServicesRequest r;
    r.cluster = "stage";
    r.services = {"web"};
    return call<op::DescribeServices>(r).value().services->front();
  }
  bool wait_for(const std::function<bool()>& done, Millis patience = 8 * kSecond) {
    const Millis until = Clock::system().steady() + patience;
    while (!done()) {
      if (Clock::system().steady() > until) return false;
      net::sleep_for(10);
    }
    return true;
  }
  bool completed(const std::string& definition) {
    const auto s = describe();
    return s.deployments->size() == 1 && *s.deployments->front().rollout_state == "COMPLETED" &&
           *s.deployments->front().task_definition == definition;
  }
  bool said(const std::string& text) {
    const auto s = describe();
    return std::any_of(s.events->begin(), s.events->end(),
                       [&](const auto& e) { return e.message->find(text) != std::string::npos; });
  }
  void update(const std::string& definition) {
    m::UpdateServiceRequest r;
    r.cluster = "stage";
    r.service = "web";
    r.task_definition = definition;
    auto done = call<op::UpdateService>(r);
    ASSERT_TRUE(done) << done.error().message;
  }
};

TEST_F(EcsTest, ServiceComesUpServesIsReplacedAndGoes) {
  loop.run([&] {
    ASSERT_TRUE(ecs->start());
    const std::string first = define("one");
    serve(first, 2);
    ASSERT_TRUE(wait_for([&] { return completed(first); }));
    ASSERT_TRUE(wait_for([&] { return said("(service web) has reached a steady state."); }));
    EXPECT_EQ(*describe().running_count, 2);
    EXPECT_EQ(others.targets.size(), 2u);
    for (const auto& [id, spec] : runner.specs) {
      EXPECT_TRUE(spec.address.starts_with("10.10.1."));
      const auto& env = spec.image.environment;
      EXPECT_NE(std::find(env.begin(), env.end(), "A=image"), env.end());
      EXPECT_NE(std::find(env.begin(), env.end(), "B=one"), env.end()) << "the definition's value wins";
      EXPECT_NE(std::find(env.begin(), env.end(), "AWS_ENDPOINT_URL=http://169.254.170.2:4566"), env.end());
    }
    EXPECT_EQ(others.pulled_by.front(), "arn:aws:iam::444455556666:role/execution/session");

    const auto old = runner.running();
    const std::string second = define("two");
    update(second);
    ASSERT_TRUE(wait_for([&] { return completed(second); }));
    EXPECT_EQ(runner.running().size(), 2u);
    for (const auto& id : old) EXPECT_EQ(runner.states[id].state, "stopped");

    m::DeleteServiceRequest remove;
    remove.cluster = "stage";
    remove.service = "web";
    EXPECT_EQ(call<op::DeleteService>(remove).error().message,
              "The service cannot be stopped while it is scaled above 0.");
    remove.force = true;
    ASSERT_TRUE(call<op::DeleteService>(remove));
    ASSERT_TRUE(wait_for([&] { return *describe().status == "INACTIVE"; }));
    EXPECT_TRUE(runner.running().empty());
    EXPECT_TRUE(others.targets.empty());
  });
}

TEST_F(EcsTest, TaskThatDiesIsReplacedAndSaysWhy) {
  loop.run([&] {
    ASSERT_TRUE(ecs->start());
    const std::string definition = define("one");
    serve(definition);
    ASSERT_TRUE(wait_for([&] { return completed(definition); }));
    const std::string id = runner.running().front();
    runner.states[id].reason = "OutOfMemory";
    runner.end(id, 137);
    ASSERT_TRUE(wait_for([&] { return runner.running().size() == 1 && runner.running().front() != id; }));
    m::DescribeTasksRequest r;
    r.cluster = "stage";
    r.tasks = {id};
    const auto task = call<op::DescribeTasks>(r).value().tasks->front();
    EXPECT_EQ(*task.last_status, "STOPPED");
    EXPECT_EQ(*task.stop_code, "EssentialContainerExited");
    EXPECT_EQ(*task.stopped_reason, "Essential container in task exited");
    EXPECT_EQ(*task.containers->front().exit_code, 137);
    EXPECT_EQ(*task.containers->front().reason, "OutOfMemoryError: Container killed due to memory usage");
  });
}

TEST_F(EcsTest, DeploymentThatNeverGetsUpIsRolledBack) {
  loop.run([&] {
    ASSERT_TRUE(ecs->start());
    const std::string good = define("one");
    serve(good);
    ASSERT_TRUE(wait_for([&] { return completed(good); }));
    const std::string served_by = runner.running().front();
    runner.die_at_start = "B=bad";
    const std::string bad = define("bad");
    update(bad);
    ASSERT_TRUE(wait_for([&] { return said("deployment failed: tasks failed to start."); }, 20 * kSecond));
    ASSERT_TRUE(wait_for([&] { return completed(good); }, 20 * kSecond));
    EXPECT_TRUE(said("rolling back to deployment"));
    EXPECT_EQ(*describe().task_definition, good);
    EXPECT_EQ(runner.running().size(), 1u);
  });
}

TEST_F(EcsTest, ImageThatIsNotThereStopsTheTaskInWords) {
  loop.run([&] {
    ASSERT_TRUE(ecs->start());
    const std::string definition = define("one", "gone");
    m::CreateClusterRequest cluster;
    ASSERT_TRUE(call<op::CreateCluster>(cluster));
    m::RunTaskRequest run;
    run.task_definition = definition;
    run.network_configuration.emplace().awsvpc_configuration.emplace().subnets = {"subnet-1"};
    const auto started = call<op::RunTask>(run).value();
    m::DescribeTasksRequest r;
    r.tasks = {*started.tasks->front().task_arn};
    ASSERT_TRUE(wait_for(
        [&] { return *call<op::DescribeTasks>(r).value().tasks->front().last_status == "STOPPED"; }));
    const auto task = call<op::DescribeTasks>(r).value().tasks->front();
    EXPECT_EQ(*task.stop_code, "TaskFailedToStart");
    EXPECT_EQ(*task.stopped_reason,
              "CannotPullContainerError: 127.0.0.1:4566/111122223333/web:gone: not found");
  });
}

TEST_F(EcsTest, OutputIsKeptOnceAndCredentialsAreTheTasksOwn) {
  loop.run([&] {
    ASSERT_TRUE(ecs->start());
    const std::string definition = define("one");
    serve(definition);
    ASSERT_TRUE(wait_for([&] { return completed(definition); }));
    const std::string id = runner.running().front();
    EXPECT_EQ(others.streams.front(), "web/web/" + id);
    const ecs::TaskOutput out{id, 7, 0, {{1000, "hello"}, {1001, "world"}}};
    EXPECT_TRUE(runner.events.output(out));
    EXPECT_TRUE(runner.events.output(out)) << "repeated by the runner";
    EXPECT_EQ(others.lines, (std::vector<std::string>{"hello", "world"}));

    std::string path;
    for (const auto& e : runner.specs[id].image.environment) {
      if (e.starts_with("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=")) path = e.substr(39);
    }
    net::HttpClient client(net::Endpoint{false, "127.0.0.1", runner.credentials_port, ""});
    net::Request request;
    request.method = "GET";
    request.target = path;
    const auto answer = client.send(request).value();
    EXPECT_EQ(json::parse(answer.body).value().get("AccessKeyId"), "ASIAEXAMPLE");
    request.target = "/v2/credentials/00000000000000000000000000000000";
    EXPECT_EQ(client.send(request).value().status, 400);
    request.target = "/v4/" + id + "-0/task";
    EXPECT_EQ(json::parse(client.send(request).value().body).value().get("Family"), "web");
  });
}

TEST_F(EcsTest, ControlThatComesBackTakesItsTasksOver) {
  loop.run([&] {
    ASSERT_TRUE(ecs->start());
    const std::string definition = define("one");
    serve(definition, 2);
    ASSERT_TRUE(wait_for([&] { return completed(definition); }));
    // While control was away one task ended for good with the host, and another one is nobody's.
    const auto before = runner.running();
    runner.states.erase(before[0]);
    internal::TaskState stranger;
    stranger.id = "ffffffffffffffffffffffffffffffff";
    stranger.state = "running";
    runner.states[stranger.id] = stranger;
    runner.events.connected();
    ASSERT_TRUE(wait_for([&] { return !runner.states.count(stranger.id); }));
    ASSERT_TRUE(wait_for([&] { return *describe().running_count == 2 && runner.running().size() == 2; }));
    EXPECT_EQ(runner.states[before[1]].state, "running") << "what ran on is kept";
  });
}

TEST_F(EcsTest, WhatIsNotDoneIsRefusedByName) {
  loop.run([&] {
    m::RegisterTaskDefinitionRequest r;
    r.family = "web";
    auto& c = r.container_definitions.emplace_back();
    c.name = "web";
    c.image = "web";
    c.privileged = true;
    auto refused = call<op::RegisterTaskDefinition>(r);
    EXPECT_EQ(refused.error().code, "ClientException");
    EXPECT_NE(refused.error().message.find("privileged"), std::string::npos);
    c.privileged = false;
    r.requires_compatibilities = {"FARGATE"};
    r.cpu = "300";
    r.memory = "512";
    EXPECT_NE(call<op::RegisterTaskDefinition>(r).error().message.find("No Fargate configuration"),
              std::string::npos);
    m::DescribeServicesRequest describe;
    describe.services = {"x"};
    EXPECT_EQ(call<op::DescribeServices>(describe).error().code, "ClusterNotFoundException");
  });
}

}  // namespace
}  // namespace bastide::services
