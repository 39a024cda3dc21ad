// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html
#include "services/kms/kms.h"

namespace bastide::services {

namespace op = model::kms::op;

void Kms::offer_keys(aws::Registry& registry) {
  using aws::Target;
  using Targets = Result<std::vector<Target>>;
  auto on_key = [this](const char* action) {
    return [this, action](const aws::Call& call, const auto& q) -> Targets {
      const auto found = TRY(find_key(call, q.key_id));
      return std::vector<Target>{target(call, *found, action)};
    };
  };
  // An alias operation is authorised on the alias, by identity policies, and on the key.
  auto alias_target = [](const aws::Call& call, const std::string& alias, const char* action) {
    Target t;
    t.action = action;
    t.resource = alias_arn(call.region, call.account, alias);
    return t;
  };
  registry.add<op::CreateKey>(
      this, &Kms::create_key,
      {"kms:CreateKey", [](auto& call, auto& q) -> Targets {
         Target t;
         t.owner = call.account;
         t.context = {{"kms:KeySpec", q.key_spec.value_or(kSymmetric)},
                      {"kms:KeyUsage", q.key_usage.value_or("ENCRYPT_DECRYPT")},
                      {"kms:KeyOrigin", q.origin.value_or("AWS_KMS")},
                      {"kms:MultiRegion", q.multi_region.value_or(false) ? "true" : "false"},
                      {"kms:BypassPolicyLockoutSafetyCheck",
                       q.bypass_policy_lockout_safety_check.value_or(false) ? "true" : "false"}};
         if (q.tags) {
           for (const auto& tag : *q.tags) {
             t.context.emplace_back("aws:RequestTag/" + tag.tag_key, tag.tag_value);
             t.context.emplace_back("aws:TagKeys", tag.tag_key);
           }
         }
         return std::vector<Target>{std::move(t)};
       }});
  registry.add<op::DescribeKey>(
      this, &Kms::describe_key,
      {"kms:DescribeKey", [this](auto& call, auto& q) -> Targets {
         const auto found = TRY(find(call, q.key_id));
         return std::vector<Target>{target(call, *found, "DescribeKey", {}, q.key_id)};
       }});
  registry.add<op::ListKeys>(this, &Kms::list_keys, {"kms:ListKeys", {}});
  registry.add<op::ListAliases>(this, &Kms::list_aliases, {"kms:ListAliases", {}});
  registry.add<op::EnableKey>(this, &Kms::enable_key, {"kms:EnableKey", on_key("EnableKey")});
  registry.add<op::DisableKey>(this, &Kms::disable_key, {"kms:DisableKey", on_key("DisableKey")});
  registry.add<op::UpdateKeyDescription>(this, &Kms::update_description,
                                         {"kms:UpdateKeyDescription", on_key("UpdateKeyDescription")});
  registry.add<op::ScheduleKeyDeletion>(this, &Kms::schedule_deletion,
                                        {"kms:ScheduleKeyDeletion", [this](auto& call, auto& q) -> Targets {
                                           const auto found = TRY(find_key(call, q.key_id));
                                           auto t = target(call, *found, "ScheduleKeyDeletion");
                                           t.context.emplace_back(
                                               "kms:ScheduleKeyDeletionPendingWindowInDays",
                                               std::to_string(q.pending_window_in_days.value_or(30)));
                                           return std::vector<Target>{std::move(t)};
                                         }});
  registry.add<op::CancelKeyDeletion>(this, &Kms::cancel_deletion,
                                      {"kms:CancelKeyDeletion", on_key("CancelKeyDeletion")});
  registry.add<op::TagResource>(this, &Kms::tag, {"kms:TagResource", [this](auto& call, auto& q) -> Targets {
                                                    const auto found = TRY(find_key(call, q.key_id));
                                                    auto t = target(call, *found, "TagResource");
                                                    for (const auto& tag : q.tags) {
                                                      t.context.emplace_back("aws:RequestTag/" + tag.tag_key,
                                                                             tag.tag_value);
                                                      t.context.emplace_back("aws:TagKeys", tag.tag_key);
                                                    }
                                                    return std::vector<Target>{std::move(t)};
                                                  }});
  registry.add<op::UntagResource>(this, &Kms::untag,
                                  {"kms:UntagResource", [this](auto& call, auto& q) -> Targets {
                                     const auto found = TRY(find_key(call, q.key_id));
                                     auto t = target(call, *found, "UntagResource");
                                     for (const auto& key : q.tag_keys)
                                       t.context.emplace_back("aws:TagKeys", key);
                                     return std::vector<Target>{std::move(t)};
                                   }});
  registry.add<op::ListResourceTags>(this, &Kms::list_tags,
                                     {"kms:ListResourceTags", on_key("ListResourceTags")});
  registry.add<op::GetKeyPolicy>(this, &Kms::get_policy, {"kms:GetKeyPolicy", on_key("GetKeyPolicy")});
  registry.add<op::PutKeyPolicy>(this, &Kms::put_policy, {"kms:PutKeyPolicy", on_key("PutKeyPolicy")});
  registry.add<op::ListKeyPolicies>(this, &Kms::list_policies,
                                    {"kms:ListKeyPolicies", on_key("ListKeyPolicies")});
  registry.add<op::EnableKeyRotation>(this, &Kms::enable_rotation,
                                      {"kms:EnableKeyRotation", on_key("EnableKeyRotation")});
  registry.add<op::DisableKeyRotation>(this, &Kms::disable_rotation,
                                       {"kms:DisableKeyRotation", on_key("DisableKeyRotation")});
  registry.add<op::GetKeyRotationStatus>(this, &Kms::rotation_status,
                                         {"kms:GetKeyRotationStatus", on_key("GetKeyRotationStatus")});
  registry.add<op::RotateKeyOnDemand>(this, &Kms::rotate,
                                      {"kms:RotateKeyOnDemand", on_key("RotateKeyOnDemand")});
  registry.add<op::ListKeyRotations>(this, &Kms::list_rotations,
                                     {"kms:ListKeyRotations", on_key("ListKeyRotations")});
  registry.add<op::CreateAlias>(this, &Kms::create_alias,
                                {"kms:CreateAlias", [this, alias_target](auto& call, auto& q) -> Targets {
                                   const auto found = TRY(find_key(call, q.target_key_id));
                                   return std::vector<Target>{
                                       alias_target(call, q.alias_name, "kms:CreateAlias"),
                                       target(call, *found, "CreateAlias")};
                                 }});
  registry.add<op::UpdateAlias>(
      this, &Kms::update_alias,
      {"kms:UpdateAlias", [this, alias_target](auto& call, auto& q) -> Targets {
         const auto to = TRY(find_key(call, q.target_key_id));
         const auto from = TRY(find_alias(call, call.region, call.account, q.alias_name));
         return std::vector<Target>{alias_target(call, q.alias_name, "kms:UpdateAlias"),
                                    target(call, *from, "UpdateAlias"), target(call, *to, "UpdateAlias")};
       }});
  registry.add<op::DeleteAlias>(
      this, &Kms::delete_alias,
      {"kms:DeleteAlias", [this, alias_target](auto& call, auto& q) -> Targets {
         const auto from = TRY(find_alias(call, call.region, call.account, q.alias_name));
         return std::vector<Target>{alias_target(call, q.alias_name, "kms:DeleteAlias"),
                                    target(call, *from, "DeleteAlias")};
       }});
}

void Kms::offer(aws::Registry& registry) {
  offer_keys(registry);
  offer_crypto(registry);
  offer_asymmetric(registry);
  offer_grants(registry);
  offer_import(registry);
}

}  // namespace bastide::services
