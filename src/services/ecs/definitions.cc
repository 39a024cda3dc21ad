// Task definitions.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "services/ecs/ecs.h"

namespace bastide::services {

using ecs::Place;

namespace {

constexpr size_t kPage = 100;

Error client(std::string message) { return fault("ClientException", std::move(message)); }

bool given(const json::Value& in, const char* member) {
  const json::Value* v = in.find(member);
  if (v == nullptr || v->is_null()) return false;
  if (v->is_array()) return !v->array().empty();
  if (v->is_bool()) return v->boolean();
  if (v->is_object()) return !v->object().empty();
  if (v->is_string()) return !v->string().empty();
  return true;
}

Result<void> refuse(const json::Value& in, const std::string& where,
                    std::initializer_list<const char*> members) {
  for (const char* member : members) {
    if (given(in, member)) return client(fmt::format("{}{} is not supported by this ECS.", where, member));
  }
  return {};
}

// CPU units and the MiB that go with them on Fargate.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
bool fargate_size(int64_t cpu, int64_t memory) {
  const auto within = [&](int64_t low, int64_t high, int64_t step) {
    return memory >= low * 1024 && memory <= high * 1024 && memory % (step * 1024) == 0;
  };
  switch (cpu) {
    case 256:
      return memory == 512 || memory == 1024 || memory == 2048;
    case 512:
      return within(1, 4, 1);
    case 1024:
      return within(2, 8, 1);
    case 2048:
      return within(4, 16, 1);
    case 4096:
      return within(8, 30, 1);
    case 8192:
      return within(16, 60, 4);
    case 16384:
      return within(32, 120, 8);
    default:
      return false;
  }
}

Result<int64_t> amount(const std::string& text, const char* unit, int64_t scale) {
  std::string_view t = trim(text);
  auto plain = parse_int(t);
  if (plain && plain.value() > 0) return plain.value();
  const std::string low = lower(t);
  if (low.size() > std::string_view(unit).size() && low.ends_with(unit)) {
    const std::string number(
        trim(std::string_view(low).substr(0, low.size() - std::string_view(unit).size())));
    char* end = nullptr;
    const double value = std::strtod(number.c_str(), &end);
    if (end && *end == '\0' && value > 0 && value < 1e6)
      return static_cast<int64_t>(value * static_cast<double>(scale));
  }
  return client(fmt::format("Invalid 'cpu' or 'memory' setting for task: {}", text.substr(0, 60)));
}

Result<void> check_container(const json::Value& c) {
  const std::string name = c.get("name");
  if (name.empty()) return client("Container.name should not be null or empty.");
  if (c.get("image").empty()) return client("Container.image should not be null or empty.");
  TRY(refuse(c, fmt::format("Container '{}': ", name),
             {"repositoryCredentials",
              "links",
              "restartPolicy",
              "environmentFiles",
              "mountPoints",
              "volumesFrom",
              "dependsOn",
              "privileged",
              "dnsServers",
              "dnsSearchDomains",
              "extraHosts",
              "dockerSecurityOptions",
              "interactive",
              "pseudoTerminal",
              "ulimits",
              "systemControls",
              "resourceRequirements",
              "firelensConfiguration",
              "credentialSpecs",
              "disableNetworking",
              "healthCheck",
              "linuxParameters"}));
  if (c.has("essential") && !c.get_bool("essential"))
    return client("Invalid 'essential' setting: a task needs an essential container.");
  if (const json::Value* log = c.find("logConfiguration"); log && log->is_object()) {
    if (log->get("logDriver") != "awslogs") {
      return client(
          fmt::format("Container '{}': the log driver {} is not supported by this ECS; use awslogs.", name,
                      log->get("logDriver")));
    }
    TRY(refuse(*log, "logConfiguration.", {"secretOptions"}));
    const json::Value* options = log->find("options");
    if (!options || options->get("awslogs-group").empty()) {
      return client("Log driver awslogs requires options: awslogs-group");
    }
    if (options->get("awslogs-region").empty())
      return client("Log driver awslogs requires options: awslogs-region");
    if (options->get("awslogs-stream-prefix").empty()) {
      return client("Log driver awslogs requires options: awslogs-stream-prefix");
    }
  }
  for (const auto& m : c.get_array("portMappings")) {
    const int64_t port = m.get_int("containerPort");
    if (port < 1 || port > 65535)
      return client("Invalid 'containerPort' setting for container '" + name + "'");
    if (m.has("hostPort") && m.get_int("hostPort") != 0 && m.get_int("hostPort") != port) {
      return client(
          "When networkMode=awsvpc, the host ports and container ports in port mappings must match.");
    }
    TRY(refuse(m, "portMappings.", {"containerPortRange"}));
  }
  return {};
}

}  // namespace

namespace ecs {

Result<int64_t> cpu_units(const std::string& text) { return amount(text, "vcpu", 1024); }
Result<int64_t> memory_mib(const std::string& text) { return amount(text, "gb", 1024); }

Result<void> check_definition(const json::Value& in) {
  const std::string mode = in.get("networkMode", "awsvpc");
  if (mode != "awsvpc") {
    return client(fmt::format("networkMode {} is not supported by this ECS; use awsvpc.", mode));
  }
  TRY(refuse(in, "",
             {"volumes", "placementConstraints", "pidMode", "ipcMode", "proxyConfiguration",
              "inferenceAccelerators", "ephemeralStorage", "enableFaultInjection"}));
  const auto& containers = in.get_array("containerDefinitions");
  if (containers.empty()) return client("Container list cannot be empty.");
  if (containers.size() > 1) return client("This ECS runs one container a task; the definition has more.");
  if (const json::Value* platform = in.find("runtimePlatform")) {
    const std::string system = platform->get("operatingSystemFamily", "LINUX");
    if (system != "LINUX")
      return client("operatingSystemFamily " + system + " is not supported by this ECS.");
  }
  bool fargate = false;
  for (const auto& c : in.get_array("requiresCompatibilities")) {
    if (c.string() == "FARGATE") fargate = true;
    if (c.string() == "EXTERNAL" || c.string() == "MANAGED_INSTANCES") {
      return client("requiresCompatibilities " + c.string() + " is not supported by this ECS.");
    }
  }
  if (fargate && (in.get("cpu").empty() || in.get("memory").empty())) {
    return client("Fargate requires that 'cpu' be defined at the task level.");
  }
  if (!in.get("cpu").empty() && !in.get("memory").empty()) {
    const int64_t cpu = TRY(cpu_units(in.get("cpu")));
    const int64_t memory = TRY(memory_mib(in.get("memory")));
    if (fargate && !fargate_size(cpu, memory)) {
      return client(
          fmt::format("No Fargate configuration exists for given values: {} CPU, {} memory. See the Amazon "
                      "ECS documentation for the valid values.",
                      cpu, memory));
    }
  }
  for (const auto& c : containers) {
    TRY(check_container(c));
    TRY(check_secrets(c, in.get("executionRoleArn")));
  }
  return {};
}

}  // namespace ecs

// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
Result<json::Value> Ecs::register_task_definition(Call& call, const json::Value& in) {
  const Place p{call.account, call.region};
  TRY(ecs::check_definition(in));
  json::Value d = in;
  const std::string family = in.get("family");
  json::Array containers = in.get_array("containerDefinitions");
  for (auto& c : containers) {
    c["essential"] = true;
    if (!c.has("cpu")) c["cpu"] = 0;
    for (const char* list : {"environment", "mountPoints", "volumesFrom", "portMappings", "systemControls"}) {
      if (!c.has(list)) c[list] = json::Array{};
    }
    json::Array ports = c.get_array("portMappings");
    for (auto& port : ports) {
      port["hostPort"] = port.get_int("containerPort");
      if (!port.has("protocol")) port["protocol"] = "tcp";
    }
    c["portMappings"] = std::move(ports);
  }
  d["containerDefinitions"] = std::move(containers);
  d["networkMode"] = "awsvpc";
  d["status"] = "ACTIVE";
  d["compatibilities"] = json::array({"EC2", "FARGATE"});
  d["registeredAt"] = call.now;
  d["registeredBy"] = call.principal.arn;
  d["volumes"] = json::Array{};
  d["placementConstraints"] = json::Array{};
  TRY(parts_.database.write([&](store::Writer& w) -> Result<void> {
    const int64_t revision = TRY(w.next("ecs.revision/" + p.account + "/" + p.region + "/" + family));
    d["revision"] = revision;
    d["taskDefinitionArn"] = ecs::definition_arn(p, family, revision);
    return w.put(ecs::definition_key(p, family, revision), d);
  }));
  json::Value out = json::object({{"taskDefinition", d}});
  if (in.has("tags")) out["tags"] = in.get_array("tags");
  return out;
}

Result<json::Value> Ecs::deregister_task_definition(Call& call, const json::Value& in) {
  const Place p{call.account, call.region};
  if (ecs::short_name(in.get("taskDefinition")).find(':') == std::string::npos) {
    return fault("InvalidParameterException", "Missing revision. Expected family:revision");
  }
  json::Value d;
  TRY(parts_.database.write([&](store::Writer& w) -> Result<void> {
    d = TRY(ecs::load_definition(w, p, in.get("taskDefinition")));
    d["status"] = "INACTIVE";
    d["deregisteredAt"] = call.now;
    return w.put(ecs::definition_key(p, d.get("family"), d.get_int("revision")), d);
  }));
  return json::object({{"taskDefinition", d}});
}

Result<json::Value> Ecs::describe_task_definition(Call& call, const json::Value& in) {
  json::Value out = json::object();
  TRY(parts_.database.read([&](store::Reader& r) -> Result<void> {
    out["taskDefinition"] =
        TRY(ecs::load_definition(r, {call.account, call.region}, in.get("taskDefinition")));
    return {};
  }));
  const auto& include = in.get_array("include");
  if (!include.empty()) out["tags"] = out["taskDefinition"].get_array("tags");
  return out;
}

Result<json::Value> Ecs::list_task_definitions(Call& call, const json::Value& in) {
  const std::string family = in.get("familyPrefix");
  const std::string status = in.get("status", "ACTIVE");
  const auto page = static_cast<size_t>(in.get_int("maxResults", kPage));
  json::Value out = json::object({{"taskDefinitionArns", json::Array{}}});
  TRY(parts_.database.read([&](store::Reader& r) -> Result<void> {
    auto rows = TRY(r.list(call.account, call.region, "ecs.taskdef"));
    if (in.get("sort") == "DESC") std::reverse(rows.begin(), rows.end());
    bool begun = in.get("nextToken").empty();
    std::string last;
    for (const auto& row : rows) {
      if (!begun) {
        begun = row.key.id == in.get("nextToken");
        continue;
      }
      if (row.body.get("status") != status) continue;
      if (!family.empty() && row.body.get("family") != family) continue;
      if (out.get_array("taskDefinitionArns").size() == page) {
        out["nextToken"] = last;
        break;
      }
      out["taskDefinitionArns"].push(row.body.get("taskDefinitionArn"));
      last = row.key.id;
    }
    return {};
  }));
  return out;
}

Result<json::Value> Ecs::list_task_definition_families(Call& call, const json::Value& in) {
  const std::string prefix = in.get("familyPrefix");
  const std::string status = in.get("status", "ALL");
  const auto page = static_cast<size_t>(in.get_int("maxResults", kPage));
  json::Value out = json::object({{"families", json::Array{}}});
  TRY(parts_.database.read([&](store::Reader& r) -> Result<void> {
    const auto rows = TRY(r.list(call.account, call.region, "ecs.taskdef", "", 1'000'000, prefix));
    std::map<std::string, bool> active;
    for (const auto& row : rows) active[row.body.get("family")] |= row.body.get("status") == "ACTIVE";
    for (const auto& [family, is_active] : active) {
      if (family <= in.get("nextToken")) continue;
      if (status != "ALL" && (status == "ACTIVE") != is_active) continue;
      if (out.get_array("families").size() == page) {
        out["nextToken"] = out.get_array("families").back().string();
        break;
      }
      out["families"].push(family);
    }
    return {};
  }));
  return out;
}

}  // namespace bastide::services
