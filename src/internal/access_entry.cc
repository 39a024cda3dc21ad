#include <fmt/format.h>

#include "base/time.h"
#include "internal/edge.h"

namespace bastide::internal {
namespace {

// As ELB writes them: quoted, other bytes than printable ASCII as \xHH.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (unsigned char c : text.empty() ? std::string("-") : text) {
    if (c == '"' || c == '\\' || c < 0x20 || c > 0x7e)
      out += fmt::format("\\x{:02x}", c);
    else
      out += static_cast<char>(c);
  }
  return out + '"';
}

const char* or_dash(const std::string& text) { return text.empty() ? "-" : text.c_str(); }

// 2022-05-01T22:23:00.186000Z
std::string micros(Millis t) {
  auto text = iso8601(t - t % 1000);
  text.pop_back();
  return fmt::format("{}.{:03}000Z", text, t % 1000);
}

std::string seconds(double s) { return s < 0 ? "-1" : fmt::format("{:.3f}", s); }

double real(const json::Value& v, std::string_view key) {
  const auto* found = v.find(key);
  return found != nullptr && found->is_number() ? found->number() : -1;
}

}  // namespace

json::Value to_json(const AccessEntry& e) {
  return json::object({{"type", e.type},
                       {"time", e.time},
                       {"account", e.account},
                       {"balancer", e.balancer},
                       {"client", e.client},
                       {"target", e.target},
                       {"request_time", e.request_time},
                       {"target_time", e.target_time},
                       {"response_time", e.response_time},
                       {"status", e.status},
                       {"target_status", e.target_status},
                       {"received", e.received},
                       {"sent", e.sent},
                       {"request", e.request},
                       {"user_agent", e.user_agent},
                       {"ssl_cipher", e.ssl_cipher},
                       {"ssl_protocol", e.ssl_protocol},
                       {"target_group", e.target_group},
                       {"trace_id", e.trace_id},
                       {"domain_name", e.domain_name},
                       {"rule_priority", e.rule_priority},
                       {"created", e.created},
                       {"action", e.action},
                       {"redirect_url", e.redirect_url},
                       {"error_reason", e.error_reason}});
}

Result<AccessEntry> access_entry(const json::Value& v) {
  if (!v.is_object()) return error("Invalid", "an access entry is an object");
  AccessEntry e;
  e.type = v.get("type");
  e.time = v.get_int("time");
  e.account = v.get("account");
  e.balancer = v.get("balancer");
  e.client = v.get("client");
  e.target = v.get("target");
  e.request_time = real(v, "request_time");
  e.target_time = real(v, "target_time");
  e.response_time = real(v, "response_time");
  e.status = static_cast<int>(v.get_int("status"));
  e.target_status = static_cast<int>(v.get_int("target_status"));
  e.received = v.get_int("received");
  e.sent = v.get_int("sent");
  e.request = v.get("request");
  e.user_agent = v.get("user_agent");
  e.ssl_cipher = v.get("ssl_cipher");
  e.ssl_protocol = v.get("ssl_protocol");
  e.target_group = v.get("target_group");
  e.trace_id = v.get("trace_id");
  e.domain_name = v.get("domain_name");
  e.rule_priority = static_cast<int>(v.get_int("rule_priority", -1));
  e.created = v.get_int("created");
  e.action = v.get("action");
  e.redirect_url = v.get("redirect_url");
  e.error_reason = v.get("error_reason");
  if (e.time <= 0) return error("Invalid", "an access entry without a time");
  return e;
}

std::string log_line(const AccessEntry& e) {
  auto at = e.balancer.find("loadbalancer/");
  auto name = at == std::string::npos ? e.balancer : e.balancer.substr(at + 13);
  auto target_status = e.target_status == 0 ? std::string("-") : std::to_string(e.target_status);
  return fmt::format(
      "{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} \"-\" {} {} {} {} {} {} {} \"-\" \"-\"",
      e.type, micros(e.time), or_dash(name), or_dash(e.client), or_dash(e.target), seconds(e.request_time),
      seconds(e.target_time), seconds(e.response_time), e.status, target_status, e.received, e.sent,
      quoted(e.request), quoted(e.user_agent), or_dash(e.ssl_cipher), or_dash(e.ssl_protocol),
      or_dash(e.target_group), quoted(e.trace_id), quoted(e.domain_name), e.rule_priority, micros(e.created),
      quoted(e.action), quoted(e.redirect_url), quoted(e.error_reason), quoted(e.target),
      quoted(e.target_status == 0 ? "" : target_status));
}

}  // namespace bastide::internal
