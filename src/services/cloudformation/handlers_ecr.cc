// AWS::ECR::Repository.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ecr-repository.html
#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

Value attributes_of(const Value& repository) {
  return json::object(
      {{"Arn", repository.get("repositoryArn")}, {"RepositoryUri", repository.get("repositoryUri")}});
}

Result<Made> make(const Context& c, const Value& p) {
  const std::string name = c.name(p, "RepositoryName", 256, true);
  Value in = json::object({{"repositoryName", name}});
  if (const Value* v = p.find("ImageTagMutability")) in["imageTagMutability"] = *v;
  if (const Value* v = p.find("ImageScanningConfiguration")) {
    in["imageScanningConfiguration"] = json::object({{"scanOnPush", v->get_bool("ScanOnPush")}});
  }
  if (const Value* v = p.find("EncryptionConfiguration")) {
    Value encryption = json::object({{"encryptionType", v->get("EncryptionType")}});
    if (v->has("KmsKey")) encryption["kmsKey"] = v->get("KmsKey");
    in["encryptionConfiguration"] = std::move(encryption);
  }
  Value tags = c.tags(p);
  if (!tags.array().empty()) in["tags"] = std::move(tags);
  const Value out = TRY(c.call("ecr", "CreateRepository", std::move(in)));
  const Value* repository = out.find("repository");
  return Made{name, repository == nullptr ? Value() : attributes_of(*repository)};
}

Result<Value> attributes(const Context& c, const std::string& name, const Value&) {
  const Value out =
      TRY(c.call("ecr", "DescribeRepositories", json::object({{"repositoryNames", json::array({name})}})));
  if (out.get_array("repositories").empty())
    return fault("RepositoryNotFoundException", "The repository " + name + " is gone");
  return attributes_of(out.get_array("repositories")[0]);
}

Result<void> apply_texts(const Context& c, const std::string& name, const Value& old, const Value& next) {
  const Value* lifecycle = next.find("LifecyclePolicy");
  const std::string text = lifecycle == nullptr ? "" : lifecycle->get("LifecyclePolicyText");
  if (!text.empty() && differs(old, next, "LifecyclePolicy")) {
    TRY(done(c.call("ecr", "PutLifecyclePolicy",
                    json::object({{"repositoryName", name}, {"lifecyclePolicyText", text}}))));
  } else if (text.empty() && old.has("LifecyclePolicy")) {
    TRY(unless_missing(c.call("ecr", "DeleteLifecyclePolicy", json::object({{"repositoryName", name}}))));
  }
  const Value* policy = next.find("RepositoryPolicyText");
  if (policy != nullptr && differs(old, next, "RepositoryPolicyText")) {
    TRY(done(c.call("ecr", "SetRepositoryPolicy",
                    json::object({{"repositoryName", name}, {"policyText", document(*policy)}}))));
  } else if (policy == nullptr && old.has("RepositoryPolicyText")) {
    TRY(unless_missing(c.call("ecr", "DeleteRepositoryPolicy", json::object({{"repositoryName", name}}))));
  }
  return {};
}

Result<void> apply(const Context& c, const std::string& name, const Value& old, const Value& next) {
  TRY(apply_texts(c, name, old, next));
  if (old.is_null()) return {};
  if (differs(old, next, "ImageTagMutability")) {
    TRY(done(c.call("ecr", "PutImageTagMutability",
                    json::object({{"repositoryName", name},
                                  {"imageTagMutability", next.get("ImageTagMutability", "MUTABLE")}}))));
  }
  if (differs(old, next, "ImageScanningConfiguration")) {
    const Value* scanning = next.find("ImageScanningConfiguration");
    const bool on = scanning != nullptr && scanning->get_bool("ScanOnPush");
    TRY(done(c.call("ecr", "PutImageScanningConfiguration",
                    json::object({{"repositoryName", name},
                                  {"imageScanningConfiguration", json::object({{"scanOnPush", on}})}}))));
  }
  const TagChange change = tag_change(c, old, next);
  if (!change.any()) return {};
  const Value known = TRY(attributes(c, name, next));
  if (!change.set.array().empty()) {
    TRY(done(c.call("ecr", "TagResource",
                    json::object({{"resourceArn", known.get("Arn")}, {"tags", change.set}}))));
  }
  if (!change.remove.array().empty()) {
    TRY(done(c.call("ecr", "UntagResource",
                    json::object({{"resourceArn", known.get("Arn")}, {"tagKeys", change.remove}}))));
  }
  return {};
}

Result<void> remove(const Context& c, const std::string& name, const Value& p) {
  return unless_missing(
      c.call("ecr", "DeleteRepository",
             json::object({{"repositoryName", name}, {"force", p.get_bool("EmptyOnDelete")}})));
}

Result<std::string> find(const Context& c, const Value& p) {
  const std::string name = c.name(p, "RepositoryName", 256, true);
  auto out = c.call("ecr", "DescribeRepositories", json::object({{"repositoryNames", json::array({name})}}));
  if (!out && is_missing(out.error())) return std::string();
  if (!out) return std::move(out).error();
  if (out->get_array("repositories").empty()) return std::string();
  const Value* made = out->get_array("repositories")[0].find("createdAt");
  if (made != nullptr && made->is_number() && (made->number() + 1) * 1000 < static_cast<double>(c.started))
    return std::string();
  return name;
}

}  // namespace

void add_ecr(Handlers& h) {
  h["AWS::ECR::Repository"] = {.name_property = "RepositoryName",
                               .make = make,
                               .apply = apply,
                               .remove = remove,
                               .attributes = attributes,
                               .find = find};
}

}  // namespace bastide::services::cfn
