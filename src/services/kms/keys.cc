#include "base/bytes.h"
#include "net/loop.h"
#include "services/kms/asymmetric.h"
#include "services/kms/kms.h"
#include "services/kms/page.h"

namespace bastide::services {

namespace m = model::kms;
namespace op = model::kms::op;

namespace {

constexpr size_t kMaxTags = 50;
constexpr int kDefaultWindow = 30;

std::string job_key(const KmsKey& k) { return k.account + "/" + k.region + "/" + k.id; }

std::optional<std::vector<std::string>> names(const std::vector<const char*>& list) {
  if (list.empty()) return std::nullopt;
  return std::vector<std::string>(list.begin(), list.end());
}

// CloudFormation alone marks what it makes, in calls that it makes for somebody.
bool reserved(const aws::Call& call, const std::string& key) {
  return key.starts_with("aws:") &&
         (call.principal.called_via.empty() || !key.starts_with("aws:cloudformation:"));
}

Result<void> add_tags(const aws::Call& call, std::map<std::string, std::string>& tags,
                      const std::vector<m::Tag>& added) {
  for (const auto& t : added) {
    if (reserved(call, t.tag_key))
      return fault("TagException", "Tag keys that begin with aws: are reserved.");
    tags[t.tag_key] = t.tag_value;
  }
  if (tags.size() > kMaxTags)
    return fault("LimitExceededException", "A KMS key can have no more than 50 tags.");
  return {};
}

}  // namespace

// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
std::string default_key_policy(const std::string& account) {
  return "{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"key-default-1\",\n  \"Statement\" : [ {\n"
         "    \"Sid\" : \"Enable IAM User Permissions\",\n    \"Effect\" : \"Allow\",\n"
         "    \"Principal\" : {\n      \"AWS\" : \"arn:aws:iam::" +
         account + ":root\"\n    },\n    \"Action\" : \"kms:*\",\n    \"Resource\" : \"*\"\n  } ]\n}";
}

std::string Kms::scope(const Call& call, const std::string& more) const {
  return call.operation + "/" + call.account + "/" + call.region + "/" + more;
}

m::KeyMetadata Kms::metadata(const KmsKey& k) const {
  m::KeyMetadata out;
  const auto* facts = find_spec(k.spec);
  CHECK(facts);
  out.aws_account_id = k.account;
  out.key_id = k.id;
  out.arn = k.arn();
  out.creation_date = k.created;
  out.enabled = k.state == "Enabled";
  out.description = k.description;
  out.key_usage = k.usage;
  out.key_state = k.state;
  if (k.state == "PendingDeletion") out.deletion_date = k.deletion;
  out.origin = k.origin;
  if (k.origin == "EXTERNAL" && k.usable_material()) {
    out.expiration_model = k.valid_to != 0 ? "KEY_MATERIAL_EXPIRES" : "KEY_MATERIAL_DOES_NOT_EXPIRE";
    if (k.valid_to != 0) out.valid_to = k.valid_to;
  }
  out.key_manager = k.manager;
  out.customer_master_key_spec = k.spec;
  out.key_spec = k.spec;
  if (k.usage == "ENCRYPT_DECRYPT") out.encryption_algorithms = names(facts->encryption);
  if (k.usage == "SIGN_VERIFY") out.signing_algorithms = names(facts->signing);
  if (k.usage == "GENERATE_VERIFY_MAC") out.mac_algorithms = names(facts->macs);
  out.multi_region = false;
  if (k.symmetric() && !k.materials.empty()) out.current_key_material_id = k.materials.back().id;
  return out;
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html
Result<m::CreateKeyResponse> Kms::create_key(Call& call, const m::CreateKeyRequest& q) {
  if (q.multi_region.value_or(false)) {
    return fault("UnsupportedOperationException", "Multi-Region keys are not supported.");
  }
  const std::string origin = q.origin.value_or("AWS_KMS");
  if ((origin != "AWS_KMS" && origin != "EXTERNAL") || q.custom_key_store_id || q.xks_key_id) {
    return fault("UnsupportedOperationException",
                 "Only keys with the origin AWS_KMS or EXTERNAL are supported.");
  }
  KmsKey k;
  k.id = new_uuid();
  k.account = call.account;
  k.region = call.region;
  k.description = q.description.value_or("");
  k.spec = q.key_spec ? *q.key_spec : q.customer_master_key_spec.value_or(kSymmetric);
  k.created = call.now;
  k.policy = q.policy.value_or(default_key_policy(call.account));
  const auto* facts = find_spec(k.spec);
  if (!facts) return fault("UnsupportedOperationException", "The key spec " + k.spec + " is not supported.");
  if (!q.key_usage && !k.symmetric()) {
    return fault("ValidationException",
                 "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.");
  }
  k.usage = q.key_usage.value_or("ENCRYPT_DECRYPT");
  const auto& usages = facts->usages;
  if (std::none_of(usages.begin(), usages.end(), [&](const char* u) { return k.usage == u; })) {
    return fault("ValidationException", "KeyUsage " + k.usage + " is not compatible with KeySpec " + k.spec);
  }
  if (q.tags) TRY(add_tags(call, k.tags, *q.tags));
  TRY(check_policy(call, k, q.bypass_policy_lockout_safety_check.value_or(false)));
  if (origin == "EXTERNAL") {
    if (!k.symmetric() && !k.spec.starts_with("HMAC_")) {
      return fault("UnsupportedOperationException", "Material for " + k.spec + " keys cannot be imported.");
    }
    k.origin = origin;
    k.state = "PendingImport";
  } else if (k.symmetric()) {
    k.materials.push_back(TRY(make_material(keyring_, k, call.now)));
  } else {
    auto made = net::offload_result([&] { return make_material(keyring_, k, call.now); });
    if (!made) return std::move(made).error();
    k.materials.push_back(std::move(*made));
  }
  TRY(database_.write([&](store::Writer& w) { return put(w, k); }));
  return m::CreateKeyResponse{metadata(k)};
}

Result<m::DescribeKeyResponse> Kms::describe_key(Call& call, const m::DescribeKeyRequest& q) {
  const auto found = TRY(find(call, q.key_id));
  return m::DescribeKeyResponse{metadata(found->key)};
}

Result<m::ListKeysResponse> Kms::list_keys(Call& call, const m::ListKeysRequest& q) {
  auto rows = TRY(database_.list(call.account, call.region, kKeyKind));
  m::ListKeysResponse out;
  out.next_marker = TRY(page(
      call, rows, [](const store::Resource& r) { return r.key.id; }, q.marker, q.limit, 100));
  out.truncated = out.next_marker.has_value();
  out.keys.emplace();
  for (const auto& r : rows) out.keys->push_back({r.key.id, key_arn(call.region, call.account, r.key.id)});
  return out;
}

Result<model::Empty> Kms::enable_key(Call& call, const m::EnableKeyRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(not_pending(*found));
  if (found->key.state == "PendingImport")
    return fault("KMSInvalidStateException", found->key.arn() + " is pending import.");
  TRY(change(*found, [](KmsKey& k) -> Result<void> {
    k.state = "Enabled";
    return {};
  }));
  return model::Empty{};
}

Result<model::Empty> Kms::disable_key(Call& call, const m::DisableKeyRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(not_pending(*found));
  if (found->key.state == "PendingImport")
    return fault("KMSInvalidStateException", found->key.arn() + " is pending import.");
  TRY(change(*found, [](KmsKey& k) -> Result<void> {
    k.state = "Disabled";
    return {};
  }));
  return model::Empty{};
}

Result<model::Empty> Kms::update_description(Call& call, const m::UpdateKeyDescriptionRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(not_pending(*found));
  TRY(change(*found, [&](KmsKey& k) -> Result<void> {
    k.description = q.description;
    return {};
  }));
  return model::Empty{};
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html
Result<m::ScheduleKeyDeletionResponse> Kms::schedule_deletion(Call& call,
                                                              const m::ScheduleKeyDeletionRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(not_pending(*found));
  const int window = q.pending_window_in_days.value_or(kDefaultWindow);
  if (window < 7 || window > 30) {
    return fault("ValidationException", "PendingWindowInDays must be between 7 and 30.");
  }
  const Millis when = call.now + window * kDay;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto k = TRY(reread(w, found->key.account, found->key.region, found->key.id));
    k.state = "PendingDeletion";
    k.deletion = when;
    TRY(put(w, k));
    return w.enqueue("kms.deletion", job_key(k), json::object(), when);
  }));
  return m::ScheduleKeyDeletionResponse{found->key.arn(), when, "PendingDeletion", window};
}

Result<m::CancelKeyDeletionResponse> Kms::cancel_deletion(Call& call, const m::CancelKeyDeletionRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  if (found->key.state != "PendingDeletion") {
    return fault("KMSInvalidStateException", found->key.arn() + " is not pending deletion.");
  }
  TRY(change(*found, [](KmsKey& k) -> Result<void> {
    k.state = k.origin == "EXTERNAL" && !k.usable_material() ? "PendingImport" : "Disabled";
    k.deletion = 0;
    return {};
  }));
  return m::CancelKeyDeletionResponse{found->key.arn()};
}

Result<std::optional<Millis>> Kms::run_deletion(store::Job& job) {
  const auto parts = split(job.key, '/');
  if (parts.size() != 3) return std::optional<Millis>{};
  const std::string account(parts[0]), region(parts[1]), id(parts[2]);
  std::optional<Millis> again;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto k = reread(w, account, region, id);
    if (!k) return k.error().fault ? Result<void>() : Result<void>(k.error());
    if (k->state != "PendingDeletion") return {};
    const Millis now = clock_.wall();
    if (k->deletion > now) {
      again = k->deletion - now;
      return {};
    }
    const auto grants = TRY(w.list(account, region, kGrantKind, "", 1'000'000, id + "/"));
    for (const auto& g : grants) TRY(w.remove(g.key));
    const auto aliases = TRY(w.find(kAliasKind, "target", id));
    for (const auto& a : aliases) TRY(w.remove(a.key));
    TRY(w.remove({account, region, kKeyKind, id}));
    return {};
  }));
  return again;
}

Result<model::Empty> Kms::tag(Call& call, const m::TagResourceRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(not_pending(*found));
  TRY(change(*found, [&](KmsKey& k) { return add_tags(call, k.tags, q.tags); }));
  return model::Empty{};
}

Result<model::Empty> Kms::untag(Call& call, const m::UntagResourceRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(not_pending(*found));
  TRY(change(*found, [&](KmsKey& k) -> Result<void> {
    for (const auto& key : q.tag_keys) k.tags.erase(key);
    return {};
  }));
  return model::Empty{};
}

Result<m::ListResourceTagsResponse> Kms::list_tags(Call& call, const m::ListResourceTagsRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  std::vector<m::Tag> tags;
  for (const auto& [key, value] : found->key.tags) tags.push_back({key, value});
  m::ListResourceTagsResponse out;
  out.next_marker = TRY(page(
      call, tags, [](const m::Tag& t) { return t.tag_key; }, q.marker, q.limit, 50, found->key.id));
  out.truncated = out.next_marker.has_value();
  out.tags = std::move(tags);
  return out;
}

Result<m::GetKeyPolicyResponse> Kms::get_policy(Call& call, const m::GetKeyPolicyRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  if (q.policy_name.value_or("default") != "default")
    return fault("NotFoundException", "No such policy exists");
  m::GetKeyPolicyResponse out;
  out.policy = found->key.policy;
  out.policy_name = "default";
  return out;
}

Result<model::Empty> Kms::put_policy(Call& call, const m::PutKeyPolicyRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(not_pending(*found));
  if (q.policy_name.value_or("default") != "default")
    return fault("NotFoundException", "No such policy exists");
  KmsKey changed = found->key;
  changed.policy = q.policy;
  TRY(check_policy(call, changed, q.bypass_policy_lockout_safety_check.value_or(false)));
  TRY(change(*found, [&](KmsKey& k) -> Result<void> {
    k.policy = q.policy;
    return {};
  }));
  return model::Empty{};
}

Result<m::ListKeyPoliciesResponse> Kms::list_policies(Call& call, const m::ListKeyPoliciesRequest& q) {
  TRY(find_key(call, q.key_id));
  m::ListKeyPoliciesResponse out;
  out.policy_names = {"default"};
  out.truncated = false;
  return out;
}

void Kms::start() {
  database_.run_jobs("kms.deletion", [this](store::Job& job) { return run_deletion(job); });
  database_.run_jobs("kms.expiry", [this](store::Job& job) { return run_expiry(job); });
  database_.run_jobs("kms.rotation", [this](store::Job& job) { return run_rotation(job); });
}

}  // namespace bastide::services
