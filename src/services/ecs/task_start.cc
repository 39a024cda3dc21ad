// Bringing a task up: its address, its image, its logs, then the runner.
#include <fmt/format.h>

#include "aws/image_name.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "net/loop.h"
#include "services/ecs/ecs.h"

namespace bastide::services {

using ecs::Place;

namespace {

constexpr size_t kMaxConfig = 4u << 20;
constexpr Millis kRenewBefore = 10 * kMinute;

// A failure that is the task's own, in the words of its stoppedReason.
Error own_failure(std::string reason) { return error("TaskFailedToStart", std::move(reason)); }

uint32_t ip_number(const std::string& text) {
  uint32_t out = 0;
  for (std::string_view part : split(text, '.')) {
    auto n = parse_int(part);
    out = out << 8 | static_cast<uint32_t>(n ? n.value() & 255 : 0);
  }
  return out;
}
std::string ip_text(uint32_t n) {
  return fmt::format("{}.{}.{}.{}", n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255);
}

std::vector<std::string> strings(const json::Array& all) {
  std::vector<std::string> out;
  for (const auto& v : all) {
    if (v.is_string()) out.push_back(v.string());
  }
  return out;
}

const json::Value* override_of(const json::Value& task, const std::string& container) {
  const json::Value* overrides = task.find("overrides");
  if (!overrides) return nullptr;
  for (const auto& c : overrides->get_array("containerOverrides")) {
    if (c.get("name") == container) return &c;
  }
  return nullptr;
}

void set_variable(std::vector<std::string>& all, const std::string& name, const std::string& value) {
  for (auto& e : all) {
    if (e.starts_with(name + "=")) {
      e = name + "=" + value;
      return;
    }
  }
  all.push_back(name + "=" + value);
}

bool retryable(const Error& e) { return e.code == "Closed" || e.code == "Timeout"; }

}  // namespace

Result<aws::Principal> Ecs::execution_principal(const json::Value& task) {
  const std::string role = task.get("_execution_role");
  if (role.empty()) return ecs::service_principal();
  auto it = sessions_.find(role);
  if (it == sessions_.end() || it->second.expires_at - parts_.clock.wall() < kRenewBefore) {
    auto session = TRY(parts_.mint(role, "ecs-tasks"));
    it = sessions_.insert_or_assign(role, std::move(session)).first;
  }
  return it->second.principal;
}

// An address of one of the subnets: AWS keeps the first four and the last.
// https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
Result<void> Ecs::place_in_network(const Place& p, json::Value& task, internal::TaskSpec& spec) {
  const json::Value* network = task.find("_network");
  const json::Value* vpc_part = network ? network->find("awsvpcConfiguration") : nullptr;
  if (!vpc_part) return own_failure("The task has no network configuration");
  const auto ec2 = [&](const char* operation, const json::Value& input) {
    return parts_.client.call(ecs::service_principal(), p.account, p.region, "ec2", operation, input);
  };
  auto answer = ec2("DescribeSubnets", json::object({{"SubnetIds", vpc_part->get_array("subnets")}}));
  if (!answer) {
    if (!answer.error().fault) return std::move(answer).error();
    return own_failure("ResourceInitializationError: unable to find the subnets: " + answer.error().message);
  }
  const auto& subnets = answer.value().get_array("Subnets");
  if (subnets.empty()) return own_failure("ResourceInitializationError: the subnets do not exist");
  spec.vpc = subnets.front().get("VpcId");
  const auto vpcs = TRY(ec2("DescribeVpcs", json::object({{"VpcIds", json::array({spec.vpc})}})));
  if (vpcs.get_array("Vpcs").empty())
    return own_failure("ResourceInitializationError: the VPC does not exist");
  TRY(parts_.runner.ensure_network({p.account, spec.vpc, vpcs.get_array("Vpcs").front().get("CidrBlock")}));

  const std::string group = task.get("group");
  const std::string service = group.starts_with("service:") ? group.substr(8) : "";
  std::string subnet_id, zone;
  const size_t first = static_cast<size_t>(std::stoul(spec.id.substr(0, 7), nullptr, 16));
  TRY(parts_.database.write([&](store::Writer& w) -> Result<void> {
    const auto used_rows = TRY(w.list(p.account, p.region, "ecs.address", "", 1'000'000, spec.vpc + "/"));
    std::set<std::string> used;
    for (const auto& row : used_rows) {
      if (row.body.get("task") != spec.id) {
        used.insert(row.key.id);
        continue;
      }
      spec.address = row.key.id.substr(spec.vpc.size() + 1);  // kept from before a restart
      subnet_id = row.body.get("subnet");
    }
    for (size_t i = 0; i < subnets.size() && spec.address.empty(); ++i) {
      const json::Value& subnet = subnets[(first + i) % subnets.size()];
      const std::string cidr = subnet.get("CidrBlock");
      const size_t slash = cidr.find('/');
      auto bits = parse_int(slash == std::string::npos ? "" : cidr.substr(slash + 1));
      if (!bits || bits.value() < 16 || bits.value() > 28) continue;
      const uint32_t base = ip_number(cidr.substr(0, slash));
      // From a place that the task's random id chooses: an address that was just left rests.
      const uint32_t size = (1u << (32 - bits.value())) - 5;
      for (uint32_t n = 0; n < size; ++n) {
        const std::string address = ip_text(base + 4 + (first + n) % size);
        if (used.count(spec.vpc + "/" + address)) continue;
        spec.address = address;
        subnet_id = subnet.get("SubnetId");
        break;
      }
    }
    if (spec.address.empty()) return {};
    TRY(w.emit("ec2.network", p.account + "/" + p.region + "/" + spec.vpc));
    return w.put({p.account, p.region, "ecs.address", spec.vpc + "/" + spec.address},
                 json::object({{"task", spec.id}, {"subnet", subnet_id}, {"groups", vpc_part->get_array("securityGroups")}, {"service", service}}));
  }));
  if (spec.address.empty()) return own_failure("RESOURCE:ENI: the subnets have no free address");
  for (const auto& s : subnets) {
    if (s.get("SubnetId") == subnet_id) zone = s.get("AvailabilityZone");
  }
  task["_reserved"] = spec.vpc + "/" + spec.address;
  if (!zone.empty()) task["availabilityZone"] = zone;
  const std::string attachment = spec.id.substr(0, 8) + "-" + spec.id.substr(8, 4) + "-" +
                                 spec.id.substr(12, 4) + "-" + spec.id.substr(16, 4) + "-" +
                                 spec.id.substr(20, 12);
  const auto detail = [](const char* name, const std::string& value) {
    return json::object({{"name", name}, {"value", value}});
  };
  task["attachments"] = json::array(
      {json::object({{"id", attachment},
                     {"type", "ElasticNetworkInterface"},
                     {"status", "ATTACHED"},
                     {"details", json::array({detail("subnetId", subnet_id),
                                              detail("networkInterfaceId", "eni-" + spec.id.substr(0, 17)),
                                              detail("privateIPv4Address", spec.address)})}})});
  json::Array containers = task.get_array("containers");
  for (auto& c : containers) {
    c["networkInterfaces"] =
        json::array({json::object({{"attachmentId", attachment}, {"privateIpv4Address", spec.address}})});
  }
  task["containers"] = std::move(containers);
  spec.hostname = fmt::format("ip-{}.{}.compute.internal", replace_all(spec.address, ".", "-"), p.region);
  return {};
}

Result<void> Ecs::pull(const Place& p, json::Value& task, internal::TaskSpec& spec) {
  json::Array containers = task.get_array("containers");
  const std::string image = containers.front().get("image");
  const auto cannot = [&](const std::string& why) {
    return own_failure(fmt::format("CannotPullContainerError: {}: {}", image, why));
  };
  auto name = aws::parse_image_name(image);
  if (!name) return cannot(name.error().message);
  auto principal = execution_principal(task);
  if (!principal) return cannot("the execution role cannot be assumed: " + principal.error().message);
  json::Value id = name.value().digest.empty() ? json::object({{"imageTag", name.value().tag}})
                                               : json::object({{"imageDigest", name.value().digest}});
  json::Value manifest;
  for (int depth = 0; depth < 2; ++depth) {
    json::Value input =
        json::object({{"repositoryName", name.value().repository}, {"imageIds", json::array({id})}});
    if (!name.value().account.empty()) input["registryId"] = name.value().account;
    auto answer = parts_.client.call(principal.value(), p.account, p.region, "ecr", "BatchGetImage", input);
    if (!answer) {
      if (answer.error().fault) return cannot(answer.error().message);
      return std::move(answer).error();
    }
    const auto& images = answer.value().get_array("images");
    if (images.empty()) return cannot("not found");
    if (const json::Value* found = images.front().find("imageId")) {
      containers.front()["imageDigest"] = found->get("imageDigest");
    }
    auto parsed = json::parse(images.front().get("imageManifest"));
    if (!parsed) return cannot("its manifest cannot be read");
    manifest = std::move(parsed).value();
    if (!manifest.has("manifests")) break;
    std::string chosen;
    for (const auto& m : manifest.get_array("manifests")) {
      const json::Value* platform = m.find("platform");
      const bool here = platform && platform->get("os") == "linux" &&
#if defined(__aarch64__)
                        platform->get("architecture") == "arm64";
#else
                        platform->get("architecture") == "amd64";
#endif
      if (here && chosen.empty()) chosen = m.get("digest");
    }
    if (chosen.empty()) return cannot("no manifest of the index is for this machine");
    id = json::object({{"imageDigest", chosen}});
  }
  task["containers"] = std::move(containers);
  const json::Value* config = manifest.find("config");
  if (!config) return cannot("its manifest has no configuration");
  const std::string config_digest = config->get("digest");
  auto text = net::offload_result([&] { return parts_.blobs.read(config_digest, kMaxConfig); });
  if (!text) return cannot("its configuration is missing");
  auto parsed = json::parse(text.value());
  if (!parsed) return cannot("its configuration cannot be read");
  std::map<std::string, std::string> types;
  for (const auto& layer : manifest.get_array("layers")) {
    spec.layers.push_back(layer.get("digest"));
    types[layer.get("digest")] = layer.get("mediaType");
  }
  if (const json::Value* c = parsed.value().find("config")) {
    spec.image.entrypoint = strings(c->get_array("Entrypoint"));
    spec.image.command = strings(c->get_array("Cmd"));
    spec.image.environment = strings(c->get_array("Env"));
    spec.image.user = c->get("User");
    spec.image.working_folder = c->get("WorkingDir");
    spec.image.stop_signal = c->get("StopSignal");
  }
  const auto missing = TRY(parts_.runner.missing_layers(spec.layers));
  for (const auto& digest : missing) {
    auto fd = net::offload_result([&] { return parts_.blobs.open_read(digest); });
    if (!fd) return cannot("the layer " + digest + " is missing");
    auto put = parts_.runner.put_layer(digest, types[digest], std::move(fd).value());
    if (!put && retryable(put.error())) return put;
    if (!put) return cannot("the layer " + digest + " cannot be unpacked: " + put.error().message);
  }
  return {};
}

// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
Result<void> Ecs::prepare_logs(const Place& p, json::Value& task, const json::Value& container) {
  const json::Value* log = container.find("logConfiguration");
  const json::Value* options = log ? log->find("options") : nullptr;
  if (!options) return {};
  const std::string group = options->get("awslogs-group");
  const std::string stream =
      fmt::format("{}/{}/{}", options->get("awslogs-stream-prefix"), container.get("name"), task.get("_id"));
  const std::string region = options->get("awslogs-region", p.region);
  const auto failed = [&](const Error& e) -> Error {
    if (!e.fault) return e;
    return own_failure(
        fmt::format("ResourceInitializationError: failed to validate logger args: failed to create "
                    "Cloudwatch log stream: {}: {}",
                    e.code, e.message));
  };
  auto principal = execution_principal(task);
  if (!principal) return failed(principal.error());
  const auto logs = [&](const char* operation, const json::Value& input) {
    return parts_.client.call(principal.value(), p.account, region, "logs", operation, input);
  };
  if (options->get("awslogs-create-group") == "true") {
    auto made = logs("CreateLogGroup", json::object({{"logGroupName", group}}));
    if (!made && made.error().code != "ResourceAlreadyExistsException") return failed(made.error());
  }
  auto made = logs("CreateLogStream", json::object({{"logGroupName", group}, {"logStreamName", stream}}));
  if (!made && made.error().code != "ResourceAlreadyExistsException") return failed(made.error());
  task["_log"] = json::object({{"group", group}, {"stream", stream}, {"region", region}});
  return {};
}

Result<internal::TaskSpec> Ecs::prepare(const Place& p, json::Value& task, const json::Value& definition) {
  internal::TaskSpec spec;
  spec.id = task.get("_id");
  spec.account = p.account;
  const auto& containers = definition.get_array("containerDefinitions");
  if (containers.empty()) return own_failure("the task definition has no container");
  const json::Value& container = containers.front();
  spec.cpu_units = TRY(ecs::cpu_units(task.get("cpu")));
  spec.memory_mib = TRY(ecs::memory_mib(task.get("memory")));
  spec.read_only_root = container.get_bool("readonlyRootFilesystem");
  task["_stop_timeout"] = container.get_int("stopTimeout", 30) * kSecond;

  TRY(place_in_network(p, task, spec));
  TRY(pull(p, task, spec));
  TRY(prepare_logs(p, task, container));

  internal::ImageConfig& image = spec.image;
  if (container.has("entryPoint") && !container.get_array("entryPoint").empty()) {
    image.entrypoint = strings(container.get_array("entryPoint"));
    image.command.clear();
  }
  if (!container.get_array("command").empty()) image.command = strings(container.get_array("command"));
  if (!container.get("user").empty()) image.user = container.get("user");
  if (!container.get("workingDirectory").empty()) image.working_folder = container.get("workingDirectory");
  if (!container.get("hostname").empty()) spec.hostname = container.get("hostname");
  for (const auto& e : container.get_array("environment")) {
    set_variable(image.environment, e.get("name"), e.get("value"));
  }
  const auto& secrets = container.get_array("secrets");
  if (!secrets.empty()) {
    if (task.get("_execution_role").empty()) return own_failure("ResourceInitializationError: secrets need an execution role");
    const auto reader = TRY(execution_principal(task));
    for (const auto& s : secrets) {
      const std::string value = TRY(ecs::pull_secret(parts_.client, reader, p, s.get("valueFrom")));
      set_variable(image.environment, s.get("name"), value);
    }
  }
  if (const json::Value* over = override_of(task, container.get("name"))) {
    if (!over->get_array("command").empty()) image.command = strings(over->get_array("command"));
    for (const auto& e : over->get_array("environment")) {
      set_variable(image.environment, e.get("name"), e.get("value"));
    }
  }
  if (image.entrypoint.empty() && image.command.empty()) {
    return own_failure(
        "CannotStartContainerError: neither the image nor the task definition says what to run");
  }
  const std::string secret = random_text(32, "0123456789abcdef");
  task["_credentials"] = base64(parts_.keyring.seal("ecs.credentials", secret, spec.id));
  if (!task.get("_task_role").empty()) {
    set_variable(image.environment, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/" + secret);
  }
  set_variable(image.environment, "ECS_CONTAINER_METADATA_URI_V4",
               "http://169.254.170.2/v4/" + spec.id + "-0");
  set_variable(image.environment, "AWS_ENDPOINT_URL", "http://169.254.170.2:4566");
  set_variable(image.environment, "AWS_REGION", p.region);
  set_variable(image.environment, "AWS_DEFAULT_REGION", p.region);
  set_variable(image.environment, "AWS_EXECUTION_ENV",
               task.get("launchType") == "FARGATE" ? "AWS_ECS_FARGATE" : "AWS_ECS_EC2");
  return spec;
}

Result<void> Ecs::bring_up(const store::Key& key, json::Value task) {
  const Place p{key.account, key.region};
  json::Value definition;
  TRY(parts_.database.read([&](store::Reader& r) -> Result<void> {
    definition = TRY(ecs::load_definition(r, p, task.get("taskDefinitionArn")));
    return {};
  }));
  if (task.get_bool("_started")) {
    // Asked for before control ended: the runner may have it.
    const auto states = TRY(parts_.runner.list());
    for (const auto& state : states) {
      if (state.id == key.id) return adopt_one(state);
    }
  }
  const Millis pulling = parts_.clock.wall();
  const auto fail = [&](const Error& e) -> Result<void> {
    if (retryable(e)) return e;
    log::warn("task {} did not start: {}", key.id, e.message);
    return end_task(key, "TaskFailedToStart", e.message, [&](json::Value& t) {
      json::Array containers = t.get_array("containers");
      for (auto& c : containers) c["reason"] = e.message;
      t["containers"] = std::move(containers);
    });
  };
  auto spec = prepare(p, task, definition);
  if (!spec) {
    if (task.has("_reserved")) {
      TRY(change_task(key, [&](json::Value& t) { t["_reserved"] = task.get("_reserved"); }));
    }
    return fail(spec.error());
  }
  bool wanted = true;
  TRY(change_task(key, [&](json::Value& t) {
    wanted = t.get("desiredStatus") == "RUNNING";
    if (!wanted) return;
    t["lastStatus"] = "PENDING";
    t["_started"] = true;
    t["pullStartedAt"] = pulling;
    t["pullStoppedAt"] = parts_.clock.wall();
    for (const char* member : {"_reserved", "_credentials", "_log", "_stop_timeout", "attachments",
                               "containers", "availabilityZone"}) {
      if (const json::Value* v = task.find(member)) t[member] = *v;
    }
  }));
  if (!wanted) {
    // Asked to stop meanwhile: what was reserved for it goes back with its end.
    return change_task(key, [&](json::Value& t) { t["_reserved"] = task.get("_reserved"); });
  }
  starting_.insert(key.id);
  auto started = parts_.runner.start(spec.value());
  starting_.erase(key.id);
  if (!started) {
    // The address is still another task's, which is on its way out.
    if (started.error().code == "Exists") return std::move(started).error();
    return fail(error(started.error().code, "CannotStartContainerError: " + started.error().message));
  }
  auto& [state, listeners] = started.value();
  const auto row = TRY(parts_.database.get(key));
  if (row) open_doors(key, row->body, std::move(listeners));
  return changed(state);
}

}  // namespace bastide::services
