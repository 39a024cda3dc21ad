#include "cli/target.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "architecture/apply_accounts.h"
#include "base/bytes.h"
#include "base/time.h"
#include "sys/file.h"

namespace bastide::cli {
namespace {

std::string user_name() {
  char buffer[4096];
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(::getuid(), &entry, buffer, sizeof buffer, &found) == 0 && found) return found->pw_name;
  return "uid " + std::to_string(::getuid());
}

}  // namespace

std::string setup_profile(const std::string& account) { return "up-" + account; }

Result<void> save_setup_profiles(Context& context, const std::map<std::string, std::string>& accounts) {
  auto profiles = TRY(context.profiles());
  for (const auto& [name, id] : accounts) {
    if (name == "management") continue;
    const Profile wanted{
        setup_profile(name), id, "arn:aws:iam::" + id + ":role/" + kAdminRole, "operator", {}};
    std::erase_if(profiles, [&](const Profile& p) { return p.name == wanted.name; });
    profiles.push_back(wanted);
  }
  return context.save_profiles(profiles);
}

architecture::Call architecture_call(Context& context) {
  return [&context](const std::string& account, const std::string& service, const std::string& operation,
                    const json::Value& input) {
    return context.call(account == "management" ? "operator" : setup_profile(account), service, operation,
                        input);
  };
}

Result<bool> find_target(Context& context, const architecture::Architecture& a) {
  const auto running = context.instance();
  if (!running && running.error().code == "NotFound") return false;
  if (!running) return Error(running.error());
  const auto accounts = TRY(architecture::find_accounts(a, architecture_call(context)));
  if (accounts.empty()) return false;
  const auto profiles = TRY(context.profiles());
  for (const auto& [name, id] : accounts) {
    bool known = name == "management";
    for (const auto& p : profiles) known = known || (p.name == setup_profile(name) && p.account == id);
    if (!known) {
      TRY(save_setup_profiles(context, accounts));
      break;
    }
  }
  return true;
}

Result<ChangeLock> ChangeLock::take(const std::string& home, const std::string& command) {
  TRY(sys::make_folders(home + "/run"));
  const std::string path = home + "/run/change.lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return error(path + ": " + std::strerror(errno));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int why = errno;
    const auto text = sys::read_file(path, 4096);
    ::close(fd);
    if (why != EWOULDBLOCK) return error(path + ": " + std::strerror(why));
    const auto holder = json::parse(text ? *text : "");
    if (!holder) return error("Locked", "another 'up' or 'destroy' is running on " + home);
    const Millis since = holder->get_int("since");
    return error(
        "Locked",
        fmt::format("'bastide {}' is running on this home: {} (process {}), since {}, {} ago. "
                    "Wait for it, or end that process: the stacks keep their state.",
                    holder->get("command"), holder->get("user"), holder->get_int("pid"), iso8601(since),
                    human_duration(std::max<Millis>(0, Clock::system().wall() - since))));
  }
  const std::string body = json::print(json::object({{"command", command},
                                                     {"user", user_name()},
                                                     {"pid", static_cast<int64_t>(::getpid())},
                                                     {"since", Clock::system().wall()}}));
  if (::ftruncate(fd, 0) != 0 ||
      ::pwrite(fd, body.data(), body.size(), 0) != static_cast<ssize_t>(body.size())) {
    const std::string why = std::strerror(errno);
    ::close(fd);
    return error(path + ": " + why);
  }
  return ChangeLock(fd);
}

ChangeLock::~ChangeLock() {
  if (fd_ >= 0) ::close(fd_);
}

bool confirmed(const std::string& question, const std::string& word) {
  if (!::isatty(0)) return false;
  std::fprintf(stderr, "%s", question.c_str());
  std::fflush(stderr);
  char line[256];
  if (!std::fgets(line, sizeof line, stdin)) return false;
  return trim(line) == word;
}

}  // namespace bastide::cli
