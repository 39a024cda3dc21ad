// bastide key status|rotate-master, and how a protected home is unlocked.
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/crypto.h"
#include "cli/context.h"
#include "keep.h"
#include "store/master_key.h"
#include "sys/file.h"

namespace bastide {
namespace {

using cli::Option;
using Kind = store::KeyProtection::Kind;

// A line from the terminal, not echoed.
Result<std::string> ask(const char* what) {
  if (!::isatty(0)) {
    return error("Locked",
                 "the master key is protected by a passphrase, and there is no terminal to ask on: give it "
                 "in the file of "
                 "BASTIDE_PASSPHRASE_FILE, or as systemd credential bastide-passphrase");
  }
  termios before{};
  ::tcgetattr(0, &before);
  termios quiet = before;
  quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  std::fprintf(stderr, "%s: ", what);
  ::tcsetattr(0, TCSAFLUSH, &quiet);
  std::string line;
  char c = 0;
  while (line.size() < 4096 && ::read(0, &c, 1) == 1 && c != '\n') line += c;
  ::tcsetattr(0, TCSAFLUSH, &before);
  std::fputc('\n', stderr);
  return line;
}

Result<std::string> of_file(const std::string& file) {
  std::string text = TRY(sys::read_file(file, 4096));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

Result<std::string> passphrase_for(const store::KeyProtection& protection) {
  if (protection.kind != Kind::passphrase) return std::string();
  std::string given = TRY(store::given_passphrase());
  if (!given.empty()) return given;
  return ask("passphrase of the master key");
}

std::string describe(const store::KeyProtection& protection) {
  if (protection.kind == Kind::clear) return "none: the file master.key holds it in clear";
  if (protection.kind == Kind::file) return "the key file " + protection.key_file;
  return "a passphrase (scrypt)";
}

Result<int> run_status(cli::Context& context, const cli::Arguments&) {
  const std::string path = context.home() + "/master.key";
  const auto protection = TRY(store::key_protection(path));
  std::printf("protection: %s\n", describe(protection).c_str());
  std::string passphrase = TRY(passphrase_for(protection));
  const auto keys = store::open_master_keys(path, passphrase);
  wipe(passphrase);
  if (!keys) return keys.error();
  std::printf("generations: %zu\n", keys->all().size());
  return 0;
}

Result<store::KeyProtection> wanted_protection(const cli::Arguments& a, const store::KeyProtection& now,
                                               bool& same) {
  const bool passphrase = a.flag("--passphrase") || !a.get("--passphrase-file").empty();
  same = !passphrase && a.get("--key-file").empty() && !a.flag("--clear");
  if (int{passphrase} + int{!a.get("--key-file").empty()} + int{a.flag("--clear")} > 1) {
    return error("Invalid", "choose one of --passphrase, --passphrase-file, --key-file and --clear");
  }
  if (same) return now;
  if (passphrase) return store::KeyProtection{Kind::passphrase, ""};
  if (a.flag("--clear")) return store::KeyProtection{};
  return store::KeyProtection{Kind::file, a.get("--key-file")};
}

Result<int> run_rotate(cli::Context& context, const cli::Arguments& a) {
  const std::string path = context.home() + "/master.key";
  const auto now = TRY(store::key_protection(path));
  bool same = false;
  const auto wanted = TRY(wanted_protection(a, now, same));
  std::string passphrase = TRY(passphrase_for(now));
  auto keys = TRY(store::open_master_keys(path, passphrase));
  if (keys.all().size() >= store::kMaxGenerations)
    return error("the master key has as many generations as it can have");
  if (!same && wanted.kind == Kind::passphrase) {
    wipe(passphrase);
    if (!a.get("--passphrase-file").empty()) {
      passphrase = TRY(of_file(a.get("--passphrase-file")));
    } else {
      passphrase = TRY(ask("new passphrase"));
      std::string again = TRY(ask("once more"));
      const bool equal = again == passphrase;
      wipe(again);
      if (!equal) return error("Invalid", "the two are not the same; nothing was changed");
    }
  }
  keys.add_generation();
  const auto saved = store::save_master_keys(path, keys, wanted, passphrase);
  wipe(passphrase);
  TRY(saved);
  std::fprintf(stderr, "bastide: generation %zu of the master key; protection: %s\n", keys.all().size(),
               describe(wanted).c_str());
  if (context.instance()) {
    std::fprintf(stderr,
                 "bastide: what runs goes on with the generation before; it takes the new one when it is "
                 "started again\n");
  }
  return 0;
}

}  // namespace

Result<sys::Fd> unlock_home(const std::string& home) {
  const std::string path = home + "/master.key";
  if (!sys::exists(path)) return sys::Fd();
  const auto protection = TRY(store::key_protection(path));
  if (protection.kind == Kind::clear) return sys::Fd();
  std::string passphrase = TRY(passphrase_for(protection));
  TRY(store::open_master_keys(path, passphrase));
  if (protection.kind == Kind::file) passphrase = TRY(sys::read_file(protection.key_file, 4096));
  auto memory = sys::memory_file("bastide-unlock", passphrase, true);
  wipe(passphrase);
  if (!memory) return std::move(memory).error();
  ::setenv("BASTIDE_UNLOCK_FD", std::to_string(memory->get()).c_str(), 1);
  return memory;
}

cli::Command key_status_command() {
  return {"key status",
          "Says what protects the master key, and how often it was rotated",
          "bastide key status",
          {},
          run_status};
}
cli::Command key_rotate_command() {
  return {"key rotate-master",
          "Makes a new generation of the master key, and protects it as you say",
          "bastide key rotate-master --passphrase",
          {{"--passphrase", Option::Kind::flag, "Protect it by a passphrase, asked for on the terminal"},
           {"--passphrase-file", Option::Kind::value, "... that this file holds"},
           {"--key-file", Option::Kind::value,
            "Protect it by the bytes of this file, kept elsewhere; made where it is missing"},
           {"--clear", Option::Kind::flag, "Keep it in clear: for disks that are encrypted otherwise"}},
          run_rotate};
}
std::vector<cli::Command> keep_commands() {
  return {key_status_command(), key_rotate_command(), backup_command(), restore_command(), install_command()};
}

}  // namespace bastide
