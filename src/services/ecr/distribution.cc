#include "services/ecr/distribution.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/log.h"
#include "services/ecr/distribution_request.h"

namespace bastide::services {

using ecr::oci;

namespace {

constexpr size_t kMaxPath = 1024;

// The code and status that the protocol has for a fault of ECR.
std::pair<int, std::string> translate(const Error& e) {
  if (e.extra == "oci") return {e.status, e.code};
  if (e.code == "RepositoryNotFoundException") return {404, "NAME_UNKNOWN"};
  if (e.code == "ImageNotFoundException") return {404, "MANIFEST_UNKNOWN"};
  if (e.code == "LayersNotFoundException") return {404, "BLOB_UNKNOWN"};
  if (e.code == "ReferencedImagesNotFoundException") return {404, "MANIFEST_BLOB_UNKNOWN"};
  if (e.code == "UploadNotFoundException") return {404, "BLOB_UPLOAD_UNKNOWN"};
  if (e.code == "ImageTagAlreadyExistsException") return {400, "TAG_INVALID"};
  if (e.code == "ImageDigestDoesNotMatchException") return {400, "DIGEST_INVALID"};
  if (e.code == "InvalidLayerException") return {400, "DIGEST_INVALID"};
  if (e.code == "InvalidLayerPartException") return {416, "BLOB_UPLOAD_INVALID"};
  if (e.code == "ImageReferencedByManifestList") return {409, "DENIED"};
  if (e.code == "LimitExceededException") return {413, "SIZE_INVALID"};
  if (e.code == "InvalidParameterException") return {400, "MANIFEST_INVALID"};
  if (e.fault) return {e.status ? e.status : 400, "UNSUPPORTED"};
  return {500, "UNKNOWN"};
}

std::string error_body(const std::string& code, const std::string& message) {
  return json::print(
      json::object({{"errors", json::array({json::object({{"code", code}, {"message", message}})})}}));
}

}  // namespace

namespace ecr {

net::Response answer(int status) {
  net::Response response;
  response.status = status;
  response.headers.add("Docker-Distribution-Api-Version", "registry/2.0");
  return response;
}

std::string upload_location(std::string_view name, const std::string& id) {
  return fmt::format("/v2/{}/blobs/uploads/{}", name, id);
}

std::string upload_range(int64_t size) { return fmt::format("0-{}", size > 0 ? size - 1 : 0); }

}  // namespace ecr

Distribution::Decide Distribution::decide_with(aws::PolicySource& policies) {
  return [&policies](const aws::Call& call, const aws::Target& target) -> Result<aws::Decision> {
    const auto own = TRY(policies.policies_of(call.principal));
    return aws::decide(call, target, *own);
  };
}

Distribution::Distribution(Ecr& ecr, Decide decide, Clock& clock)
    : ecr_(ecr), decide_(std::move(decide)), clock_(clock) {}

void Distribution::handle(net::Exchange& exchange) {
  Request r{exchange};
  auto done = dispatch(r);
  if (!done) refuse(exchange, done.error());
}

void Distribution::refuse(net::Exchange& exchange, const Error& e) {
  if (e.code == "Closed" || e.code == "Timeout") return;
  const auto [status, code] = translate(e);
  if (status >= 500)
    log::error("registry: {} {}: {}", exchange.request().method, exchange.request().raw_path(), e.message);
  net::Response response = ecr::answer(status);
  if (status == 401) {
    response.headers.add("WWW-Authenticate", fmt::format("Basic realm=\"{}\",service=\"ecr.amazonaws.com\"",
                                                         exchange.request().host));
  }
  if (exchange.request().method != "HEAD") {
    response.headers.add("Content-Type", "application/json");
    response.body = error_body(code, status >= 500 ? "The registry failed; its log says why." : e.message);
  }
  (void)exchange.respond(std::move(response)).ok();
}

Result<void> Distribution::dispatch(Request& r) {
  const std::string_view raw = r.exchange.request().raw_path();
  if (raw.size() > kMaxPath) return oci(400, "NAME_INVALID", "the path is too long");
  auto decoded = percent_decode(raw);
  if (!decoded) return oci(400, "NAME_INVALID", "the path is not properly encoded");
  std::string_view path = decoded.value();
  auto query = net::parse_form(r.exchange.request().raw_query());
  if (!query) return oci(400, "UNSUPPORTED", "the query is not properly encoded");
  r.query = std::move(query).value();

  if (path == "/v2" || path == "/v2/") {
    TRY(log_in(r));
    return ping(r);
  }
  if (!path.starts_with("/v2/")) return oci(404, "NAME_UNKNOWN", "there is nothing but /v2/ here");
  path.remove_prefix(4);

  // The name may have slashes: the words that end it are looked for from the right.
  std::string_view name;
  const auto ends_in = [&](std::string_view word, const char* kind) {
    const size_t at = path.rfind(word);
    if (at == std::string_view::npos || at == 0) return false;
    const std::string_view rest = path.substr(at + word.size());
    if (rest.find('/') != std::string_view::npos) return false;
    name = path.substr(0, at);
    r.kind = kind;
    r.reference = rest;
    return true;
  };
  bool known = ends_in("/blobs/uploads/", "uploads");
  if (!known && path.ends_with("/blobs/uploads") && path.size() > 14) {
    name = path.substr(0, path.size() - 14);
    r.kind = "uploads";
    known = true;
  }
  if (!known && path.ends_with("/tags/list") && path.size() > 10) {
    name = path.substr(0, path.size() - 10);
    r.kind = "tags";
    known = true;
  }
  known = known || ends_in("/manifests/", "manifests") || ends_in("/blobs/", "blobs") ||
          ends_in("/referrers/", "referrers");
  TRY(log_in(r));
  if (!known) return oci(404, "UNSUPPORTED", "this registry has no such endpoint");
  TRY(resolve(r, name));

  const std::string& method = r.method();
  const bool reading = method == "GET" || method == "HEAD";
  if (r.has_ticket && !(r.kind == "blobs" && reading))
    return oci(401, "UNAUTHORIZED", "authentication required");
  if (r.kind == "blobs") {
    if (reading) return get_blob(r);
    return oci(405, "UNSUPPORTED", "layers are deleted with the images that use them");
  }
  if (r.kind == "uploads") {
    if (method == "POST" && r.reference.empty()) return start_upload(r);
    if (method == "PATCH") return continue_upload(r);
    if (method == "PUT") return finish_upload(r);
    if (method == "GET") return upload_status(r);
    if (method == "DELETE") return cancel_upload(r);
  }
  if (r.kind == "manifests") {
    if (reading) return get_manifest(r);
    if (method == "PUT") return put_manifest(r);
    if (method == "DELETE") return delete_manifest(r);
  }
  if (r.kind == "tags" && reading) return list_tags(r);
  if (r.kind == "referrers" && reading) return list_referrers(r);
  return oci(405, "UNSUPPORTED", fmt::format("{} is not for this endpoint", method));
}

Result<void> Distribution::ping(Request& r) {
  net::Response response = ecr::answer(200);
  response.headers.add("Content-Type", "application/json");
  response.body = "{}";
  return r.exchange.respond(std::move(response));
}

// https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
Result<void> Distribution::log_in(Request& r) {
  if (r.kind == "blobs" && r.has("ticket")) {
    auto ref = ecr::open_ticket(ecr_.keyring(), r.parameter("ticket"), r.reference, clock_.wall());
    if (!ref) return oci(403, "DENIED", ref.error().message);
    r.repository = std::move(ref).value();
    r.has_ticket = true;
    return {};
  }
  const std::string* header = r.exchange.request().headers.find("Authorization");
  if (header == nullptr) return oci(401, "UNAUTHORIZED", "authentication required");
  const std::string_view text = trim(*header);
  if (text.size() < 6 || !iequals(text.substr(0, 6), "Basic ")) {
    return oci(401, "UNAUTHORIZED",
               "only Basic authentication with a token of GetAuthorizationToken is understood");
  }
  auto pair = unbase64(trim(text.substr(6)));
  if (!pair || !pair.value().starts_with("AWS:")) {
    return oci(401, "UNAUTHORIZED", "the user is AWS and the password comes from ecr get-login-password");
  }
  auto login = ecr::open_login(ecr_.keyring(), std::string_view(pair.value()).substr(4), clock_.wall());
  if (!login) return oci(401, "UNAUTHORIZED", login.error().message);
  r.login = std::move(login).value();
  return {};
}

Result<void> Distribution::resolve(Request& r, std::string_view name) {
  const ecr::NameInRegistry parts = ecr::split_name(name);
  if (!ecr::valid_repository_name(parts.name)) return oci(400, "NAME_INVALID", "not a repository name");
  r.name = name;
  if (r.has_ticket) {
    const bool same = r.repository.name == parts.name && r.repository.account == parts.account;
    if (!same) return oci(403, "DENIED", "the URL is for another repository");
    return {};
  }
  r.repository = {parts.account.empty() ? r.login.principal.account : parts.account, r.login.region,
                  parts.name};
  return {};
}

Result<void> Distribution::authorise(const Request& r, const ecr::RepositoryRef& ref,
                                     std::initializer_list<const char*> any) {
  if (r.has_ticket) return {};
  aws::Call call;
  call.principal = r.login.principal;
  call.account = r.login.principal.account;
  call.region = r.login.region;
  call.service = "ecr";
  const net::Request& request = r.exchange.request();
  const size_t port = request.peer.rfind(':');
  call.source_ip = request.peer.substr(0, port);
  call.user_agent = request.headers.get("User-Agent");
  call.secure = request.tls;
  call.now = clock_.wall();
  aws::Target target = TRY(ecr::repository_target(ecr_.database(), ref));
  std::string why;
  for (const char* action : any) {
    target.action = action;
    call.operation = std::string_view(action).substr(4);
    auto decision = decide_(call, target);
    if (!decision) {
      if (decision.error().fault) return oci(403, "DENIED", decision.error().message);
      return std::move(decision).error();
    }
    if (decision.value().allowed) return {};
    if (why.empty()) why = decision.value().message;
  }
  return oci(403, "DENIED", why.empty() ? "not authorized" : why);
}

}  // namespace bastide::services
