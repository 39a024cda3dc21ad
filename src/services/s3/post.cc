// Uploads by HTML forms.
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
#include <fmt/format.h>

#include <map>

#include "aws/sigv4.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "model/xml_tree.h"
#include "services/s3/answer.h"
#include "services/s3/form.h"
#include "services/s3/members.h"

namespace bastide::services {

namespace op = model::s3::op;

namespace {

using s3::Form;

Error refused(std::string why) {
  return fault("AccessDenied", "Invalid according to Policy: " + std::move(why), 403);
}

const std::string* field(const Form& form, const std::string& name) {
  const auto found = form.fields().find(name);
  return found == form.fields().end() ? nullptr : &found->second;
}

std::string text(const Form& form, const std::string& name) {
  const std::string* found = field(form, name);
  return found == nullptr ? "" : *found;
}

struct Allowed {
  int64_t min = 0, max = int64_t{5} << 30;
};

// Every field but these must be named by a condition.
bool needs_condition(const std::string& name) {
  return name != "x-amz-signature" && name != "file" && name != "policy" && !name.starts_with("x-ignore-") &&
         name != "awsaccesskeyid" && name != "signature";
}

Result<Allowed> check_policy(const json::Value& policy, const Form& form, const std::string& bucket,
                             Millis now) {
  const auto expiration = parse_iso8601(policy.get("expiration"));
  if (!expiration) return fault("InvalidPolicyDocument", "Invalid Policy: Invalid 'expiration' value", 400);
  if (now > *expiration) return refused("Policy expired.");
  const json::Value* conditions = policy.find("conditions");
  if (conditions == nullptr || !conditions->is_array())
    return fault("InvalidPolicyDocument", "Invalid Policy: missing 'conditions'", 400);
  Allowed out;
  std::map<std::string, bool> named;
  const auto value_of = [&](const std::string& name) { return name == "bucket" ? bucket : text(form, name); };
  for (const auto& condition : conditions->array()) {
    if (condition.is_object()) {
      for (const auto& [key, value] : condition.object()) {
        const std::string name = lower(key);
        named[name] = true;
        if (!value.is_string() || value_of(name) != value.string())
          return refused("Policy Condition failed: [\"eq\", \"$" + key + "\", \"" +
                         (value.is_string() ? value.string() : "") + "\"]");
      }
      continue;
    }
    if (!condition.is_array() || condition.array().size() != 3 || !condition.array()[0].is_string())
      return fault("InvalidPolicyDocument", "Invalid Policy: a condition of an unknown form", 400);
    const auto& parts = condition.array();
    const std::string kind = lower(parts[0].string());
    if (kind == "content-length-range") {
      if (!parts[1].is_int() || !parts[2].is_int())
        return fault("InvalidPolicyDocument", "Invalid Policy: content-length-range needs two numbers", 400);
      out.min = parts[1].integer();
      out.max = std::min(out.max, parts[2].integer());
      continue;
    }
    if (!parts[1].is_string() || !parts[1].string().starts_with('$') || !parts[2].is_string() ||
        (kind != "eq" && kind != "starts-with"))
      return fault("InvalidPolicyDocument", "Invalid Policy: a condition of an unknown form", 400);
    const std::string name = lower(parts[1].string().substr(1)), given = value_of(name);
    named[name] = true;
    const bool holds = kind == "eq" ? given == parts[2].string() : given.starts_with(parts[2].string());
    if (!holds) return refused("Policy Condition failed: " + json::print(condition));
  }
  for (const auto& [name, value] : form.fields()) {
    if (needs_condition(name) && !named[name]) return refused("Extra input fields: " + name);
  }
  return out;
}

Result<void> check_form_signature(const Form& form, const std::string& policy,
                                  aws::CredentialSource& credentials, aws::Call& call) {
  if (text(form, "x-amz-algorithm") != "AWS4-HMAC-SHA256")
    return fault("InvalidArgument", "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"", 400);
  const std::string credential = text(form, "x-amz-credential");
  const auto parts = split(credential, '/');
  if (parts.size() != 5 || parts[3] != "s3" || parts[4] != "aws4_request")
    return fault("InvalidArgument", "The Credential field is malformed", 400);
  aws::Scope scope{std::string(parts[1]), std::string(parts[2]), std::string(parts[3])};
  if (!text(form, "x-amz-date").starts_with(scope.date))
    return fault("InvalidArgument", "The date of the credential is not the form's", 400);
  auto identity = TRY(credentials.identify(std::string(parts[0]), text(form, "x-amz-security-token")));
  const aws::SigningKey key(identity.secret_access_key, scope);
  wipe(identity.secret_access_key);
  if (!equal_constant_time(key.sign_hex(policy), text(form, "x-amz-signature"))) {
    return fault(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and "
        "signing method.",
        403);
  }
  call.principal = std::move(identity.principal);
  call.account = call.principal.account;
  call.region = scope.region;
  return {};
}

op::PutObject::Request request_of(const Form& form, const std::string& bucket) {
  op::PutObject::Request q;
  q.bucket = bucket;
  q.key = replace_all(text(form, "key"), "${filename}", form.file_name());
  const auto take = [&](const char* name, std::optional<std::string>& member) {
    if (const std::string* value = field(form, name)) member = *value;
  };
  take("acl", q.acl);
  take("cache-control", q.cache_control);
  take("content-disposition", q.content_disposition);
  take("content-encoding", q.content_encoding);
  take("content-type", q.content_type);
  take("expires", q.expires);
  take("x-amz-storage-class", q.storage_class);
  take("x-amz-website-redirect-location", q.website_redirect_location);
  take("x-amz-server-side-encryption", q.server_side_encryption);
  take("x-amz-server-side-encryption-aws-kms-key-id", q.ssekms_key_id);
  constexpr std::string_view kUser = "x-amz-meta-";
  for (const auto& [name, value] : form.fields()) {
    if (name.starts_with(kUser))
      (q.metadata ? *q.metadata : q.metadata.emplace())[name.substr(kUser.size())] = value;
  }
  return q;
}

net::Response success(const Form& form, const op::PutObject::Request& q,
                      const op::PutObject::Response& stored, const std::string& endpoint) {
  net::Response out;
  const std::string location = endpoint + "/" + q.bucket + "/" + percent_encode(q.key, "/");
  const std::string etag = stored.e_tag.value_or("");
  out.headers.add("ETag", etag);
  if (stored.version_id) out.headers.add("x-amz-version-id", *stored.version_id);
  const std::string to = text(form, "success_action_redirect");
  if (to.starts_with("http://") || to.starts_with("https://")) {
    out.status = 303;
    out.headers.add(
        "Location",
        fmt::format("{}{}bucket={}&key={}&etag={}", to, to.find('?') == std::string::npos ? '?' : '&',
                    percent_encode(q.bucket), percent_encode(q.key), percent_encode(etag)));
    return out;
  }
  out.headers.add("Location", location);
  const std::string status = text(form, "success_action_status");
  out.status = status == "200" ? 200 : status == "201" ? 201 : 204;
  if (out.status != 201) return out;
  out.headers.add("Content-Type", "application/xml");
  out.body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse>";
  for (const auto& [name, value] : {std::pair<const char*, const std::string&>{"Location", location},
                                    {"Bucket", q.bucket},
                                    {"Key", q.key},
                                    {"ETag", etag}}) {
    out.body += fmt::format("<{}>", name);
    model::append_xml_text(out.body, value);
    out.body += fmt::format("</{}>", name);
  }
  out.body += "</PostResponse>";
  return out;
}

}  // namespace

void S3::browser_upload(net::Exchange& exchange, Call& call, const std::string& name) {
  call.service = "s3";
  call.operation = "PutObject";
  const auto work = [&]() -> Result<net::Response> {
    TRY(bucket(name));
    Form form(exchange);
    TRY(form.read_fields());
    if (text(form, "key").empty())
      return fault("InvalidArgument",
                   "Bucket POST must contain a field named 'key'.  If it is specified, please check the "
                   "order of the fields.",
                   400);
    if (const std::string* policy = field(form, "policy")) {
      TRY(check_form_signature(form, *policy, p_.credentials, call));
      const auto document = unbase64(*policy);
      const auto parsed = document ? json::parse(*document) : Result<json::Value>(error("Invalid", "base64"));
      if (!parsed || !parsed->is_object())
        return fault("InvalidPolicyDocument", "Invalid Policy: Invalid JSON.", 400);
      const auto allowed = TRY(check_policy(*parsed, form, name, call.now));
      form.limit(allowed.min, allowed.max);
    } else if (field(form, "x-amz-signature") != nullptr) {
      return fault("InvalidArgument", "Bucket POST must contain a field named 'policy'.", 400);
    }
    const aws::Entry* entry = p_.dispatch.registry().find("s3", "PutObject");
    if (entry == nullptr) return error("s3 without PutObject");
    const auto q = request_of(form, name);
    op::PutObject::Response stored;
    aws::Stream stream;
    stream.request = &exchange.request();
    stream.body = &form;
    call.stream = &stream;
    auto done = p_.dispatch.perform(*entry, call, &q, &stored);
    call.stream = nullptr;
    TRY(std::move(done));
    return success(form, q, stored, call.endpoint);
  };
  auto response = work();
  if (!response) return s3::refuse(exchange, response.error(), call.request_id);
  if (exchange.request().headers.has("Origin")) decorate(exchange.request(), "/" + name, response->headers);
  if (const auto sent = exchange.respond(std::move(*response)); !sent)
    log::debug("s3: {}", sent.error().message);
}

}  // namespace bastide::services
