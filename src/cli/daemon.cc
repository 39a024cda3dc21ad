#include "cli/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "net/http_client.h"
#include "sys/file.h"

namespace bastide::cli {
namespace {

constexpr Millis kPatience = 30 * kSecond;

bool healthy(uint16_t port) {
  net::HttpClient client({false, "127.0.0.1", port, ""}, {.connect_timeout = kSecond, .timeout = 2 * kSecond});
  net::Request request;
  request.method = "GET";
  request.target = "/health";
  const auto response = client.send(request);
  return response && response->status == 200;
}

// What was written there from a place on.
std::string tail(const std::string& path, size_t from) {
  const auto text = sys::read_file(path);
  if (!text) return "";
  from = std::min(from, text->size());
  return text->substr(std::max(from, text->size() - std::min<size_t>(text->size(), 2000)));
}

}  // namespace

Result<sys::Fd> only_one(const Context& context) {
  TRY(sys::make_folders(context.home() + "/run"));
  const std::string path = context.home() + "/run/up.lock";
  sys::Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return sys::system_error(path);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    const auto holder = sys::read_all(lock.get(), 64);
    return error("Exists", "another 'bastide up' works on " + context.home() +
                               (holder && !holder->empty() ? " (process " + *holder + ")" : "") + "; wait for its end");
  }
  if (::ftruncate(lock.get(), 0) != 0) return sys::system_error(path);
  TRY(sys::write_all(lock.get(), std::to_string(::getpid())));
  return lock;
}

Result<Started> ensure_serving(Context& context, const std::vector<std::string>& serve_options) {
  Started started;
  const std::string log = context.home() + "/run/serve.log";
  pid_t child = 0;
  size_t from = 0;
  if (!serve::running(context.home())) {
    TRY(sys::make_folders(context.home() + "/run"));
    const sys::Fd out(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    const sys::Fd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!out || !in) return sys::system_error(log);
    struct stat before {};
    if (::fstat(out.get(), &before) == 0) from = static_cast<size_t>(before.st_size);
    std::vector<std::string> words = {context.program(), "serve", "--home", context.home()};
    words.insert(words.end(), serve_options.begin(), serve_options.end());
    std::vector<char*> argv;
    for (auto& w : words) argv.push_back(w.data());
    argv.push_back(nullptr);
    child = ::fork();
    if (child < 0) return sys::system_error("fork");
    if (child == 0) {
      ::setsid();
      ::dup2(in.get(), 0);
      ::dup2(out.get(), 1);
      ::dup2(out.get(), 2);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    started.now = true;
  }
  const Millis deadline = Clock::system().steady() + kPatience;
  for (;;) {
    const auto instance = serve::running(context.home());
    if (instance && instance->api_port && healthy(instance->api_port) && sys::exists(context.home() + "/operator.json")) {
      started.instance = *instance;
      return started;
    }
    if (child > 0 && ::waitpid(child, nullptr, WNOHANG) == child) {
      child = 0;
      if (!serve::running(context.home())) return error("Bastide did not start:\n" + tail(log, from));
      started.now = false;  // another command has started it meanwhile
    }
    if (Clock::system().steady() > deadline) return error("Timeout", "Bastide does not answer after " + human_duration(kPatience) + ":\n" + tail(log, from));
    ::usleep(10'000);
  }
}

}  // namespace bastide::cli
