// AWS KMS: keys whose material never leaves control, aliases, grants, key policies.
// https://docs.aws.amazon.com/kms/latest/APIReference/Welcome.html
//
// Symmetric keys are AES-256-GCM; rotation adds material and old ciphertexts keep opening. Operations run in
// fibers of control's loop, which alone touches the cache. start() begins the jobs (deletion, rotation) on
// the current loop.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "aws/service.h"
#include "gen/kms.h"
#include "services/kms/ciphertext.h"
#include "services/kms/key.h"
#include "store/database.h"
#include "store/keyring.h"

namespace bastide::services {

class Kms {
 public:
  Kms(store::Database& database, store::Keyring& keyring, Clock& clock);
  void offer(aws::Registry& registry);
  void start();

 private:
  using Call = aws::Call;
  using Found = std::shared_ptr<const Entry>;
  using Context = std::optional<std::map<std::string, std::string>>;
  template <class Op>
  using Answer = Result<typename Op::Response>;
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  // find.cc: from what clients name a key by to the key.
  Result<Found> load(const std::string& account, const std::string& region, const std::string& id);
  Result<Found> find(const Call& call, const std::string& key_id);      // id, ARN, alias, alias ARN
  Result<Found> find_key(const Call& call, const std::string& key_id);  // id or ARN alone
  Result<Found> find_of_blob(const Call& call, const std::string& blob);
  Result<Found> find_alias(const Call& call, const std::string& region, const std::string& account,
                           const std::string& alias);
  Result<std::string> make_managed(const std::string& region, const std::string& account,
                                   const std::string& alias);
  void refresh();

  // authorize.cc
  aws::Target target(const Call& call, const Entry& entry, const std::string& operation,
                     const Context& context = {}, const std::string& named = "") const;
  Result<void> check_policy(const Call& call, const KmsKey& key, bool bypass) const;

  // Re-reads the key, changes it, writes it.
  Result<void> change(const Entry& entry, const std::function<Result<void>(KmsKey&)>& f);
  Result<void> put(store::Writer& w, const KmsKey& key);
  static Result<KmsKey> reread(store::Reader& r, const std::string& account, const std::string& region,
                               const std::string& id);
  static Result<void> usable(const Entry& entry);
  static Result<void> usable(const Entry& entry, const std::string& usage, const std::string& algorithm);
  static Result<void> not_pending(const Entry& entry);
  std::string scope(const Call& call, const std::string& more = "") const;
  template <class T, class Name>
  Result<std::optional<std::string>> page(const Call& call, std::vector<T>& items, Name name,
                                          const std::optional<std::string>& marker,
                                          const std::optional<int32_t>& limit, int32_t standard,
                                          const std::string& more = "");
  model::kms::KeyMetadata metadata(const KmsKey& key) const;
  Result<std::optional<Millis>> run_deletion(store::Job& job);
  Result<std::optional<Millis>> run_rotation(store::Job& job);
  Result<std::optional<Millis>> run_expiry(store::Job& job);

  void offer_keys(aws::Registry& registry);
  void offer_crypto(aws::Registry& registry);
  void offer_asymmetric(aws::Registry& registry);
  void offer_grants(aws::Registry& registry);
  void offer_import(aws::Registry& registry);

#define KMS_OPERATION(name, Op) \
  Result<model::kms::op::Op::Response> name(Call& call, const model::kms::op::Op::Request& request)
  // keys.cc
  KMS_OPERATION(create_key, CreateKey);
  KMS_OPERATION(describe_key, DescribeKey);
  KMS_OPERATION(list_keys, ListKeys);
  KMS_OPERATION(enable_key, EnableKey);
  KMS_OPERATION(disable_key, DisableKey);
  KMS_OPERATION(update_description, UpdateKeyDescription);
  KMS_OPERATION(schedule_deletion, ScheduleKeyDeletion);
  KMS_OPERATION(cancel_deletion, CancelKeyDeletion);
  KMS_OPERATION(tag, TagResource);
  KMS_OPERATION(untag, UntagResource);
  KMS_OPERATION(list_tags, ListResourceTags);
  KMS_OPERATION(get_policy, GetKeyPolicy);
  KMS_OPERATION(put_policy, PutKeyPolicy);
  KMS_OPERATION(list_policies, ListKeyPolicies);
  // rotation.cc
  KMS_OPERATION(enable_rotation, EnableKeyRotation);
  KMS_OPERATION(disable_rotation, DisableKeyRotation);
  KMS_OPERATION(rotation_status, GetKeyRotationStatus);
  KMS_OPERATION(rotate, RotateKeyOnDemand);
  KMS_OPERATION(list_rotations, ListKeyRotations);
  // aliases.cc
  KMS_OPERATION(create_alias, CreateAlias);
  KMS_OPERATION(update_alias, UpdateAlias);
  KMS_OPERATION(delete_alias, DeleteAlias);
  KMS_OPERATION(list_aliases, ListAliases);
  // crypto.cc
  KMS_OPERATION(encrypt, Encrypt);
  KMS_OPERATION(decrypt, Decrypt);
  KMS_OPERATION(re_encrypt, ReEncrypt);
  KMS_OPERATION(data_key, GenerateDataKey);
  KMS_OPERATION(data_key_without, GenerateDataKeyWithoutPlaintext);
  KMS_OPERATION(random, GenerateRandom);
  Result<std::string> seal_text(const Entry& entry, const std::string& algorithm, std::string_view text,
                                const Context& context) const;
  Result<std::string> open_text(const Entry& entry, const std::string& algorithm, const std::string& blob,
                                const Context& context) const;
  Result<Found> find_to_open(const Call& call, const std::optional<std::string>& blob,
                             const std::optional<std::string>& key_id);
  Result<size_t> data_key_bytes(const std::optional<int32_t>& bytes,
                                const std::optional<std::string>& spec) const;
  // pairs.cc
  KMS_OPERATION(sign_message, Sign);
  KMS_OPERATION(verify_message, Verify);
  KMS_OPERATION(get_public_key, GetPublicKey);
  KMS_OPERATION(generate_mac, GenerateMac);
  KMS_OPERATION(verify_mac, VerifyMac);
  KMS_OPERATION(data_key_pair, GenerateDataKeyPair);
  KMS_OPERATION(data_key_pair_without, GenerateDataKeyPairWithoutPlaintext);
  // grants.cc
  KMS_OPERATION(create_grant, CreateGrant);
  KMS_OPERATION(list_grants, ListGrants);
  KMS_OPERATION(retire_grant, RetireGrant);
  KMS_OPERATION(revoke_grant, RevokeGrant);
  KMS_OPERATION(list_retirable, ListRetirableGrants);
  Result<Grant> grant_to_retire(const Call& call, const model::kms::RetireGrantRequest& request,
                                Found* found);
  // import.cc
  KMS_OPERATION(import_parameters, GetParametersForImport);
  KMS_OPERATION(import_material, ImportKeyMaterial);
  KMS_OPERATION(delete_material, DeleteImportedKeyMaterial);
#undef KMS_OPERATION

  store::Database& database_;
  store::Keyring& keyring_;
  Clock& clock_;
  const std::atomic<int64_t>& key_changes_;
  const std::atomic<int64_t>& alias_changes_;
  const std::atomic<int64_t>& grant_changes_;
  int64_t cached_at_ = -1;
  std::map<std::string, Found> keys_;           // by key id
  std::map<std::string, std::string> aliases_;  // alias ARN -> key id
};

bool default_managed_alias(const std::string& alias);  // alias/aws/ssm and its like
std::string default_key_policy(const std::string& account);
std::string new_uuid();
Error dry_run_succeeded();

}  // namespace bastide::services
