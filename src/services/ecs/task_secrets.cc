// The `secrets` of a container, read with the task's execution role when it starts.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specifying-sensitive-data.html
#include <fmt/format.h>

#include "aws/arn.h"
#include "base/bytes.h"
#include "services/ecs/ecs.h"

namespace bastide::services::ecs {
namespace {

Result<std::string> of_parameter(aws::LocalClient& client, const aws::Principal& who, const Place& p,
                                 const std::string& from) {
  const auto arn = aws::parse_arn(from);
  const auto answer = TRY(client.call(who, p.account, arn ? arn->region : p.region, "ssm", "GetParameter",
                                      json::object({{"Name", from}, {"WithDecryption", true}})));
  const json::Value* parameter = answer.find("Parameter");
  return parameter ? parameter->get("Value") : "";
}

// arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX:JSON-KEY:STAGE:VERSION
Result<std::string> of_secret(aws::LocalClient& client, const aws::Principal& who, const Place& p,
                              const std::string& from) {
  const auto parts = split(from, ':');
  if (parts.size() < 7 || parts.size() > 10)
    return fault("InvalidParameterException", "not the ARN of a secret: " + from);
  const auto part = [&](size_t i) { return i < parts.size() ? std::string(parts[i]) : std::string(); };
  std::string id;
  for (size_t i = 0; i < 7; ++i) id += (i ? ":" : "") + part(i);
  json::Value in = json::object({{"SecretId", id}});
  if (!part(8).empty()) in["VersionStage"] = part(8);
  if (!part(9).empty()) in["VersionId"] = part(9);
  const auto answer = TRY(client.call(who, p.account, part(3), "secretsmanager", "GetSecretValue", in));
  const std::string text = answer.get("SecretString");
  if (part(7).empty()) return text;
  const auto document = json::parse(text);
  const json::Value* value = document ? document->find(part(7)) : nullptr;
  if (!value)
    return fault("ResourceInitializationError",
                 fmt::format("retrieved secret from Secrets Manager did not contain json key {}", part(7)));
  return value->is_string() ? value->string() : json::print(*value);
}

}  // namespace

Result<std::string> pull_secret(aws::LocalClient& client, const aws::Principal& who, const Place& p,
                                const std::string& from) {
  const bool secret = from.starts_with("arn:") && from.find(":secretsmanager:") != std::string::npos;
  auto value = secret ? of_secret(client, who, p, from) : of_parameter(client, who, p, from);
  if (value || !value.error().fault) return value;
  const Error& e = value.error();
  return error("TaskFailedToStart",
               fmt::format("ResourceInitializationError: unable to pull secrets or registry auth: execution "
                           "resource retrieval "
                           "failed: unable to retrieve {}: {}: {}",
                           secret ? "secret from asm" : "secrets from ssm", e.code, e.message));
}

Result<void> check_secrets(const json::Value& container, const std::string& execution_role) {
  const auto& secrets = container.get_array("secrets");
  if (secrets.empty()) return {};
  if (execution_role.empty()) {
    return fault(
        "ClientException",
        "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.");
  }
  std::set<std::string> names;
  for (const auto& e : container.get_array("environment")) names.insert(e.get("name"));
  for (const auto& s : secrets) {
    if (!names.insert(s.get("name")).second) {
      return fault(
          "ClientException",
          "The secret name must be unique and not shared with any new or existing environment variables set "
          "on the container, such as '" +
              s.get("name") + "'.");
    }
  }
  return {};
}

}  // namespace bastide::services::ecs
