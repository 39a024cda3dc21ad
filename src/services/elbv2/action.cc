#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "services/elbv2/common.h"

namespace bastide::services::elbv2 {
namespace {

constexpr size_t kMaxConditionValues = 5;

Error bad_action(std::string message) { return fault("InvalidLoadBalancerAction", std::move(message)); }
Error bad_configuration(std::string message) {
  return fault("InvalidConfigurationRequest", std::move(message));
}

Result<json::Value> forward_of(store::Reader& reader, const aws::Call& call, const json::Value& action,
                               const std::string& vpc) {
  json::Array groups;
  const auto* config = action.find("ForwardConfig");
  if (config != nullptr) {
    const auto* sticky = config->find("TargetGroupStickinessConfig");
    if (sticky != nullptr && sticky->get_bool("Enabled"))
      return bad_configuration("Stickiness of target groups is not supported");
    groups = config->get_array("TargetGroups");
  }
  auto single = action.get("TargetGroupArn");
  if (groups.empty() && !single.empty()) groups.push_back(json::object({{"TargetGroupArn", single}}));
  if (groups.empty()) return bad_action("A target group ARN must be specified");
  if (groups.size() > 5) return fault("TooManyTargetGroups", "A forward action has at most 5 target groups");
  if (!single.empty() && (groups.size() != 1 || groups[0].get("TargetGroupArn") != single)) {
    return bad_action("You cannot specify both TargetGroupArn and a ForwardConfig with other target groups");
  }
  std::set<std::string> seen;
  json::Array out;
  for (const auto& g : groups) {
    auto arn = g.get("TargetGroupArn");
    auto weight = g.get_int("Weight", 1);
    if (weight < 0 || weight > 999) return validation("The weight of a target group is from 0 to 999");
    if (!seen.insert(arn).second)
      return bad_action("The target group '" + arn + "' is specified more than once");
    auto group = TRY(load(reader, call, kTargetGroup, arn));
    if (group.get("VpcId") != vpc)
      return bad_configuration("The following target groups are in a different VPC than load balancer: " +
                               arn);
    out.push_back(json::object({{"TargetGroupArn", arn}, {"Weight", weight}}));
  }
  auto result = json::object({{"Type", "forward"}});
  if (out.size() == 1) result["TargetGroupArn"] = out[0].get("TargetGroupArn");
  result["ForwardConfig"] =
      json::object({{"TargetGroups", std::move(out)},
                    {"TargetGroupStickinessConfig", json::object({{"Enabled", false}})}});
  return result;
}

Result<json::Value> redirect_of(const json::Value& action) {
  const auto* in = action.find("RedirectConfig");
  if (in == nullptr) return bad_action("A RedirectConfig must be specified");
  auto protocol = in->get("Protocol", "#{protocol}"), port = in->get("Port", "#{port}"),
       host = in->get("Host", "#{host}"), path = in->get("Path", "/#{path}"),
       query = in->get("Query", "#{query}");
  if (protocol != "HTTP" && protocol != "HTTPS" && protocol != "#{protocol}")
    return bad_action("The redirect protocol is HTTP, HTTPS or #{protocol}");
  if (port != "#{port}") {
    auto number = parse_int(port);
    if (!number || *number < 1 || *number > 65535)
      return bad_action("The redirect port is from 1 to 65535, or #{port}");
  }
  if (path.empty() || path[0] != '/') return bad_action("The redirect path starts with '/'");
  for (const auto* text : {&host, &path, &query}) {
    bool clean =
        std::all_of(text->begin(), text->end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
    if (!clean || text->size() > 128)
      return bad_action("The redirect has a part with characters that are not allowed, or longer than 128");
  }
  if (protocol == "#{protocol}" && port == "#{port}" && host == "#{host}" && path == "/#{path}") {
    return bad_action("The redirect configuration is not valid because it creates a loop");
  }
  auto status = in->get("StatusCode");
  if (status != "HTTP_301" && status != "HTTP_302")
    return bad_action("The redirect status code is HTTP_301 or HTTP_302");
  return json::object({{"Type", "redirect"},
                       {"RedirectConfig", json::object({{"Protocol", protocol},
                                                        {"Port", port},
                                                        {"Host", host},
                                                        {"Path", path},
                                                        {"Query", query},
                                                        {"StatusCode", status}})}});
}

Result<json::Value> fixed_of(const json::Value& action) {
  const auto* in = action.find("FixedResponseConfig");
  if (in == nullptr) return bad_action("A FixedResponseConfig must be specified");
  auto status = in->get("StatusCode");
  bool good = status.size() == 3 && (status[0] == '2' || status[0] == '4' || status[0] == '5') &&
              isdigit(status[1]) && isdigit(status[2]);
  if (!good) return bad_action("The status code of a fixed response is 2XX, 4XX or 5XX");
  static const std::set<std::string> types{"text/plain", "text/css", "text/html", "application/javascript",
                                           "application/json"};
  auto config = json::object({{"StatusCode", status}});
  if (in->has("ContentType")) {
    if (!types.count(in->get("ContentType")))
      return bad_action("The content type of a fixed response is one of: " + join(types, ", "));
    config["ContentType"] = in->get("ContentType");
  }
  if (in->has("MessageBody")) {
    if (in->get("MessageBody").size() > 1024)
      return bad_action("The message body of a fixed response has at most 1024 characters");
    config["MessageBody"] = in->get("MessageBody");
  }
  return json::object({{"Type", "fixed-response"}, {"FixedResponseConfig", config}});
}

bool allowed(std::string_view text, std::string_view extra) {
  return std::all_of(text.begin(), text.end(), [&](unsigned char c) {
    return isalnum(c) || extra.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

}  // namespace

Result<json::Value> checked_actions(store::Reader& reader, const aws::Call& call, const json::Value& actions,
                                    const std::string& vpc) {
  if (!actions.is_array() || actions.array().empty()) return bad_action("An action must be specified");
  if (actions.array().size() > 1)
    return fault("TooManyActions", "Only one action is supported: forward, redirect or fixed-response");
  const auto& action = actions.array()[0];
  auto type = action.get("Type");
  json::Value out;
  if (type == "forward")
    out = TRY(forward_of(reader, call, action, vpc));
  else if (type == "redirect")
    out = TRY(redirect_of(action));
  else if (type == "fixed-response")
    out = TRY(fixed_of(action));
  else
    return bad_action("The action type '" + type +
                      "' is not supported; supported are forward, redirect and fixed-response");
  if (action.has("Order")) out["Order"] = action.get_int("Order");
  return json::array({out});
}

Result<json::Value> checked_conditions(const json::Value& conditions) {
  if (!conditions.is_array() || conditions.array().empty())
    return validation("A condition must be specified");
  json::Array out;
  std::set<std::string> seen;
  size_t count = 0;
  for (const auto& c : conditions.array()) {
    auto field = c.get("Field");
    bool host = field == "host-header";
    if (!host && field != "path-pattern") {
      return bad_configuration("The condition field '" + field +
                               "' is not supported; supported are host-header and path-pattern");
    }
    if (!seen.insert(field).second)
      return bad_configuration("A rule can only have one '" + field + "' condition");
    const char* member = host ? "HostHeaderConfig" : "PathPatternConfig";
    const auto* config = c.find(member);
    if (c.has("RegexValues") || (config != nullptr && config->has("RegexValues"))) {
      return bad_configuration("Regular expressions in conditions are not supported");
    }
    auto values = config != nullptr && !config->get_array("Values").empty() ? config->get_array("Values")
                                                                            : c.get_array("Values");
    if (values.empty()) return validation("A condition value must be specified");
    for (const auto& v : values) {
      bool good = v.is_string() && !v.string().empty() && v.string().size() <= 128 &&
                  (host ? allowed(v.string(), "-.*?_") : allowed(v.string(), "_-.$/~\"'@:+*?&"));
      if (!good)
        return bad_configuration("The condition value '" + (v.is_string() ? v.string() : std::string()) +
                                 "' is not valid for " + field);
    }
    count += values.size();
    out.push_back(
        json::object({{"Field", field}, {"Values", values}, {member, json::object({{"Values", values}})}}));
  }
  if (count > kMaxConditionValues) return bad_configuration("A rule can only have '5' condition values");
  return out;
}

}  // namespace bastide::services::elbv2
