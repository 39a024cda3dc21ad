#include "services/ecs/runner_link.h"

#include "base/log.h"
#include "net/loop.h"
#include "net/socket.h"

namespace bastide::services::ecs {
namespace {

constexpr Millis kConnect = 5 * kSecond;
constexpr Millis kRetry = 200;
constexpr Millis kAnswer = kMinute;
constexpr Millis kUnpack = 15 * kMinute;
constexpr size_t kMaxLines = 10'000;

net::Message message(const char* kind, json::Value body) {
  body["kind"] = kind;
  net::Message m;
  m.body = std::move(body);
  return m;
}

TaskOutput output_from(const json::Value& body) {
  TaskOutput out;
  out.id = body.get("id");
  out.sequence = body.get_int("sequence");
  out.dropped = body.get_int("dropped");
  for (const auto& line : body.get_array("lines")) {
    if (out.lines.size() == kMaxLines) break;
    out.lines.push_back({line.get_int("time"), line.get("text")});
  }
  return out;
}

// Which descriptor is which: by the ports that runner says, else by their order.
TaskListeners listeners_from(std::vector<sys::Fd> fds, const std::string& credentials_address) {
  TaskListeners out;
  if (fds.size() < 2) return out;
  const size_t colon = credentials_address.rfind(':');
  const std::string wanted = colon == std::string::npos ? "80" : credentials_address.substr(colon + 1);
  const auto second = net::local_port(fds[1].get());
  const bool swapped = second && std::to_string(second.value()) == wanted;
  out.credentials = std::move(fds[swapped ? 1 : 0]);
  out.api = std::move(fds[swapped ? 0 : 1]);
  return out;
}

}  // namespace

struct RunnerLink::Impl : std::enable_shared_from_this<RunnerLink::Impl> {
  std::string path;
  std::shared_ptr<net::Channel> channel;
  Events events;
  std::map<std::string, std::function<Result<void>(const json::Value&)>> others;
  bool stopped = false;
  net::Event closed;

  Result<net::Message> handle(net::Message m) {
    const std::string kind = m.body.get("kind");
    if (kind == "task.changed") {
      auto state = TRY(internal::task_state(m.body));
      if (events.changed) TRY(events.changed(std::move(state)));
    } else if (kind == "task.output") {
      if (events.output) TRY(events.output(output_from(m.body)));
    } else if (const auto it = others.find(kind); it != others.end()) {
      TRY(it->second(m.body));
    } else {
      return error("Invalid", "control knows no event " + kind);
    }
    net::Message answer;
    answer.body = json::object();
    return answer;
  }

  void keep_connected() {
    bool told = false;
    while (!stopped) {
      auto connection = net::Channel::connect(path, "control", kConnect);
      if (!connection) {
        if (!told) log::info("waiting for the runner: {}", connection.error().message);
        told = true;
        net::sleep_for(kRetry);
        continue;
      }
      told = false;
      channel = std::move(connection).value();
      std::weak_ptr<Impl> weak = weak_from_this();
      channel->on_message([weak](net::Message m) -> Result<net::Message> {
        const auto self = weak.lock();
        if (!self) return error("Closed", "control is ending");
        return self->handle(std::move(m));
      });
      channel->on_close([weak] {
        if (const auto self = weak.lock()) self->closed.set();
      });
      log::info("connected to the runner");
      if (events.connected) events.connected();
      while (!channel->closed() && !stopped) closed.wait_for(kMinute);
      channel.reset();
      net::sleep_for(kRetry);
    }
  }
};

RunnerLink::RunnerLink(std::string socket_path) : impl_(std::make_shared<Impl>()) {
  impl_->path = std::move(socket_path);
}

RunnerLink::~RunnerLink() {
  impl_->stopped = true;
  impl_->events = {};
  impl_->others.clear();
  impl_->closed.set();
}

void RunnerLink::start() {
  net::spawn([impl = impl_] { impl->keep_connected(); });
}

Result<net::Message> RunnerLink::call(net::Message request, Millis timeout) {
  const auto channel = impl_->channel;  // stays alive while this call waits
  if (!channel || channel->closed()) return error("Closed", "the runner is not there");
  auto answer = TRY(channel->call(std::move(request), timeout));
  if (const json::Value* failed = answer.body.find("error"); failed && failed->is_object()) {
    return error(failed->get("code"), failed->get("message"));
  }
  if (const json::Value* ok = answer.body.find("ok"); ok && ok->is_object()) {
    json::Value payload = *ok;
    answer.body = std::move(payload);
  }
  return answer;
}

void RunnerLink::on_other(std::string kind, std::function<Result<void>(const json::Value& body)> handler) {
  impl_->others[std::move(kind)] = std::move(handler);
}
void RunnerLink::on_events(Events events) { impl_->events = std::move(events); }
bool RunnerLink::connected() const { return impl_->channel && !impl_->channel->closed(); }

Result<std::vector<std::string>> RunnerLink::missing_layers(const std::vector<std::string>& digests) {
  json::Array asked(digests.begin(), digests.end());
  const auto answer =
      TRY(call(message("layers.missing", json::object({{"digests", std::move(asked)}})), kAnswer));
  std::vector<std::string> out;
  for (const auto& d : answer.body.get_array("digests")) {
    if (d.is_string()) out.push_back(d.string());
  }
  return out;
}

Result<void> RunnerLink::put_layer(const std::string& digest, const std::string& media_type, sys::Fd blob) {
  auto request = message("layers.put", json::object({{"digest", digest}, {"media_type", media_type}}));
  request.fds.push_back(std::move(blob));
  TRY(call(std::move(request), kUnpack));
  return {};
}

Result<void> RunnerLink::ensure_network(const internal::NetworkSpec& network) {
  TRY(call(message("network.ensure", internal::to_json(network)), kAnswer));
  return {};
}

Result<std::pair<internal::TaskState, TaskListeners>> RunnerLink::start(const internal::TaskSpec& task) {
  auto answer = TRY(call(message("task.start", internal::to_json(task)), kAnswer));
  auto state = TRY(internal::task_state(answer.body));
  auto listeners = listeners_from(std::move(answer.fds), state.credentials_address);
  return std::make_pair(std::move(state), std::move(listeners));
}

Result<void> RunnerLink::stop(const std::string& id, Millis timeout) {
  TRY(call(message("task.stop", json::object({{"id", id}, {"timeout_ms", timeout}})), timeout + kAnswer));
  return {};
}

Result<std::vector<internal::TaskState>> RunnerLink::list() {
  const auto answer = TRY(call(message("task.list", json::object()), kAnswer));
  std::vector<internal::TaskState> out;
  for (const auto& t : answer.body.get_array("tasks")) out.push_back(TRY(internal::task_state(t)));
  return out;
}

Result<TaskListeners> RunnerLink::listeners(const std::string& id) {
  auto answer = TRY(call(message("task.listeners", json::object({{"id", id}})), kAnswer));
  return listeners_from(std::move(answer.fds), "");
}

Result<void> RunnerLink::forget(const std::string& id) {
  TRY(call(message("task.forget", json::object({{"id", id}})), kAnswer));
  return {};
}

}  // namespace bastide::services::ecs
