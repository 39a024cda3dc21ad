#include "delivery/image_stage.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "delivery/image_build.h"

namespace bastide::delivery {
namespace {

json::Array strings(const std::vector<std::string>& all) { return json::Array(all.begin(), all.end()); }

Result<void> expose(StageState& stage, const std::string& word) {
  const size_t slash = word.find('/');
  const std::string protocol = slash == std::string::npos ? "tcp" : lower(word.substr(slash + 1));
  const std::string ports = word.substr(0, slash);
  const size_t dash = ports.find('-');
  auto first = parse_int(ports.substr(0, dash));
  auto last = dash == std::string::npos ? parse_int(ports) : parse_int(ports.substr(dash + 1));
  if (!first || !last || first.value() < 1 || last.value() > 65535 || first.value() > last.value() ||
      (protocol != "tcp" && protocol != "udp" && protocol != "sctp")) {
    return error(fmt::format("{} is not a port: EXPOSE 8080 or 8080/udp", word.substr(0, 60)));
  }
  for (int64_t port = first.value(); port <= last.value(); ++port) {
    stage.config["ExposedPorts"][fmt::format("{}/{}", port, protocol)] = json::object();
  }
  return {};
}

std::vector<std::string> command_of(const StageState& stage, const Instruction& in) {
  if (in.exec_form) return in.words;
  std::vector<std::string> out = stage.shell;
  out.push_back(in.text);
  return out;
}

Result<void> argument(StageState& stage, const Instruction& in, char escape, const Lookup& lookup) {
  const auto pairs = TRY(read_pairs(in, escape));
  for (size_t i = 0; i < pairs.size(); ++i) {
    const auto& [name, value] = pairs[i];
    if (stage.arguments.count(name)) continue;  // given from outside
    if (in.words[i].find('=') == std::string::npos) continue;
    stage.arguments[name] = TRY(substitute(value, escape, lookup));
  }
  return {};
}

}  // namespace

StageState StageState::from_config(const json::Value& image) {
  StageState s;
  if (const auto* config = image.find("config"); config && config->is_object()) s.config = *config;
  s.history = image.get_array("history");
  for (const auto& e : s.config.get_array("Env")) {
    if (!e.is_string()) continue;
    const size_t equals = e.string().find('=');
    if (equals != std::string::npos)
      s.set_environment(e.string().substr(0, equals), e.string().substr(equals + 1));
  }
  return s;
}

Lookup StageState::lookup() const {
  return [this](const std::string& name) -> std::optional<std::string> {
    for (const auto& [key, value] : environment) {
      if (key == name) return value;
    }
    const auto it = arguments.find(name);
    if (it == arguments.end()) return std::nullopt;
    return it->second;
  };
}

void StageState::set_environment(const std::string& name, const std::string& value) {
  for (auto& [key, old] : environment) {
    if (key == name) {
      old = value;
      return;
    }
  }
  environment.emplace_back(name, value);
}

std::string StageState::working_folder() const {
  const std::string folder = config.get("WorkingDir");
  return folder.empty() ? "/" : folder;
}

// https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md
json::Value StageState::image_config(Millis created) const {
  json::Value config_part = config;
  if (!environment.empty()) {
    json::Array env;
    for (const auto& [key, value] : environment) env.emplace_back(key + "=" + value);
    config_part["Env"] = std::move(env);
  }
  json::Array ids;
  for (const auto& layer : layers) ids.emplace_back(layer.diff_id);
  return json::object({{"created", iso8601(created)},
                       {"architecture", host_architecture()},
                       {"os", "linux"},
                       {"config", std::move(config_part)},
                       {"rootfs", json::object({{"type", "layers"}, {"diff_ids", std::move(ids)}})},
                       {"history", history}});
}

Result<bool> configure(StageState& stage, const Instruction& in, char escape,
                       const std::function<void(std::string)>& warn) {
  const Lookup lookup = stage.lookup();
  const std::string& k = in.keyword;
  json::Value& config = stage.config;
  const auto expand = [&](std::string_view text) { return substitute(text, escape, lookup); };
  if (k == "ENV" || k == "LABEL") {
    // All words of one instruction see the values from before it.
    std::vector<std::pair<std::string, std::string>> done;
    const auto pairs = TRY(read_pairs(in, escape));
    for (const auto& [name, value] : pairs) {
      auto real_name = TRY(expand(name));
      auto real_value = TRY(expand(value));
      done.emplace_back(std::move(real_name), std::move(real_value));
    }
    for (const auto& [name, value] : done) {
      if (k == "ENV") {
        stage.set_environment(name, value);
      } else {
        config["Labels"][name] = value;
      }
    }
  } else if (k == "ARG") {
    TRY(argument(stage, in, escape, lookup));
  } else if (k == "USER") {
    config["User"] = TRY(expand(in.text));
  } else if (k == "EXPOSE") {
    for (const auto& word : in.words) {
      const std::string port = TRY(expand(word));
      TRY(expose(stage, port));
    }
  } else if (k == "CMD") {
    config["Cmd"] = strings(command_of(stage, in));
    stage.has_command = true;
  } else if (k == "ENTRYPOINT") {
    config["Entrypoint"] = strings(command_of(stage, in));
    if (!stage.has_command) config.remove("Cmd");
  } else if (k == "STOPSIGNAL") {
    config["StopSignal"] = TRY(expand(in.text));
  } else if (k == "SHELL") {
    if (in.words.empty()) return error("SHELL takes an array of strings: [\"/bin/sh\", \"-c\"]");
    stage.shell = in.words;
  } else if (k == "VOLUME") {
    for (const auto& word : in.words) {
      const std::string path = TRY(expand(word));
      config["Volumes"][path] = json::object();
    }
  } else if (k == "MAINTAINER") {
    warn("MAINTAINER is deprecated: kept as the label maintainer");
    config["Labels"]["maintainer"] = in.text;
  } else if (k == "HEALTHCHECK") {
    warn("HEALTHCHECK is left out: OCI images have none; say healthCheck in the task definition");
  } else {
    return false;
  }
  return true;
}

}  // namespace bastide::delivery
