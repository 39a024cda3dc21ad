// bastide install: a systemd service, so that everything returns after a reboot.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "base/bytes.h"
#include "cli/context.h"
#include "keep.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide {
namespace {

using cli::Option;

// A word of ExecStart.
// https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#Command%20lines
std::string quoted(const std::string& word) {
  std::string out = "\"";
  for (const char c : word) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '%' || c == '$') out += c;
    out += c;
  }
  return out + "\"";
}

std::string unit_text(const std::string& program, const std::string& home,
                      const std::vector<std::string>& options, const std::string& credential) {
  std::string words = quoted(program) + " serve --home " + quoted(home);
  for (const auto& option : options) words += " " + quoted(option);
  return fmt::format(
      "[Unit]\n"
      "Description=Bastide: AWS architecture on this machine\n"
      "After=network-online.target local-fs.target\n"
      "Wants=network-online.target\n"
      "RequiresMountsFor={}\n"
      "\n"
      "[Service]\n"
      "Type=exec\n"
      "ExecStart={}\n"
      "Restart=always\n"
      "RestartSec=1\n"
      "# Containers and their networks go on while the service is upgraded or crashes: their shims are "
      "adopted again.\n"
      "KillMode=process\n"
      "Delegate=yes\n"
      "TasksMax=infinity\n"
      "LimitNOFILE=524288\n"
      "LimitCORE=0\n"
      "TimeoutStopSec=90\n"
      "{}"
      "\n"
      "[Install]\n"
      "WantedBy=multi-user.target\n",
      replace_all(home, "%", "%%"), words,
      credential.empty() ? "" : "LoadCredential=bastide-passphrase:" + credential + "\n");
}

Result<int> run_install(cli::Context& context, const cli::Arguments& a) {
  const std::string root = a.get("--root");
  if (root.empty() && ::geteuid() != 0)
    return error("Denied",
                 "the system's services are root's: run it as root, or write the unit elsewhere with --root");
  std::string home = context.home();
  if (!home.starts_with('/'))
    return error("Invalid", "a service needs the whole path of its --home, not " + home);
  std::vector<std::string> options;
  for (const char* option : {"--port", "--edge-address", "--https-port", "--http-port", "--tier"}) {
    if (a.get(option).empty()) continue;
    options.emplace_back(option);
    options.push_back(a.get(option));
  }
  const std::string folder = root + "/etc/systemd/system", file = folder + "/bastide.service";
  TRY(sys::make_folders(folder, 0755));
  TRY(sys::write_file(file, unit_text(context.program(), home, options, a.get("--passphrase-file")), 0644));
  std::printf("%s\n", file.c_str());
  if (!root.empty()) return 0;
  if (!sys::exists("/run/systemd/system")) {
    std::fprintf(
        stderr,
        "bastide: systemd does not run here; the service is enabled with: systemctl enable --now bastide\n");
    return 0;
  }
  TRY(sys::run_ok({.argv = {"systemctl", "daemon-reload"}}));
  TRY(sys::run_ok({.argv = {"systemctl", "enable", "--now", "bastide.service"}}));
  return 0;
}

}  // namespace

cli::Command install_command() {
  return {"install",
          "Makes Bastide a systemd service that starts with the machine",
          "bastide install --edge-address 0.0.0.0",
          {{"--port", Option::Kind::value, "As of 'serve'"},
           {"--edge-address", Option::Kind::value, "As of 'serve'"},
           {"--https-port", Option::Kind::value, "As of 'serve'"},
           {"--http-port", Option::Kind::value, "As of 'serve'"},
           {"--tier", Option::Kind::value, "As of 'serve'"},
           {"--passphrase-file", Option::Kind::value,
            "A private file with the master key's passphrase, handed over as a credential"},
           {"--root", Option::Kind::value, "Write the unit below this folder, and start nothing"}},
          run_install};
}

}  // namespace bastide
