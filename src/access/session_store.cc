#include "access/session_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/bytes.h"
#include "base/crypto.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::access {
namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kMaxSession = 256u << 10;
constexpr Millis kKeyringTimeout = 10 * kSecond;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool have_program(const std::string& name) {
  for (const auto folder : split(variable("PATH"), ':')) {
    if (!folder.empty() && ::access((std::string(folder) + "/" + name).c_str(), X_OK) == 0) return true;
  }
  return false;
}

// A keyring needs the session's bus: without one secret-tool would wait for nobody.
bool have_keyring() {
  return variable("BASTIDE_KEYRING") != "off" && !variable("DBUS_SESSION_BUS_ADDRESS").empty() &&
         have_program("secret-tool");
}

Result<sys::Outcome> secret_tool(std::vector<std::string> words, std::string input = "") {
  words.insert(words.begin(), "secret-tool");
  sys::Command command;
  command.argv = std::move(words);
  command.input = std::move(input);
  command.timeout = kKeyringTimeout;
  command.max_output = kMaxSession;
  return sys::run(command);
}

// What binds a sealed file to this machine: copied to another one, it opens nothing there.
std::string machine_id() {
  const auto id = sys::read_file("/etc/machine-id", 1024);
  return id ? std::string(trim(*id)) : "no machine id";
}

}  // namespace

std::string default_session_folder() {
  const std::string base = variable("XDG_CONFIG_HOME");
  return base.empty() ? variable("HOME") + "/.config/bastide" : base + "/bastide";
}

std::string SessionStore::label_of(const std::string& name) const {
  return sha256_hex(house_).substr(0, 16) + "." + name;
}
std::string SessionStore::path_of(const std::string& name) const {
  return folder_ + "/sessions/" + sha256_hex(house_).substr(0, 16) + "." + percent_encode(name) + ".sealed";
}
std::string SessionStore::place() const {
  return have_keyring() ? "the keyring" : folder_ + "/sessions, sealed";
}

Result<std::string> SessionStore::machine_key() {
  const std::string path = folder_ + "/machine.key";
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) {
    if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 077) != 0) {
      return error("Denied", path + " must be a file that only you can read (chmod 600)");
    }
    auto key = TRY(sys::read_file(path, 1024));
    if (key.size() != kKeyBytes) return error("Invalid", path + " is damaged; remove it and sign in again");
    return key;
  }
  TRY(sys::make_folders(folder_));
  std::string key = random_bytes(kKeyBytes);
  TRY(sys::write_file(path, key, 0600));
  return key;
}

Result<void> SessionStore::put(const std::string& name, const json::Value& value) {
  const std::string text = json::print(value);
  if (have_keyring()) {
    const auto stored = secret_tool(
        {"store", "--label=Bastide session", "service", "bastide", "session", label_of(name)}, text);
    if (stored && stored->status == 0) return sys::remove_file(path_of(name));
  }
  const std::string key = TRY(machine_key());
  TRY(sys::make_folders(folder_ + "/sessions"));
  return sys::write_file(path_of(name), seal(key, text, machine_id() + " " + label_of(name)), 0600);
}

Result<std::optional<json::Value>> SessionStore::get(const std::string& name) {
  std::string text;
  if (have_keyring()) {
    const auto found = secret_tool({"lookup", "service", "bastide", "session", label_of(name)});
    if (found && found->status == 0) text = found->output;
  }
  if (text.empty()) {
    const auto sealed = sys::read_file(path_of(name), kMaxSession);
    if (!sealed && sealed.error().code == "NotFound") return std::optional<json::Value>();
    if (!sealed) return Error(sealed.error());
    const std::string key = TRY(machine_key());
    auto opened = unseal(key, *sealed, machine_id() + " " + label_of(name));
    if (!opened) return std::optional<json::Value>();
    text = std::move(opened).value();
  }
  auto value = json::parse(text);
  if (!value) return std::optional<json::Value>();
  return std::optional<json::Value>(std::move(value).value());
}

Result<void> SessionStore::remove(const std::string& name) {
  if (have_keyring()) (void)secret_tool({"clear", "service", "bastide", "session", label_of(name)});
  return sys::remove_file(path_of(name));
}

Result<void> SessionStore::remove_all() {
  const std::string prefix = sha256_hex(house_).substr(0, 16) + ".";
  const auto names = sys::list_folder(folder_ + "/sessions");
  for (const auto& file : names ? names.value() : std::vector<std::string>()) {
    if (file.starts_with(prefix)) TRY(sys::remove_file(folder_ + "/sessions/" + file));
  }
  return remove("session");
}

}  // namespace bastide::access
