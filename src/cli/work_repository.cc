#include "cli/work_repository.h"

#include "base/bytes.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::cli {
namespace {

constexpr std::string_view kMarker = "encrypt-at-up::";

Result<std::string> git(const std::string& folder, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"git", "-C", folder});
  return sys::run_ok({.argv = std::move(arguments), .env = {"LC_ALL=C.UTF-8"}});
}

bool own_repository(const std::string& folder) { return sys::exists(folder + "/.git"); }

Result<void> encrypt_markers(const std::string& folder, const std::function<Result<std::string>(const std::string&, const std::string&)>& encrypt) {
  const auto names = sys::list_folder(folder + "/config");
  if (!names) return {};
  for (const auto& name : *names) {
    const std::string path = folder + "/config/" + name;
    std::string text = TRY(sys::read_file(path, 1 << 20));
    const std::string environment = name.substr(0, name.find('.'));
    bool changed = false;
    for (size_t at; (at = text.find(kMarker)) != std::string::npos; changed = true) {
      const size_t end = text.find_first_of("\"'\n", at);
      const std::string value = text.substr(at + kMarker.size(), (end == std::string::npos ? text.size() : end) - at - kMarker.size());
      text.replace(at, kMarker.size() + value.size(), TRY(encrypt(environment, value)));
    }
    if (changed) TRY(sys::write_file(path, text, 0644));
  }
  return {};
}

}  // namespace

Result<WorkRepository> prepare_work_repository(
    const std::string& source, const std::string& folder, const std::string& branch, const std::string& remote,
    const std::string& helper, const std::function<Result<std::string>(const std::string&, const std::string&)>& encrypt) {
  WorkRepository repository;
  repository.path = own_repository(source) ? source : folder;
  if (!own_repository(repository.path)) {
    TRY(sys::make_folders(repository.path));
    TRY(sys::run_ok({.argv = {"cp", "-a", source + "/.", repository.path}}));
    TRY(encrypt_markers(repository.path, encrypt));
    TRY(git(repository.path, {"init", "--quiet", "--initial-branch", branch}));
    // The committer of the first commit; a person's own configuration wins afterwards.
    TRY(git(repository.path, {"add", "--all"}));
    TRY(git(repository.path, {"-c", "user.name=Bastide", "-c", "user.email=bastide@bastide.invalid", "commit", "--quiet", "-m", "The first release"}));
    repository.made = true;
  }
  const std::string name = repository.path == source ? "bastide" : "origin";
  const auto remotes = TRY(git(repository.path, {"remote"}));
  const bool known = ("\n" + remotes).find("\n" + name + "\n") != std::string::npos;
  TRY(git(repository.path, {"remote", known ? "set-url" : "add", name, remote}));
  const std::string scope = "credential." + remote.substr(0, remote.find("/git/"));
  TRY(git(repository.path, {"config", "--replace-all", scope + ".helper", ""}));  // no other helper keeps our logins
  TRY(git(repository.path, {"config", "--add", scope + ".helper", helper}));
  TRY(git(repository.path, {"config", scope + ".useHttpPath", "true"}));
  TRY(git(repository.path, {"config", "branch." + branch + ".remote", name}));
  TRY(git(repository.path, {"config", "branch." + branch + ".merge", "refs/heads/" + branch}));
  TRY(git(repository.path, {"config", "push.default", "current"}));
  if (TRY(sys::run({.argv = {"git", "-C", repository.path, "config", "user.email"}})).status != 0) {
    TRY(git(repository.path, {"config", "user.name", "admin"}));
    TRY(git(repository.path, {"config", "user.email", "admin@bastide.invalid"}));
  }
  repository.head = std::string(trim(TRY(git(repository.path, {"rev-parse", "HEAD"}))));
  return repository;
}

}  // namespace bastide::cli
