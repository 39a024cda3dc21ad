#include <string>

#include "base/bytes.h"
#include "base/log.h"
#include "cli/context.h"
#include "keep.h"
#include "roles.h"
#include "runner/tier.h"
#include "serve/supervisor.h"

namespace bastide {
namespace {

using cli::Option;

Result<uint16_t> port(const cli::Arguments& a, const std::string& option) {
  if (a.get(option).empty()) return uint16_t{0};
  const int64_t n = TRY(parse_int(a.get(option)));
  if (n < 1 || n > 65535) return error("Invalid", option + " is a port, 1 to 65535");
  return static_cast<uint16_t>(n);
}

Result<int> run_serve(cli::Context& context, const cli::Arguments& a) {
  log::init("serve", a.flag("--debug"));
  serve::Options options;
  options.home = context.home();
  options.program = context.program();
  options.api_port = TRY(port(a, "--port"));
  options.https_port = TRY(port(a, "--https-port"));
  options.http_port = TRY(port(a, "--http-port"));
  options.edge_address = a.get("--edge-address");
  options.tier = a.get("--tier");
  if (!options.tier.empty() && !runner::tier_named(options.tier))
    return error("Invalid", "--tier is root, userns, chroot or landlock, not '" + options.tier + "'");
  options.debug = a.flag("--debug");
  const sys::Fd unlock = TRY(unlock_home(options.home));
  TRY(serve::run(options));
  return 0;
}

}  // namespace

int given_fd(const cli::Arguments& a, const std::string& name) {
  for (const auto& given : a.all("--fd")) {
    if (given.starts_with(name + "=")) {
      const auto number = parse_int(given.substr(name.size() + 1));
      return number ? static_cast<int>(*number) : -1;
    }
  }
  return -1;
}

cli::Command serve_command() {
  return {"serve",
          "Runs Bastide in the foreground: API, edge, containers",
          "bastide serve --home /tmp/try --port 4600",
          {{"--port", Option::Kind::value, "Of the API, on 127.0.0.1", "4566"},
           {"--edge-address", Option::Kind::value, "Where the edge listens; 0.0.0.0 is everyone", "127.0.0.1"},
           {"--https-port", Option::Kind::value, "Of the edge; 443, or 8443 where that is taken or not permitted"},
           {"--http-port", Option::Kind::value, "Of the edge; 80, or 8080"},
           {"--tier", Option::Kind::value, "How containers are isolated: root, userns, chroot or landlock; the strongest that works"},
           {"--debug", Option::Kind::flag, "Log more"}},
          run_serve};
}

}  // namespace bastide
