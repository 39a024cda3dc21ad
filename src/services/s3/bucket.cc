#include "services/s3/bucket.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/crypto.h"
#include "net/http.h"
#include "services/s3/s3.h"

namespace bastide::services {
namespace s3 {
namespace {

constexpr size_t kMaxPolicy = 20u << 10;

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

std::vector<std::string> texts(const json::Value* value) {
  std::vector<std::string> out;
  if (value == nullptr) return out;
  if (value->is_string()) out.push_back(value->string());
  if (value->is_array()) {
    for (const auto& one : value->array()) {
      if (one.is_string()) out.push_back(one.string());
    }
  }
  return out;
}

bool everyone(const json::Value* principal) {
  if (principal == nullptr) return false;
  if (principal->is_string()) return principal->string() == "*";
  const auto named = texts(principal->find("AWS"));
  return std::find(named.begin(), named.end(), "*") != named.end();
}

// Conditions whose fixed values make a policy for everyone a policy for some.
bool narrows(const json::Value* conditions) {
  if (conditions == nullptr || !conditions->is_object()) return false;
  static const std::set<std::string> kKeys = {"aws:sourcearn",
                                              "aws:sourceaccount",
                                              "aws:sourcevpc",
                                              "aws:sourcevpce",
                                              "aws:sourceip",
                                              "aws:principalorgid",
                                              "aws:principalaccount",
                                              "aws:principalarn",
                                              "aws:principalorgpaths",
                                              "aws:userid",
                                              "aws:sourceowner",
                                              "aws:sourceorgid",
                                              "s3:x-amz-server-side-encryption-aws-kms-key-id",
                                              "s3:dataaccesspointarn",
                                              "s3:dataaccesspointaccount"};
  for (const auto& [op, keys] : conditions->object()) {
    const std::string name = lower(op);
    if (!keys.is_object() || name.find("not") != std::string::npos || name == "null") continue;
    for (const auto& [key, values] : keys.object()) {
      if (kKeys.count(lower(key)) == 0) continue;
      const auto all = texts(&values);
      const bool fixed = !all.empty() && std::none_of(all.begin(), all.end(), [](const std::string& v) {
        return v == "*" || v == "0.0.0.0/0" || v == "::/0" || v.find("${") != std::string::npos;
      });
      if (fixed) return true;
    }
  }
  return false;
}

std::vector<const json::Value*> statements(const json::Value& document) {
  std::vector<const json::Value*> out;
  const json::Value* all = document.find("Statement");
  if (all != nullptr && all->is_object()) out.push_back(all);
  if (all != nullptr && all->is_array()) {
    for (const auto& one : all->array()) out.push_back(&one);
  }
  return out;
}

Error malformed_policy(std::string message) { return fault("MalformedPolicy", std::move(message), 400); }

}  // namespace

bool Bucket::access_block(const char* member) const {
  const json::Value* block = configuration("accessBlock");
  return block != nullptr && block->get_bool(member);
}

bool Bucket::versioned() const {
  const json::Value* versioning = configuration("versioning");
  return versioning != nullptr && versioning->get("Status") == "Enabled";
}

bool versioning_is(const json::Value& body, const char* status) {
  const json::Value* all = body.find("configurations");
  const json::Value* versioning = all == nullptr ? nullptr : all->find("versioning");
  return versioning != nullptr && versioning->get("Status") == status;
}

std::string Bucket::arn(const std::string& key) const {
  return "arn:aws:s3:::" + name + (key.empty() ? "" : "/" + key);
}

Bucket bucket_of(const store::Resource& row) {
  Bucket out;
  out.name = row.key.id;
  out.account = row.key.account;
  out.region = row.body.get("region");
  out.created = row.body.get_int("created");
  if (const json::Value* all = row.body.find("configurations")) out.configurations = *all;
  if (const json::Value* policy = out.configurations.find("policy");
      policy != nullptr && policy->is_string()) {
    if (const auto document = json::parse(policy->string())) {
      out.policy = *document;
      out.public_policy = is_public_policy(*document);
    }
  }
  return out;
}

bool valid_bucket_name(std::string_view name) {
  if (name.size() < 3 || name.size() > 63) return false;
  if (!lower_or_digit(name.front()) || !lower_or_digit(name.back())) return false;
  if (!std::all_of(name.begin(), name.end(),
                   [](char c) { return lower_or_digit(c) || c == '-' || c == '.'; }))
    return false;
  if (name.find("..") != std::string_view::npos) return false;
  if (name.starts_with("xn--") || name.starts_with("sthree-") || name.ends_with("-s3alias") ||
      name.ends_with("--ol-s3") || name.ends_with(".mrap") || name.ends_with("--x-s3"))
    return false;
  const auto parts = split(name, '.');
  const bool address =
      parts.size() == 4 && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
        return !part.empty() && part.size() <= 3 &&
               std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
      });
  return !address;
}

std::string canonical_id(const std::string& account) { return sha256_hex("s3 canonical user of " + account); }

bool is_public_policy(const json::Value& document) {
  for (const json::Value* one : statements(document)) {
    if (one->get("Effect") != "Allow") continue;
    if (!everyone(one->find("Principal")) && one->find("NotPrincipal") == nullptr) continue;
    if (!narrows(one->find("Condition"))) return true;
  }
  return false;
}

Result<json::Value> check_bucket_policy(const std::string& text, const std::string& bucket) {
  if (text.size() > kMaxPolicy)
    return fault("PolicyTooLarge", "Policy exceeds the maximum allowed document size.", 400);
  auto document = json::parse(text);
  if (!document || !document->is_object())
    return malformed_policy("Policies must be valid JSON and the first byte must be '{'");
  if (auto checked = aws::check_resource_policy(text); !checked)
    return malformed_policy(checked.error().message);
  const std::string arn = "arn:aws:s3:::" + bucket;
  for (const json::Value* one : statements(*document)) {
    if (one->find("Principal") == nullptr && one->find("NotPrincipal") == nullptr)
      return malformed_policy("Missing required field Principal");
    for (const std::string& action : texts(one->find("Action"))) {
      if (action != "*" && !lower(action).starts_with("s3:"))
        return malformed_policy("Policy has invalid action");
    }
    auto resources = texts(one->find("Resource"));
    for (auto& more : texts(one->find("NotResource"))) resources.push_back(std::move(more));
    if (resources.empty()) return malformed_policy("Missing required field Resource");
    for (const std::string& resource : resources) {
      const bool ours = resource == arn || resource.starts_with(arn + "/") || resource == arn + "*" ||
                        resource == "*" ||
                        (resource.find('*') != std::string::npos && resource.starts_with("arn:aws:s3:::") &&
                         arn.starts_with(resource.substr(0, resource.find('*'))));
      if (!ours) return malformed_policy("Policy has invalid resource");
    }
  }
  return document;
}

Result<void> check_tags(const json::Value& tag_set, size_t max) {
  if (tag_set.array().size() > max)
    return fault("BadRequest", "Object tags cannot be greater than " + std::to_string(max), 400);
  std::set<std::string> seen;
  for (const auto& tag : tag_set.array()) {
    const std::string key = tag.get("Key"), value = tag.get("Value");
    if (key.empty() || key.size() > 128 * 4)
      return fault("InvalidTag", "The TagKey you have provided is invalid", 400);
    if (value.size() > 256 * 4) return fault("InvalidTag", "The TagValue you have provided is invalid", 400);
    if (lower(key).starts_with("aws:")) {
      return fault("InvalidTag", "System tags cannot be added/updated by requester", 400);
    }
    if (!seen.insert(key).second)
      return fault("InvalidTag", "Cannot provide multiple Tags with the same key", 400);
  }
  return {};
}

Result<json::Value> tags_of_header(const std::string& text) {
  json::Value out = json::array();
  const auto pairs = net::parse_form(text);
  if (!pairs) {
    return fault(
        "InvalidArgument",
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without "
        "tag name duplicates.",
        400);
  }
  for (const auto& [key, value] : *pairs) out.push(json::object({{"Key", key}, {"Value", value}}));
  TRY(check_tags(out, 10));
  return out;
}

Error no_such_bucket() { return fault("NoSuchBucket", "The specified bucket does not exist", 404); }
Error access_denied() { return fault("AccessDenied", "Access Denied", 403); }
Error precondition_failed(const char*) {
  return fault("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412);
}

std::string quoted(const std::string& etag) { return "\"" + etag + "\""; }

bool names_etag(std::string_view list, std::string_view etag) {
  for (std::string_view one : split(list, ',')) {
    one = trim(one);
    if (one == "*") return true;
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one.size() >= 2 && one.starts_with('"') && one.ends_with('"')) one = one.substr(1, one.size() - 2);
    if (one == etag) return true;
  }
  return false;
}

std::string new_version_id() {
  return random_text(32, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._");
}

std::string encode_key(const std::string& key, bool url) { return url ? percent_encode(key, "/") : key; }

}  // namespace s3

Result<S3::BucketPtr> S3::bucket(const std::string& name, const std::optional<std::string>& owner) {
  const int64_t changes = p_.database.changes(s3::kBucketKind).load();
  if (changes != bucket_changes_) {
    buckets_.clear();
    bucket_changes_ = changes;
  }
  auto& known = buckets_[name];
  if (known == nullptr) {
    if (buckets_.size() > 10'000) {
      buckets_.clear();
      return bucket(name, owner);
    }
    const auto rows = p_.database.find(s3::kBucketKind, "name", name);
    if (!rows || rows->empty()) {
      buckets_.erase(name);
      if (!rows) return rows.error();
      return s3::no_such_bucket();
    }
    known = std::make_shared<const s3::Bucket>(s3::bucket_of(rows->front()));
  }
  if (owner && *owner != known->account) return s3::access_denied();
  return known;
}

Result<void> S3::change_bucket(const std::string& name, const std::function<Result<void>(json::Value&)>& f) {
  return p_.database.write([&name, &f](store::Writer& w) -> Result<void> {
    auto rows = TRY(w.find(s3::kBucketKind, "name", name));
    if (rows.empty()) return s3::no_such_bucket();
    json::Value& all = rows.front().body["configurations"];
    if (all.is_null()) all = json::object();
    TRY(f(all));
    return w.put(rows.front().key, rows.front().body, {{"name", name}});
  });
}

}  // namespace bastide::services
