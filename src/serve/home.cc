#include "serve/home.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "base/json.h"
#include "sys/file.h"

namespace bastide::serve {
namespace {

std::string lock_path(const std::string& home) { return home + "/run/lock"; }
std::string instance_path(const std::string& home) { return home + "/run/serve.json"; }

Result<Instance> read_instance(const std::string& home) {
  const auto text = TRY(sys::read_file(instance_path(home), 4096));
  const auto v = TRY(json::parse(text));
  Instance i;
  i.pid = v.get_int("pid");
  i.api_port = static_cast<uint16_t>(v.get_int("api_port"));
  i.https_port = static_cast<uint16_t>(v.get_int("https_port"));
  i.http_port = static_cast<uint16_t>(v.get_int("http_port"));
  i.edge_address = v.get("edge_address");
  return i;
}

}  // namespace

Result<sys::Fd> lock_home(const std::string& home) {
  TRY(sys::make_folders(home + "/run"));
  sys::Fd lock(::open(lock_path(home).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return sys::system_error(lock_path(home));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return sys::system_error(lock_path(home));
  const auto holder = read_instance(home);
  return error("Exists", "another Bastide already runs on " + home +
                             (holder ? " (process " + std::to_string(holder->pid) + ")" : "") +
                             "; stop it with 'bastide down', or choose another folder with --home");
}

Result<void> announce(const std::string& home, const Instance& i) {
  return sys::write_file(instance_path(home),
                         json::pretty(json::object({{"pid", i.pid},
                                                    {"api_port", int{i.api_port}},
                                                    {"https_port", int{i.https_port}},
                                                    {"http_port", int{i.http_port}},
                                                    {"edge_address", i.edge_address}})));
}

Result<Instance> running(const std::string& home) {
  const sys::Fd lock(::open(lock_path(home).c_str(), O_RDONLY | O_CLOEXEC));
  if (!lock) return error("NotFound", "Bastide does not run on " + home);
  if (::flock(lock.get(), LOCK_SH | LOCK_NB) == 0) return error("NotFound", "Bastide does not run on " + home);
  return read_instance(home);
}

}  // namespace bastide::serve
