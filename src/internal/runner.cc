#include "internal/runner.h"

namespace bastide::internal {
namespace {

json::Value strings(const std::vector<std::string>& list) {
  json::Array out;
  out.reserve(list.size());
  for (const auto& text : list) out.emplace_back(text);
  return out;
}

Error invalid(std::string_view member, std::string_view wanted) {
  return error("Invalid", std::string(member) + " is missing or not " + std::string(wanted));
}

// Reads members of one object; the first that is wrong is remembered.
class Reader {
 public:
  explicit Reader(const json::Value& from) : from_(from) {
    if (!from.is_object()) failure_ = error("Invalid", "the message is not an object");
  }

  void text(std::string_view name, std::string& into, bool required = false) {
    const json::Value* v = member(name, required, "text");
    if (!v) return;
    if (!v->is_string()) return fail(name, "text");
    into = v->string();
  }
  template <class Integer>
  void number(std::string_view name, Integer& into) {
    const json::Value* v = member(name, false, "an integer");
    if (!v) return;
    if (!v->is_int()) return fail(name, "an integer");
    into = static_cast<Integer>(v->integer());
  }
  void truth(std::string_view name, bool& into) {
    const json::Value* v = member(name, false, "true or false");
    if (!v) return;
    if (!v->is_bool()) return fail(name, "true or false");
    into = v->boolean();
  }
  void texts(std::string_view name, std::vector<std::string>& into) {
    const json::Value* v = member(name, false, "a list of texts");
    if (!v) return;
    if (!v->is_array()) return fail(name, "a list of texts");
    for (const auto& element : v->array()) {
      if (!element.is_string()) return fail(name, "a list of texts");
      into.push_back(element.string());
    }
  }
  const json::Value* member(std::string_view name, bool required, std::string_view wanted) {
    const json::Value* v = from_.find(name);
    if (v && !v->is_null()) return v;
    if (required) fail(name, wanted);
    return nullptr;
  }
  void fail(std::string_view name, std::string_view wanted) {
    if (failure_.message.empty()) failure_ = invalid(name, wanted);
  }

  template <class T>
  Result<T> finish(T value) {
    if (!failure_.message.empty()) return failure_;
    return value;
  }

 private:
  const json::Value& from_;
  Error failure_;
};

}  // namespace

json::Value to_json(const NetworkSpec& s) {
  return json::object({{"account", s.account}, {"vpc", s.vpc}, {"cidr", s.cidr}});
}

json::Value to_json(const ImageConfig& c) {
  return json::object({{"entrypoint", strings(c.entrypoint)},
                       {"command", strings(c.command)},
                       {"environment", strings(c.environment)},
                       {"user", c.user},
                       {"working_folder", c.working_folder},
                       {"stop_signal", c.stop_signal}});
}

json::Value to_json(const TaskSpec& s) {
  return json::object({{"id", s.id},
                       {"account", s.account},
                       {"vpc", s.vpc},
                       {"address", s.address},
                       {"layers", strings(s.layers)},
                       {"image", to_json(s.image)},
                       {"cpu_units", s.cpu_units},
                       {"memory_mib", s.memory_mib},
                       {"processes", s.processes},
                       {"read_only_root", s.read_only_root},
                       {"hostname", s.hostname}});
}

json::Value to_json(const TaskState& s) {
  return json::object({{"id", s.id},
                       {"account", s.account},
                       {"state", s.state},
                       {"address", s.address},
                       {"api_address", s.api_address},
                       {"credentials_address", s.credentials_address},
                       {"started_at", s.started_at},
                       {"stopped_at", s.stopped_at},
                       {"exit_status", s.exit_status},
                       {"reason", s.reason}});
}

json::Value to_json(const SandboxSpec& s) {
  return json::object({{"id", s.id},
                       {"account", s.account},
                       {"host_tools", s.host_tools},
                       {"layers", strings(s.layers)},
                       {"workspace", s.workspace},
                       {"cpu_units", s.cpu_units},
                       {"memory_mib", s.memory_mib},
                       {"processes", s.processes},
                       {"network", s.network}});
}

json::Value to_json(const SandboxExec& s) {
  return json::object({{"id", s.id},
                       {"argv", strings(s.argv)},
                       {"environment", strings(s.environment)},
                       {"folder", s.folder},
                       {"user", s.user},
                       {"timeout", s.timeout}});
}

Result<NetworkSpec> network_spec(const json::Value& v) {
  Reader r(v);
  NetworkSpec s;
  r.text("account", s.account, true);
  r.text("vpc", s.vpc, true);
  r.text("cidr", s.cidr);
  return r.finish(std::move(s));
}

Result<ImageConfig> image_config(const json::Value& v) {
  Reader r(v);
  ImageConfig c;
  r.texts("entrypoint", c.entrypoint);
  r.texts("command", c.command);
  r.texts("environment", c.environment);
  r.text("user", c.user);
  r.text("working_folder", c.working_folder);
  r.text("stop_signal", c.stop_signal);
  return r.finish(std::move(c));
}

Result<TaskSpec> task_spec(const json::Value& v) {
  Reader r(v);
  TaskSpec s;
  r.text("id", s.id, true);
  r.text("account", s.account, true);
  r.text("vpc", s.vpc);
  r.text("address", s.address);
  r.texts("layers", s.layers);
  if (const json::Value* image = r.member("image", true, "an image configuration")) {
    auto config = TRY(image_config(*image));
    s.image = std::move(config);
  }
  r.number("cpu_units", s.cpu_units);
  r.number("memory_mib", s.memory_mib);
  r.number("processes", s.processes);
  r.truth("read_only_root", s.read_only_root);
  r.text("hostname", s.hostname);
  return r.finish(std::move(s));
}

Result<TaskState> task_state(const json::Value& v) {
  Reader r(v);
  TaskState s;
  r.text("id", s.id, true);
  r.text("account", s.account);
  r.text("state", s.state, true);
  r.text("address", s.address);
  r.text("api_address", s.api_address);
  r.text("credentials_address", s.credentials_address);
  r.number("started_at", s.started_at);
  r.number("stopped_at", s.stopped_at);
  r.number("exit_status", s.exit_status);
  r.text("reason", s.reason);
  return r.finish(std::move(s));
}

Result<SandboxSpec> sandbox_spec(const json::Value& v) {
  Reader r(v);
  SandboxSpec s;
  r.text("id", s.id, true);
  r.text("account", s.account, true);
  r.truth("host_tools", s.host_tools);
  r.texts("layers", s.layers);
  r.text("workspace", s.workspace);
  r.number("cpu_units", s.cpu_units);
  r.number("memory_mib", s.memory_mib);
  r.number("processes", s.processes);
  r.truth("network", s.network);
  return r.finish(std::move(s));
}

Result<SandboxExec> sandbox_exec(const json::Value& v) {
  Reader r(v);
  SandboxExec s;
  r.text("id", s.id, true);
  r.texts("argv", s.argv);
  r.texts("environment", s.environment);
  r.text("folder", s.folder);
  r.text("user", s.user);
  r.number("timeout", s.timeout);
  return r.finish(std::move(s));
}

}  // namespace bastide::internal
