// bastide init: a good first bastide.yaml from the repository it finds; bastide schema: what such a file may
// say.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "architecture/architecture.h"
#include "architecture/schema.h"
#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "sys/file.h"

namespace bastide::cli {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMaxRead = 256u << 10;

std::string as_name(const std::string& text, size_t max) {
  std::string out;
  for (char c : lower(text)) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (good) out += c;
    if (!good && !out.empty() && out.back() != '-') out += '-';
  }
  while (!out.empty() && !(out[0] >= 'a' && out[0] <= 'z')) out.erase(0, 1);
  out = out.substr(0, max);
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "app" : out;
}

struct Found {
  std::string name, source = ".", build, test, config;
  std::vector<std::string> because;
  int port = 8080;
  std::string health = "/health";
  bool network = false;
};

bool has_target(const std::string& makefile, const std::string& target) {
  for (auto line : split(makefile, '\n')) {
    if (line.starts_with(target + ":")) return true;
  }
  return false;
}

// The port that a Dockerfile exposes, and the path of its health check.
void read_dockerfile(const std::string& text, Found& out) {
  for (auto line : split(text, '\n')) {
    const std::string trimmed(trim(line));
    if (lower(trimmed).starts_with("expose ")) {
      const auto n = parse_int(trimmed.substr(7, trimmed.find_first_of("/ ", 7) - 7));
      if (n && *n > 0 && *n < 65536) {
        out.port = static_cast<int>(*n);
        out.because.push_back(fmt::format("port {}: the Dockerfile exposes it", *n));
      }
    }
    const size_t check = lower(trimmed).find("healthcheck");
    const size_t url = trimmed.find("://localhost");
    if (check == 0 && url != std::string::npos) {
      const size_t slash = trimmed.find('/', url + 3);
      if (slash != std::string::npos)
        out.health = trimmed.substr(slash, trimmed.find_first_of(" \"'|&", slash) - slash);
    }
  }
}

std::optional<Found> look_at(const fs::path& folder, const std::string& source) {
  std::error_code ec;
  if (!fs::exists(folder / "Dockerfile", ec)) return std::nullopt;
  Found out;
  out.source = source;
  out.name = as_name(fs::weakly_canonical(folder, ec).filename().string(), 20);
  const auto dockerfile = sys::read_file((folder / "Dockerfile").string(), kMaxRead);
  if (dockerfile) read_dockerfile(*dockerfile, out);
  if (const auto makefile = sys::read_file((folder / "Makefile").string(), kMaxRead)) {
    if (has_target(*makefile, "build")) out.build = "make build";
    if (has_target(*makefile, "test")) out.test = "make test";
    out.because.emplace_back("build and test: targets of the Makefile");
  } else if (const auto package = sys::read_file((folder / "package.json").string(), kMaxRead)) {
    const auto v = json::parse(*package);
    const json::Value* scripts = v ? v->find("scripts") : nullptr;
    out.build = fs::exists(folder / "package-lock.json", ec) ? "npm ci" : "npm install";
    if (scripts && scripts->has("build")) out.build += " && npm run build";
    if (scripts && scripts->has("test")) out.test = "npm test";
    out.network = true;
    out.because.emplace_back("build and test: scripts of package.json, which fetch packages");
  } else if (fs::exists(folder / "go.mod", ec)) {
    out.build = "CGO_ENABLED=0 go build ./...";
    out.test = "go test ./...";
    out.network = true;
    out.because.emplace_back("build and test: go.mod");
  } else if (fs::exists(folder / "Cargo.toml", ec)) {
    out.build = "cargo build --release";
    out.test = "cargo test";
    out.network = true;
    out.because.emplace_back("build and test: Cargo.toml");
  } else if (fs::exists(folder / "pytest.ini", ec) || fs::exists(folder / "pyproject.toml", ec)) {
    out.test = "python3 -m pytest";
    out.because.emplace_back("test: a Python project");
  }
  if (fs::exists(folder / "config" / "stage.json", ec)) {
    out.config = "config/{env}.json";
    out.because.emplace_back("config: config/stage.json is there");
  }
  return out;
}

std::string quoted(const std::string& text) {
  return text.find_first_of(":#{}[]&*!|>'\"%@`,") == std::string::npos ? text
                                                                       : json::print(json::Value(text));
}

std::string file_of(const std::string& name, const std::vector<Found>& apps) {
  std::string out = fmt::format(
      "# The architecture of {0}. `bastide plan` shows what follows from it, `bastide up` makes it; a second "
      "run changes\n"
      "# only what changed here. Accounts: management, security (people), shared-services (images and the "
      "pipeline), and\n"
      "# one for each environment.\n"
      "name: {0}\nregion: us-east-1\n\n"
      "# In the order of promotion. Networks are private and must not overlap; 10.0.0.0/16 is "
      "shared-services'.\n"
      "environments:\n  stage: {{cidr: 10.10.0.0/16}}\n  prod:  {{cidr: 10.20.0.0/16}}\n\n"
      "# Roles that a group may assume, by account: admin, developer, readonly.\n"
      "groups:\n  administrators:\n    roles:\n      management: [admin]\n      security: [admin]\n      "
      "shared-services: [admin]\n"
      "      stage: [admin]\n      prod: [admin]\n"
      "  developers:\n    roles:\n      shared-services: [developer]\n      stage: [developer]\n      prod: "
      "[readonly]\n\n"
      "people:\n  admin: {{groups: [administrators]}}\n\napps:\n",
      name);
  for (const Found& a : apps) {
    out += "  " + a.name + ":\n    source: " + quoted(a.source) + "\n";
    if (!a.build.empty()) out += "    build: " + quoted(a.build) + "\n";
    if (!a.test.empty()) out += "    test: " + quoted(a.test) + "\n";
    if (a.network) out += "    network: true                 # build and test fetch packages\n";
    out += fmt::format("    port: {}\n    health: {}\n", a.port, quoted(a.health));
    if (!a.config.empty()) out += "    config: " + quoted(a.config) + "\n";
    out +=
        "    size:                         # cpu in units of 1/1024 core, memory in MiB\n"
        "      stage: {count: 1, cpu: 256, memory: 512}\n      prod:  {count: 2, cpu: 256, memory: 512}\n";
  }
  out +=
      "\npipeline:\n  branch: main                    # deploys to the first environment\n  promote:\n"
      "    tag: \"v*\"                     # promotes that commit's very image to the next one,\n"
      "    approval: true                # once somebody has approved it\n";
  return out;
}

Result<int> run_init(Context&, const Arguments& a) {
  const fs::path folder(a.get("FOLDER"));
  std::error_code ec;
  if (!fs::is_directory(folder, ec)) return error("NotFound", folder.string() + " is no folder");
  const std::string path = (folder / "bastide.yaml").string();
  if (fs::exists(path, ec) && !a.flag("--force"))
    return error("Exists", path + " is there already; --force writes it anew");
  std::vector<Found> apps;
  if (auto one = look_at(folder, ".")) apps.push_back(std::move(*one));
  if (apps.empty()) {
    std::vector<fs::path> folders;
    for (const auto& entry : fs::directory_iterator(folder, ec)) {
      if (entry.is_directory(ec) && !entry.path().filename().string().starts_with("."))
        folders.push_back(entry.path());
    }
    std::sort(folders.begin(), folders.end());
    for (const auto& f : folders) {
      if (auto one = look_at(f, f.filename().string())) apps.push_back(std::move(*one));
    }
  }
  const std::string name = as_name(fs::weakly_canonical(folder, ec).filename().string(), 32);
  if (apps.empty()) {
    Found guess;
    guess.name = as_name(name, 20);
    guess.because.emplace_back(
        "there is no Dockerfile here or one level below: write one, and look at port and health");
    apps.push_back(std::move(guess));
  }
  const std::string text = file_of(name, apps);
  TRY(architecture::parse(text, "bastide.yaml"));  // what is written can be read
  TRY(sys::write_file(path, text, 0644));
  std::printf("%s is written.\n", path.c_str());
  for (const Found& app : apps) {
    std::printf("  %s (%s)\n", app.name.c_str(), app.source.c_str());
    for (const auto& why : app.because) std::printf("    %s\n", why.c_str());
  }
  std::printf("Look at it, then: bastide plan %s\n", folder.string().c_str());
  return 0;
}

Result<int> run_schema(Context&, const Arguments&) {
  std::fputs(json::pretty(architecture::file_schema()).c_str(), stdout);
  return 0;
}

}  // namespace

Command init_command() {
  return {"init",
          "Writes a first bastide.yaml from the repository it finds",
          "bastide init .",
          {{"FOLDER", Option::Kind::positional, "The folder of the repository, or of several", ".", false},
           {"--force", Option::Kind::flag, "Write over a file that is there"}},
          run_init};
}

Command schema_command() {
  return {"schema", "Prints the JSON Schema of bastide.yaml, for editors", "bastide schema", {}, run_schema};
}

}  // namespace bastide::cli
