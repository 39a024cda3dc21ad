// A parameter as it is kept: its newest version, labels and tags in one row (kind "ssm.parameter", id: its
// name), and every version that is left in a row of its own (kind "ssm.version", id: NAME:NUMBER).
//
// Values of a SecureString are kept as KMS made them; those of the other types are sealed under the keyring.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/time.h"

namespace bastide::services::ssm {

inline constexpr const char* kParameterKind = "ssm.parameter";
inline constexpr const char* kVersionKind = "ssm.version";
inline constexpr const char* kCountKind = "ssm.count";

struct Version {
  int64_t number = 0;
  std::string type;   // String, StringList, SecureString
  std::string value;  // as kept; see secure.cc
  std::string key_id;
  std::string description;
  std::string pattern;
  std::string tier = "Standard";
  std::string data_type = "text";
  std::string user;
  Millis modified = 0;

  bool secure() const { return type == "SecureString"; }
};

struct Parameter {
  std::string account, region, name;
  Version latest;
  int64_t oldest = 1;  // number of the oldest version that is left
  std::map<std::string, int64_t> labels;
  std::map<std::string, std::string> tags;

  std::string arn() const;
};

std::string parameter_arn(const std::string& region, const std::string& account, const std::string& name);
std::string version_row(const std::string& name, int64_t number);

json::Value to_json(const Version& version);
Version version_from_json(const json::Value& body);
json::Value to_json(const Parameter& parameter);
Parameter parameter_from_json(const std::string& account, const std::string& region, const std::string& name,
                              const json::Value& body);

}  // namespace bastide::services::ssm
