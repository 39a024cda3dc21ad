// A KMS key as it is kept: kind "kms.key", its account and region, its key id. Secret material is sealed
// under the keyring; an Entry holds it opened, with everything that deciding and encrypting need.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "aws/policy.h"
#include "base/json.h"
#include "base/time.h"
#include "store/keyring.h"

namespace bastide::services {

inline constexpr const char* kKeyKind = "kms.key";
inline constexpr const char* kAliasKind = "kms.alias";
inline constexpr const char* kGrantKind = "kms.grant";
inline constexpr const char* kSymmetric = "SYMMETRIC_DEFAULT";

struct Material {
  std::string id;      // 64 hex digits
  std::string sealed;  // under the keyring: 32 bytes of AES or HMAC, or a private key as PKCS#8
  Millis created = 0;
  std::string rotation;  // AUTOMATIC, ON_DEMAND; empty: the first
};

struct KmsKey {
  std::string id;
  std::string account;
  std::string region;
  std::string description;
  std::string usage = "ENCRYPT_DECRYPT";
  std::string spec = kSymmetric;
  std::string manager = "CUSTOMER";
  std::string origin = "AWS_KMS";  // or EXTERNAL: imported; then there may be no material
  std::string state = "Enabled";
  Millis created = 0;
  Millis deletion = 0;  // when state is PendingDeletion
  std::string policy;
  std::map<std::string, std::string> tags;
  std::vector<Material> materials;  // the last one encrypts
  bool rotates = false;
  int rotation_days = 365;
  Millis next_rotation = 0;
  Millis valid_to = 0;  // of imported material; 0: for ever

  std::string arn() const;
  bool usable_material() const { return !materials.empty() && !materials.back().sealed.empty(); }
  void forget_material();  // the imported one; its id stays
  bool symmetric() const { return spec == kSymmetric; }
};

struct Grant {
  std::string id;
  std::string key_id;
  std::string name;
  std::string grantee;
  std::string retiring;
  std::string issuer;  // account
  std::vector<std::string> operations;
  std::optional<std::map<std::string, std::string>> subset, equals;  // encryption context constraints
  Millis created = 0;
};

json::Value to_json(const KmsKey& key);
Result<KmsKey> key_from_json(const json::Value& body);
json::Value to_json(const Grant& grant);
Grant grant_from_json(const json::Value& body);

std::string key_arn(const std::string& region, const std::string& account, const std::string& id);
std::string alias_arn(const std::string& region, const std::string& account, const std::string& alias);

// Fresh material for a spec, sealed; the plain text is not kept.
Result<Material> make_material(store::Keyring& keyring, const KmsKey& key, Millis now);
Result<std::string> open_material(store::Keyring& keyring, const KmsKey& key, const Material& material);

struct Entry {
  KmsKey key;
  aws::PolicyDocument policy;
  std::vector<Grant> grants;
  std::vector<std::string> aliases;
  std::map<std::string, std::string> opened;  // raw material id (32 bytes) -> material
  std::string current;                        // raw id of the material that encrypts
  Entry() = default;
  Entry(const Entry&) = delete;
  ~Entry();
};

}  // namespace bastide::services
