// bastide destroy: the stacks of an architecture, in the reverse order. Data stays unless asked for.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "architecture/teardown.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/live.h"
#include "cli/table.h"
#include "cli/target.h"

namespace bastide::cli {
namespace {

Result<int> run_destroy(Context& context, const Arguments& a) {
  const auto architecture = TRY(architecture::load(a.get("FOLDER")));
  const auto lock = TRY(ChangeLock::take(context.home(), "destroy"));
  if (!TRY(find_target(context, architecture))) {
    std::printf("Nothing is made on %s.\n", context.home().c_str());
    return 0;
  }
  architecture::TeardownOptions options;
  options.data = a.flag("--data");
  options.accounts = a.all("--account");
  if (!a.flag("--yes")) {
    const std::string what = fmt::format(
        "{}{}",
        options.accounts.empty()
            ? "Everything of " + architecture.name
            : "What " + architecture.name + " has in " + fmt::format("{}", fmt::join(options.accounts, ", ")),
        options.data ? red(" with ALL ITS DATA (keys, images: nothing encrypted can be read again)")
                     : " but its data (keys, images, whatever is retained)");
    if (!::isatty(0))
      return error("destroy asks for the name of the architecture; without a terminal say --yes");
    if (!confirmed(what + " will be destroyed.\nType the architecture's name to go on: ", architecture.name))
      return error("not destroyed: that was not its name");
  }
  LiveTree tree(architecture.region);
  const architecture::Observer observer{
      [&](const std::string& account, const std::string& what, const std::string& state,
          const std::string& reason) { tree.step(account, what, state, reason); },
      {}};
  const auto kept = architecture::destroy(architecture, architecture_call(context), observer, options);
  tree.finish();
  if (!kept) return Error(kept.error());
  // The people are gone, and with them the keys that profiles were signed with.
  if (options.accounts.empty() ||
      std::find(options.accounts.begin(), options.accounts.end(), "security") != options.accounts.end()) {
    auto profiles = TRY(context.profiles());
    std::erase_if(profiles, [](const Profile& p) { return p.source != "operator" && p.name != "operator"; });
    TRY(context.save_profiles(profiles));
  }
  if (a.flag("--json")) {
    json::Value list = json::array();
    for (const auto& k : *kept)
      list.push(json::object({{"account", k.account}, {"type", k.type}, {"physical", k.physical}}));
    std::fputs(json::pretty(json::object({{"kept", std::move(list)}})).c_str(), stdout);
    return 0;
  }
  if (!kept->empty()) {
    std::printf("Kept, since it is data; the next 'up' takes images up again:\n");
    Table table({"ACCOUNT", "TYPE", "ID"});
    for (const auto& k : *kept) table.add({k.account, k.type, k.physical});
    std::fputs(table.text("  ").c_str(), stdout);
  }
  std::printf("The stacks of %s are gone. The accounts stay%s.\n", architecture.name.c_str(),
              options.accounts.empty() ? "; 'bastide down' stops Bastide" : "");
  return 0;
}

}  // namespace

Command destroy_command() {
  return {"destroy",
          "Deletes the stacks of an architecture, and keeps its data; asks for its name first",
          "bastide destroy examples/storefront",
          {{"FOLDER", Option::Kind::positional, "The folder of bastide.yaml, or the file", ".", false},
           {"--account", Option::Kind::values, "Only this account; may be given more than once"},
           {"--data", Option::Kind::flag, "Also what is retained: keys, images"},
           {"--yes", Option::Kind::flag, "Do not ask"},
           {"--json", Option::Kind::flag, "What was kept, as JSON"}},
          run_destroy};
}

}  // namespace bastide::cli
