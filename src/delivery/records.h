// What delivery remembers: runs, releases, and what each environment runs. Bodies in the store are JSON with the
// member names of models/bastide, so that they are answered as they are kept.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "internal/plan.h"
#include "store/database.h"

namespace bastide::delivery {

using internal::App;
using internal::Placement;
using internal::Plan;
using internal::Step;

// "web/8f3c...": the id of a release is its app and commit.
std::string release_id(const std::string& app, const std::string& commit);

class Records {
 public:
  explicit Records(store::Database& db) : db_(db) {}

  // The plan of `up`; "NotFound" before the first.
  Result<Plan> plan();
  // The version now. With `expected`, a Conflict where another came between.
  struct Stored {
    std::string version;
    bool changed = false;
  };
  Result<Stored> put_architecture(const std::string& text, const std::string& principal, Millis now,
                                  const std::optional<std::string>& expected);
  Result<json::Value> architecture();  // {architecture, version, createdAt, createdBy}

  // Runs. Ids are "<app>/<number>", counted per app.
  Result<std::string> make_run(json::Value body);
  Result<json::Value> run(const std::string& id);
  Result<std::vector<json::Value>> runs(const std::string& app);  // newest first; all apps where empty
  Result<void> change_run(const std::string& id, const std::function<void(json::Value&)>& f);

  Result<json::Value> release(const std::string& id);
  Result<std::vector<json::Value>> releases(const std::string& app);
  Result<void> put_release(const json::Value& body);
  Result<void> change_release(const std::string& id, const std::function<Result<void>(json::Value&)>& f);

  // What runs where: {app, environment, releaseId, commit, imageDigest, deployedAt, health, message,
  // history: [releaseId, ...] newest last, of those that became healthy}.
  Result<json::Value> deployment(const std::string& app, const std::string& environment);  // {} before the first
  Result<void> change_deployment(const std::string& app, const std::string& environment,
                                 const std::function<void(json::Value&)>& f);

 private:
  Result<json::Value> get(const std::string& kind, const std::string& id, const std::string& what);
  Result<std::vector<json::Value>> all(const std::string& kind, const std::string& prefix);
  Result<void> change(const std::string& kind, const std::string& id, bool make,
                      const std::function<Result<void>(json::Value&)>& f);

  store::Database& db_;
};

}  // namespace bastide::delivery
