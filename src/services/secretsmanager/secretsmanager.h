// AWS Secrets Manager. https://docs.aws.amazon.com/secretsmanager/latest/apireference/Welcome.html
//
// Values are sealed under KMS data keys that are asked for as the caller, through this service
// (kms:ViaService), bound to SecretARN and SecretVersionId. Rotation is done by built-in rotators, which are
// named as Lambda functions; any other function is refused. Operations run in fibers of control's loop and
// wait for KMS. start() begins the jobs (deletion, rotation) on the current loop.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "aws/local_client.h"
#include "aws/service.h"
#include "gen/secretsmanager.h"
#include "services/secretsmanager/secret.h"
#include "store/database.h"
#include "store/keyring.h"

namespace bastide::services {

// A value in clear. It wipes itself.
struct SecretValue {
  bool binary = false;
  std::string bytes;
  SecretValue() = default;
  SecretValue(bool is_binary, std::string value) : binary(is_binary), bytes(std::move(value)) {}
  SecretValue(SecretValue&&) = default;
  SecretValue& operator=(SecretValue&&) = default;
  ~SecretValue();
};

// How a secret gets its next value. `set` brings it to whatever uses it, and may be called again with the
// same value; without it nothing else has to know.
struct SecretRotator {
  std::function<Result<std::string>(const std::string& current)> next;
  std::function<Result<void>(const Secret& secret, const std::string& current, const std::string& pending)>
      set;
};

class SecretsManager {
 public:
  SecretsManager(store::Database& database, store::Keyring& keyring, aws::LocalClient& client, Clock& clock);
  void offer(aws::Registry& registry);
  void start();
  // For arn:aws:lambda:REGION:ACCOUNT:function:NAME; before start().
  void add_rotator(const std::string& name, SecretRotator rotator) { rotators_[name] = std::move(rotator); }

 private:
  using Call = aws::Call;
  template <class T>
  using Maybe = Result<std::optional<T>>;
  // Whose KMS permissions count.
  struct Actor {
    aws::Principal principal;
    std::string account;
  };

  // find.cc
  Maybe<Secret> load(const Call& call, const std::string& id);
  Result<Secret> find(const Call& call, const std::string& id);         // deleted ones too
  Result<Secret> find_usable(const Call& call, const std::string& id);  // not marked for deletion
  static Maybe<Secret> reread(store::Reader& r, const Secret& secret);
  static Result<void> put(store::Writer& w, const Secret& secret);
  Result<void> change(const Secret& secret, const std::function<Result<void>(store::Writer&, Secret&)>& f);
  aws::Target target(const Call& call, const std::string& id, const char* action = "");
  Result<std::string> version_of(const Secret& secret, const std::optional<std::string>& version,
                                 const std::optional<std::string>& stage) const;
  std::string scope(const Call& call, const std::string& more) const;
  Actor actor(const Call& call) const;

  // seal.cc
  struct Sealed {
    json::Value row;
    std::string key;  // ARN of the KMS key
  };
  Result<Sealed> seal_value(const Actor& actor, const Secret& secret, const std::string& version,
                            const SecretValue& value);
  Result<SecretValue> open_value(const Actor& actor, const Secret& secret, const std::string& version);
  Result<bool> same_value(const Secret& secret, const std::string& version, const SecretValue& value);

  static Result<std::optional<SecretValue>> given(const std::optional<std::string>& text,
                                                  const std::optional<std::string>& binary);
  // Adds a version with these labels in one write; an equal one that is there already is taken as it is.
  Result<Secret> add_version(const Actor& actor, const Secret& secret, const std::string& version,
                             const SecretValue& value, const std::vector<std::string>& stages,
                             const std::function<Result<void>(store::Writer&, Secret&)>& also = {});
  static void keep_version(Secret& secret, const std::string& version, const std::string& key,
                           const std::vector<std::string>& stages, Millis now);

  // rotation.cc
  Result<const SecretRotator*> rotator(const Secret& secret, const std::string& arn) const;
  Result<Secret> begin_rotation(const Actor& actor, const Secret& secret, const std::string& token,
                                const std::function<Result<void>(store::Writer&, Secret&)>& also);
  Result<void> finish_rotation(const Actor& actor, const Secret& secret);
  Result<std::optional<Millis>> run_rotation(store::Job& job);
  Result<std::optional<Millis>> run_deletion(store::Job& job);
  Maybe<Secret> of_job(const store::Job& job);
  static Result<void> erase(store::Writer& w, const Secret& secret);

  // list.cc
  static Result<bool> matches(const std::optional<std::vector<model::secretsmanager::Filter>>& filters,
                              const Secret& secret);
  static model::secretsmanager::SecretListEntry entry(const Secret& secret);

#define SM_OPERATION(name, Op)                          \
  Result<model::secretsmanager::op::Op::Response> name( \
      Call& call, const model::secretsmanager::op::Op::Request& request)
  SM_OPERATION(create, CreateSecret);
  SM_OPERATION(describe, DescribeSecret);
  SM_OPERATION(update, UpdateSecret);
  SM_OPERATION(remove, DeleteSecret);
  SM_OPERATION(restore, RestoreSecret);
  SM_OPERATION(get_value, GetSecretValue);
  SM_OPERATION(batch_get, BatchGetSecretValue);
  SM_OPERATION(put_value, PutSecretValue);
  SM_OPERATION(move_stage, UpdateSecretVersionStage);
  SM_OPERATION(list_versions, ListSecretVersionIds);
  SM_OPERATION(list, ListSecrets);
  SM_OPERATION(get_policy, GetResourcePolicy);
  SM_OPERATION(put_policy, PutResourcePolicy);
  SM_OPERATION(delete_policy, DeleteResourcePolicy);
  SM_OPERATION(validate_policy, ValidateResourcePolicy);
  SM_OPERATION(tag, TagResource);
  SM_OPERATION(untag, UntagResource);
  SM_OPERATION(password, GetRandomPassword);
  SM_OPERATION(rotate, RotateSecret);
  SM_OPERATION(cancel_rotation, CancelRotateSecret);
#undef SM_OPERATION

  store::Database& database_;
  store::Keyring& keyring_;
  aws::LocalClient& client_;
  Clock& clock_;
  std::map<std::string, SecretRotator> rotators_;
};

Error no_such_secret();
std::string secret_uuid();
Result<void> add_secret_tags(const aws::Call& call, std::map<std::string, std::string>& tags,
                             const std::vector<model::secretsmanager::Tag>& added);

}  // namespace bastide::services
