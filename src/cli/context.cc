#include "cli/context.h"

#include <unistd.h>

#include <cstdlib>

#include "base/bytes.h"
#include "cli/auth.h"
#include "sys/file.h"

namespace bastide::cli {
namespace {

constexpr Millis kRenewBefore = 5 * kMinute;
constexpr int64_t kSessionSeconds = 3600;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

json::Value credentials_json(const aws::Credentials& c) {
  return json::object({{"AccessKeyId", c.access_key_id},
                       {"SecretAccessKey", c.secret_access_key},
                       {"SessionToken", c.session_token},
                       {"Expiration", c.expires_at ? iso8601(c.expires_at) : ""}});
}

aws::Credentials credentials_from(const json::Value& v) {
  aws::Credentials c{v.get("AccessKeyId"), v.get("SecretAccessKey"), v.get("SessionToken"), 0};
  const json::Value* expires = v.find("Expiration");
  if (expires && expires->is_number()) c.expires_at = static_cast<Millis>(expires->number() * 1000);
  else if (const auto at = parse_iso8601(v.get("Expiration"))) c.expires_at = *at;
  return c;
}

bool fresh(const aws::Credentials& c) {
  return c.expires_at == 0 || c.expires_at > Clock::system().wall() + kRenewBefore;
}

}  // namespace

std::string default_home() {
  if (const auto home = variable("BASTIDE_HOME"); !home.empty()) return home;
  if (::geteuid() == 0) return "/var/lib/bastide";
  if (const auto data = variable("XDG_DATA_HOME"); !data.empty()) return data + "/bastide";
  return variable("HOME") + "/.local/share/bastide";
}

Context::Context(std::string home) : home_(std::move(home)) {}

std::string Context::program() const {
  char path[4096];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  return n > 0 ? std::string(path, static_cast<size_t>(n)) : "bastide";
}

std::string Context::command() const {
  const auto given = variable("BASTIDE_COMMAND");
  return given.empty() ? "bastide" : given;
}

Result<serve::Instance> Context::instance() const {
  auto found = serve::running(home_);
  if (!found && found.error().code == "NotFound") {
    return error("NotFound", "Bastide does not run on " + home_ + "; start it with '" + command() + " up FOLDER' or '" + command() + " serve'");
  }
  return found;
}

Result<std::string> Context::endpoint() const {
  if (const auto given = variable("BASTIDE_ENDPOINT"); !given.empty()) return given;
  const auto here = instance();
  if (!here) {
    if (const auto away = login_endpoint(*this); !away.empty()) return away;
    return Error(here.error());
  }
  return "http://127.0.0.1:" + std::to_string(here->api_port);
}

Result<std::vector<Profile>> Context::profiles() const {
  std::vector<Profile> out;
  const auto text = sys::read_file(home_ + "/aws/profiles.json", 1 << 20);
  if (!text && text.error().code == "NotFound") return out;
  if (!text) return Error(text.error());
  const auto v = TRY(json::parse(*text));
  for (const auto& p : v.get_array("profiles")) {
    Profile profile{p.get("name"), p.get("account"), p.get("role_arn"), p.get("source"), {}};
    if (const auto* keys = p.find("keys")) profile.keys = credentials_from(*keys);
    out.push_back(std::move(profile));
  }
  return out;
}

Result<void> Context::save_profiles(const std::vector<Profile>& profiles) const {
  json::Array all;
  for (const Profile& p : profiles) {
    json::Value v = json::object({{"name", p.name}, {"account", p.account}});
    if (!p.role_arn.empty()) {
      v["role_arn"] = p.role_arn;
      v["source"] = p.source;
    }
    if (!p.keys.access_key_id.empty()) v["keys"] = credentials_json(p.keys);
    all.push_back(std::move(v));
  }
  TRY(sys::make_folders(home_ + "/aws"));
  return sys::write_file(home_ + "/aws/profiles.json", json::pretty(json::object({{"profiles", std::move(all)}})));
}

Result<Profile> Context::profile(const std::string& name) const {
  if (name == "operator") return Profile{name, "", "", "", {}};
  const auto all = TRY(profiles());
  std::vector<std::string> names = {"operator"};
  for (const Profile& p : all) {
    if (p.name == name) return p;
    names.push_back(p.name);
  }
  const auto probable = closest(name, names);
  return error("NotFound", "there is no profile '" + name + "'" +
                               (probable.empty() ? "; there are: " + join(names, ", ") : "; did you mean '" + probable + "'?"));
}

Result<aws::Credentials> Context::operator_credentials() const {
  auto text = sys::read_file(home_ + "/operator.json", 64 << 10);
  if (!text && text.error().code == "NotFound") {
    return error("NotFound", home_ + "/operator.json is missing: only the owner of a running home may act as its operator");
  }
  if (!text) return Error(text.error());
  return credentials_from(TRY(json::parse(*text)));
}

Result<aws::Credentials> Context::credentials(const std::string& name) {
  if (const auto found = sessions_.find(name); found != sessions_.end() && fresh(found->second)) return found->second;
  if (name == "operator") return sessions_[name] = TRY(operator_credentials());
  if (auto session = TRY(login_credentials(*this, name))) return sessions_[name] = *session;
  const Profile profile = TRY(this->profile(name));
  if (profile.role_arn.empty()) return sessions_[name] = profile.keys;

  const std::string cache = home_ + "/aws/sessions/" + name + ".json";
  if (const auto text = sys::read_file(cache, 64 << 10)) {
    if (const auto v = json::parse(*text); v && v->get("RoleArn") == profile.role_arn) {
      const auto kept = credentials_from(*v);
      if (kept.expires_at != 0 && fresh(kept)) return sessions_[name] = kept;
    }
  }
  const auto answer = TRY(call(profile.source, "sts", "AssumeRole",
                               json::object({{"RoleArn", profile.role_arn},
                                             {"RoleSessionName", profile.source},
                                             {"DurationSeconds", kSessionSeconds}})));
  const json::Value* got = answer.find("Credentials");
  if (!got) return error("STS answered no credentials");
  const auto session = credentials_from(*got);
  json::Value kept = credentials_json(session);
  kept["RoleArn"] = profile.role_arn;
  TRY(sys::make_folders(home_ + "/aws/sessions"));
  TRY(sys::write_file(cache, json::print(kept)));
  return sessions_[name] = session;
}

Result<aws::Client*> Context::client(const std::string& name) {
  auto& slot = clients_[name];
  if (!slot) {
    aws::ClientConfig config;
    config.endpoint = TRY(endpoint());
    config.region = region_;
    config.credentials = TRY(credentials(name));
    slot = std::make_unique<aws::Client>(std::move(config));
  }
  return slot.get();
}

Result<json::Value> Context::call(const std::string& profile, const std::string& service, const std::string& operation,
                                  const json::Value& input) {
  aws::Client* c = TRY(client(profile));
  auto answer = c->call(service, operation, input);
  // A session kept from before the home was made anew, or whose role was made anew: assume it once more.
  if (!answer && (answer.error().code == "ExpiredToken" || answer.error().code == "ExpiredTokenException" ||
                  answer.error().code == "InvalidClientTokenId" || answer.error().code == "UnrecognizedClientException")) {
    sessions_.erase(profile);
    clients_.erase(profile);
    TRY(sys::remove_file(home_ + "/aws/sessions/" + profile + ".json"));
    c = TRY(client(profile));
    return c->call(service, operation, input);
  }
  return answer;
}

}  // namespace bastide::cli
