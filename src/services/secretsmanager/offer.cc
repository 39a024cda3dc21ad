// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
#include "aws/arn.h"
#include "services/secretsmanager/secretsmanager.h"

namespace bastide::services {

namespace op = model::secretsmanager::op;

namespace {

void add_tags(aws::Target& t, const std::vector<model::secretsmanager::Tag>& tags) {
  for (const auto& tag : tags) {
    t.context.emplace_back("aws:RequestTag/" + tag.key.value_or(""), tag.value.value_or(""));
    t.context.emplace_back("aws:TagKeys", tag.key.value_or(""));
  }
}

}  // namespace

void SecretsManager::offer(aws::Registry& registry) {
  using aws::Call;
  using aws::Target;
  using Targets = Result<std::vector<Target>>;
  auto on_secret = [this](const Call& call, const auto& q) -> Targets {
    return std::vector<Target>{target(call, q.secret_id)};
  };
  registry.add<op::CreateSecret>(this, &SecretsManager::create,
                                 {"secretsmanager:CreateSecret", [](auto& call, auto& q) -> Targets {
                                    Target t;
                                    t.resource = aws::make_arn("secretsmanager", call.region, call.account,
                                                               "secret:" + q.name);
                                    t.context = {{"secretsmanager:Name", q.name}};
                                    if (q.description)
                                      t.context.emplace_back("secretsmanager:Description", *q.description);
                                    if (q.kms_key_id)
                                      t.context.emplace_back("secretsmanager:KmsKeyId", *q.kms_key_id);
                                    std::vector<Target> out;
                                    if (q.tags && !q.tags->empty()) {
                                      add_tags(t, *q.tags);
                                      Target tagging = t;
                                      tagging.action = "secretsmanager:TagResource";
                                      out.push_back(std::move(tagging));
                                    }
                                    out.insert(out.begin(), std::move(t));
                                    return out;
                                  }});
  registry.add<op::DescribeSecret>(this, &SecretsManager::describe,
                                   {"secretsmanager:DescribeSecret", on_secret});
  registry.add<op::UpdateSecret>(this, &SecretsManager::update,
                                 {"secretsmanager:UpdateSecret", [this](auto& call, auto& q) -> Targets {
                                    auto t = target(call, q.secret_id);
                                    if (q.description)
                                      t.context.emplace_back("secretsmanager:Description", *q.description);
                                    if (q.kms_key_id)
                                      t.context.emplace_back("secretsmanager:KmsKeyId", *q.kms_key_id);
                                    return std::vector<Target>{std::move(t)};
                                  }});
  registry.add<op::DeleteSecret>(this, &SecretsManager::remove,
                                 {"secretsmanager:DeleteSecret", [this](auto& call, auto& q) -> Targets {
                                    auto t = target(call, q.secret_id);
                                    t.context.emplace_back(
                                        "secretsmanager:ForceDeleteWithoutRecovery",
                                        q.force_delete_without_recovery.value_or(false) ? "true" : "false");
                                    if (q.recovery_window_in_days) {
                                      t.context.emplace_back("secretsmanager:RecoveryWindowInDays",
                                                             std::to_string(*q.recovery_window_in_days));
                                    }
                                    return std::vector<Target>{std::move(t)};
                                  }});
  registry.add<op::RestoreSecret>(this, &SecretsManager::restore,
                                  {"secretsmanager:RestoreSecret", on_secret});
  registry.add<op::GetSecretValue>(this, &SecretsManager::get_value,
                                   {"secretsmanager:GetSecretValue", [this](auto& call, auto& q) -> Targets {
                                      auto t = target(call, q.secret_id);
                                      if (q.version_id)
                                        t.context.emplace_back("secretsmanager:VersionId", *q.version_id);
                                      if (q.version_stage || !q.version_id) {
                                        t.context.emplace_back("secretsmanager:VersionStage",
                                                               q.version_stage.value_or(kCurrent));
                                      }
                                      return std::vector<Target>{std::move(t)};
                                    }});
  registry.add<op::BatchGetSecretValue>(this, &SecretsManager::batch_get,
                                        {"secretsmanager:BatchGetSecretValue", {}});
  registry.add<op::PutSecretValue>(this, &SecretsManager::put_value,
                                   {"secretsmanager:PutSecretValue", on_secret});
  registry.add<op::UpdateSecretVersionStage>(
      this, &SecretsManager::move_stage,
      {"secretsmanager:UpdateSecretVersionStage", [this](auto& call, auto& q) -> Targets {
         auto t = target(call, q.secret_id);
         t.context.emplace_back("secretsmanager:VersionStage", q.version_stage);
         return std::vector<Target>{std::move(t)};
       }});
  registry.add<op::ListSecretVersionIds>(this, &SecretsManager::list_versions,
                                         {"secretsmanager:ListSecretVersionIds", on_secret});
  registry.add<op::ListSecrets>(this, &SecretsManager::list, {"secretsmanager:ListSecrets", {}});
  registry.add<op::GetResourcePolicy>(this, &SecretsManager::get_policy,
                                      {"secretsmanager:GetResourcePolicy", on_secret});
  registry.add<op::PutResourcePolicy>(
      this, &SecretsManager::put_policy,
      {"secretsmanager:PutResourcePolicy", [this](auto& call, auto& q) -> Targets {
         auto t = target(call, q.secret_id);
         t.context.emplace_back("secretsmanager:BlockPublicPolicy",
                                q.block_public_policy.value_or(false) ? "true" : "false");
         return std::vector<Target>{std::move(t)};
       }});
  registry.add<op::DeleteResourcePolicy>(this, &SecretsManager::delete_policy,
                                         {"secretsmanager:DeleteResourcePolicy", on_secret});
  registry.add<op::ValidateResourcePolicy>(
      this, &SecretsManager::validate_policy,
      {"secretsmanager:ValidateResourcePolicy", [this](auto& call, auto& q) -> Targets {
         if (!q.secret_id) return std::vector<Target>(1);
         return std::vector<Target>{target(call, *q.secret_id)};
       }});
  registry.add<op::TagResource>(this, &SecretsManager::tag,
                                {"secretsmanager:TagResource", [this](auto& call, auto& q) -> Targets {
                                   auto t = target(call, q.secret_id);
                                   add_tags(t, q.tags);
                                   return std::vector<Target>{std::move(t)};
                                 }});
  registry.add<op::UntagResource>(this, &SecretsManager::untag,
                                  {"secretsmanager:UntagResource", [this](auto& call, auto& q) -> Targets {
                                     auto t = target(call, q.secret_id);
                                     for (const auto& key : q.tag_keys)
                                       t.context.emplace_back("aws:TagKeys", key);
                                     return std::vector<Target>{std::move(t)};
                                   }});
  registry.add<op::GetRandomPassword>(this, &SecretsManager::password,
                                      {"secretsmanager:GetRandomPassword", {}});
  registry.add<op::RotateSecret>(this, &SecretsManager::rotate,
                                 {"secretsmanager:RotateSecret", [this](auto& call, auto& q) -> Targets {
                                    auto t = target(call, q.secret_id);
                                    if (q.rotation_lambda_arn)
                                      t.context.emplace_back("secretsmanager:RotationLambdaARN",
                                                             *q.rotation_lambda_arn);
                                    return std::vector<Target>{std::move(t)};
                                  }});
  registry.add<op::CancelRotateSecret>(this, &SecretsManager::cancel_rotation,
                                       {"secretsmanager:CancelRotateSecret", on_secret});
}

}  // namespace bastide::services
