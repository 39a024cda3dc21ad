// auth export, exec, profiles sync and list: role credentials for every other tool.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "base/bytes.h"
#include "cli/auth.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "net/http_client.h"
#include "sys/file.h"

namespace bastide::cli {
namespace {

constexpr size_t kMaxConfig = 4u << 20;
constexpr const char* kMark = "# made by 'bastide auth profiles sync'; lines of this section are replaced";

// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
Result<int> run_export(Context& context, const Arguments& a) {
  const std::string profile = a.get("PROFILE"), format = a.get("--format");
  if (format != "json" && format != "env" && format != "ini")
    return error("Invalid", "--format is json, env or ini, not '" + format + "'");
  const auto c = TRY(context.credentials(profile));
  if (format == "env") {
    std::printf("export AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\n", c.access_key_id.c_str(),
                c.secret_access_key.c_str());
    if (!c.session_token.empty()) std::printf("export AWS_SESSION_TOKEN=%s\n", c.session_token.c_str());
    if (c.expires_at) std::printf("export AWS_CREDENTIAL_EXPIRATION=%s\n", iso8601(c.expires_at).c_str());
    return 0;
  }
  if (format == "ini") {
    std::printf("[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", profile.c_str(),
                c.access_key_id.c_str(), c.secret_access_key.c_str());
    if (!c.session_token.empty()) std::printf("aws_session_token = %s\n", c.session_token.c_str());
    return 0;
  }
  json::Value v = json::object(
      {{"Version", 1}, {"AccessKeyId", c.access_key_id}, {"SecretAccessKey", c.secret_access_key}});
  if (!c.session_token.empty()) v["SessionToken"] = c.session_token;
  if (c.expires_at) v["Expiration"] = iso8601(c.expires_at);
  std::printf("%s\n", json::print(v).c_str());
  return 0;
}

// The program takes this one's place: signals and exit status are its own.
Result<int> run_exec(Context& context, const Arguments& a) {
  const std::string profile = a.get("PROFILE");
  std::vector<std::string> words = a.all("COMMAND");
  if (!words.empty() && words.front() == "--") words.erase(words.begin());
  if (words.empty()) return error("Invalid", "name a program: auth exec " + profile + " -- env");
  const auto c = TRY(context.credentials(profile));
  const auto session = TRY(Login(context).current());
  std::string endpoint = session && session->endpoint == kAmazon ? kAmazon : "";
  if (endpoint.empty()) endpoint = TRY(context.endpoint());
  ::setenv("AWS_ACCESS_KEY_ID", c.access_key_id.c_str(), 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", c.secret_access_key.c_str(), 1);
  if (c.session_token.empty())
    ::unsetenv("AWS_SESSION_TOKEN");
  else
    ::setenv("AWS_SESSION_TOKEN", c.session_token.c_str(), 1);
  if (c.expires_at) ::setenv("AWS_CREDENTIAL_EXPIRATION", iso8601(c.expires_at).c_str(), 1);
  ::setenv("AWS_REGION", context.region().c_str(), 0);
  ::setenv("AWS_DEFAULT_REGION", context.region().c_str(), 0);
  if (endpoint != kAmazon) ::setenv("AWS_ENDPOINT_URL", endpoint.c_str(), 1);
  ::setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
  ::setenv("BASTIDE_PROFILE", profile.c_str(), 1);
  ::unsetenv("AWS_PROFILE");
  ::unsetenv("AWS_DEFAULT_PROFILE");
  std::vector<char*> argv;
  for (auto& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  return error("NotFound", "'" + words.front() + "' is not to be found, or cannot be run");
}

std::string config_path() {
  const char* given = std::getenv("AWS_CONFIG_FILE");
  if (given && *given) return given;
  const char* home = std::getenv("HOME");
  return std::string(home ? home : "") + "/.aws/config";
}

struct Section {
  std::string name;  // "profile stage-admin"; empty: what stands before the first
  std::string text;  // with its header, byte for byte
  bool ours = false;
};

std::vector<Section> sections_of(const std::string& text) {
  std::vector<Section> out(1);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    const std::string line = text.substr(at, end - at);
    const std::string_view plain = trim(line);
    if (plain.starts_with('[') && plain.find(']') != std::string_view::npos) {
      out.push_back({std::string(trim(plain.substr(1, plain.find(']') - 1))), "", false});
    }
    if (plain == kMark) out.back().ours = true;
    out.back().text += line;
    at = end;
  }
  return out;
}

std::string quoted(const std::string& path) {
  return path.find_first_of(" \t\"") == std::string::npos ? path
                                                          : "\"" + replace_all(path, "\"", "\\\"") + "\"";
}

// Sections that somebody else wrote stay byte for byte, in their places.
Result<int> run_sync(Context& context, const Arguments& a) {
  Login login(context);
  const auto session = TRY(login.need());
  const auto roles = TRY(login.roles());
  const std::string path = config_path();
  auto before = sys::read_file(path, kMaxConfig);
  if (!before && before.error().code != "NotFound") return Error(before.error());
  const std::string old = before ? *before : "";
  const auto sections = sections_of(old);
  std::set<std::string> taken;
  std::string out;
  int removed = 0;
  for (const auto& s : sections) {
    if (s.ours) {
      ++removed;
      continue;
    }
    taken.insert(s.name);
    out += s.text;
  }
  int added = 0, skipped = 0;
  std::string ours;
  for (const auto& r : roles) {
    const std::string name = a.get("--prefix") + r.name;
    if (taken.contains("profile " + name)) {
      std::fprintf(stderr, "left alone: [profile %s] is yours; --prefix makes other names\n", name.c_str());
      ++skipped;
      continue;
    }
    ours += fmt::format(
        "[profile {}]\n{}\nregion = {}\nendpoint_url = {}\ncredential_process = {} auth export {} --home "
        "{}\n",
        name, kMark, session.region, session.endpoint, quoted(context.program()), r.name,
        quoted(context.home()));
    ++added;
  }
  if (!ours.empty() && !out.empty() && !out.ends_with('\n')) out += '\n';
  out += ours;
  if (out != old) {
    struct stat info {};
    const mode_t mode = ::stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0600;
    TRY(sys::make_folders(path.substr(0, path.rfind('/'))));
    TRY(sys::write_file(path, out, mode));
  }
  std::printf("%s: %d profiles%s\n", path.c_str(), added,
              skipped ? fmt::format(", {} left alone", skipped).c_str() : "");
  for (const auto& r : roles) std::printf("  %s%s\n", a.get("--prefix").c_str(), r.name.c_str());
  (void)removed;
  return 0;
}

Result<int> run_list(Context& context, const Arguments&) {
  Login login(context);
  const auto roles = TRY(login.roles());
  for (const auto& r : roles)
    std::printf("%-32s %s%s\n", r.name.c_str(), r.role_arn.c_str(),
                r.until ? ("  until " + iso8601(r.until)).c_str() : "");
  return 0;
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_enable-console-custom-url.html
Result<int> run_console(Context& context, const Arguments& a) {
  const auto session = TRY(Login(context).current());
  std::string federation = a.get("--federation-endpoint");
  if (federation.empty()) {
    if (!session || session->endpoint != kAmazon)
      return error("NotFound",
                   "this is the sign-in of AWS's console, or of another that --federation-endpoint names; "
                   "for this house use 'bastide console'");
    federation = "https://signin.aws.amazon.com/federation";
  }
  const auto c = TRY(context.credentials(a.get("PROFILE")));
  const size_t scheme = federation.find("://");
  const size_t slash = scheme == std::string::npos ? std::string::npos : federation.find('/', scheme + 3);
  const auto endpoint = TRY(net::parse_endpoint(federation.substr(0, slash)));
  net::HttpClient client(endpoint);
  net::Request request;
  request.method = "POST";
  request.target = slash == std::string::npos ? "/" : federation.substr(slash);
  request.headers.add("Content-Type", "application/x-www-form-urlencoded");
  const json::Value keys = json::object({{"sessionId", c.access_key_id},
                                         {"sessionKey", c.secret_access_key},
                                         {"sessionToken", c.session_token}});
  request.body = "Action=getSigninToken&Session=" + percent_encode(json::print(keys));
  const auto answer = TRY(client.send(request));
  const auto token = json::parse(answer.body);
  if (answer.status != 200 || !token || token->get("SigninToken").empty())
    return error(fmt::format("{} answered {}", federation, answer.status));
  std::printf("%s?Action=login&Issuer=bastide&Destination=%s&SigninToken=%s\n", federation.c_str(),
              percent_encode(a.get("--destination")).c_str(),
              percent_encode(token->get("SigninToken")).c_str());
  return 0;
}

}  // namespace

Command auth_console_command() {
  return {"auth console",
          "Prints a link that signs a browser in as a role",
          "bastide auth console arn:aws:iam::111122223333:role/admin",
          {{"PROFILE", Option::Kind::positional, "The profile", "", true},
           {"--destination", Option::Kind::value, "Where the link leads", "https://console.aws.amazon.com/"},
           {"--federation-endpoint", Option::Kind::value, "Of another sign-in than AWS's"}},
          run_console};
}
Command auth_export_command() {
  return {"auth export",
          "Prints a profile's credentials; as JSON it is a `credential_process`",
          "bastide auth export stage-admin --format env",
          {{"PROFILE", Option::Kind::positional, "The profile", "", true},
           {"--format", Option::Kind::value, "json, env or ini", "json"}},
          run_export};
}
Command auth_exec_command() {
  return {"auth exec",
          "Runs a program with a profile's credentials",
          "bastide auth exec stage-admin -- aws sts get-caller-identity",
          {{"PROFILE", Option::Kind::positional, "The profile", "", true},
           {"COMMAND", Option::Kind::positionals, "The program and its arguments, after --"}},
          run_exec};
}
Command auth_profiles_sync_command() {
  return {"auth profiles sync",
          "Adds an AWS profile for every role you may assume; other profiles stay as they are",
          "bastide auth profiles sync",
          {{"--prefix", Option::Kind::value, "Put before each name"}},
          run_sync};
}
Command auth_profiles_list_command() {
  return {"auth profiles list", "The roles you may assume", "bastide auth profiles list", {}, run_list};
}

}  // namespace bastide::cli
