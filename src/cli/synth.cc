// bastide synth: the CloudFormation templates of an architecture, to read, to check and to take along.
#include <fmt/format.h>

#include <cstdio>

#include "architecture/apply_accounts.h"
#include "architecture/architecture.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/target.h"
#include "sys/file.h"

namespace bastide::cli {
namespace {

// Accounts that are known keep their ids; others get one that stands for theirs, the same each time.
Result<std::map<std::string, std::string>> account_ids(Context& context, const architecture::Architecture& a,
                                                       const Arguments& arguments) {
  std::map<std::string, std::string> ids;
  if (context.instance()) {
    auto found = architecture::find_accounts(a, architecture_call(context));
    if (found) ids = std::move(*found);
  }
  std::vector<std::string> names = {"management", "security", "shared-services"};
  for (const auto& e : a.environments) names.push_back(e.name);
  for (const auto& given : arguments.all("--account-id")) {
    const size_t equals = given.find('=');
    const std::string id = equals == std::string::npos ? "" : given.substr(equals + 1);
    if (id.size() != 12 || id.find_first_not_of("0123456789") != std::string::npos)
      return error("Invalid", "--account-id is NAME=ID, and an id has 12 digits: '" + given + "'");
    ids[given.substr(0, equals)] = id;
  }
  int number = 0;
  for (const auto& name : names) {
    ++number;
    if (ids.emplace(name, fmt::format("{:012}", number)).second)
      std::fprintf(stderr, "The account %s is not made yet: %012d stands for its id.\n", name.c_str(),
                   number);
  }
  return ids;
}

Result<int> run_synth(Context& context, const Arguments& a) {
  const auto architecture = TRY(architecture::load(a.get("FOLDER")));
  const auto ids = TRY(account_ids(context, architecture, a));
  const auto stacks = TRY(architecture::compile(architecture, ids));
  json::Value list = json::array();
  const std::string folder = a.get("--out");
  for (const auto& s : stacks) {
    const std::string file =
        s.account + "/" + s.name + (s.template_body.starts_with('{') ? ".json" : ".yaml");
    json::Value after = json::array(), parameters = json::object(), tags = json::object();
    for (const auto& on : s.after) after.push(on);
    for (const auto& [key, value] : s.parameters) parameters[key] = value;
    for (const auto& [key, value] : s.tags) tags[key] = value;
    json::Value one = json::object({{"account", s.account},
                                    {"accountId", ids.at(s.account)},
                                    {"name", s.name},
                                    {"template", file},
                                    {"after", std::move(after)},
                                    {"parameters", std::move(parameters)},
                                    {"tags", std::move(tags)}});
    if (a.flag("--json")) {
      one["body"] = s.template_body;
    } else {
      TRY(sys::make_folders(folder + "/" + s.account));
      TRY(sys::write_file(folder + "/" + file, s.template_body, 0644));
    }
    list.push(std::move(one));
  }
  const json::Value manifest = json::object(
      {{"architecture", architecture.name}, {"region", architecture.region}, {"stacks", std::move(list)}});
  if (a.flag("--json")) {
    std::fputs(json::pretty(manifest).c_str(), stdout);
    return 0;
  }
  TRY(sys::write_file(folder + "/stacks.json", json::pretty(manifest), 0644));
  std::printf("%zu templates are in %s; stacks.json tells their order.\n", stacks.size(), folder.c_str());
  return 0;
}

}  // namespace

Command synth_command() {
  return {"synth",
          "Writes the CloudFormation templates of bastide.yaml to a folder",
          "bastide synth examples/storefront --out templates",
          {{"FOLDER", Option::Kind::positional, "The folder of bastide.yaml, or the file", ".", false},
           {"--out", Option::Kind::value, "Where to", "templates"},
           {"--account-id", Option::Kind::values,
            "NAME=ID of an account that is not made here; may be given more than once"},
           {"--json", Option::Kind::flag, "All of them as JSON instead"}},
          run_synth};
}

}  // namespace bastide::cli
