// An app's static files, from the commit that is deployed to the bucket behind the CDN.
#include <fmt/format.h>

#include "architecture/static_files.h"
#include "base/bytes.h"
#include "delivery/pipeline.h"
#include "net/loop.h"

namespace bastide::delivery {

Result<void> Pipeline::publish_static(const Plan& plan, const App& app, const Placement& placement, const std::string& run,
                                      const std::string& commit) {
  if (app.static_folder.empty() || placement.static_bucket.empty()) return {};
  return step(run, "publish " + placement.environment, [&]() -> Result<std::string> {
    const auto repository = TRY(this->repository(plan, app.name));
    const auto files = TRY(net::offload_result([&]() -> Result<std::vector<architecture::StaticFile>> {
      std::vector<architecture::StaticFile> out;
      for (const auto& path : TRY(repository.files(commit, app.static_folder))) {
        if (out.size() == architecture::kMaxStaticFiles) return error("TooLarge", "too many static files");
        auto body = TRY(repository.read_file(commit, path, architecture::kMaxStaticFile));
        out.push_back({path.substr(app.static_folder.size() + 1), std::move(body)});
      }
      return out;
    }));
    const auto principal = TRY(parts_.assume(placement.static_role, "publish"));
    const auto done = TRY(architecture::publish(
        [&](const std::string& service, const std::string& operation, const json::Value& input) {
          return parts_.client.call(principal, placement.account, plan.region, service, operation, input);
        },
        placement.static_bucket, placement.static_distribution, files));
    return placement.static_url + ", " + done;
  });
}

}  // namespace bastide::delivery
