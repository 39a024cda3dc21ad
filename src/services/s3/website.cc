// https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteHosting.html
#include <fmt/format.h>

#include "base/bytes.h"
#include "base/log.h"
#include "model/rest_codec.h"
#include "model/xml_tree.h"
#include "services/s3/answer.h"
#include "services/s3/s3.h"

namespace bastide::services {

namespace op = model::s3::op;

namespace {

void send(net::Exchange& exchange, net::Response response) {
  if (const auto sent = exchange.respond(std::move(response)); !sent)
    log::debug("s3: {}", sent.error().message);
}

net::Response redirect(int status, std::string location) {
  net::Response out;
  out.status = status;
  for (char& c : location) {
    if (c == '\r' || c == '\n') c = ' ';
  }
  out.headers.add("Location", std::move(location));
  return out;
}

net::Response page_of(int status, const Error& why) {
  net::Response out;
  out.status = status;
  out.headers.add("Content-Type", "text/html; charset=utf-8");
  std::string message;
  model::append_xml_text(message, why.message);
  out.body = fmt::format(
      "<html>\n<head><title>{0} {1}</title></head>\n<body>\n<h1>{0} {1}</h1>\n<ul>\n<li>Code: {2}</li>\n"
      "<li>Message: {3}</li>\n</ul>\n</body>\n</html>\n",
      status, net::reason_phrase(status), why.code, message);
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-to-page-redirect.html
std::optional<net::Response> routed(const json::Value& site, const net::Request& request,
                                    const std::string& key, int status) {
  for (const auto& rule : site.get_array("RoutingRules")) {
    const json::Value* condition = rule.find("Condition");
    const std::string prefix = condition == nullptr ? "" : condition->get("KeyPrefixEquals");
    const std::string code = condition == nullptr ? "" : condition->get("HttpErrorCodeReturnedEquals");
    if (!key.starts_with(prefix) || (code.empty() ? status != 0 : code != std::to_string(status))) continue;
    const json::Value* to = rule.find("Redirect");
    if (to == nullptr) continue;
    std::string target = key;
    if (to->has("ReplaceKeyWith")) target = to->get("ReplaceKeyWith");
    if (to->has("ReplaceKeyPrefixWith")) target = to->get("ReplaceKeyPrefixWith") + key.substr(prefix.size());
    const auto answer = parse_int(to->get("HttpRedirectCode", "301"));
    return redirect(answer && *answer >= 300 && *answer < 400 ? static_cast<int>(*answer) : 301,
                    fmt::format("{}://{}/{}", to->get("Protocol", request.tls ? "https" : "http"),
                                to->get("HostName", request.host), percent_encode(target, "/")));
  }
  return std::nullopt;
}

}  // namespace

// Sends the object as a stranger would get it; false, with the reason, where there is nothing to send.
bool S3::serve_page(net::Exchange& exchange, Call call, const s3::Bucket& bucket, const std::string& key,
                    int status, Error& why) {
  const aws::Entry* entry = p_.dispatch.registry().find("s3", "GetObject");
  if (entry == nullptr) return false;
  const net::Request& request = exchange.request();
  op::GetObject::Request q;
  op::GetObject::Response out;
  q.bucket = bucket.name;
  q.key = key;
  if (status == 200) {
    if (const auto* value = request.headers.find("If-None-Match")) q.if_none_match = *value;
    if (const auto* value = request.headers.find("Range")) q.range = *value;
    if (auto time = parse_http_date(request.headers.get("If-Modified-Since"))) q.if_modified_since = *time;
  }
  aws::Stream stream;
  stream.request = &request;
  call.stream = &stream;
  call.operation = "GetObject";
  if (auto done = p_.dispatch.perform(*entry, call, &q, &out); !done) {
    why = std::move(done).error();
    return false;
  }
  if (out.website_redirect_location) {
    send(exchange, redirect(301, *out.website_redirect_location));
    return true;
  }
  auto message = model::write_rest_response(op::GetObject::operation, &out, model::RestBody::xml);
  net::Headers headers;
  for (auto& [name, value] : message.headers) headers.add(std::move(name), std::move(value));
  if (!stream.send || request.method == "HEAD") {
    net::Response response;
    response.status = stream.status != 0 ? stream.status : status;
    response.headers = std::move(headers);
    send(exchange, std::move(response));
    return true;
  }
  headers.set("Content-Length", std::to_string(stream.length));
  auto sent =
      exchange.begin(status != 200 || stream.status == 0 ? status : stream.status, std::move(headers));
  if (sent) sent = stream.send([&](std::string_view piece) { return exchange.write(piece); });
  if (sent) sent = exchange.finish();
  if (!sent) log::debug("s3 website: {}", sent.error().message);
  return true;
}

void S3::website(net::Exchange& exchange, Call& call, const std::string& name) {
  const net::Request& request = exchange.request();
  call.service = "s3";
  if (request.method != "GET" && request.method != "HEAD") {
    return send(exchange, page_of(405, fault("MethodNotAllowed",
                                             "The specified method is not allowed against this resource.")));
  }
  const auto b = bucket(name);
  if (!b) return send(exchange, page_of(404, b.error()));
  const json::Value* site = (*b)->configuration("website");
  if (site == nullptr) {
    return send(exchange, page_of(404, fault("NoSuchWebsiteConfiguration",
                                             "The specified bucket does not have a website configuration")));
  }
  auto key = percent_decode(request.raw_path().substr(request.raw_path().empty() ? 0 : 1));
  if (!key || !valid_utf8(*key))
    return send(exchange, page_of(400, fault("InvalidURI", "Could not parse the specified URI.")));
  if (const json::Value* all = site->find("RedirectAllRequestsTo")) {
    return send(exchange,
                redirect(301, fmt::format("{}://{}{}", all->get("Protocol", request.tls ? "https" : "http"),
                                          all->get("HostName"), request.target)));
  }
  if (auto moved = routed(*site, request, *key, 0)) return send(exchange, std::move(*moved));
  const json::Value* index = site->find("IndexDocument");
  const std::string suffix = index == nullptr ? "index.html" : index->get("Suffix");
  std::string page = *key;
  if (page.empty() || page.ends_with('/')) page += suffix;
  Error why;
  if (serve_page(exchange, call, **b, page, 200, why)) return;
  int status = why.status != 0 ? why.status : 500;
  if ((status == 404 || status == 403) && page == *key) {
    const auto folder = p_.database.read([&](store::Reader& r) -> Result<void> {
      const auto found = TRY(store::objects::latest(r, name, *key + "/" + suffix));
      return found && !found->marker ? Result<void>() : error("NotFound", "");
    });
    if (folder) return send(exchange, redirect(302, "/" + percent_encode(*key, "/") + "/"));
  }
  if (auto moved = routed(*site, request, *key, status)) return send(exchange, std::move(*moved));
  Error ignored;
  if (const json::Value* document = site->find("ErrorDocument");
      document != nullptr && serve_page(exchange, call, **b, document->get("Key"), status, ignored))
    return;
  send(exchange, page_of(status, why));
}

}  // namespace bastide::services
