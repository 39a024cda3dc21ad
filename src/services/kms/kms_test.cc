#include "services/kms/kms.h"

#include <gtest/gtest.h>

#include "net/test_loop.h"
#include "sys/file.h"

namespace bastide::services {
namespace {

namespace m = model::kms;
namespace op = model::kms::op;

constexpr const char* kAccount = "111111111111";
constexpr const char* kOther = "222222222222";

class KmsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bastide-kms-XXXXXX";
    path_ = ::mkdtemp(name);
    open();
  }
  void TearDown() override {
    kms_.reset();
    db_.reset();
    EXPECT_TRUE(sys::remove_tree(path_));
  }
  void open() {
    kms_.reset();
    db_.reset();
    db_ = store::Database::open(path_ + "/db", clock_).value();
    ring_ = store::Keyring::open(path_ + "/key", path_ + "/check").value();
    kms_ = std::make_unique<Kms>(*db_, *ring_, clock_);
    registry_ = aws::Registry();
    kms_->offer(registry_);
  }
  aws::Call call(const char* account = kAccount) {
    aws::Call c;
    c.principal = aws::Principal::root(account);
    c.account = account;
    c.region = "eu-central-1";
    c.service = "kms";
    c.now = clock_.wall();
    return c;
  }
  // As the wire does it: decided by the rule, then run.
  template <class Op>
  Result<typename Op::Response> run(aws::Call c, const typename Op::Request& q) {
    c.operation = Op::operation.name;
    const auto* entry = registry_.find("kms", Op::operation.name);
    if (!entry) return error("not offered");
    const auto targets = TRY(entry->targets(c, &q));
    aws::IdentityPolicies identity;
    identity.identity.push_back({"all", aws::PolicyDocument::of_text(identity_)});
    for (const auto& t : targets) {
      const auto decision = aws::decide(c, t, identity);
      if (!decision.allowed) return fault("AccessDeniedException", decision.message);
    }
    typename Op::Response out;
    TRY(entry->run(c, &q, &out));
    return out;
  }
  std::string make_key(m::CreateKeyRequest q = {}) {
    auto made = run<op::CreateKey>(call(), q);
    EXPECT_TRUE(made) << made.error().message;
    return made->key_metadata->key_id;
  }
  std::string seal(const std::string& key, const std::string& text, EncryptionContext context = {}) {
    m::EncryptRequest q;
    q.key_id = key;
    q.plaintext = text;
    if (!context.empty()) q.encryption_context = context;
    auto r = run<op::Encrypt>(call(), q);
    EXPECT_TRUE(r) << r.error().message;
    return *r->ciphertext_blob;
  }
  Result<std::string> unseal(const std::string& blob, EncryptionContext context = {},
                             const char* account = kAccount) {
    m::DecryptRequest q;
    q.ciphertext_blob = blob;
    q.encryption_context = context;
    auto r = TRY(run<op::Decrypt>(call(account), q));
    return *r.plaintext;
  }
  std::string identity_ =
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})";
  std::string path_;
  ManualClock clock_{1'800'000'000'000};
  std::unique_ptr<store::Database> db_;
  std::unique_ptr<store::Keyring> ring_;
  std::unique_ptr<Kms> kms_;
  aws::Registry registry_;
};

TEST_F(KmsTest, OnlyCloudFormationSetsItsOwnTags) {
  m::CreateKeyRequest q;
  q.tags.emplace();
  q.tags->push_back({"aws:cloudformation:logical-id", "Key"});
  EXPECT_EQ(run<op::CreateKey>(call(), q).error().code, "TagException");
  auto through = call();
  through.principal.called_via = {"cloudformation.amazonaws.com"};
  EXPECT_TRUE(run<op::CreateKey>(through, q));
  q.tags->push_back({"aws:other", "x"});
  EXPECT_EQ(run<op::CreateKey>(through, q).error().code, "TagException");
}

TEST_F(KmsTest, EncryptsForRealAndBindsTheContext) {
  const std::string key = make_key();
  const std::string blob = seal(key, "s3cret", {{"app", "shop"}, {"env", "prod"}});
  EXPECT_EQ(blob.find("s3cret"), std::string::npos);
  EXPECT_EQ(*unseal(blob, {{"env", "prod"}, {"app", "shop"}}), "s3cret");
  EXPECT_EQ(unseal(blob, {{"env", "prod"}}).error().code, "InvalidCiphertextException");
  EXPECT_EQ(unseal(blob).error().code, "InvalidCiphertextException");
  for (size_t i = 0; i < blob.size(); ++i) {
    std::string bad = blob;
    bad[i] ^= 1;
    EXPECT_FALSE(unseal(bad, {{"env", "prod"}, {"app", "shop"}})) << i;
  }
  EXPECT_EQ(unseal("short").error().code, "InvalidCiphertextException");
  EXPECT_NE(seal(key, "same"), seal(key, "same"));
  open();
  EXPECT_EQ(*unseal(blob, {{"env", "prod"}, {"app", "shop"}}), "s3cret");
}

TEST_F(KmsTest, NoMaterialIsOnDiskInTheClear) {
  const std::string blob = seal(make_key(), "x");
  const auto row = db_->list(kAccount, "eu-central-1", kKeyKind).value()[0];
  const auto key = key_from_json(row.body).value();
  const std::string plain = open_material(*ring_, key, key.materials[0]).value();
  ASSERT_EQ(plain.size(), 32u);
  for (const char* file : {"/db", "/db-wal"}) {
    const auto bytes = sys::read_file(path_ + file);
    ASSERT_TRUE(bytes);
    EXPECT_EQ(bytes->find(plain), std::string::npos);
  }
}

TEST_F(KmsTest, KeysAreNamedInFourWays) {
  const std::string id = make_key();
  const std::string arn = key_arn("eu-central-1", kAccount, id);
  ASSERT_TRUE(run<op::CreateAlias>(call(), {"alias/app", id}));
  EXPECT_EQ(run<op::CreateAlias>(call(), {"alias/app", id}).error().code, "AlreadyExistsException");
  for (const auto& name :
       {id, arn, std::string("alias/app"), alias_arn("eu-central-1", kAccount, "alias/app")}) {
    EXPECT_EQ(*unseal(seal(name, name)), name);
  }
  m::DescribeKeyRequest q;
  q.key_id = "alias/none";
  EXPECT_EQ(run<op::DescribeKey>(call(), q).error().code, "NotFoundException");
  q.key_id = new_uuid();
  EXPECT_EQ(run<op::DescribeKey>(call(), q).error().code, "NotFoundException");
  const std::string second = make_key();
  ASSERT_TRUE(run<op::UpdateAlias>(call(), {"alias/app", second}));
  q.key_id = "alias/app";
  EXPECT_EQ(run<op::DescribeKey>(call(), q)->key_metadata->key_id, second);
  EXPECT_EQ(run<op::ListAliases>(call(), {})->aliases->size(), 1u);
  ASSERT_TRUE(run<op::DeleteAlias>(call(), {"alias/app"}));
  EXPECT_FALSE(run<op::DescribeKey>(call(), q));
}

TEST_F(KmsTest, AnotherAccountNeedsTheKeyPolicy) {
  const std::string id = make_key();
  const std::string blob = seal(id, "mine");
  EXPECT_EQ(unseal(blob, {}, kOther).error().code, "AccessDeniedException");
  m::PutKeyPolicyRequest q;
  q.key_id = id;
  q.policy = R"({"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"},
    {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"kms:Decrypt","Resource":"*",
     "Condition":{"StringEquals":{"kms:EncryptionContext:app":"shop"}}}]})";
  const auto put = run<op::PutKeyPolicy>(call(), q);
  ASSERT_TRUE(put) << put.error().message;
  EXPECT_EQ(unseal(blob, {}, kOther).error().code, "AccessDeniedException");
  EXPECT_EQ(*unseal(seal(id, "shared", {{"app", "shop"}}), {{"app", "shop"}}, kOther), "shared");
  q.policy = R"({"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"kms:*","Resource":"*"}]})";
  EXPECT_EQ(run<op::PutKeyPolicy>(call(), q).error().code, "MalformedPolicyDocumentException");
  q.policy = "{";
  EXPECT_EQ(run<op::PutKeyPolicy>(call(), q).error().code, "MalformedPolicyDocumentException");
}

TEST_F(KmsTest, RotationKeepsOldCiphertextsReadable) {
  const std::string id = make_key();
  const std::string old = seal(id, "old");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(run<op::RotateKeyOnDemand>(call(), {id}));
  const std::string fresh = seal(id, "new");
  EXPECT_NE(old.substr(17, 32), fresh.substr(17, 32));
  EXPECT_EQ(*unseal(old), "old");
  EXPECT_EQ(*unseal(fresh), "new");
  m::ListKeyRotationsRequest q;
  q.key_id = id;
  EXPECT_EQ(run<op::ListKeyRotations>(call(), q)->rotations->size(), 3u);
  m::EnableKeyRotationRequest on;
  on.key_id = id;
  ASSERT_TRUE(run<op::EnableKeyRotation>(call(), on));
  const auto status = run<op::GetKeyRotationStatus>(call(), {id});
  EXPECT_TRUE(*status->key_rotation_enabled);
  EXPECT_EQ(*status->next_rotation_date, clock_.wall() + 365 * kDay);
}

TEST_F(KmsTest, StateForbidsUse) {
  const std::string id = make_key();
  const std::string blob = seal(id, "x");
  ASSERT_TRUE(run<op::DisableKey>(call(), {id}));
  EXPECT_EQ(unseal(blob).error().code, "DisabledException");
  ASSERT_TRUE(run<op::EnableKey>(call(), {id}));
  EXPECT_TRUE(unseal(blob));
  m::ScheduleKeyDeletionRequest q;
  q.key_id = id;
  q.pending_window_in_days = 7;
  EXPECT_EQ(*run<op::ScheduleKeyDeletion>(call(), q)->deletion_date, clock_.wall() + 7 * kDay);
  EXPECT_EQ(unseal(blob).error().code, "KMSInvalidStateException");
  EXPECT_EQ(run<op::ScheduleKeyDeletion>(call(), q).error().code, "KMSInvalidStateException");
  ASSERT_TRUE(run<op::CancelKeyDeletion>(call(), {id}));
  EXPECT_EQ(unseal(blob).error().code, "DisabledException");
}

// Keys go when their window ends, with what hangs on them; keys that rotate by themselves get new material.
TEST_F(KmsTest, TimeDeletesAndRotates) {
  net::TestLoop loop;
  loop.run([&] {
    const std::string doomed = make_key(), turning = make_key();
    const std::string blob = seal(doomed, "x"), old = seal(turning, "old");
    ASSERT_TRUE(run<op::CreateAlias>(call(), {"alias/doomed", doomed}));
    m::CreateGrantRequest grant;
    grant.key_id = doomed;
    grant.grantee_principal = "arn:aws:iam::111111111111:role/app";
    grant.operations = {"Decrypt"};
    ASSERT_TRUE(run<op::CreateGrant>(call(), grant));
    m::ScheduleKeyDeletionRequest q;
    q.key_id = doomed;
    q.pending_window_in_days = 7;
    ASSERT_TRUE(run<op::ScheduleKeyDeletion>(call(), q));
    m::EnableKeyRotationRequest on;
    on.key_id = turning;
    on.rotation_period_in_days = 90;
    ASSERT_TRUE(run<op::EnableKeyRotation>(call(), on));
    kms_->start();
    net::sleep_for(50);
    EXPECT_TRUE(run<op::DescribeKey>(call(), {doomed}));
    clock_.advance(91 * kDay);
    db_->wake_job("kms.deletion", std::string(kAccount) + "/eu-central-1/" + doomed);
    db_->wake_job("kms.rotation", std::string(kAccount) + "/eu-central-1/" + turning);
    m::ListKeyRotationsRequest rotations;
    rotations.key_id = turning;
    for (int i = 0; i < 100 && (run<op::DescribeKey>(call(), {doomed}) ||
                                run<op::ListKeyRotations>(call(), rotations)->rotations->empty());
         ++i) {
      net::sleep_for(20);
    }
    EXPECT_EQ(run<op::DescribeKey>(call(), {doomed}).error().code, "NotFoundException");
    EXPECT_FALSE(unseal(blob));
    EXPECT_TRUE(db_->list(kAccount, "eu-central-1", kGrantKind)->empty());
    EXPECT_TRUE(db_->list(kAccount, "eu-central-1", kAliasKind)->empty());
    EXPECT_EQ(run<op::ListKeyRotations>(call(), rotations)->rotations->size(), 1u);
    EXPECT_EQ(*unseal(old), "old");
    EXPECT_NE(seal(turning, "new").substr(17, 32), old.substr(17, 32));
  });
  kms_.reset();
  db_.reset();
}

TEST_F(KmsTest, GrantsAllowExactlyWhatTheySay) {
  const std::string id = make_key();
  const std::string role = "arn:aws:iam::222222222222:role/app";
  m::CreateGrantRequest g;
  g.key_id = id;
  g.grantee_principal = role;
  g.operations = {"Decrypt"};
  g.constraints = m::GrantConstraints{EncryptionContext{{"app", "shop"}}, std::nullopt};
  const auto made = run<op::CreateGrant>(call(), g);
  ASSERT_TRUE(made) << made.error().message;
  auto as_role = call(kOther);
  as_role.principal.kind = aws::Principal::Kind::assumed_role;
  as_role.principal.arn = "arn:aws:sts::222222222222:assumed-role/app/session";
  as_role.principal.role_arn = role;
  m::DecryptRequest q;
  q.ciphertext_blob = seal(id, "x", {{"app", "shop"}, {"n", "1"}});
  q.encryption_context = EncryptionContext{{"app", "shop"}, {"n", "1"}};
  EXPECT_TRUE(run<op::Decrypt>(as_role, q));
  m::DecryptRequest without;
  without.ciphertext_blob = seal(id, "x");
  EXPECT_EQ(run<op::Decrypt>(as_role, without).error().code, "AccessDeniedException");
  m::EncryptRequest e;
  e.key_id = key_arn("eu-central-1", kAccount, id);
  e.plaintext = "x";
  e.encryption_context = q.encryption_context;
  EXPECT_EQ(run<op::Encrypt>(as_role, e).error().code, "AccessDeniedException");
  m::ListGrantsRequest list;
  list.key_id = id;
  EXPECT_EQ(run<op::ListGrants>(call(), list)->grants->size(), 1u);
  m::RevokeGrantRequest revoke;
  revoke.key_id = id;
  revoke.grant_id = *made->grant_id;
  ASSERT_TRUE(run<op::RevokeGrant>(call(), revoke));
  EXPECT_EQ(run<op::Decrypt>(as_role, q).error().code, "AccessDeniedException");
}

TEST_F(KmsTest, DataKeysAndReEncrypt) {
  const std::string a = make_key(), b = make_key();
  m::GenerateDataKeyRequest q;
  q.key_id = a;
  q.key_spec = "AES_256";
  const auto data = run<op::GenerateDataKey>(call(), q);
  ASSERT_TRUE(data);
  EXPECT_EQ(data->plaintext->size(), 32u);
  EXPECT_EQ(*unseal(*data->ciphertext_blob), *data->plaintext);
  m::ReEncryptRequest r;
  r.ciphertext_blob = *data->ciphertext_blob;
  r.destination_key_id = b;
  const auto moved = run<op::ReEncrypt>(call(), r);
  ASSERT_TRUE(moved);
  EXPECT_EQ(*unseal(*moved->ciphertext_blob), *data->plaintext);
  m::DecryptRequest wrong;
  wrong.ciphertext_blob = *moved->ciphertext_blob;
  wrong.key_id = a;
  EXPECT_EQ(run<op::Decrypt>(call(), wrong).error().code, "IncorrectKeyException");
}

TEST_F(KmsTest, SignaturesAndMacsVerify) {
  m::CreateKeyRequest c;
  c.key_spec = "ECC_NIST_P256";
  c.key_usage = "SIGN_VERIFY";
  m::SignRequest s;
  s.key_id = make_key(c);
  s.message = "hello";
  s.signing_algorithm = "ECDSA_SHA_256";
  const auto signature = run<op::Sign>(call(), s);
  ASSERT_TRUE(signature) << signature.error().message;
  m::VerifyRequest v;
  v.key_id = s.key_id;
  v.message = s.message;
  v.signing_algorithm = s.signing_algorithm;
  v.signature = *signature->signature;
  EXPECT_TRUE(run<op::Verify>(call(), v));
  v.message = "hullo";
  EXPECT_EQ(run<op::Verify>(call(), v).error().code, "KMSInvalidSignatureException");
  s.signing_algorithm = "ECDSA_SHA_384";
  EXPECT_EQ(run<op::Sign>(call(), s).error().code, "InvalidKeyUsageException");
  m::CreateKeyRequest h;
  h.key_spec = "HMAC_256";
  h.key_usage = "GENERATE_VERIFY_MAC";
  m::GenerateMacRequest g;
  g.key_id = make_key(h);
  g.message = "hello";
  g.mac_algorithm = "HMAC_SHA_256";
  const auto code = run<op::GenerateMac>(call(), g);
  ASSERT_TRUE(code);
  m::VerifyMacRequest vm;
  vm.key_id = g.key_id;
  vm.message = "hello";
  vm.mac_algorithm = g.mac_algorithm;
  vm.mac = *code->mac;
  EXPECT_TRUE(run<op::VerifyMac>(call(), vm));
  vm.mac[0] ^= 1;
  EXPECT_EQ(run<op::VerifyMac>(call(), vm).error().code, "KMSInvalidMacException");
}

TEST_F(KmsTest, ManagedKeysAreMadeOnFirstUse) {
  m::DescribeKeyRequest q;
  q.key_id = "alias/aws/ssm";
  const auto first = run<op::DescribeKey>(call(), q);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(*first->key_metadata->key_manager, "AWS");
  EXPECT_EQ(run<op::DescribeKey>(call(), q)->key_metadata->key_id, first->key_metadata->key_id);
  auto as_service = call();
  as_service.principal = aws::Principal::service("ssm.amazonaws.com");
  m::EncryptRequest e;
  e.key_id = q.key_id;
  e.plaintext = "x";
  EXPECT_TRUE(run<op::Encrypt>(as_service, e));
  as_service.principal = aws::Principal::service("ecs.amazonaws.com");
  EXPECT_EQ(run<op::Encrypt>(as_service, e).error().code, "AccessDeniedException");
  EXPECT_EQ(run<op::Encrypt>(call(), e).error().code, "AccessDeniedException");
}

TEST_F(KmsTest, ListsComeInPages) {
  for (int i = 0; i < 5; ++i) make_key();
  m::ListKeysRequest q;
  q.limit = 2;
  size_t seen = 0;
  for (int pages = 0; pages < 3; ++pages) {
    const auto r = run<op::ListKeys>(call(), q);
    ASSERT_TRUE(r);
    seen += r->keys->size();
    q.marker = r->next_marker;
    EXPECT_EQ(*r->truncated, pages < 2);
  }
  EXPECT_EQ(seen, 5u);
  q.marker = "forged";
  EXPECT_EQ(run<op::ListKeys>(call(), q).error().code, "InvalidMarkerException");
}

}  // namespace
}  // namespace bastide::services
