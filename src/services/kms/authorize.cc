// What KMS operations are authorised against, and the state a key must be in.
#include <algorithm>

#include "services/kms/asymmetric.h"
#include "services/kms/kms.h"

namespace bastide::services {
namespace {

// https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
bool grants(const Grant& g, const aws::Principal& who, const std::string& operation,
            const std::optional<EncryptionContext>& context) {
  if (g.grantee != who.arn && (who.role_arn.empty() || g.grantee != who.role_arn)) return false;
  if (std::find(g.operations.begin(), g.operations.end(), operation) == g.operations.end()) return false;
  static const EncryptionContext none;
  const EncryptionContext& c = context ? *context : none;
  if (g.equals && *g.equals != c) return false;
  if (!g.subset) return true;
  return std::all_of(g.subset->begin(), g.subset->end(), [&](const auto& pair) {
    const auto it = c.find(pair.first);
    return it != c.end() && it->second == pair.second;
  });
}

}  // namespace

Error dry_run_succeeded() {
  return fault("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.",
               412);
}

// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
aws::Target Kms::target(const Call& call, const Entry& entry, const std::string& operation,
                        const Context& context, const std::string& named) const {
  const KmsKey& k = entry.key;
  aws::Target t;
  t.action = "kms:" + operation;
  t.resource = k.arn();
  t.owner = k.account;
  t.policy = entry.policy;
  t.mode = aws::PolicyMode::resource_only;
  t.context = {{"kms:CallerAccount", call.principal.account.empty() ? call.account : call.principal.account},
               {"kms:KeySpec", k.spec},
               {"kms:CustomerMasterKeySpec", k.spec},
               {"kms:KeyUsage", k.usage},
               {"kms:CustomerMasterKeyUsage", k.usage},
               {"kms:KeyOrigin", k.origin},
               {"kms:MultiRegion", "false"}};
  // The service that makes the call, in its own name or in that of its caller.
  std::string via = call.principal.kind == aws::Principal::Kind::service ? call.principal.name : "";
  if (!call.principal.called_via.empty()) via = call.principal.called_via.back();
  if (!via.empty()) {
    const std::string& name = via;
    const auto dot = name.find('.');
    if (dot != std::string::npos) {
      t.context.emplace_back("kms:ViaService", name.substr(0, dot) + "." + call.region + name.substr(dot));
    }
  }
  for (const auto& alias : entry.aliases) t.context.emplace_back("kms:ResourceAliases", alias);
  for (const auto& [key, value] : k.tags) t.context.emplace_back("aws:ResourceTag/" + key, value);
  if (const auto at = named.find("alias/"); at != std::string::npos) {
    t.context.emplace_back("kms:RequestAlias", named.substr(at));
  }
  if (context) {
    for (const auto& [key, value] : *context) {
      t.context.emplace_back("kms:EncryptionContext:" + key, value);
      t.context.emplace_back("kms:EncryptionContextKeys", key);
    }
  }
  t.granted = std::any_of(entry.grants.begin(), entry.grants.end(),
                          [&](const Grant& g) { return grants(g, call.principal, operation, context); });
  return t;
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html#KMS-CreateKey-request-Policy
Result<void> Kms::check_policy(const Call& call, const KmsKey& key, bool bypass) const {
  auto document = aws::check_resource_policy(key.policy);
  if (!document) return fault("MalformedPolicyDocumentException", document.error().message);
  if (bypass) return {};
  Entry entry;
  entry.key = key;
  entry.policy = *document;
  const aws::Target t = target(call, entry, "PutKeyPolicy");
  Call root = call;
  root.principal = aws::Principal::root(key.account);
  const aws::IdentityPolicies none;
  if (aws::decide(call, t, none).allowed || aws::decide(root, t, none).allowed) return {};
  return fault("MalformedPolicyDocumentException",
               "The new key policy will not allow you to update the key policy in the future.");
}

// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
Result<void> Kms::not_pending(const Entry& entry) {
  if (entry.key.state != "PendingDeletion") return {};
  return fault("KMSInvalidStateException", entry.key.arn() + " is pending deletion.");
}

Result<void> Kms::usable(const Entry& entry) {
  TRY(not_pending(entry));
  if (entry.key.state == "PendingImport")
    return fault("KMSInvalidStateException", entry.key.arn() + " is pending import.");
  if (entry.key.state == "Disabled") return fault("DisabledException", entry.key.arn() + " is disabled.");
  return {};
}

Result<void> Kms::usable(const Entry& entry, const std::string& usage, const std::string& algorithm) {
  TRY(usable(entry));
  const KmsKey& k = entry.key;
  if (k.usage != usage) {
    return fault("InvalidKeyUsageException",
                 k.arn() + " key usage is " + k.usage + " which is not valid for this operation.");
  }
  const auto* facts = find_spec(k.spec);
  CHECK(facts);
  const auto& known = usage == "ENCRYPT_DECRYPT" ? facts->encryption
                      : usage == "SIGN_VERIFY"   ? facts->signing
                                                 : facts->macs;
  if (std::none_of(known.begin(), known.end(), [&](const char* a) { return algorithm == a; })) {
    return fault("InvalidKeyUsageException",
                 "Algorithm " + algorithm + " is incompatible with key spec " + k.spec + ".");
  }
  return {};
}

}  // namespace bastide::services
