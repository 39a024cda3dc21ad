// Rotation by the built-in rotators, in AWS's four steps: the new value becomes AWSPENDING, is set where it
// is used, and becomes AWSCURRENT. A kill in between leaves AWSPENDING and a job that goes on.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
#include <algorithm>

#include "aws/arn.h"
#include "base/crypto.h"
#include "base/log.h"
#include "net/loop.h"
#include "services/secretsmanager/secretsmanager.h"

namespace bastide::services {

namespace m = model::secretsmanager;

namespace {

constexpr Millis kResume = kMinute;
constexpr Millis kRetry = kHour;
constexpr const char* kJob = "secretsmanager.rotation";
constexpr const char* kService = "secretsmanager.amazonaws.com";

std::string job_key(const Secret& s) { return s.account + "/" + s.region + "/" + s.name; }

}  // namespace

Result<const SecretRotator*> SecretsManager::rotator(const Secret& s, const std::string& text) const {
  const auto arn = aws::parse_arn(text);
  constexpr std::string_view kFunction = "function:";
  if (arn && arn->service == "lambda" && arn->account == s.account && arn->resource.starts_with(kFunction)) {
    const auto it = rotators_.find(arn->resource.substr(kFunction.size()));
    if (it != rotators_.end()) return &it->second;
  }
  std::string known;
  for (const auto& [name, rotator] : rotators_) {
    known += (known.empty() ? "" : ", ") + aws::make_arn("lambda", s.region, s.account, "function:" + name);
  }
  return fault("InvalidParameterException",
               "The rotation function " + text.substr(0, 200) +
                   " is not available: Bastide has no Lambda functions, and rotates by its own: " + known +
                   ".");
}

Result<Secret> SecretsManager::begin_rotation(
    const Actor& who, const Secret& secret, const std::string& token,
    const std::function<Result<void>(store::Writer&, Secret&)>& also) {
  const SecretRotator* how = TRY(rotator(secret, secret.rotation.function));
  const std::string current = TRY(version_of(secret, std::nullopt, std::nullopt));
  const auto old = TRY(open_value(who, secret, current));
  if (old.binary) return fault("InvalidRequestException", "A binary secret can't be rotated.");
  std::string fresh = TRY(how->next(old.bytes));
  const SecretValue next(false, std::move(fresh));
  return add_version(who, secret, token, next, {kPending}, [&](store::Writer& w, Secret& s) -> Result<void> {
    if (also) TRY(also(w, s));
    s.rotation.token = token;
    return w.enqueue(kJob, job_key(s), json::object(), clock_.wall() + kResume);
  });
}

Result<void> SecretsManager::finish_rotation(const Actor& who, const Secret& secret) {
  const std::string token = secret.rotation.token;
  const SecretRotator* how = TRY(rotator(secret, secret.rotation.function));
  const auto current = secret.staged(kCurrent);
  if (how->set && current && secret.versions.contains(token)) {
    const auto before = TRY(open_value(who, secret, *current));
    const auto after = TRY(open_value(who, secret, token));
    TRY(how->set(secret, before.bytes, after.bytes));
  }
  return change(secret, [&](store::Writer& w, Secret& s) -> Result<void> {
    if (s.rotation.token != token) return {};
    const Millis now = clock_.wall();
    if (s.versions.contains(token)) {
      s.stage(token, kCurrent);
      s.unstage(token, kPending);
      s.rotation.last = s.changed = now;
    }
    s.rotation.token.clear();
    const Millis period = rotation_period(s.rotation);
    s.rotation.next = s.rotation.enabled && period > 0 ? now + period : 0;
    if (s.rotation.next == 0) return {};
    return w.enqueue(kJob, job_key(s), json::object(), s.rotation.next);
  });
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
Result<m::RotateSecretResponse> SecretsManager::rotate(Call& call, const m::RotateSecretRequest& q) {
  Secret secret = TRY(find_usable(call, q.secret_id));
  if (q.external_secret_rotation_metadata || q.external_secret_rotation_role_arn) {
    return fault("InvalidParameterException", "Managed external secrets are not supported by Bastide.");
  }
  SecretRotation wanted = secret.rotation;
  if (q.rotation_lambda_arn) wanted.function = *q.rotation_lambda_arn;
  if (wanted.function.empty()) {
    return fault("InvalidRequestException",
                 "No Lambda rotation function ARN is associated with this secret.");
  }
  TRY(rotator(secret, wanted.function));
  if (q.rotation_rules) {
    TRY(apply_rules(wanted, {q.rotation_rules->automatically_after_days,
                             q.rotation_rules->schedule_expression, q.rotation_rules->duration}));
  }
  if (rotation_period(wanted) == 0) {
    return fault("InvalidParameterException",
                 "You must specify RotationRules with AutomaticallyAfterDays or ScheduleExpression.");
  }
  if (!secret.rotation.token.empty()) {
    return fault("InvalidRequestException",
                 "A previous rotation isn't complete. That rotation will be reattempted.");
  }
  wanted.enabled = true;
  wanted.next = call.now + rotation_period(wanted);
  auto configure = [&](store::Writer& w, Secret& s) -> Result<void> {
    s.rotation = wanted;
    return w.enqueue(kJob, job_key(s), json::object(), wanted.next);
  };
  m::RotateSecretResponse out;
  out.arn = secret.arn;
  out.name = secret.name;
  if (!q.rotate_immediately.value_or(true)) {
    TRY(change(secret, configure));
    return out;
  }
  const std::string token = q.client_request_token.value_or(secret_uuid());
  secret.rotation = wanted;
  const auto begun = TRY(begin_rotation(actor(call), secret, token, configure));
  TRY(finish_rotation(actor(call), begun));
  out.version_id = token;
  return out;
}

Result<m::CancelRotateSecretResponse> SecretsManager::cancel_rotation(Call& call,
                                                                      const m::CancelRotateSecretRequest& q) {
  const auto secret = TRY(find_usable(call, q.secret_id));
  if (!secret.rotation.enabled) {
    return fault("InvalidRequestException",
                 "You tried to cancel the rotation of a secret that isn't scheduled for rotation.");
  }
  m::CancelRotateSecretResponse out;
  TRY(change(secret, [&](store::Writer&, Secret& s) -> Result<void> {
    s.rotation.enabled = false;
    s.rotation.next = 0;
    if (const auto pending = s.staged(kPending)) out.version_id = *pending;
    s.rotation.token.clear();
    return {};
  }));
  out.arn = secret.arn;
  out.name = secret.name;
  return out;
}

// On schedule the service acts by itself: keys of your own must let secretsmanager.amazonaws.com use them.
Result<std::optional<Millis>> SecretsManager::run_rotation(store::Job& job) {
  auto secret = TRY(of_job(job));
  if (!secret || secret->deleted != 0) return std::optional<Millis>{};
  const Actor service{aws::Principal::service(kService), secret->account};
  const Millis now = clock_.wall();
  const bool due = secret->rotation.enabled && secret->rotation.next != 0 && secret->rotation.next <= now;
  if (secret->rotation.token.empty() && due) {
    auto begun = begin_rotation(service, *secret, secret_uuid(), {});
    if (!begun) {
      if (!begun.error().fault) return std::move(begun).error();
      log::warn("rotation of {}: {} {}", secret->arn, begun.error().code, begun.error().message);
      return std::optional<Millis>(kRetry);
    }
    secret = std::move(*begun);
  }
  if (!secret->rotation.token.empty()) {
    if (auto finished = finish_rotation(service, *secret); !finished) {
      if (!finished.error().fault) return std::move(finished).error();
      log::warn("rotation of {}: {} {}", secret->arn, finished.error().code, finished.error().message);
      return std::optional<Millis>(kRetry);
    }
    secret = TRY(of_job(job));
  }
  if (!secret || !secret->rotation.enabled || secret->rotation.next == 0) return std::optional<Millis>{};
  return std::optional<Millis>(std::max<Millis>(kSecond, secret->rotation.next - clock_.wall()));
}

void SecretsManager::start() {
  database_.run_jobs("secretsmanager.deletion", [this](store::Job& job) { return run_deletion(job); });
  database_.run_jobs(kJob, [this](store::Job& job) { return run_rotation(job); });
}

}  // namespace bastide::services
