#include <algorithm>

#include "aws/arn.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "services/kms/kms.h"

namespace bastide::services {
namespace {

constexpr size_t kCachedKeys = 1000;
constexpr size_t kCachedAliases = 4000;

constexpr const char* kServices[] = {
    "acm", "backup",         "dynamodb", "ebs", "ecr", "elasticfilesystem", "lambda", "logs", "rds",
    "s3",  "secretsmanager", "sns",      "sqs", "ssm"};

Error no_key(const std::string& arn) {
  return fault("NotFoundException", "Key '" + arn + "' does not exist");
}

// Another account's keys are not told apart from those that do not exist.
Error not_allowed() {
  return fault(
      "AccessDeniedException",
      "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or "
      "you are not allowed to access.",
      400);
}

}  // namespace

bool default_managed_alias(const std::string& alias) {
  return std::any_of(std::begin(kServices), std::end(kServices),
                     [&](const char* s) { return alias == std::string("alias/aws/") + s; });
}

std::string new_uuid() {
  std::string raw = random_bytes(16);
  raw[6] = static_cast<char>((raw[6] & 0x0f) | 0x40);
  raw[8] = static_cast<char>((raw[8] & 0x3f) | 0x80);
  const std::string h = hex(raw);
  return h.substr(0, 8) + "-" + h.substr(8, 4) + "-" + h.substr(12, 4) + "-" + h.substr(16, 4) + "-" +
         h.substr(20);
}

Kms::Kms(store::Database& database, store::Keyring& keyring, Clock& clock)
    : database_(database),
      keyring_(keyring),
      clock_(clock),
      key_changes_(database.changes(kKeyKind)),
      alias_changes_(database.changes(kAliasKind)),
      grant_changes_(database.changes(kGrantKind)) {}

void Kms::refresh() {
  const int64_t now = key_changes_ + alias_changes_ + grant_changes_;
  if (now == cached_at_ && keys_.size() < kCachedKeys && aliases_.size() < kCachedAliases) return;
  keys_.clear();
  aliases_.clear();
  cached_at_ = now;
}

// An empty account: whoever owns it.
Result<Kms::Found> Kms::load(const std::string& account, const std::string& region, const std::string& id) {
  refresh();
  auto matches = [&](const KmsKey& k) {
    return k.region == region && (account.empty() || k.account == account);
  };
  if (const auto it = keys_.find(id); it != keys_.end()) {
    if (!matches(it->second->key)) return Found{};
    return it->second;
  }
  auto entry = std::make_shared<Entry>();
  bool found = false;
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    const auto rows = TRY(r.find(kKeyKind, "id", id));
    if (rows.size() != 1) return {};
    entry->key = TRY(key_from_json(rows[0].body));
    found = true;
    const KmsKey& k = entry->key;
    const auto grants = TRY(r.list(k.account, k.region, kGrantKind, "", 50'000, id + "/"));
    for (const auto& g : grants) entry->grants.push_back(grant_from_json(g.body));
    const auto aliases = TRY(r.find(kAliasKind, "target", id));
    for (const auto& a : aliases) entry->aliases.push_back(a.key.id);
    return {};
  }));
  if (!found) return Found{};
  for (const auto& m : entry->key.materials) {
    if (m.sealed.empty()) continue;
    const auto raw = TRY(unhex(m.id));
    entry->opened[raw] = TRY(open_material(keyring_, entry->key, m));
    entry->current = raw;
  }
  entry->policy = aws::PolicyDocument::of_text(entry->key.policy);
  keys_[id] = entry;
  if (!matches(entry->key)) return Found{};
  return Found(entry);
}

Result<Kms::Found> Kms::find_alias(const Call& call, const std::string& region, const std::string& account,
                                   const std::string& alias) {
  refresh();
  const std::string arn = alias_arn(region, account, alias);
  std::string id;
  if (const auto it = aliases_.find(arn); it != aliases_.end()) {
    id = it->second;
  } else {
    auto row = TRY(database_.get({account, region, kAliasKind, alias}));
    if (row) {
      id = row->body.get("target");
    } else if (account == call.account && default_managed_alias(alias)) {
      id = TRY(make_managed(region, account, alias));
      refresh();
    } else {
      return fault("NotFoundException", "Alias " + arn + " is not found.");
    }
    aliases_[arn] = id;
  }
  auto found = TRY(load(account, region, id));
  if (!found) return fault("NotFoundException", "Alias " + arn + " is not found.");
  return found;
}

// https://docs.aws.amazon.com/kms/latest/developerguide/find-cmk-id-arn.html
Result<Kms::Found> Kms::find(const Call& call, const std::string& key_id) {
  if (key_id.starts_with("alias/")) return find_alias(call, call.region, call.account, key_id);
  if (!key_id.starts_with("arn:")) return find_key(call, key_id);
  const auto arn = aws::parse_arn(key_id);
  if (!arn || arn->service != "kms") return fault("NotFoundException", "Invalid arn " + key_id);
  if (arn->region != call.region) return fault("NotFoundException", "Invalid arn " + arn->region);
  if (!arn->resource.starts_with("alias/")) return find_key(call, key_id);
  return find_alias(call, arn->region, arn->account, arn->resource);
}

Result<Kms::Found> Kms::find_key(const Call& call, const std::string& key_id) {
  std::string account = call.account, id = key_id;
  if (key_id.starts_with("arn:")) {
    const auto arn = aws::parse_arn(key_id);
    if (!arn || arn->service != "kms" || !arn->resource.starts_with("key/")) {
      return fault("InvalidArnException", "Invalid arn " + key_id);
    }
    if (arn->region != call.region) return fault("NotFoundException", "Invalid arn " + arn->region);
    account = arn->account;
    id = arn->resource.substr(4);
  } else if (key_id.starts_with("alias/")) {
    return fault("NotFoundException", "Invalid keyId '" + key_id + "'");
  }
  auto found = TRY(load(account, call.region, id));
  if (found) return found;
  if (account != call.account) return not_allowed();
  return no_key(key_arn(call.region, account, id));
}

Result<Kms::Found> Kms::find_of_blob(const Call& call, const std::string& blob) {
  const auto head = read_head(blob);
  if (!head) return fault("InvalidCiphertextException", "");
  auto found = TRY(load("", call.region, head->key_id));
  if (!found) return not_allowed();
  return found;
}

// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#aws-managed-key
Result<std::string> Kms::make_managed(const std::string& region, const std::string& account,
                                      const std::string& alias) {
  const std::string service = alias.substr(std::string("alias/aws/").size());
  KmsKey key;
  key.id = new_uuid();
  key.account = account;
  key.region = region;
  key.manager = "AWS";
  key.created = clock_.wall();
  key.description = "Default key that protects my data when no other key is defined (" + service + ")";
  key.rotates = true;
  key.next_rotation = key.created + key.rotation_days * kDay;
  key.policy = json::print(json::object(
      {{"Version", "2012-10-17"},
       {"Id", "auto-" + service + "-1"},
       {"Statement",
        json::array(
            {json::object(
                 {{"Sid", "Allow access through the service for all principals in the account"},
                  {"Effect", "Allow"},
                  {"Principal", json::object({{"AWS", "*"}})},
                  {"Action", json::array({"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*",
                                          "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey"})},
                  {"Resource", "*"},
                  {"Condition", json::object({{"StringEquals",
                                               json::object({{"kms:CallerAccount", account},
                                                             {"kms:ViaService", service + "." + region +
                                                                                    ".amazonaws.com"}})}})}}),
             json::object({{"Sid", "Allow direct access to key metadata to the account"},
                           {"Effect", "Allow"},
                           {"Principal", json::object({{"AWS", "arn:aws:iam::" + account + ":root"}})},
                           {"Action", json::array({"kms:Describe*", "kms:Get*", "kms:List*"})},
                           {"Resource", "*"}})})}}));
  key.materials.push_back(TRY(make_material(keyring_, key, key.created)));
  std::string id = key.id;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const auto row = TRY(w.get({account, region, kAliasKind, alias}));
    if (row) {
      id = row->body.get("target");
      return {};
    }
    TRY(put(w, key));
    TRY(w.enqueue("kms.rotation", account + "/" + region + "/" + key.id, json::object(), key.next_rotation));
    return w.put({account, region, kAliasKind, alias},
                 json::object({{"target", key.id}, {"created", key.created}, {"updated", key.created}}),
                 {{"target", key.id}});
  }));
  return id;
}

Result<KmsKey> Kms::reread(store::Reader& r, const std::string& account, const std::string& region,
                           const std::string& id) {
  const auto row = TRY(r.get({account, region, kKeyKind, id}));
  if (!row) return no_key(key_arn(region, account, id));
  return key_from_json(row->body);
}

Result<void> Kms::put(store::Writer& w, const KmsKey& key) {
  return w.put({key.account, key.region, kKeyKind, key.id}, to_json(key), {{"id", key.id}});
}

Result<void> Kms::change(const Entry& entry, const std::function<Result<void>(KmsKey&)>& f) {
  return database_.write([&](store::Writer& w) -> Result<void> {
    auto key = TRY(reread(w, entry.key.account, entry.key.region, entry.key.id));
    TRY(f(key));
    return put(w, key);
  });
}

}  // namespace bastide::services
