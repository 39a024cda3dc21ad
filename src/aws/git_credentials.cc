#include "aws/git_credentials.h"

#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::aws {
namespace {

constexpr Millis kValidity = 15 * kMinute;

std::string signature(const std::string& secret, const std::string& region, const std::string& host,
                      const std::string& path, const std::string& time) {
  const std::string day = time.substr(0, 8);
  const std::string scope = day + "/" + region + "/codecommit/aws4_request";
  const std::string canonical = "GIT\n" + path + "\n\nhost:" + host + "\n\nhost\n";
  const std::string to_sign = "AWS4-HMAC-SHA256\n" + time + "\n" + scope + "\n" + sha256_hex(canonical);
  std::string key = "AWS4" + secret;
  for (const std::string_view part : {std::string_view(day), std::string_view(region), std::string_view("codecommit"), std::string_view("aws4_request")}) {
    key = hmac_sha256(key, part);
  }
  return hex(hmac_sha256(key, to_sign));
}

}  // namespace

GitLogin sign_git(const std::string& access_key, const std::string& secret, const std::string& session_token,
                  const std::string& region, const std::string& host, const std::string& path, Millis now) {
  std::string time = iso8601_basic(now);
  time.pop_back();  // the helper signs the time without its Z and shows it with one
  return {session_token.empty() ? access_key : access_key + "%" + session_token,
          time + "Z" + signature(secret, region, host, path, time)};
}

Result<GitUser> parse_basic_login(std::string_view header) {
  if (header.size() < 6 || !iequals(header.substr(0, 6), "basic ")) return error("Invalid", "no Basic credentials");
  const std::string plain = TRY(unbase64(trim(header.substr(6))));
  const size_t colon = plain.find(':');
  if (colon == std::string::npos) return error("Invalid", "Basic credentials without a password");
  const std::string name = plain.substr(0, colon);
  const size_t percent = name.find('%');
  return GitUser{name.substr(0, percent), percent == std::string::npos ? "" : name.substr(percent + 1),
                 plain.substr(colon + 1)};
}

bool verify_git(const GitUser& user, const std::string& secret, const std::string& region, const std::string& host,
                const std::string& path, Millis now) {
  constexpr size_t kTime = 15;  // 20261122T154454
  if (user.password.size() < kTime + 1 || user.password[kTime] != 'Z') return false;
  const std::string time = user.password.substr(0, kTime);
  const auto at = parse_iso8601(time + "Z");
  if (!at || *at > now + kValidity || *at < now - kValidity) return false;
  return equal_constant_time(user.password.substr(kTime + 1), signature(secret, region, host, path, time));
}

}  // namespace bastide::aws
