#include "cli/auth.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"
#include "base/crypto.h"
#include "cli/context.h"
#include "sys/fd.h"

namespace bastide::cli {
namespace {

constexpr Millis kRenewBefore = 5 * kMinute;
constexpr int64_t kRoleSeconds = 3600;
constexpr size_t kMaxAnswer = 1024;

std::string short_role(const std::string& role) {
  return role.starts_with("bastide-") ? role.substr(8) : role;
}

int strength(const std::string& role) {
  const std::string name = short_role(role);
  return name == "admin" ? 3 : name == "developer" ? 2 : name == "readonly" ? 1 : 0;
}

json::Value session_json(const SignedIn& s) {
  return json::object({{"endpoint", s.endpoint},
                       {"ca", s.ca_pem},
                       {"region", s.region},
                       {"account", s.account},
                       {"accountName", s.account_name},
                       {"arn", s.arn},
                       {"mfa", s.mfa},
                       {"credentials", to_json(s.credentials)}});
}

}  // namespace

json::Value to_json(const aws::Credentials& c) {
  return json::object({{"AccessKeyId", c.access_key_id},
                       {"SecretAccessKey", c.secret_access_key},
                       {"SessionToken", c.session_token},
                       {"ExpiresAt", c.expires_at}});
}

aws::Credentials credentials_of(const json::Value& v) {
  aws::Credentials c{v.get("AccessKeyId", v.get("accessKeyId")),
                     v.get("SecretAccessKey", v.get("secretAccessKey")),
                     v.get("SessionToken", v.get("sessionToken")), v.get_int("ExpiresAt")};
  for (const char* name : {"Expiration", "expiration"}) {
    const json::Value* at = v.find(name);
    if (at && at->is_number())
      c.expires_at = static_cast<Millis>(at->number() * 1000);
    else if (at && at->is_string())
      c.expires_at = parse_iso8601(at->string()).value_or(0);
  }
  return c;
}

Login::Login(const Context& context)
    : context_(context), store_(access::default_session_folder(), context.home()) {}

Result<std::optional<SignedIn>> Login::current() {
  const auto kept = TRY(store_.get("session"));
  if (!kept) return std::optional<SignedIn>();
  SignedIn s{kept->get("endpoint"),
             kept->get("ca"),
             kept->get("region", "us-east-1"),
             kept->get("account"),
             kept->get("accountName"),
             kept->get("arn"),
             kept->get_bool("mfa"),
             {}};
  if (const auto* c = kept->find("credentials")) s.credentials = credentials_of(*c);
  return std::optional<SignedIn>(std::move(s));
}

Result<SignedIn> Login::need() {
  auto s = TRY(current());
  if (!s) return error("NotFound", "nobody is signed in; run '" + context_.command() + " auth login'");
  if (s->credentials.expires_at <= Clock::system().wall()) {
    return error("Expired", fmt::format("the session of {} ended at {}; run '{} auth login'", s->user(),
                                        iso8601(s->credentials.expires_at), context_.command()));
  }
  return std::move(*s);
}

Result<void> Login::keep(const SignedIn& session) {
  TRY(store_.remove_all());
  return store_.put("session", session_json(session));
}

Result<void> Login::forget() { return store_.remove_all(); }

aws::Client Login::client(const SignedIn& session) const {
  aws::ClientConfig config;
  if (session.endpoint != kAmazon) config.endpoint = session.endpoint;
  config.ca_pem = session.ca_pem;
  config.region = session.region;
  config.credentials = session.credentials;
  return aws::Client(std::move(config));
}

Result<std::vector<RoleProfile>> Login::roles() {
  const auto session = TRY(need());
  auto aws = client(session);
  std::vector<RoleProfile> out;
  json::Value input = json::object();
  for (;;) {
    const auto page = TRY(aws.call("bastide", "ListAssumableRoles", input));
    for (const auto& r : page.get_array("roles")) {
      RoleProfile p{
          "", r.get("roleArn"), r.get("account"), r.get("accountName", r.get("account")), r.get("roleName"),
          0};
      p.name = p.account_name + "-" + short_role(p.role_name);
      const json::Value* until = r.find("until");
      if (until && until->is_number()) p.until = static_cast<Millis>(until->number() * 1000);
      out.push_back(std::move(p));
    }
    if (!page.has("nextToken")) break;
    input["nextToken"] = page.get("nextToken");
  }
  return out;
}

Result<RoleProfile> Login::role(const std::string& profile) {
  // By its ARN a role needs no list: AWS has none of what one may assume.
  if (profile.starts_with("arn:aws:iam::") && profile.find(":role/") != std::string::npos) {
    const auto parts = split(profile, ':');
    return RoleProfile{profile,
                       profile,
                       std::string(parts[4]),
                       std::string(parts[4]),
                       profile.substr(profile.rfind('/') + 1),
                       0};
  }
  const auto all = TRY(roles());
  const RoleProfile* best = nullptr;
  std::vector<std::string> names;
  for (const auto& r : all) {
    if (r.name == profile || r.role_arn == profile) return r;
    names.push_back(r.name);
    if (r.account_name == profile && strength(r.role_name) > 0 &&
        (!best || strength(r.role_name) > strength(best->role_name)))
      best = &r;
  }
  if (best) return *best;
  const std::string probable = closest(profile, names);
  return error("NotFound", "you may assume no role '" + profile + "'" +
                               (!probable.empty() ? "; did you mean '" + probable + "'?"
                                : names.empty()   ? "; you may assume none: 'auth request' asks for one"
                                                  : "; there are: " + join(names, ", ")));
}

Result<aws::Credentials> Login::role_credentials(const std::string& profile) {
  const std::string slot = "role-" + profile;
  const auto session = TRY(need());
  const auto kept = TRY(store_.get(slot));
  if (kept && kept->get("of") == session.credentials.access_key_id) {
    auto c = credentials_of(*kept);
    if (c.expires_at > Clock::system().wall() + kRenewBefore) return c;
  }
  const RoleProfile wanted = TRY(role(profile));
  auto aws = client(session);
  const auto answer = TRY(aws.call("sts", "AssumeRole",
                                   json::object({{"RoleArn", wanted.role_arn},
                                                 {"RoleSessionName", session.user()},
                                                 {"DurationSeconds", kRoleSeconds}})));
  const json::Value* got = answer.find("Credentials");
  if (!got) return error("STS answered no credentials");
  const auto c = credentials_of(*got);
  json::Value keep = to_json(c);
  keep["of"] = session.credentials.access_key_id;
  TRY(store_.put(slot, keep));
  return c;
}

Result<std::optional<aws::Credentials>> login_credentials(Context& context, const std::string& profile) {
  Login login(context);
  const auto session = TRY(login.current());
  if (!session || session->credentials.expires_at <= Clock::system().wall())
    return std::optional<aws::Credentials>();
  if (profile == "me") return std::optional<aws::Credentials>(session->credentials);
  auto c = login.role_credentials(profile);
  if (!c && c.error().code == "NotFound") return std::optional<aws::Credentials>();
  if (!c) return Error(c.error());
  return std::optional<aws::Credentials>(std::move(c).value());
}

std::string login_endpoint(const Context& context) {
  const auto session = Login(context).current();
  return session && session.value() ? session.value()->endpoint : "";
}

Result<std::string> ask_person(const std::string& question, bool secret, const std::string& instead) {
  const sys::Fd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!terminal || !::isatty(STDIN_FILENO))
    return error("Denied", "there is no terminal to ask on; " + instead);
  const auto say = [&](std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::write(terminal.get(), text.data(), text.size());
      if (n <= 0) return;
      text.remove_prefix(static_cast<size_t>(n));
    }
  };
  termios before{};
  const bool quiet = secret && ::tcgetattr(terminal.get(), &before) == 0;
  if (quiet) {
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(terminal.get(), TCSAFLUSH, &silent);
  }
  say(question);
  std::string line;
  char c = 0;
  while (line.size() < kMaxAnswer && ::read(terminal.get(), &c, 1) == 1 && c != '\n') line += c;
  if (quiet) {
    ::tcsetattr(terminal.get(), TCSAFLUSH, &before);
    say("\n");
  }
  return line;
}

}  // namespace bastide::cli
