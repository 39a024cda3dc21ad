// bastide stack rollback|recover ACCOUNT/NAME: brings a stack back to rest.
#include <cstdio>

#include "architecture/teardown.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/target.h"

namespace bastide::cli {
namespace {

struct Place {
  std::string account, name;
};

Result<Place> place_of(Context& context, const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text.size())
    return error("Invalid", "'" + text + "': a stack is ACCOUNT/NAME, as in stage/bastide-network");
  Place p{text.substr(0, slash), text.substr(slash + 1)};
  if (p.account != "management") TRY(context.profile(setup_profile(p.account)));
  return p;
}

Result<int> run_rollback(Context& context, const Arguments& a) {
  const auto p = TRY(place_of(context, a.get("STACK")));
  const auto text = TRY(architecture::roll_back_stack(architecture_call(context), p.account, p.name));
  std::printf("%s\n", text.c_str());
  return 0;
}

Result<int> run_recover(Context& context, const Arguments& a) {
  const auto p = TRY(place_of(context, a.get("STACK")));
  const auto text =
      TRY(architecture::recover_stack(architecture_call(context), p.account, p.name, a.all("--skip")));
  std::printf("%s\n", text.c_str());
  return 0;
}

}  // namespace

Command stack_rollback_command() {
  return {"stack rollback",
          "Takes an update of a stack back to the last good state, also one that runs",
          "bastide stack rollback stage/bastide-network",
          {{"STACK", Option::Kind::positional, "ACCOUNT/NAME", "", true}},
          run_rollback};
}

Command stack_recover_command() {
  return {"stack recover",
          "Continues a rollback that failed, or clears away what a failed creation left",
          "bastide stack recover stage/bastide-network",
          {{"STACK", Option::Kind::positional, "ACCOUNT/NAME", "", true},
           {"--skip", Option::Kind::values,
            "A resource that the rollback leaves as it is; may be given more than once"}},
          run_recover};
}

}  // namespace bastide::cli
