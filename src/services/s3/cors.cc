// Cross-origin requests, and the requests that are none of the API's operations.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
#include "aws/virtual_host.h"
#include "base/bytes.h"
#include "base/log.h"
#include "services/s3/answer.h"
#include "services/s3/s3.h"

namespace bastide::services {
namespace s3 {

std::string bucket_in(const net::Request& request) {
  if (auto name = aws::virtual_bucket(request.host); !name.empty()) return name;
  std::string_view path = request.raw_path();
  if (path.starts_with('/')) path.remove_prefix(1);
  return std::string(path.substr(0, path.find('/')));
}

void refuse(net::Exchange& exchange, const Error& error, const std::string& request_id) {
  aws::Route route;
  route.service = model::find_service("s3");
  route.wire = aws::Wire::rest_xml;
  route.path = exchange.request().raw_path();
  if (const auto sent = exchange.respond(aws::encode_error(route, error, request_id)); !sent)
    log::debug("s3: {}", sent.error().message);
}

namespace {

bool like(std::string_view pattern, std::string_view text, bool fold) {
  const size_t star = pattern.find('*');
  const auto same = [&](std::string_view a, std::string_view b) { return fold ? iequals(a, b) : a == b; };
  if (star == std::string_view::npos) return same(pattern, text);
  const std::string_view before = pattern.substr(0, star), after = pattern.substr(star + 1);
  return text.size() >= before.size() + after.size() && same(before, text.substr(0, before.size())) &&
         same(after, text.substr(text.size() - after.size()));
}

bool any_like(const json::Array& patterns, std::string_view text, bool fold) {
  for (const auto& one : patterns) {
    if (like(one.string(), text, fold)) return true;
  }
  return false;
}

std::string joined(const json::Array& texts) {
  std::vector<std::string> out;
  for (const auto& one : texts) out.push_back(one.string());
  return join(out, ", ");
}

// The first rule that lets this origin do this with these headers.
const json::Value* rule_for(const Bucket& bucket, const std::string& origin, const std::string& method,
                            const std::string& headers) {
  const json::Value* cors = bucket.configuration("cors");
  if (cors == nullptr) return nullptr;
  for (const auto& rule : cors->get_array("CORSRules")) {
    if (!any_like(rule.get_array("AllowedOrigins"), origin, false)) continue;
    if (!any_like(rule.get_array("AllowedMethods"), method, false)) continue;
    bool all = true;
    for (const std::string_view header : split(headers, ',')) {
      if (!trim(header).empty() && !any_like(rule.get_array("AllowedHeaders"), trim(header), true))
        all = false;
    }
    if (all) return &rule;
  }
  return nullptr;
}

void allow(const json::Value& rule, const std::string& origin, net::Headers& out) {
  bool everyone = false;
  for (const auto& one : rule.get_array("AllowedOrigins")) everyone = everyone || one.string() == "*";
  out.set("Access-Control-Allow-Origin", everyone ? "*" : origin);
  out.set("Access-Control-Allow-Methods", joined(rule.get_array("AllowedMethods")));
  if (!everyone) out.set("Access-Control-Allow-Credentials", "true");
  if (const auto& exposed = rule.get_array("ExposeHeaders"); !exposed.empty())
    out.set("Access-Control-Expose-Headers", joined(exposed));
  if (rule.has("MaxAgeSeconds"))
    out.set("Access-Control-Max-Age", std::to_string(rule.get_int("MaxAgeSeconds")));
  out.set("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
}

}  // namespace
}  // namespace s3

void S3::decorate(const net::Request& request, const std::string& path, net::Headers& headers) {
  std::string_view rest = path;
  if (rest.starts_with('/')) rest.remove_prefix(1);
  const std::string name(rest.substr(0, rest.find('/')));
  const auto b = bucket(name.empty() ? s3::bucket_in(request) : name);
  if (!b) return;
  const std::string origin = request.headers.get("Origin");
  if (const json::Value* rule = s3::rule_for(**b, origin, request.method, ""))
    s3::allow(*rule, origin, headers);
}

bool S3::preflight(net::Exchange& exchange) {
  const net::Request& request = exchange.request();
  const std::string origin = request.headers.get("Origin"), id = aws::new_request_id();
  const std::string method = request.headers.get("Access-Control-Request-Method");
  if (origin.empty() || method.empty()) {
    s3::refuse(exchange, fault("BadRequest", "Insufficient information. Origin request header needed.", 400),
               id);
    return true;
  }
  const auto b = bucket(s3::bucket_in(request));
  if (!b) {
    s3::refuse(exchange, b.error(), id);
    return true;
  }
  const json::Value* rule =
      s3::rule_for(**b, origin, method, request.headers.get("Access-Control-Request-Headers"));
  if (rule == nullptr) {
    s3::refuse(
        exchange,
        fault(
            "AccessForbidden",
            (*b)->configuration("cors") == nullptr
                ? "CORSResponse: CORS is not enabled for this bucket."
                : "CORSResponse: This CORS request is not allowed. This is usually because the evalution of "
                  "Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers "
                  "are not whitelisted by the resource's CORS spec.",
            403),
        id);
    return true;
  }
  net::Response response;
  s3::allow(*rule, origin, response.headers);
  if (const std::string* asked = request.headers.find("Access-Control-Request-Headers"))
    response.headers.set("Access-Control-Allow-Headers", lower(*asked));
  response.headers.set("x-amz-request-id", id);
  if (const auto sent = exchange.respond(std::move(response)); !sent)
    log::debug("s3: {}", sent.error().message);
  return true;
}

bool S3::intercept(net::Exchange& exchange, Call& call) {
  const net::Request& request = exchange.request();
  if (const std::string name = aws::website_bucket(request.host); !name.empty()) {
    website(exchange, call, name);
    return true;
  }
  if (request.method == "OPTIONS") return preflight(exchange);
  constexpr std::string_view kForm = "multipart/form-data";
  const std::string type = request.headers.get("Content-Type");
  if (request.method == "POST" && !request.headers.has("Authorization") && request.raw_query().empty() &&
      iequals(std::string_view(type).substr(0, kForm.size()), kForm)) {
    browser_upload(exchange, call, s3::bucket_in(request));
    return true;
  }
  return false;
}

}  // namespace bastide::services
