// auth login, logout, whoami, mfa enrol.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "base/bytes.h"
#include "base/crypto.h"
#include "cli/auth.h"
#include "cli/auth_sso.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::cli {
namespace {

Result<std::string> line_of_stdin(const char* what) {
  std::string line;
  if (!std::getline(std::cin, line)) return error("Invalid", std::string("standard input has no ") + what);
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

Result<SignedIn> start(Context& context, const Arguments& a) {
  SignedIn s;
  s.region = context.region();
  s.endpoint = a.get("--endpoint");
  if (s.endpoint.empty()) s.endpoint = TRY(context.endpoint());
  while (s.endpoint.ends_with('/')) s.endpoint.pop_back();
  if (!a.get("--ca").empty()) s.ca_pem = TRY(sys::read_file(a.get("--ca"), 1 << 20));
  return s;
}

void take(SignedIn& s, const json::Value& answer) {
  if (const auto* c = answer.find("credentials")) s.credentials = credentials_of(*c);
  s.arn = answer.get("arn");
  s.account = answer.get("account");
  s.account_name = answer.get("accountName");
  s.mfa = answer.get_bool("mfa");
}

// Asks for what the service says is missing, at most once each.
Result<json::Value> sign_in(aws::Client& client, const char* operation, json::Value input,
                            const Arguments& a) {
  for (int tries = 0;; ++tries) {
    auto answer = client.call("bastide", operation, input);
    if (answer || tries >= 2) return answer;
    if (answer.error().code == "MfaRequiredException" && !input.has("mfaCode")) {
      input["mfaCode"] = TRY(ask_person("One-time code: ", false, "give --mfa-code"));
    } else if (answer.error().code == "PasswordResetRequiredException" && !input.has("newPassword")) {
      const std::string first =
          TRY(ask_person("The password must be changed. New password: ", true,
                         "change it where there is a terminal, or give --new-password-stdin"));
      const std::string again = TRY(ask_person("Once more: ", true, ""));
      if (first != again) return error("Invalid", "the two are not the same");
      input["newPassword"] = first;
      if (input.has("mfaCode") && a.get("--mfa-code").empty()) input.remove("mfaCode");
    } else {
      return answer;
    }
  }
}

// Long-term keys become a session, with MFA where it is given: what AWS offers without Identity Center.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
Result<void> sign_in_with_keys(Login& login, SignedIn& session, const Arguments& a) {
  session.credentials.access_key_id = TRY(line_of_stdin("access key id"));
  session.credentials.secret_access_key = TRY(line_of_stdin("secret access key"));
  json::Value input = json::object();
  if (!a.get("--duration").empty()) {
    const int64_t seconds = TRY(parse_int(a.get("--duration")));
    input["DurationSeconds"] = seconds;
  }
  if (a.get("--mfa-serial").empty() != a.get("--mfa-code").empty())
    return error("Invalid", "--mfa-serial and --mfa-code go together");
  if (!a.get("--mfa-code").empty()) {
    input["SerialNumber"] = a.get("--mfa-serial");
    input["TokenCode"] = a.get("--mfa-code");
    session.mfa = true;
  }
  auto keys = login.client(session);
  const auto answer = TRY(keys.call("sts", "GetSessionToken", input));
  wipe(session.credentials.secret_access_key);
  if (const auto* c = answer.find("Credentials")) session.credentials = credentials_of(*c);
  auto client = login.client(session);
  const auto who = TRY(client.call("sts", "GetCallerIdentity", json::object()));
  session.arn = who.get("Arn");
  session.account = session.account_name = who.get("Account");
  return {};
}

Result<int> run_login(Context& context, const Arguments& a) {
  SignedIn session = TRY(start(context, a));
  Login login(context);
  aws::Client client = login.client(session);
  json::Value input = json::object();
  if (!a.get("--account").empty()) input["account"] = a.get("--account");
  if (!a.get("--mfa-code").empty()) input["mfaCode"] = a.get("--mfa-code");
  if (!a.get("--duration").empty()) {
    const int64_t seconds = TRY(parse_int(a.get("--duration")));
    input["durationSeconds"] = seconds;
  }
  json::Value answer;
  if (a.flag("--keys-stdin")) {
    TRY(sign_in_with_keys(login, session, a));
  } else if (a.flag("--sso") || a.flag("--device")) {
    input["webIdentityToken"] = TRY(single_sign_on(client, a));
    answer = TRY(sign_in(client, "SignInWithWebIdentity", input, a));
  } else {
    std::string user = a.get("USER");
    if (user.empty())
      user = TRY(ask_person("User: ", false, "name the user: auth login USER --password-stdin"));
    input["userName"] = user;
    auto password = a.flag("--password-stdin")
                        ? line_of_stdin("password")
                        : ask_person("Password of " + user + ": ", true, "give --password-stdin");
    input["password"] = TRY(std::move(password));
    if (a.flag("--new-password-stdin")) input["newPassword"] = TRY(line_of_stdin("new password"));
    answer = TRY(sign_in(client, "SignIn", input, a));
  }
  if (!answer.is_null()) take(session, answer);
  TRY(login.keep(session));
  const auto roles =
      session.endpoint == kAmazon ? Result<std::vector<RoleProfile>>(error("none")) : login.roles();
  std::printf("Signed in as %s (account %s%s) until %s; the session is in %s.\n", session.user().c_str(),
              session.account.c_str(), session.mfa ? ", with MFA" : ", without MFA",
              iso8601(session.credentials.expires_at).c_str(), login.store().place().c_str());
  if (roles && roles->empty()) std::printf("You may assume no role yet; 'auth request ROLE' asks for one.\n");
  for (const auto& r : roles ? roles.value() : std::vector<RoleProfile>()) {
    std::printf("  %-32s %s%s\n", r.name.c_str(), r.role_arn.c_str(),
                r.until ? (" until " + iso8601(r.until)).c_str() : "");
  }
  return 0;
}

Result<int> run_logout(Context& context, const Arguments&) {
  TRY(Login(context).forget());
  std::printf("Signed out.\n");
  return 0;
}

Result<int> run_whoami(Context& context, const Arguments& a) {
  Login login(context);
  const auto session = TRY(login.need());
  auto client = login.client(session);
  const auto who = TRY(client.call("sts", "GetCallerIdentity", json::object()));  // whether it still counts
  const Millis left = session.credentials.expires_at - Clock::system().wall();
  if (a.flag("--json")) {
    std::printf("%s\n", json::print(json::object({{"arn", who.get("Arn")},
                                                  {"account", who.get("Account")},
                                                  {"accountName", session.account_name},
                                                  {"mfa", session.mfa},
                                                  {"expiration", iso8601(session.credentials.expires_at)},
                                                  {"endpoint", session.endpoint}}))
                            .c_str());
    return 0;
  }
  std::printf("%s\naccount  %s %s\nMFA      %s\nends     %s, in %s\nat       %s\n", who.get("Arn").c_str(),
              who.get("Account").c_str(), session.account_name.c_str(), session.mfa ? "shown" : "not shown",
              iso8601(session.credentials.expires_at).c_str(), human_duration(left).c_str(),
              session.endpoint.c_str());
  return 0;
}

// https://github.com/google/google-authenticator/wiki/Key-Uri-Format
Result<int> run_enrol(Context& context, const Arguments& a) {
  Login login(context);
  const auto session = TRY(login.need());
  auto client = login.client(session);
  const std::string user = session.user();
  const std::string name = user;
  auto made = client.call("iam", "CreateVirtualMFADevice", json::object({{"VirtualMFADeviceName", name}}));
  const std::string serial = "arn:aws:iam::" + session.account + ":mfa/" + name;
  // One that was made and never enabled is of no use to anybody.
  if (!made && made.error().code == "EntityAlreadyExists") {
    const auto old = client.call("iam", "DeleteVirtualMFADevice", json::object({{"SerialNumber", serial}}));
    if (!old)
      return error("you have an MFA device already (" + serial +
                   "); deactivate it first: " + old.error().message);
    made = client.call("iam", "CreateVirtualMFADevice", json::object({{"VirtualMFADeviceName", name}}));
  }
  if (!made) return Error(made.error());
  const json::Value* device = made->find("VirtualMFADevice");
  const std::string encoded = device ? device->get("Base32StringSeed") : "";
  const std::string seed = TRY(unbase64(encoded));
  if (seed.empty()) return error("IAM answered no seed");
  const std::string uri = fmt::format("otpauth://totp/Bastide:{}?secret={}&issuer=Bastide",
                                      percent_encode(user + "@" + session.account), seed);
  const auto drawn = sys::run({.argv = {"qrencode", "-t", "UTF8"}, .input = uri});
  std::fprintf(
      stderr, "%s\nSecret: %s\nLink:   %s\n\n",
      drawn && drawn->status == 0 ? drawn->output.c_str() : "(install qrencode for a code to scan)\n",
      seed.c_str(), uri.c_str());
  json::Value input = json::object({{"UserName", user}, {"SerialNumber", serial}});
  if (a.flag("--codes-stdin")) {
    input["AuthenticationCode1"] = TRY(line_of_stdin("first code"));
    input["AuthenticationCode2"] = TRY(line_of_stdin("second code"));
  } else {
    input["AuthenticationCode1"] = TRY(ask_person("A code of the app: ", false, "give --codes-stdin"));
    input["AuthenticationCode2"] = TRY(ask_person("The next code:     ", false, "give --codes-stdin"));
  }
  TRY(client.call("iam", "EnableMFADevice", input));
  std::printf("MFA is on for %s (%s). Sign in again to use it: %s auth login %s\n", user.c_str(),
              serial.c_str(), context.command().c_str(), user.c_str());
  return 0;
}

}  // namespace

Command auth_login_command() {
  return {"auth login",
          "Signs in: user, password and MFA, or single sign-on",
          "bastide auth login alice",
          {{"USER", Option::Kind::positional, "The user of the security account"},
           {"--account", Option::Kind::value, "Its account, where that is not the security account"},
           {"--endpoint", Option::Kind::value, "Another machine's Bastide, as http://host:4566, or aws"},
           {"--ca", Option::Kind::value, "A file of authorities to trust for that endpoint"},
           {"--password-stdin", Option::Kind::flag, "The password is the first line of standard input"},
           {"--new-password-stdin", Option::Kind::flag, "The next line is a new password"},
           {"--mfa-code", Option::Kind::value, "The one-time code, where there is no terminal"},
           {"--keys-stdin", Option::Kind::flag,
            "Long-term keys instead: id and secret are lines of standard input"},
           {"--mfa-serial", Option::Kind::value, "With --keys-stdin: the device of --mfa-code"},
           {"--duration", Option::Kind::value, "Seconds, 900 to 43200"},
           {"--sso", Option::Kind::flag, "Single sign-on in the browser"},
           {"--device", Option::Kind::flag, "Single sign-on with a code, where there is no browser"},
           {"--issuer", Option::Kind::value, "Of single sign-on, where there are several"},
           {"--client-id", Option::Kind::value, "Of single sign-on, where there are several"},
           {"--issuer-ca", Option::Kind::value, "A file of authorities to trust for the issuer"}},
          run_login};
}
Command auth_logout_command() {
  return {"auth logout", "Forgets the session and every role's", "bastide auth logout", {}, run_logout};
}
Command auth_whoami_command() {
  return {"auth whoami",
          "Who is signed in, and until when",
          "bastide auth whoami",
          {{"--json", Option::Kind::flag, "As JSON"}},
          run_whoami};
}
Command auth_mfa_command() {
  return {"auth mfa enrol",
          "Adds an MFA app to your user",
          "bastide auth mfa enrol",
          {{"--codes-stdin", Option::Kind::flag, "The two codes are lines of standard input"}},
          run_enrol};
}

}  // namespace bastide::cli
