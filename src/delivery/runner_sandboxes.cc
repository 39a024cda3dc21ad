#include "delivery/runner_sandboxes.h"

#include "net/loop.h"

namespace bastide::delivery {
namespace {

constexpr Millis kAnswer = 2 * kMinute;
constexpr Millis kUnpack = 15 * kMinute;

net::Message message(const char* kind, json::Value body) {
  body["kind"] = kind;
  net::Message m;
  m.body = std::move(body);
  return m;
}

// The payload, with or without its envelope.
const json::Value& payload(const net::Message& answer) {
  const json::Value* ok = answer.body.find("ok");
  return ok != nullptr && ok->is_object() ? *ok : answer.body;
}

}  // namespace

Result<void> RunnerSandboxes::ensure_layers(const std::vector<std::string>& digests) {
  if (digests.empty()) return {};
  json::Array asked(digests.begin(), digests.end());
  auto answer = TRY(call_(message("layers.missing", json::object({{"digests", std::move(asked)}})), kAnswer));
  for (const auto& d : payload(answer).get_array("digests")) {
    if (!d.is_string()) continue;
    auto put =
        message("layers.put", json::object({{"digest", d.string()},
                                            {"media_type", "application/vnd.oci.image.layer.v1.tar+gzip"}}));
    put.fds.push_back(TRY(net::offload_result([&] { return blobs_.open_read(d.string()); })));
    TRY(call_(std::move(put), kUnpack));
  }
  return {};
}

Result<void> RunnerSandboxes::open(const internal::SandboxSpec& spec, sys::Fd workspace) {
  TRY(ensure_layers(spec.layers));
  auto request = message("sandbox.open", internal::to_json(spec));
  if (workspace) request.fds.push_back(std::move(workspace));
  TRY(call_(std::move(request), kUnpack));
  return {};
}

Result<Sandboxes::Exit> RunnerSandboxes::exec(const internal::SandboxExec& step, const Output& output) {
  outputs_[step.id] = output;
  auto answer = call_(message("sandbox.exec", internal::to_json(step)), step.timeout + kAnswer);
  outputs_.erase(step.id);
  if (!answer) return std::move(answer).error();
  const json::Value& body = payload(answer.value());
  return Exit{static_cast<int>(body.get_int("status", -1)), body.get_bool("timed_out")};
}

Result<sys::Fd> RunnerSandboxes::export_tar(const std::string& id, const std::string& what) {
  auto answer = TRY(call_(message("sandbox.export", json::object({{"id", id}, {"what", what}})), kUnpack));
  if (answer.fds.empty()) return error("runner sent no archive of the sandbox");
  return std::move(answer.fds.front());
}

Result<void> RunnerSandboxes::close(const std::string& id) {
  TRY(call_(message("sandbox.close", json::object({{"id", id}})), kAnswer));
  return {};
}

void RunnerSandboxes::on_output(const std::string& id, std::string_view text) {
  const auto it = outputs_.find(id);
  if (it != outputs_.end() && it->second) it->second(text);
}

}  // namespace bastide::delivery
