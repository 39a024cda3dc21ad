// A secret as it is kept: kind "secretsmanager.secret", id: its name. Values are rows of their own (kind
// "secretsmanager.value", id: NAME|VERSION), each sealed under a KMS data key.
//
// Staging labels: https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace bastide::services {

inline constexpr const char* kSecretKind = "secretsmanager.secret";
inline constexpr const char* kSecretValueKind = "secretsmanager.value";
inline constexpr const char* kCurrent = "AWSCURRENT";
inline constexpr const char* kPending = "AWSPENDING";
inline constexpr const char* kPrevious = "AWSPREVIOUS";

struct SecretVersion {
  std::vector<std::string> stages;
  Millis created = 0, accessed = 0;
  std::string key;  // ARN of the KMS key
};

struct SecretRotation {
  bool enabled = false;
  std::string function;  // ARN
  int64_t days = 0;      // 0: `schedule` counts
  std::string schedule, duration;
  std::string token;  // version that a rotation has begun
  Millis last = 0, next = 0;
};

struct Secret {
  std::string account, region, name, arn, description, key_id, policy;
  Millis created = 0, changed = 0, accessed = 0;
  Millis deleted = 0;    // when deletion was asked for; 0: alive
  Millis remove_at = 0;  // when it is removed then
  std::map<std::string, std::string> tags;
  std::map<std::string, SecretVersion> versions;
  SecretRotation rotation;

  // The version that has the label; nothing where none has.
  std::optional<std::string> staged(const std::string& stage) const;
  // Gives `version` the label, taking it from any other; whoever loses AWSCURRENT becomes AWSPREVIOUS.
  void stage(const std::string& version, const std::string& label);
  void unstage(const std::string& version, const std::string& label);
  // Removes the oldest unlabelled versions beyond a hundred, none younger than a day; their ids.
  std::vector<std::string> prune(Millis now);
};

json::Value to_json(const Secret& secret);
Secret secret_from_json(const std::string& account, const std::string& region, const std::string& name,
                        const json::Value& body);
std::string secret_value_id(const std::string& name, const std::string& version);

// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
struct RotationRules {
  std::optional<int64_t> days;
  std::optional<std::string> schedule, duration;
};
Result<void> apply_rules(SecretRotation& rotation, const RotationRules& rules);
Millis rotation_period(const SecretRotation& rotation);

// A password of the kinds of characters that are wanted; faults as GetRandomPassword's.
struct PasswordWish {
  int64_t length = 32;
  std::string exclude;
  bool numbers = true, punctuation = true, upper = true, lower = true, space = false, each = true;
};
Result<std::string> random_password(const PasswordWish& wish);

}  // namespace bastide::services
