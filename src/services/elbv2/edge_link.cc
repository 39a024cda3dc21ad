#include "services/elbv2/edge_link.h"

#include <algorithm>

#include "base/crypto.h"
#include "base/log.h"
#include "net/loop.h"
#include "net/message.h"
#include "services/elbv2/access_logs.h"
#include "services/elbv2/common.h"
#include "services/elbv2/elbv2.h"
#include "services/elbv2/snapshot.h"
#include "sys/file.h"

namespace bastide::services {
namespace {
constexpr Millis kRound = 5 * kSecond;  // how often drained targets are looked for
constexpr Millis kReconnect = 500;
constexpr Millis kAnswer = 30 * kSecond;
}  // namespace

struct EdgeLink::Impl : std::enable_shared_from_this<EdgeLink::Impl> {
  Parts parts;
  LocalCertificates certificates;
  AccessLogs logs;
  net::Event wake;
  std::shared_ptr<net::Channel> channel;
  bool stopped = false, changed = true;
  int64_t acknowledged = 0;
  std::string sent;  // digest of what edge has, without its number

  explicit Impl(Parts p)
      : parts(std::move(p)),
        certificates(parts.database, parts.keyring, parts.clock, parts.home),
        logs(parts.client, parts.observe) {}

  Result<void> connect() {
    auto fresh = TRY(net::Channel::connect(parts.home + "/run/edge.sock", "control", 5 * kSecond));
    channel = std::move(fresh);
    sent.clear();
    channel->on_message(
        [self = shared_from_this()](net::Message message) { return self->event(std::move(message)); });
    channel->on_close([self = shared_from_this()] { self->wake.set(); });
    return {};
  }

  Result<void> send() {
    changed = false;
    auto compiled = compile_snapshot(parts.database, certificates, parts.source);
    if (!compiled) {
      changed = true;
      return std::move(compiled).error();
    }
    auto snapshot = std::move(*compiled);
    if (parts.more) {
      auto added = parts.more(snapshot);
      if (added && !snapshot.distributions.empty()) added = own_names(snapshot);
      if (!added) {
        changed = true;
        return added;
      }
    }
    auto digest = sha256(json::print(internal::to_json(snapshot)));
    if (digest == sent) {
      if (parts.sent) parts.sent(snapshot);
      return {};
    }
    TRY(parts.database.write([&](store::Writer& writer) -> Result<void> {
      snapshot.number = TRY(writer.next("elbv2.snapshot"));
      return {};
    }));
    auto fd = TRY(sys::memory_file("edge-snapshot", json::print(internal::to_json(snapshot)), true));
    net::Message message;
    message.body = json::object({{"kind", "snapshot"}, {"number", snapshot.number}});
    message.fds.push_back(std::move(fd));
    auto answer = channel->call(std::move(message), kAnswer);
    if (!answer) {
      changed = true;
      return std::move(answer).error();
    }
    acknowledged = snapshot.number;
    sent = digest;
    if (parts.sent) parts.sent(snapshot);
    return {};
  }

  // One certificate for the names under AWS's own domain, and the authority for origins over HTTPS.
  Result<void> own_names(internal::EdgeSnapshot& snapshot) {
    std::vector<std::string> names;
    for (const auto& d : snapshot.distributions) names.push_back(d.domain);
    snapshot.certificates.push_back(TRY(certificates.certificate(std::move(names))));
    snapshot.authority_pem = TRY(certificates.authority()).certificate_pem;
    return {};
  }

  // Takes targets out whose deregistration is over: `arn` and `target` of one that has no request left, or
  // those whose time is up.
  Result<void> take_out(const std::string& arn, const std::string& target) {
    const auto now = parts.clock.wall();
    auto over = [&](const json::Value& group, const json::Value& t) {
      if (!t.has("DrainUntil")) return false;
      auto id = t.get("Id") + ":" + std::to_string(t.get_int("Port"));
      return t.get_int("DrainUntil") <= now || (group.get("TargetGroupArn") == arn && id == target);
    };
    auto any = [&](const json::Value& group) {
      const auto& targets = group.get_array("Targets");
      return std::any_of(targets.begin(), targets.end(),
                         [&](const json::Value& t) { return over(group, t); });
    };
    for (const auto& r : TRY(parts.database.list("*", "*", elbv2::kTargetGroup.kind))) {
      if (!any(r.body)) continue;
      TRY(parts.database.write([&](store::Writer& writer) -> Result<void> {
        auto fresh = TRY(writer.get(r.key));
        if (!fresh) return {};
        auto& group = fresh->body;
        std::erase_if(group["Targets"].array(), [&](const json::Value& t) { return over(group, t); });
        TRY(writer.put(r.key, group));
        return writer.emit(kElbEdgeTopic, r.key.id);
      }));
    }
    return {};
  }

  Result<net::Message> event(net::Message message) {
    const auto& body = message.body;
    auto kind = body.get("kind");
    net::Message done;
    done.body = json::object();
    if (kind == "target.health") {
      auto group = body.get("target_group"), target = body.get("target");
      if (body.get("state") == "draining") {
        TRY(take_out(group, target));
        parts.board.forget(group, target);
      } else {
        parts.board.set(group, target,
                        {body.get("state"), body.get("reason"), body.get("description"), body.get_int("at")});
      }
      TRY(parts.database.write([&](store::Writer& writer) { return writer.emit(kElbHealthTopic, group); }));
      return done;
    }
    if (kind == "access") {
      TRY(logs.take(body));
      return done;
    }
    return error("Invalid", "control has no event '" + kind + "' of edge");
  }

  void run() {
    while (!stopped) {
      Result<void> done;
      if (!channel || channel->closed()) {
        done = connect();
        changed = true;
      }
      if (done) done = take_out("", "");
      if (done && changed) done = send();
      if (!done) {
        log::debug("elbv2: edge: {}", done.error().message);
        wake.wait_for(kReconnect);
      } else if (!changed) {
        wake.wait_for(kRound);
      }
    }
    if (channel) channel->close();
  }
};

EdgeLink::EdgeLink(Parts parts) : impl_(std::make_shared<Impl>(std::move(parts))) {}

EdgeLink::~EdgeLink() {
  impl_->stopped = true;
  impl_->wake.set();
}

Result<json::Value> EdgeLink::ask(json::Value request) {
  auto channel = impl_->channel;
  if (!channel || channel->closed()) return error("Closed", "edge is not connected");
  net::Message message;
  message.body = std::move(request);
  auto answer = TRY(channel->call(std::move(message), kAnswer));
  return std::move(answer.body);
}

int64_t EdgeLink::acknowledged() const { return impl_->acknowledged; }

void EdgeLink::start() {
  auto topics = impl_->parts.topics;
  topics.emplace_back(kElbEdgeTopic);
  for (const auto& topic : topics) {
    impl_->parts.database.listen(topic, [impl = impl_](const std::string&) {
      impl->changed = true;
      impl->wake.set();
    });
  }
  net::spawn([impl = impl_] { impl->run(); });
}

}  // namespace bastide::services
