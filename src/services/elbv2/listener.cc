#include <algorithm>
#include <set>

#include "services/elbv2/common.h"
#include "services/elbv2/elbv2.h"

namespace bastide::services {
using namespace elbv2;

namespace {

constexpr size_t kMaxCertificates = 25;
constexpr const char* kDefaultPolicy = "ELBSecurityPolicy-TLS13-1-2-2021-06";

// The policies that mean what the edge does: TLS 1.3 and 1.2.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
Result<std::string> policy_of(const json::Value& in) {
  auto name = in.get("SslPolicy", kDefaultPolicy);
  if (name.substr(0, 28) != std::string(kDefaultPolicy).substr(0, 28)) {
    return fault("SSLPolicyNotFound",
                 "The SSL policy '" + name +
                     "' is not supported; supported are those of TLS 1.3 with 1.2, such as '" +
                     std::string(kDefaultPolicy) + "'");
  }
  return name;
}

// This machine's edge has two sockets for all load balancers.
Result<void> check_port(const std::string& protocol, int64_t port) {
  if (protocol != "HTTP" && protocol != "HTTPS")
    return fault("UnsupportedProtocol",
                 "The protocol '" + protocol + "' is not supported by application load balancers");
  if (port != (protocol == "HTTP" ? 80 : 443)) {
    return fault("InvalidConfigurationRequest",
                 "Listeners of HTTP are on port 80 and those of HTTPS on port 443; port " +
                     std::to_string(port) + " is not supported");
  }
  return {};
}

Result<void> check_options(const json::Value& in) {
  if (in.has("AlpnPolicy") && !in.get_array("AlpnPolicy").empty())
    return fault("ALPNPolicyNotSupported", "ALPN policies are not supported by application load balancers");
  const auto* mutual = in.find("MutualAuthentication");
  if (mutual != nullptr && mutual->get("Mode", "off") != "off")
    return fault("InvalidConfigurationRequest", "Mutual authentication is not supported");
  return {};
}

json::Array certificate_list(const json::Value& listener, bool with_default) {
  json::Array out;
  if (with_default) {
    for (const auto& c : listener.get_array("Certificates"))
      out.push_back(json::object({{"CertificateArn", c.get("CertificateArn")}, {"IsDefault", true}}));
  }
  for (const auto& c : listener.get_array("MoreCertificates"))
    out.push_back(json::object({{"CertificateArn", c.get("CertificateArn")}, {"IsDefault", false}}));
  return out;
}

}  // namespace

Result<json::Array> Elbv2::checked_certificates(const Json& certificates, bool https) {
  json::Array out;
  if (!certificates.is_array()) return out;
  if (!https && !certificates.array().empty())
    return fault("InvalidConfigurationRequest", "Certificates cannot be specified for HTTP listeners");
  for (const auto& c : certificates.array()) {
    auto arn = c.get("CertificateArn");
    auto found = source_ == nullptr ? Result<internal::EdgeCertificate>(error("NotFound", ""))
                                    : source_->certificate(arn);
    if (!found && found.error().code != "NotFound") return std::move(found).error();
    if (!found) return fault("CertificateNotFound", "Certificate '" + arn + "' not found");
    out.push_back(json::object({{"CertificateArn", arn}}));
  }
  return out;
}

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html
Result<json::Value> Elbv2::create_listener(aws::Call& call, const Json& in) {
  auto protocol = in.get("Protocol");
  if (protocol.empty()) return validation("A listener protocol must be specified");
  if (!in.has("Port")) return validation("A listener port must be specified");
  TRY(check_port(protocol, in.get_int("Port")));
  TRY(check_options(in));
  bool https = protocol == "HTTPS";
  auto certificates = TRY(checked_certificates(Json(in.get_array("Certificates")), https));
  if (certificates.size() > 1) return fault("TooManyCertificates", "A listener has one default certificate");
  auto tags = TRY(tags_of(in));
  Json listener;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto balancer = TRY(load(writer, call, kBalancer, in.get("LoadBalancerArn")));
    auto id = TRY(id_of(call, kBalancer, in.get("LoadBalancerArn")));
    for (const auto& other : TRY(all(writer, call, kListener, id + "/"))) {
      if (other.get_int("Port") == in.get_int("Port"))
        return fault("DuplicateListener", "A listener already exists on this port for this load balancer");
    }
    auto actions =
        TRY(checked_actions(writer, call, Json(in.get_array("DefaultActions")), balancer.get("VpcId")));
    listener = json::object({{"ListenerArn", arn_of(call, kListener, id + "/" + new_suffix())},
                             {"LoadBalancerArn", in.get("LoadBalancerArn")},
                             {"Port", in.get_int("Port")},
                             {"Protocol", protocol},
                             {"DefaultActions", actions},
                             {"VpcId", balancer.get("VpcId")},
                             {"DefaultRule", new_suffix()},
                             {"Tags", tags}});
    if (https) {
      listener["SslPolicy"] = TRY(policy_of(in));
      listener["Certificates"] = certificates;
      listener["MutualAuthentication"] = json::object({{"Mode", "off"}});
    }
    return save(writer, call, kListener, listener);
  }));
  return json::object({{"Listeners", json::array({listener})}});
}

Result<json::Value> Elbv2::describe_listeners(aws::Call& call, const Json& in) {
  std::vector<Json> found;
  const auto& arns = in.get_array("ListenerArns");
  if (arns.empty() && !in.has("LoadBalancerArn"))
    return validation("You must specify either listener ARNs or a load balancer ARN");
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    for (const auto& arn : arns) found.push_back(TRY(load(reader, call, kListener, arn.string())));
    if (!arns.empty()) return {};
    TRY(load(reader, call, kBalancer, in.get("LoadBalancerArn")));
    found = TRY(all(reader, call, kListener, TRY(id_of(call, kBalancer, in.get("LoadBalancerArn"))) + "/"));
    return {};
  }));
  auto answer = json::object();
  answer["Listeners"] = TRY(page(std::move(found), kListener, in, answer));
  return answer;
}

Result<json::Value> Elbv2::modify_listener(aws::Call& call, const Json& in) {
  TRY(check_options(in));
  auto certificates = TRY(checked_certificates(Json(in.get_array("Certificates")), true));
  if (certificates.size() > 1) return fault("TooManyCertificates", "A listener has one default certificate");
  Json listener;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    listener = TRY(load(writer, call, kListener, in.get("ListenerArn")));
    auto protocol = in.get("Protocol", listener.get("Protocol"));
    auto port = in.get_int("Port", listener.get_int("Port"));
    TRY(check_port(protocol, port));
    bool https = protocol == "HTTPS";
    auto id = TRY(id_of(call, kBalancer, listener.get("LoadBalancerArn")));
    for (const auto& other : TRY(all(writer, call, kListener, id + "/"))) {
      if (other.get("ListenerArn") != in.get("ListenerArn") && other.get_int("Port") == port) {
        return fault("DuplicateListener", "A listener already exists on this port for this load balancer");
      }
    }
    if (!https && !certificates.empty())
      return fault("InvalidConfigurationRequest", "Certificates cannot be specified for HTTP listeners");
    listener["Protocol"] = protocol;
    listener["Port"] = port;
    if (in.has("DefaultActions"))
      listener["DefaultActions"] =
          TRY(checked_actions(writer, call, *in.find("DefaultActions"), listener.get("VpcId")));
    if (https) {
      if (in.has("SslPolicy") || !listener.has("SslPolicy")) listener["SslPolicy"] = TRY(policy_of(in));
      if (in.has("Certificates") || !listener.has("Certificates")) listener["Certificates"] = certificates;
      listener["MutualAuthentication"] = json::object({{"Mode", "off"}});
    } else {
      for (auto* member : {"SslPolicy", "Certificates", "MoreCertificates", "MutualAuthentication"})
        listener.remove(member);
    }
    return save(writer, call, kListener, listener);
  }));
  return json::object({{"Listeners", json::array({listener})}});
}

Result<json::Value> Elbv2::delete_listener(aws::Call& call, const Json& in) {
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    TRY(load(writer, call, kListener, in.get("ListenerArn")));
    auto id = TRY(id_of(call, kListener, in.get("ListenerArn")));
    for (const auto& rule : TRY(all(writer, call, kRule, id + "/")))
      TRY(elbv2::remove(writer, call, kRule, rule.get("RuleArn")));
    return elbv2::remove(writer, call, kListener, in.get("ListenerArn"));
  }));
  return json::object();
}

Result<json::Value> Elbv2::add_listener_certificates(aws::Call& call, const Json& in) {
  auto certificates = TRY(checked_certificates(Json(in.get_array("Certificates")), true));
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto listener = TRY(load(writer, call, kListener, in.get("ListenerArn")));
    if (listener.get("Protocol") != "HTTPS")
      return fault("InvalidConfigurationRequest", "Certificates cannot be specified for HTTP listeners");
    if (!listener.has("MoreCertificates")) listener["MoreCertificates"] = json::array();
    auto& kept = listener["MoreCertificates"].array();
    for (const auto& c : certificates) {
      if (std::find(kept.begin(), kept.end(), c) == kept.end()) kept.push_back(c);
    }
    if (kept.size() > kMaxCertificates)
      return fault("TooManyCertificates",
                   "You've reached the limit on the number of certificates per load balancer");
    return save(writer, call, kListener, listener);
  }));
  for (auto& c : certificates) c["IsDefault"] = false;
  return json::object({{"Certificates", certificates}});
}

Result<json::Value> Elbv2::remove_listener_certificates(aws::Call& call, const Json& in) {
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto listener = TRY(load(writer, call, kListener, in.get("ListenerArn")));
    for (const auto& c : in.get_array("Certificates")) {
      auto same = [&](const Json& k) { return k.get("CertificateArn") == c.get("CertificateArn"); };
      const auto& first = listener.get_array("Certificates");
      if (std::any_of(first.begin(), first.end(), same)) {
        return fault("OperationNotPermitted", "The default certificate of a listener cannot be removed");
      }
      if (listener.has("MoreCertificates")) std::erase_if(listener["MoreCertificates"].array(), same);
    }
    return save(writer, call, kListener, listener);
  }));
  return json::object();
}

Result<json::Value> Elbv2::describe_listener_certificates(aws::Call& call, const Json& in) {
  Json listener;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    listener = TRY(load(reader, call, kListener, in.get("ListenerArn")));
    return {};
  }));
  return json::object({{"Certificates", certificate_list(listener, true)}});
}

}  // namespace bastide::services
