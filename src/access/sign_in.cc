// Sign-in: a password or an identity provider's token, and a one-time code where the user has a device. The
// answer is the user's own session, from which every role is assumed: one MFA for all of them.
#include <fmt/format.h>

#include <algorithm>

#include "access/service.h"
#include "aws/local_client.h"
#include "base/bytes.h"

namespace bastide::access {

namespace {

constexpr int32_t kDefaultSeconds = 43'200;
constexpr int kFreeGuesses = 5;
constexpr Millis kLongestPause = 5 * kMinute;
constexpr Millis kForgetAfter = kHour;
constexpr size_t kMaxRemembered = 10'000;
constexpr const char* kEmailTag = "bastide:email";
constexpr const char* kSubjectTag = "bastide:subject";

Error refused() {
  return fault("AccessDeniedException", "The user name, the password or the code is wrong", 403);
}

}  // namespace

Result<void> Access::refuse_guessing(const std::string& account, const std::string& user) {
  const auto it = guesses_.find(account + " " + lower(user));
  if (it == guesses_.end() || n_.clock.steady() >= it->second.not_before) return {};
  return fault("TooManyRequestsException",
               fmt::format("Too many wrong attempts; try again in {}",
                           human_duration(it->second.not_before - n_.clock.steady())),
               429);
}

// After five wrong attempts each further one doubles the wait. Kept in memory: a restart forgets it.
void Access::failed(const std::string& account, const std::string& user) {
  const Millis now = n_.clock.steady();
  if (guesses_.size() >= kMaxRemembered)
    std::erase_if(guesses_, [&](const auto& g) { return now - g.second.last > kForgetAfter; });
  if (guesses_.size() >= kMaxRemembered) guesses_.clear();
  auto& g = guesses_[account + " " + lower(user)];
  if (now - g.last > kForgetAfter) g.failures = 0;
  g.last = now;
  if (++g.failures >= kFreeGuesses)
    g.not_before = now + std::min(kLongestPause, kSecond << std::min(20, g.failures - kFreeGuesses));
}

Result<model::bastide::SignInResponse> Access::session(Call& call, const Account& account,
                                                       const std::string& user,
                                                       const std::optional<std::string>& mfa_code,
                                                       const std::optional<int32_t>& seconds) {
  const auto devices = TRY(ask(account.id, "iam", "ListMFADevices", json::object({{"UserName", user}})));
  bool mfa = false;
  if (!devices.get_array("MFADevices").empty()) {
    if (!mfa_code)
      return fault("MfaRequiredException", "A one-time code of the user's MFA device is needed", 403);
    for (const auto& device : devices.get_array("MFADevices")) {
      mfa = TRY(n_.identities.verify_mfa(account.id, user, device.get("SerialNumber"), *mfa_code));
      if (mfa) break;
    }
    if (!mfa) {
      failed(account.id, user);
      return refused();
    }
  }
  guesses_.erase(account.id + " " + lower(user));
  const auto c =
      TRY(n_.sessions.mint_user_session(account.id, user, mfa, seconds.value_or(kDefaultSeconds) * kSecond));
  const auto info = TRY(n_.identities.user(account.id, user));
  if (!info) return refused();
  call.principal.kind = aws::Principal::Kind::user;
  call.principal.account = account.id;
  call.principal.arn = info->arn;
  call.principal.id = info->id;
  call.principal.name = info->name;
  model::bastide::SignInResponse out;
  out.credentials = {c.access_key_id, c.secret_access_key, c.session_token, c.expires_at};
  out.arn = info->arn;
  out.account = account.id;
  out.account_name = account.name;
  out.mfa = mfa;
  return out;
}

Result<op::SignIn::Response> Access::sign_in(Call& call, const op::SignIn::Request& q) {
  const auto account = TRY(account_of(q.account));
  call.account = account.id;
  TRY(refuse_guessing(account.id, q.user_name));
  const bool right = TRY(n_.identities.verify_password(account.id, q.user_name, q.password));
  if (!right) {
    failed(account.id, q.user_name);
    return refused();
  }
  const auto login =
      TRY(ask(account.id, "iam", "GetLoginProfile", json::object({{"UserName", q.user_name}})));
  const json::Value* profile = login.find("LoginProfile");
  const bool reset = profile && profile->get_bool("PasswordResetRequired");
  if (reset && !q.new_password)
    return fault("PasswordResetRequiredException", "The password must be changed: give a new one", 403);
  auto out = TRY(session(call, account, q.user_name, q.mfa_code, q.duration_seconds));
  // As the user itself, so that the user's permissions and the account's password policy decide.
  if (q.new_password) {
    auto changed =
        n_.client.call(call.principal, account.id, "us-east-1", "iam", "ChangePassword",
                       json::object({{"OldPassword", q.password}, {"NewPassword", *q.new_password}}));
    if (!changed && changed.error().fault) {
      Error e = changed.error();
      return fault(e.code == "AccessDenied" ? "AccessDeniedException" : "ValidationException", e.message,
                   e.code == "AccessDenied" ? 403 : 400);
    }
    if (!changed) return Error(changed.error());
  }
  return out;
}

// The person is the user whose tag names the token's subject ("ISSUER|SUBJECT"), else the one whose tag names
// the e-mail address that the provider has verified. Users cannot change their own tags.
Result<op::SignInWithWebIdentity::Response> Access::sign_in_web(Call& call,
                                                                const op::SignInWithWebIdentity::Request& q) {
  const auto account = TRY(account_of(q.account));
  call.account = account.id;
  auto verified = n_.web.verify_web_identity(account.id, q.web_identity_token);
  if (!verified && verified.error().fault)
    return fault("AccessDeniedException", verified.error().message, 403);
  const auto identity = TRY(std::move(verified));
  const std::string subject = identity.issuer + "|" + identity.subject;
  const bool mail_verified = identity.claims.get_bool("email_verified");
  const std::string mail = mail_verified ? lower(identity.claims.get("email")) : "";
  std::string by_subject, by_mail;
  size_t mail_owners = 0;
  json::Value input = json::object();
  for (;;) {
    const auto page = TRY(ask(account.id, "iam", "ListUsers", input));
    for (const auto& u : page.get_array("Users")) {
      const auto info = TRY(n_.identities.user(account.id, u.get("UserName")));
      if (!info) continue;
      for (const auto& [key, value] : info->tags) {
        if (key == kSubjectTag && value == subject) by_subject = info->name;
        if (key == kEmailTag && !mail.empty() && lower(value) == mail) {
          by_mail = info->name;
          ++mail_owners;
        }
      }
    }
    if (!page.get_bool("IsTruncated")) break;
    input["Marker"] = page.get("Marker");
  }
  const std::string user = !by_subject.empty() ? by_subject : mail_owners == 1 ? by_mail : "";
  if (user.empty()) {
    return fault(
        "AccessDeniedException",
        fmt::format("No user of account {} is tagged {}={} or {}=(a verified e-mail address of the token)",
                    account.id, kSubjectTag, subject, kEmailTag),
        403);
  }
  TRY(refuse_guessing(account.id, user));
  auto out = TRY(session(call, account, user, q.mfa_code, q.duration_seconds));
  op::SignInWithWebIdentity::Response response;
  response.credentials = std::move(out.credentials);
  response.arn = std::move(out.arn);
  response.account = std::move(out.account);
  response.account_name = std::move(out.account_name);
  response.mfa = out.mfa;
  return response;
}

Result<op::DescribeSignIn::Response> Access::describe_sign_in(Call& call,
                                                              const op::DescribeSignIn::Request& q) {
  const auto account = TRY(account_of(q.account));
  call.account = account.id;
  op::DescribeSignIn::Response out;
  out.account = account.id;
  const auto providers = TRY(n_.providers.oidc_providers(account.id));
  for (const auto& p : providers) out.providers.push_back({"https://" + p.issuer, p.clients});
  return out;
}

}  // namespace bastide::access
