// From a commit to stage, and from stage to the next environment. A run is a job in the store: after a kill it goes on
// with the step it was at. One run an app at a time, in the order of their numbers.
//
//   run "deliver": checkout, the app's steps (build, test), image, deploy to the first environment
//   run "promote": deploy of an existing release to a later environment; never builds
#pragma once

#include <functional>
#include <string>

#include "aws/local_client.h"
#include "delivery/deploy.h"
#include "delivery/image_builder.h"
#include "internal/plan.h"
#include "delivery/progress.h"
#include "delivery/records.h"
#include "delivery/repository.h"
#include "delivery/sandbox.h"
#include "store/database.h"

namespace bastide::delivery {

class Pipeline {
 public:
  struct Parts {
    store::Database& db;
    aws::LocalClient& client;
    Sandboxes& sandboxes;
    ImageBuilder& images;
    AssumeRole assume;
    Clock& clock;
    std::string repositories;   // folder
    std::string boot_helper;    // path of the static kmscrypt, put into each workspace
  };
  explicit Pipeline(Parts parts);
  void start();  // takes up the jobs; on the loop

  Records& records() { return records_; }
  Progress& progress() { return progress_; }
  Result<Repository> repository(const Plan& plan, const std::string& app) const;

  // What a pushed ref means: a run that was queued, or nothing with the reason in `why`.
  struct Triggered {
    std::string run;   // empty: none
    std::string why;
  };
  Result<Triggered> pushed(const Plan& plan, const App& app, const std::string& ref, const std::string& principal);

  // Delivers the branch's head once more, or a commit that was pushed to it before.
  Result<Triggered> again(const Plan& plan, const App& app, const std::string& commit, const std::string& principal);

  // Queues the deployment of a release to the environment after those it runs in (or the named one), as its rules
  // allow: stage must run or have run it; a pending approval answers with a Conflict fault that names it.
  Result<Triggered> promote(const Plan& plan, const App& app, const std::string& release, const std::string& environment,
                            const std::string& principal);
  Result<Triggered> approve(const Plan& plan, const std::string& release, const std::string& environment,
                            const std::string& principal, const std::string& reason, bool approved);
  Result<Triggered> rollback(const Plan& plan, const App& app, const std::string& environment, const std::string& release,
                             const std::string& principal);

 private:
  Result<std::optional<Millis>> run_job(store::Job& job);
  Result<void> deliver(const Plan& plan, const App& app, const json::Value& run);
  Result<void> deploy_release(const Plan& plan, const App& app, const json::Value& run);
  // The commit's static files to the environment's bucket; nothing where the app has none.
  Result<void> publish_static(const Plan& plan, const App& app, const Placement& placement, const std::string& run,
                              const std::string& commit);
  Result<sys::Fd> build_and_test(const Plan& plan, const App& app, const json::Value& run, sys::Fd source);
  Result<json::Value> make_image(const Plan& plan, const App& app, const json::Value& run, sys::Fd workspace,
                                 int64_t committed_at);
  Result<Triggered> queue(const App& app, const std::string& kind, const std::string& commit, const std::string& ref,
                          const std::string& environment, const std::string& principal);
  Result<bool> earlier_run_unfinished(const std::string& app, const std::string& run);

  // A named step of a run: recorded, timed, told.
  Result<void> step(const std::string& run, const std::string& name, const std::function<Result<std::string>()>& f);
  void say(const std::string& run, const std::string& line);  // to watchers and the run's log stream
  void flush_log(const Plan& plan, const std::string& run);

  Parts parts_;
  Records records_;
  Progress progress_;
  Deployer deployer_;
  std::map<std::string, json::Array> unsent_;  // log events of runs, until flushed
};

}  // namespace bastide::delivery
