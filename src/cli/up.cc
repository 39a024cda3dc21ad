// bastide up FOLDER: from one file to a running architecture, and a table of what to try.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "architecture/architecture.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/daemon.h"
#include "cli/follow.h"
#include "cli/live.h"
#include "cli/table.h"
#include "cli/target.h"
#include "cli/work_repository.h"
#include "secrets/text.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::cli {
namespace {

constexpr const char* kPerson = "admin";

// The person `admin`: a password told once, and the keys that the command line signs with.
Result<std::string> make_admin(Context& context, const std::string& security) {
  auto profiles = TRY(context.profiles());
  for (const Profile& p : profiles) {
    if (p.name == kPerson && !p.keys.access_key_id.empty()) return std::string();
  }
  const std::string profile = setup_profile("security");
  const std::string password = random_text(20, "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789") + "-7x";
  const auto made = context.call(profile, "iam", "CreateLoginProfile",
                                 json::object({{"UserName", kPerson}, {"Password", password}, {"PasswordResetRequired", false}}));
  if (!made && made.error().code != "EntityAlreadyExists") return Error(made.error());
  // Keys of an earlier home that are not here any more are of no use to anybody.
  const auto old = TRY(context.call(profile, "iam", "ListAccessKeys", json::object({{"UserName", kPerson}})));
  for (const auto& key : old.get_array("AccessKeyMetadata")) {
    TRY(context.call(profile, "iam", "DeleteAccessKey", json::object({{"UserName", kPerson}, {"AccessKeyId", key.get("AccessKeyId")}})));
  }
  const auto answer = TRY(context.call(profile, "iam", "CreateAccessKey", json::object({{"UserName", kPerson}})));
  const json::Value* key = answer.find("AccessKey");
  if (!key) return error("IAM answered no access key");
  profiles.push_back({kPerson, security, "", "", {key->get("AccessKeyId"), key->get("SecretAccessKey"), "", 0}});
  TRY(context.save_profiles(profiles));
  return made ? password : std::string();
}

// What people use: the admin role of each account, assumed by `admin`; and the same as AWS configuration files.
Result<void> save_people_profiles(Context& context, const architecture::Applied& applied) {
  auto profiles = TRY(context.profiles());
  for (const auto& [name, id] : applied.accounts) {
    const auto stack = applied.outputs.find(name + "/bastide-access");
    if (stack == applied.outputs.end() || !stack->second.contains("AdminRoleArn")) continue;
    std::erase_if(profiles, [&, n = name](const Profile& p) { return p.name == n; });
    profiles.push_back({name, id, stack->second.at("AdminRoleArn"), kPerson, {}});
  }
  TRY(context.save_profiles(profiles));
  std::string config = "# Written by `bastide up`. Use it with AWS_CONFIG_FILE; ~/.aws is left alone.\n";
  for (const Profile& p : profiles) {
    if (p.name.starts_with("up-")) continue;
    config += fmt::format("\n[profile {}]\nregion = {}\ncredential_process = {} auth export {} --home {}\n", p.name, context.region(), context.program(), p.name, context.home());
  }
  return sys::write_file(context.home() + "/aws/config", config);
}

// The password exists in this output alone.
void print_table(Context& context, const architecture::Architecture& a, const architecture::Applied& applied, const internal::Plan& plan,
                 const serve::Instance& instance, const std::vector<WorkRepository>& repositories, const std::string& password, Millis took) {
  const std::string me = context.command() + (context.home() == default_home() ? "" : " --home " + context.home());
  Table accounts({"ACCOUNT", "ID", "WHAT IT HOLDS"});
  for (const auto& [name, id] : applied.accounts) {
    const char* what = name == "management" ? "the organisation; pays" : name == "security" ? "the people" : name == "shared-services" ? "images, pipeline, repositories" : "an environment: its network, key, roles, apps";
    accounts.add({bold(name), id, what});
  }
  std::printf("%s\n", accounts.text().c_str());
  const std::string ca = context.home() + "/tls/ca.pem";
  Table urls({"ENVIRONMENT", "APP", "URL"});
  for (const auto& app : plan.apps) {
    for (const auto& p : app.placements) {
      urls.add({bold(p.environment), app.name, p.url});
      if (!p.static_url.empty()) urls.add({bold(p.environment), app.name + ", static files", p.static_url});
    }
  }
  std::printf("%s\n", urls.text().c_str());
  std::printf("Try:\n");
  for (const auto& app : plan.apps) {
    for (const auto& p : app.placements) std::printf("  curl --cacert %s %s\n", ca.c_str(), p.url.c_str());
  }
  for (const auto& r : repositories) std::printf("  cd %s    # change something, then: git commit -am 'a change' && git push\n", r.path.c_str());
  if (!a.apps.empty() && !a.environments.empty()) {
    std::printf("  %s status\n  %s logs %s --env %s --follow\n", me.c_str(), me.c_str(), a.apps.front().name.c_str(), a.environments.front().name.c_str());
    std::printf("  echo -n s3cret | %s secrets encrypt --env %s\n", me.c_str(), a.environments.front().name.c_str());
    if (a.environments.size() > 1) {
      std::printf("  git tag v1 && git push --tags    # then: %s approve\n", me.c_str());
      std::printf("  %s rollback --env %s\n", me.c_str(), a.environments.back().name.c_str());
    }
    std::printf("  %s aws --profile %s sts get-caller-identity\n  %s down\n", me.c_str(), a.environments.front().name.c_str(), me.c_str());
  }
  if (std::getenv("SSH_CONNECTION")) {
    std::printf("\nFrom your own machine: ssh -L %d:%s:%d -L %d:127.0.0.1:%d THIS-HOST\n", instance.https_port, instance.edge_address.c_str(), instance.https_port, instance.api_port, instance.api_port);
  }
  if (!password.empty()) std::printf("\nUser %s of the security account has the password %s (told this once).\n", kPerson, bold(password).c_str());
  std::printf("\nReady in %s.\n", human_duration(took).c_str());
}

// Where the app has no release yet: pushes its first commit, or runs the pipeline again where that failed.
Result<void> push_first_release(Context& context, const internal::Plan& plan, const internal::App& app, const WorkRepository& repository) {
  const auto releases = TRY(context.call("shared-services", "bastide", "ListReleases", json::object({{"app", app.name}})));
  if (!releases.get_array("releases").empty()) return {};
  const auto known = TRY(context.call("shared-services", "bastide", "ListPipelineRuns", json::object({{"app", app.name}})));
  if (!known.get_array("runs").empty() && known.get_array("runs").front().get("commit") == repository.head) {
    const auto answer = TRY(context.call("shared-services", "bastide", "StartPipelineRun", json::object({{"app", app.name}, {"commit", repository.head}})));
    std::printf("%s: the first release is tried again\n", app.name.c_str());
    TRY(follow_run(context, answer.find("run")->get("runId")));
    return {};
  }
  std::printf("%s: the first release goes to %s\n", app.name.c_str(), app.placements.front().environment.c_str());
  std::fflush(stdout);
  const std::string remote = TRY(context.endpoint()) + "/git/" + app.name + ".git";
  std::vector<std::string> words = {"git", "-C", repository.path, "push", "--quiet", remote, "HEAD:refs/heads/" + plan.branch};
  sys::Command push{.argv = words, .env = {"GIT_TERMINAL_PROMPT=0"}, .output_fd = 2, .timeout = 30 * kMinute};
  const auto pushed = TRY(sys::run(push));
  for (const auto line : split(pushed.errors, '\n')) {
    if (line.starts_with("remote:")) std::printf("  %s\n", std::string(trim(line.substr(7))).c_str());
  }
  if (pushed.status != 0) return error("git push failed: " + std::string(trim(pushed.errors)));
  const auto runs = TRY(context.call("shared-services", "bastide", "ListPipelineRuns", json::object({{"app", app.name}})));
  for (const auto& run : runs.get_array("runs")) {
    if (run.get("state") == "FAILED") return error("run " + run.get("runId") + " failed: " + run.get("message"));
  }
  return {};
}

Result<int> run_up(Context& context, const Arguments& a) {
  const Millis start = Clock::system().steady();
  const std::string path = a.get("FOLDER");
  const auto architecture = TRY(architecture::load(path));
  const auto lock = TRY(ChangeLock::take(context.home(), "up"));
  std::vector<std::string> serve_options;
  for (const char* option : {"--port", "--edge-address", "--https-port", "--http-port", "--tier"}) {
    if (!a.get(option).empty()) serve_options.insert(serve_options.end(), {option, a.get(option)});
  }
  const auto alone = TRY(only_one(context));
  const auto started = TRY(ensure_serving(context, serve_options));
  std::printf("%s %s on %s\n\n", bold("Bastide").c_str(), started.now ? "started" : "runs", context.home().c_str());

  LiveTree tree(architecture.region);
  const auto call = architecture_call(context);
  Error late;
  const auto on_accounts = [&](const std::map<std::string, std::string>& accounts) {
    if (auto saved = save_setup_profiles(context, accounts); !saved) late = saved.error();
  };
  const architecture::Observer observer{[&](const std::string& account, const std::string& what, const std::string& state, const std::string& reason) {
    tree.step(account, what, state, reason);
  }, [&] { tree.tick(); }};
  const auto outcome = architecture::apply(architecture, call, observer, on_accounts);
  tree.finish();
  if (!late.message.empty()) return late;
  const auto applied = TRY(outcome);

  const std::string password = TRY(make_admin(context, applied.accounts.at("security")));
  TRY(save_people_profiles(context, applied));
  const auto plan = TRY(architecture::delivery_plan(architecture, applied.accounts, applied.outputs, started.instance.https_port));
  TRY(context.call("shared-services", "bastide", "PutArchitecture", json::object({{"architecture", json::print(internal::to_json(plan))}})));

  const std::string endpoint = TRY(context.endpoint());
  const std::filesystem::path given(path);
  const std::filesystem::path base = std::filesystem::is_directory(given) ? given : given.parent_path();
  std::vector<WorkRepository> repositories;
  for (const auto& app : architecture.apps) {
    const auto encrypt = [&](const std::string& environment, const std::string& value) -> Result<std::string> {
      const auto answer = TRY(context.call(environment, "kms", "Encrypt", json::object({{"KeyId", "alias/bastide-" + environment}, {"Plaintext", base64(value)}})));
      return secrets::make_token(TRY(unbase64(answer.get("CiphertextBlob"))));
    };
    const std::string source = std::filesystem::weakly_canonical(base / app.source).string();
    auto repository = TRY(prepare_work_repository(source, context.home() + "/work/" + app.name, architecture.branch, endpoint + "/git/" + app.name + ".git",
                                                  "!'" + context.program() + "' git-credential --home '" + context.home() + "'", encrypt));
    if (const auto* planned = plan.app(app.name)) TRY(push_first_release(context, plan, *planned, repository));
    repositories.push_back(std::move(repository));
  }
  if (!applied.changed) std::printf("Nothing has changed.\n\n");
  print_table(context, architecture, applied, plan, started.instance, repositories, password, Clock::system().steady() - start);
  return 0;
}

}  // namespace

Command up_command() {
  return {"up",
          "Starts Bastide where it does not run, and makes the architecture of bastide.yaml; safe to run again",
          "bastide up examples/storefront",
          {{"FOLDER", Option::Kind::positional, "The folder of bastide.yaml, or the file", ".", false},
           {"--port", Option::Kind::value, "Of the API, where Bastide is started"},
           {"--edge-address", Option::Kind::value, "Where the edge listens"},
           {"--https-port", Option::Kind::value, "Of the edge"},
           {"--http-port", Option::Kind::value, "Of the edge"},
           {"--tier", Option::Kind::value, "How containers are isolated: root, userns, chroot or landlock; the strongest that works"}},
          run_up};
}

}  // namespace bastide::cli
