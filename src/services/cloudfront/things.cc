#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "services/cloudfront/cloudfront.h"
#include "services/cloudfront/managed.h"
#include "services/cloudfront/public_key.h"

namespace bastide::services {
using namespace cloudfront;

namespace {
// What the name of a configuration is called, to be unique in the account.
const char* name_member(const Kind& kind) {
  return &kind == &kDistribution || &kind == &kOriginAccessIdentity ? "CallerReference" : "Name";
}
}  // namespace

Result<json::Value> Cloudfront::load(store::Reader& reader, const aws::Call& call, const Kind& kind,
                                     const std::string& id) {
  if (const auto* known = find_managed(kind, id)) return *known;
  auto found = TRY(reader.get(key_of(call, kind, id)));
  if (!found) return missing(kind);
  return std::move(found->body);
}

json::Value Cloudfront::shown(const Kind& kind, Json body) const {
  if (&kind == &kDistribution) return described(body);
  for (const char* hidden : {"ETag", "Tags", "SealedKey"}) body.remove(hidden);
  return body;
}

json::Value Cloudfront::answer(const aws::Call& call, const Kind& kind, Json body) const {
  auto etag = body.get("ETag");
  auto location = call.endpoint + "/2020-05-31/" + kind.path + "/" + body.get("Id");
  return json::object({{kind.noun, shown(kind, std::move(body))},
                       {"ETag", std::move(etag)},
                       {"Location", std::move(location)}});
}

Result<void> Cloudfront::check(store::Reader& reader, aws::Call& call, const Kind& kind, const Json& config,
                               const std::string& id) {
  if (&kind == &kDistribution) return check_distribution(reader, call, config, id);
  if (&kind == &kPublicKey) return check_public_key(config.get("EncodedKey"));
  if (&kind == &kKeyGroup) {
    const auto& keys = config.get_array("Items");
    if (keys.empty()) return fault("InvalidArgument", "A key group has at least one public key.");
    if (keys.size() > 5)
      return fault("TooManyPublicKeysInKeyGroup",
                   "The number of public keys in this key group is more than the maximum allowed.");
    for (const auto& key : keys) TRY(load(reader, call, kPublicKey, key.string()));
  }
  if (&kind == &kOriginAccessControl && config.get("OriginAccessControlOriginType") != "s3")
    return fault("InvalidArgument", "Origin access control is supported for origins of the type s3 only.");
  if (&kind == &kCachePolicy) {
    const auto min = config.get_int("MinTTL"),
               standard = config.get_int("DefaultTTL", std::max<int64_t>(86400, min));
    const auto max = config.get_int("MaxTTL", std::max<int64_t>(31536000, standard));
    if (min > standard || standard > max)
      return fault("InvalidArgument",
                   "The parameter TTL values are not ordered: MinTTL <= DefaultTTL <= MaxTTL.");
  }
  return {};
}

Result<json::Value> Cloudfront::make(aws::Call& call, const Kind& kind, Json config, json::Array tags) {
  Json body;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    const auto all = TRY(writer.list(call.account, "", kind.kind));
    if (all.size() >= kind.quota) {
      const std::string plural =
          &kind == &kOriginAccessIdentity ? "CloudFrontOriginAccessIdentities" : std::string(kind.noun) + "s";
      return fault(
          "TooMany" + plural,
          "Processing your request would cause you to exceed the maximum number allowed per AWS account.");
    }
    const auto name = config.get(name_member(kind));
    for (const auto& other : all) {
      if (part(other.body, kind.config).get(name_member(kind)) == name) {
        return fault(kind.exists, &kind == &kDistribution
                                      ? "The caller reference that you are using to create a distribution is "
                                        "associated with another distribution. Already exists: " +
                                            other.key.id
                                      : "A resource with the name '" + name + "' already exists.");
      }
    }
    TRY(check(writer, call, kind, config, ""));
    const auto id = new_id(kind);
    body = json::object({{"Id", id}, {"ETag", new_etag()}, {kind.config, config}});
    if (kind.time[0] != 0) body[kind.time] = static_cast<double>(call.now) / 1000;
    if (&kind == &kOriginAccessIdentity) body["S3CanonicalUserId"] = hex(random_bytes(48));
    if (&kind == &kDistribution) {
      body["ARN"] = arn_of(call.account, kind, id);
      body["DomainName"] = "d" + random_text(13, "abcdefghijklmnopqrstuvwxyz0123456789") + ".cloudfront.net";
      body["SealedKey"] = base64(p_.keyring.seal(
          "cloudfront.origin",
          random_text(40, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"), id));
      body["Tags"] = std::move(tags);
    }
    TRY(writer.put(key_of(call, kind, id), body));
    return writer.emit(kCloudFrontTopic, id);
  }));
  return body;
}

Result<json::Value> Cloudfront::create(aws::Call& call, const Kind& kind, const Json& in) {
  auto body = TRY(make(call, kind, part(in, kind.config), {}));
  return answer(call, kind, std::move(body));
}

Result<json::Value> Cloudfront::get(aws::Call& call, const Kind& kind, const Json& in) {
  Json body;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    body = TRY(load(reader, call, kind, in.get("Id")));
    return {};
  }));
  return answer(call, kind, std::move(body));
}

Result<json::Value> Cloudfront::get_config(aws::Call& call, const Kind& kind, const Json& in) {
  Json body;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    body = TRY(load(reader, call, kind, in.get("Id")));
    return {};
  }));
  return json::object({{kind.config, part(body, kind.config)}, {"ETag", body.get("ETag")}});
}

Result<json::Value> Cloudfront::update(aws::Call& call, const Kind& kind, const Json& in) {
  const auto id = in.get("Id");
  const auto& config = part(in, kind.config);
  if (find_managed(kind, id) != nullptr) return fault("AccessDenied", "A managed policy cannot be changed.");
  Json body;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    body = TRY(load(writer, call, kind, id));
    TRY(check_etag(body, in.get("IfMatch")));
    const auto& before = part(body, kind.config);
    if (config.get("CallerReference") != before.get("CallerReference"))
      return fault("IllegalUpdate",
                   "The update contains modifications that are not allowed: CallerReference.");
    if (&kind == &kPublicKey && config.get("EncodedKey") != before.get("EncodedKey"))
      return fault("CannotChangeImmutablePublicKeyFields", "You can't change the value of a public key.");
    for (const auto& other : TRY(writer.list(call.account, "", kind.kind))) {
      if (other.key.id != id &&
          part(other.body, kind.config).get(name_member(kind)) == config.get(name_member(kind)))
        return fault(kind.exists, "A resource with this name already exists.");
    }
    TRY(check(writer, call, kind, config, id));
    body[kind.config] = config;
    body["ETag"] = new_etag();
    if (kind.time == std::string_view("LastModifiedTime"))
      body[kind.time] = static_cast<double>(call.now) / 1000;
    TRY(writer.put(key_of(call, kind, id), body));
    return writer.emit(kCloudFrontTopic, id);
  }));
  return answer(call, kind, std::move(body));
}

Result<bool> Cloudfront::in_use(store::Reader& reader, const aws::Call& call, const Kind& kind,
                                const std::string& id) {
  if (&kind == &kPublicKey) {
    for (const auto& group : TRY(reader.list(call.account, "", kKeyGroup.kind))) {
      for (const auto& key : part(group.body, kKeyGroup.config).get_array("Items")) {
        if (key.string() == id) return true;
      }
    }
    return false;
  }
  const auto uses = [&](const Json& behavior) {
    if (&kind == &kCachePolicy) return behavior.get("CachePolicyId") == id;
    if (&kind == &kOriginRequestPolicy) return behavior.get("OriginRequestPolicyId") == id;
    if (&kind == &kResponseHeadersPolicy) return behavior.get("ResponseHeadersPolicyId") == id;
    if (&kind != &kKeyGroup) return false;
    const auto groups = items_of(behavior, "TrustedKeyGroups");
    return std::any_of(groups.begin(), groups.end(), [&](const Json& g) { return g.string() == id; });
  };
  for (const auto& d : TRY(reader.list(call.account, "", kDistribution.kind))) {
    const auto& config = part(d.body, kDistribution.config);
    if (uses(part(config, "DefaultCacheBehavior"))) return true;
    for (const auto& b : items_of(config, "CacheBehaviors")) {
      if (uses(b)) return true;
    }
    for (const auto& o : items_of(config, "Origins")) {
      if (&kind == &kOriginAccessControl && o.get("OriginAccessControlId") == id) return true;
      if (&kind == &kOriginAccessIdentity &&
          part(o, "S3OriginConfig").get("OriginAccessIdentity") == "origin-access-identity/cloudfront/" + id)
        return true;
    }
  }
  return false;
}

Result<json::Value> Cloudfront::remove(aws::Call& call, const Kind& kind, const Json& in) {
  const auto id = in.get("Id");
  if (find_managed(kind, id) != nullptr) return fault("IllegalDelete", "You cannot delete a managed policy.");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    const auto body = TRY(load(writer, call, kind, id));
    TRY(check_etag(body, in.get("IfMatch")));
    if (&kind == &kDistribution) {
      if (part(body, kind.config).get_bool("Enabled"))
        return fault("DistributionNotDisabled",
                     "The specified CloudFront distribution is not disabled. You must disable the "
                     "distribution before you can delete it.");
      for (const auto& i :
           TRY(writer.list(call.account, "", "cloudfront.invalidation", "", 1'000'000, id + "/")))
        TRY(writer.remove(i.key));
    } else if (TRY(in_use(writer, call, kind, id))) {
      return fault(kind.used,
                   "Cannot delete the resource because it is attached to one or more other resources.");
    }
    TRY(writer.remove(key_of(call, kind, id)));
    return writer.emit(kCloudFrontTopic, id);
  }));
  return json::object();
}

Result<json::Value> Cloudfront::list(aws::Call& call, const Kind& kind, const Json& in) {
  const auto type = in.get("Type");
  json::Array items;
  const auto add = [&](const char* of, const Json& body) {
    if (!type.empty() && type != of) return;
    Json item = json::object({{"Id", body.get("Id")}});
    const auto& config = part(body, kind.config);
    if (&kind == &kDistribution) {
      item = described(body);
      for (const char* member :
           {"Aliases", "Origins", "OriginGroups", "DefaultCacheBehavior", "CacheBehaviors",
            "CustomErrorResponses", "Comment", "PriceClass", "Enabled", "ViewerCertificate", "Restrictions",
            "WebACLId", "HttpVersion", "IsIPV6Enabled", "Staging"}) {
        if (const auto* value = config.find(member)) item[member] = *value;
      }
      item.remove(kind.config);
      item["ETag"] = body.get("ETag");
    } else if (kind.flat[0] == 0) {
      if (!managed(kind).empty()) item["Type"] = of;
      item[kind.noun] = shown(kind, body);
    } else {
      for (const auto member : split(kind.flat, ',')) {
        if (const auto* value = config.find(member)) item[member] = *value;
      }
      for (const char* member : {"S3CanonicalUserId", "CreatedTime"}) {
        if (const auto* value = body.find(member)) item[member] = *value;
      }
    }
    items.push_back(std::move(item));
  };
  for (const auto& one : managed(kind)) add("managed", one);
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    for (const auto& one : TRY(reader.list(call.account, "", kind.kind))) add("custom", one.body);
    return {};
  }));
  std::sort(items.begin(), items.end(),
            [](const Json& a, const Json& b) { return a.get("Id") < b.get("Id"); });
  auto got = TRY(page(std::move(items), in, "Id"));
  auto out = quantity(std::move(got.items));
  if (!managed(kind).empty() || &kind == &kKeyGroup) {
    for (auto& item : out["Items"].is_array() ? out["Items"].array() : json::Array{}) item.remove("Id");
  }
  if (out.find("Items") != nullptr && out.find("Items")->is_null()) out.remove("Items");
  out["MaxItems"] = got.most;
  out["IsTruncated"] = !got.next.empty();
  out["Marker"] = in.get("Marker");
  if (!got.next.empty()) out["NextMarker"] = got.next;
  return json::object({{kind.list, std::move(out)}});
}

}  // namespace bastide::services
