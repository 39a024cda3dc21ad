#include "cli/follow.h"

#include <unistd.h>

#include <cstdio>

#include "cli/table.h"

namespace bastide::cli {
namespace {
constexpr Millis kPoll = 150;
}

Result<int> follow_run(Context& context, const std::string& run) {
  size_t shown = 0;
  for (;;) {
    const auto answer = TRY(context.call("shared-services", "bastide", "DescribePipelineRun", json::object({{"runId", run}})));
    const json::Value* r = answer.find("run");
    if (!r) return error("no such run");
    const auto& steps = r->get_array("steps");
    for (; shown < steps.size(); ++shown) {
      const std::string state = steps[shown].get("state");
      if (state == "RUNNING" || state == "PENDING") break;
      const bool good = state == "SUCCEEDED";
      std::printf("  %s %s %s\n", good ? green("ok").c_str() : red("failed").c_str(), steps[shown].get("name").c_str(), steps[shown].get("message").c_str());
      std::fflush(stdout);
    }
    const std::string state = r->get("state");
    if (state == "SUCCEEDED") return 0;
    if (state == "FAILED" || state == "STOPPED") return error("run " + run + " failed: " + r->get("message"));
    ::usleep(kPoll * 1000);
  }
}

}  // namespace bastide::cli
