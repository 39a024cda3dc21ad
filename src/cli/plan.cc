// bastide plan: what `up` would change, and what has drifted. Exit status 0: nothing; 2: something.
#include <cstdio>

#include "architecture/apply_accounts.h"
#include "architecture/cloud.h"
#include "architecture/preview.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/preview_text.h"
#include "cli/table.h"
#include "cli/target.h"

namespace bastide::cli {
namespace {

constexpr int kChanges = 2;

Result<int> run_plan(Context& context, const Arguments& a) {
  const auto architecture = TRY(architecture::load(a.get("FOLDER")));
  const bool there = TRY(find_target(context, architecture));
  const auto call = architecture_call(context);
  const auto preview =
      TRY(architecture::preview(architecture, there ? &call : nullptr, !a.flag("--no-drift")));
  if (a.flag("--json")) {
    std::fputs(json::pretty(architecture::to_json(preview)).c_str(), stdout);
  } else {
    if (!there)
      std::printf("Nothing is made on %s yet: this is what 'up' makes.\n\n", context.home().c_str());
    std::fputs(text_of(preview).c_str(), stdout);
  }
  return preview.clean() ? 0 : kChanges;
}

Result<int> run_drift(Context& context, const Arguments& a) {
  const auto architecture = TRY(architecture::load(a.get("FOLDER")));
  if (!TRY(find_target(context, architecture)))
    return error("NotFound", "nothing is made on " + context.home() + " yet: 'bastide up' makes it");
  const auto call = architecture_call(context);
  const auto accounts = TRY(architecture::find_accounts(architecture, call));
  std::vector<architecture::StackName> stacks;
  for (const auto& [account, id] : accounts) {
    const auto all = TRY(architecture::describe_stacks(call, account));
    for (const auto& s : all) {
      if (architecture::tag_of(s, architecture::kArchitectureTag) == architecture.name)
        stacks.push_back({account, s.get("StackName")});
    }
  }
  const auto drift = TRY(architecture::detect_drift(stacks, call));
  if (a.flag("--json")) {
    std::fputs(json::pretty(architecture::to_json(drift)).c_str(), stdout);
  } else if (drift.empty()) {
    std::printf("Nothing has drifted in %zu stacks.\n", stacks.size());
  } else {
    std::fputs(text_of(drift).c_str(), stdout);
    std::printf(
        "\n%zu resources have drifted. To make them again as the file says, change them back, or update what "
        "the file says of them.\n",
        drift.size());
  }
  return drift.empty() ? 0 : kChanges;
}

}  // namespace

Command plan_command() {
  return {"plan",
          "Shows what 'up' would add, change, replace and delete, and what has drifted; exit status 2 where "
          "there is anything",
          "bastide plan examples/storefront",
          {{"FOLDER", Option::Kind::positional, "The folder of bastide.yaml, or the file", ".", false},
           {"--no-drift", Option::Kind::flag, "Compare with templates only, not with what stands"},
           {"--json", Option::Kind::flag, "As JSON"}},
          run_plan};
}

Command drift_command() {
  return {"drift",
          "Compares what stands with its templates; exit status 2 where something was changed by hand",
          "bastide drift examples/storefront",
          {{"FOLDER", Option::Kind::positional, "The folder of bastide.yaml, or the file", ".", false},
           {"--json", Option::Kind::flag, "As JSON"}},
          run_drift};
}

}  // namespace bastide::cli
