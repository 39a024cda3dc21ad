// Where templates come from: the request, S3, and what transforms make of them.
#include <fmt/format.h>

#include "base/bytes.h"
#include "net/loop.h"
#include "services/cloudformation/handler.h"
#include "services/cloudformation/service.h"
#include "services/cloudformation/template_text.h"
#include "services/cloudformation/transform.h"

namespace bastide::services {

using cfn::validation;
namespace m = model::cloudformation;
namespace op = model::cloudformation::op;

namespace {

struct Place {
  std::string bucket, key, version;
};

// s3://BUCKET/KEY, https://BUCKET.s3.REGION.amazonaws.com/KEY, https://s3.REGION.amazonaws.com/BUCKET/KEY,
// and Bastide's own http://127.0.0.1:4566/BUCKET/KEY.
std::optional<Place> place_of(std::string url) {
  Place out;
  if (const size_t query = url.find('?'); query != std::string::npos) {
    for (auto part : split(std::string_view(url).substr(query + 1), '&')) {
      if (part.starts_with("versionId=")) out.version = std::string(part.substr(10));
    }
    url.resize(query);
  }
  const size_t scheme = url.find("://");
  if (scheme == std::string::npos) return std::nullopt;
  const std::string kind = url.substr(0, scheme);
  std::string rest = url.substr(scheme + 3);
  if (kind != "s3") {
    if (kind != "https" && kind != "http") return std::nullopt;
    const size_t slash = rest.find('/');
    if (slash == std::string::npos) return std::nullopt;
    const std::string host = rest.substr(0, slash);
    rest = rest.substr(slash + 1);
    const size_t s3 = host.find(".s3.") != std::string::npos ? host.find(".s3.") : host.find(".s3-");
    if (s3 != std::string::npos) rest = host.substr(0, s3) + "/" + rest;
    auto decoded = percent_decode(rest);
    if (!decoded) return std::nullopt;
    rest = std::move(*decoded);
  }
  const size_t slash = rest.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == rest.size()) return std::nullopt;
  out.bucket = rest.substr(0, slash);
  out.key = rest.substr(slash + 1);
  return out;
}

}  // namespace

Result<std::string> Cloudformation::fetch(const Call& call, const std::string& url) {
  const auto place = place_of(url);
  if (!place) return validation("TemplateURL must be a supported URL.");
  json::Value in = json::object({{"Bucket", place->bucket}, {"Key", place->key}});
  if (!place->version.empty()) in["VersionId"] = place->version;
  auto out = client_.call(call.principal, call.account, call.region, "s3", "GetObject", in);
  if (!out) return validation(fmt::format("S3 error: {} ({})", out.error().message, out.error().code));
  std::string body = out->get("Body");
  if (body.size() > cfn::kMaxTemplateBytes * 2)
    return validation("Template may not exceed 1000000 bytes in size.");
  // Blobs are base64 in the JSON of a local call.
  if (auto plain = unbase64(body)) body = std::move(*plain);
  return body;
}

Result<std::string> Cloudformation::text_of(const Call& call, const std::optional<std::string>& body,
                                            const std::optional<std::string>& url) {
  if (url && body) return validation("Either Template URL or Template Body must be specified, not both.");
  if (url) return fetch(call, *url);
  if (!body || body->empty()) return validation("Either Template URL or Template Body must be specified.");
  return *body;
}

Result<Cloudformation::Prepared> Cloudformation::prepared(
    const Call& call, const std::string& text, const std::string& stack_name,
    const std::map<std::string, std::string>& parameters) {
  Prepared out;
  if (text.find("Transform") == std::string::npos) {
    out.executed = text;
    return out;
  }
  auto body = TRY(net::offload_result([&] { return cfn::read_template_text(text); }));
  out.transforms = cfn::declared_transforms(body);
  if (out.transforms.empty()) {
    out.executed = text;
    return out;
  }
  cfn::TransformInput in;
  in.parameters = parameters;
  in.account = call.account;
  in.region = call.region;
  in.stack_name = stack_name;
  in.fetch = [&, this](const std::string& location) { return fetch(call, location); };
  const json::Value expanded = TRY(cfn::expand(std::move(body), in));
  out.executed = json::print(expanded);
  if (out.executed.size() > cfn::kMaxTemplateBytes)
    return validation("Template may not exceed 1000000 bytes in size after its transforms.");
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources-automatically.html
Result<std::map<std::string, std::string>> Cloudformation::existing(const Call& call, const cfn::Stack& stack,
                                                                    const cfn::Template& t,
                                                                    const cfn::Scope& scope,
                                                                    const std::vector<cfn::Change>& changes) {
  std::map<std::string, std::string> out;
  cfn::Scope open = scope;
  open.ref = {};
  open.attribute = {};
  open.import_value = {};
  for (const auto& change : changes) {
    const cfn::ResourceDecl* decl = change.action == "Add" ? t.resource(change.logical) : nullptr;
    auto handler = cfn::all_handlers().find(change.type);
    if (decl == nullptr || decl->deletion_policy == "Delete" || handler == cfn::all_handlers().end())
      continue;
    const cfn::Handler& h = handler->second;
    if (std::string_view(h.name_property).empty() || h.find == nullptr || h.read == nullptr) continue;
    const json::Value properties = TRY(cfn::evaluate_properties(open, decl->properties));
    const json::Value* name = properties.find(h.name_property);
    if (name == nullptr || !name->is_string() || name->string().empty()) continue;
    cfn::Context c;
    c.client = &client_;
    c.principal = call.principal;
    c.account = call.account;
    c.region = call.region;
    c.stack_name = stack.name;
    c.logical = decl->logical;
    c.type = decl->type;
    auto found = h.find(c, properties);
    if (found && !found->empty()) out[decl->logical] = *found;
  }
  return out;
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_SignalResource.html
Result<op::SignalResource::Response> Cloudformation::signal_resource(Call& call,
                                                                     const op::SignalResource::Request& in) {
  const cfn::Stack stack = TRY(need(call, in.stack_name));
  const auto rows = TRY(records_.resources(stack));
  auto it = rows.find(in.logical_resource_id);
  if (it == rows.end()) {
    return validation(
        fmt::format("Resource {} does not exist for stack {}", in.logical_resource_id, stack.name));
  }
  if (it->second.status != "CREATE_IN_PROGRESS" && it->second.status != "UPDATE_IN_PROGRESS") {
    return validation(fmt::format("Resource {} is in {} state and can not be signaled",
                                  in.logical_resource_id, it->second.status));
  }
  TRY(records_.db().write([&](store::Writer& w) -> Result<void> {
    return w.put(
        {stack.account, stack.region, cfn::kSignalKind,
         stack.id() + "/" + in.logical_resource_id + "/" + hex(in.unique_id)},
        json::object({{"operation", stack.operation}, {"unique", in.unique_id}, {"status", in.status}}));
  }));
  return op::SignalResource::Response{};
}

}  // namespace bastide::services
