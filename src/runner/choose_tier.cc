#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"
#include "runner/probe.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

constexpr size_t kMaxReport = 64 * 1024;

json::Value attempt(const std::string& home, const std::string& helpers, Tier tier) {
  const auto failed = [](const Error& e) { return json::object({{"error", e.message}}); };
  auto parts = Parts::open(home, helpers, tier);
  if (!parts) return failed(parts.error());
  auto found = probe(**parts);
  if (!found) {
    if (!(*parts)->stage.adopted()) (*parts)->stage.release();
    return failed(found.error());
  }
  json::Array list;
  for (const auto& g : *found)
    list.push_back(json::object({{"name", g.name}, {"enforced", g.enforced}, {"why", g.why}}));
  return json::object({{"guarantees", list}});
}

Result<std::vector<Guarantee>> try_in_child(const std::string& home, const std::string& helpers, Tier tier) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return sys::system_error("pipe");
  sys::Fd read(pipe[0]), write(pipe[1]);
  const pid_t child = ::fork();
  if (child < 0) return sys::system_error("fork");
  if (child == 0) {
    read.reset();
    const auto told = sys::write_all(write.get(), json::print(attempt(home, helpers, tier)));
    ::_exit(told ? 0 : 1);
  }
  write.reset();
  auto text = sys::read_all(read.get(), kMaxReport);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!text) return std::move(text).error();
  const auto report = json::parse(*text);
  if (!report) return error("the attempt ended by itself, status " + std::to_string(status));
  if (report->has("error")) return error(report->get("error"));
  std::vector<Guarantee> out;
  for (const auto& g : report->get_array("guarantees"))
    out.push_back({g.get("name"), g.get_bool("enforced"), g.get("why")});
  return out;
}

}  // namespace

Result<Choice> choose_tier(const std::string& home, const std::string& helpers, std::optional<Tier> wanted) {
  if (const auto left = Stage::left_running(home)) {
    if (wanted && *wanted != *left) {
      return error("Exists", "containers of the tier " + std::string(tier_name(*left)) +
                                 " still run; end them with 'bastide down' first");
    }
    wanted = left;
  }
  std::vector<Tier> candidates = {Tier::root, Tier::userns, Tier::chroot, Tier::landlock};
  if (wanted) {
    candidates = {*wanted};
  } else if (::geteuid() != 0) {
    candidates = {Tier::userns, Tier::landlock};
  }
  std::string reasons;
  for (const Tier tier : candidates) {
    const std::string name(tier_name(tier));
    if (is_host_root(tier) && ::geteuid() != 0) {
      reasons += (reasons.empty() ? "" : "; ") + name + ": needs root";
      continue;
    }
    auto guarantees = try_in_child(home, helpers, tier);
    if (guarantees) return Choice{tier, std::move(*guarantees), reasons};
    log::info("the tier {} is not possible here: {}", name, guarantees.error().message);
    reasons += (reasons.empty() ? "" : "; ") + name + ": " + guarantees.error().message;
  }
  return error("Unavailable", wanted ? "the tier asked for is not possible here: " + reasons
                                     : "no tier is possible here: " + reasons);
}

}  // namespace bastide::runner
