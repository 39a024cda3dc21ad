// AWS::SecretsManager::Secret.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secret.html
#include <optional>

#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

// The text to keep, generated where the template asks for that; nothing where it gives neither.
Result<std::optional<std::string>> secret_text(const Context& c, const Value& p) {
  const Value* how = p.find("GenerateSecretString");
  if (how == nullptr) return p.has("SecretString") ? std::optional(p.get("SecretString")) : std::nullopt;
  if (p.has("SecretString")) {
    return fault("InvalidRequest", "You can't specify both SecretString and GenerateSecretString.");
  }
  const Value out = TRY(
      c.call("secretsmanager", "GetRandomPassword",
             pick(*how, {"ExcludeCharacters", "ExcludeLowercase", "ExcludeNumbers", "ExcludePunctuation",
                         "ExcludeUppercase", "IncludeSpace", "PasswordLength", "RequireEachIncludedType"})));
  const std::string password = out.get("RandomPassword");
  const std::string key = how->get("GenerateStringKey");
  if (key.empty() != !how->has("SecretStringTemplate")) {
    return fault("InvalidRequest", "SecretStringTemplate and GenerateStringKey must be given together.");
  }
  if (key.empty()) return std::optional(password);
  auto body = json::parse(how->get("SecretStringTemplate"));
  if (!body || !body->is_object())
    return fault("InvalidRequest", "SecretStringTemplate must be a JSON object.");
  (*body)[key] = password;
  return std::optional(json::print(*body));
}

Result<Made> make(const Context& c, const Value& p) {
  Value in = pick(p, {"Description", "KmsKeyId"});
  in["Name"] = c.name(p, "Name", 512);
  in["ClientRequestToken"] = c.token;
  auto text = TRY(secret_text(c, p));
  if (text) in["SecretString"] = std::move(*text);
  Value tags = c.tags(p);
  if (!tags.array().empty()) in["Tags"] = std::move(tags);
  const Value out = TRY(c.call("secretsmanager", "CreateSecret", std::move(in)));
  return Made{out.get("ARN"), json::object({{"Id", out.get("ARN")}})};
}

Result<void> apply(const Context& c, const std::string& arn, const Value& old, const Value& next) {
  if (old.is_null()) return {};
  Value in = json::object({{"SecretId", arn}, {"Description", next.get("Description")}});
  if (next.has("KmsKeyId")) in["KmsKeyId"] = next.get("KmsKeyId");
  if (differs(old, next, "SecretString") || differs(old, next, "GenerateSecretString")) {
    auto text = TRY(secret_text(c, next));
    if (text) in["SecretString"] = std::move(*text);
  }
  TRY(done(c.call("secretsmanager", "UpdateSecret", std::move(in))));
  const TagChange change = tag_change(c, old, next);
  if (!change.set.array().empty()) {
    TRY(done(
        c.call("secretsmanager", "TagResource", json::object({{"SecretId", arn}, {"Tags", change.set}}))));
  }
  if (!change.remove.array().empty()) {
    TRY(done(c.call("secretsmanager", "UntagResource",
                    json::object({{"SecretId", arn}, {"TagKeys", change.remove}}))));
  }
  return {};
}

Result<void> remove(const Context& c, const std::string& arn, const Value&) {
  return unless_missing(c.call("secretsmanager", "DeleteSecret",
                               json::object({{"SecretId", arn}, {"ForceDeleteWithoutRecovery", true}})));
}

Result<Value> attributes(const Context&, const std::string& arn, const Value&) {
  return json::object({{"Id", arn}});
}

Result<std::string> find(const Context& c, const Value& p) {
  auto out = c.call("secretsmanager", "DescribeSecret", json::object({{"SecretId", c.name(p, "Name", 512)}}));
  if (!out && is_missing(out.error())) return std::string();
  if (!out) return std::move(out).error();
  const Value* made = out->find("CreatedDate");
  if (made != nullptr && made->is_number() && (made->number() + 1) * 1000 < static_cast<double>(c.started))
    return std::string();
  return out->get("ARN");
}

}  // namespace

void add_secretsmanager(Handlers& h) {
  h["AWS::SecretsManager::Secret"] = {.name_property = "Name",
                                      .make = make,
                                      .apply = apply,
                                      .remove = remove,
                                      .attributes = attributes,
                                      .find = find};
}

}  // namespace bastide::services::cfn
