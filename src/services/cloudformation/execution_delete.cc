// The way down: what a stack deletes, in the reverse order of dependence.
#include <algorithm>

#include "net/loop.h"
#include "services/cloudformation/execution.h"

namespace bastide::services::cfn {
namespace {

constexpr int kAttempts = 6;  // of a delete that something else still stands in the way of
constexpr Millis kPause = 250;

bool in_the_way(const Error& e) {
  return e.code == "DependencyViolation" || e.code == "DeleteConflict" || e.code == "ResourceInUse" ||
         e.code == "ResourceInUseException";
}

}  // namespace

Result<void> Execution::delete_physical(const ResourceRow& row, const std::string& type,
                                        const std::string& physical, const json::Value& properties) {
  auto it = all_handlers().find(type);
  if (it == all_handlers().end()) return validation("Unrecognized resource type: " + type);
  Context c = context(row);
  c.type = type;
  c.resumed = true;
  for (int attempt = 1;; ++attempt) {
    Result<void> outcome = it->second.remove(c, physical, properties);
    if (outcome || is_missing(outcome.error())) return {};
    if (attempt == kAttempts || !in_the_way(outcome.error())) return outcome;
    c.sleep(kPause * attempt);
  }
}

bool Execution::delete_leftovers(ResourceRow& row) {
  bool ok = true;
  while (!row.leftovers.empty()) {
    const Leftover old = row.leftovers.front();
    auto event = [&](const std::string& status, const std::string& reason) {
      auto written = records_.db().write([&](store::Writer& w) -> Result<void> {
        if (status != "DELETE_IN_PROGRESS") TRY(records_.put_resource(w, stack_, row));
        return records_.event(w, stack_, row.logical, old.physical, old.type, status, reason, clock_.wall());
      });
      if (!written) internal(written.error());
      return written.ok();
    };
    if (old.policy == "Retain") {
      row.leftovers.erase(row.leftovers.begin());
      if (!event("DELETE_SKIPPED", "")) return false;
      continue;
    }
    if (!event("DELETE_IN_PROGRESS", "")) return false;
    auto outcome = delete_physical(row, old.type, old.physical, old.properties);
    row.leftovers.erase(row.leftovers.begin());
    // A clean-up that fails leaves the thing behind, as on AWS: the stack is complete all the same.
    if (!event(outcome ? "DELETE_COMPLETE" : "DELETE_FAILED",
               outcome ? "" : reason_of(outcome.error(), stack_.operation)))
      return false;
    ok = ok && outcome.ok();
  }
  return ok;
}

bool Execution::delete_row(ResourceRow& row, bool rollback_of_create) {
  const bool retained_by_request =
      std::find(stack_.retain.begin(), stack_.retain.end(), row.logical) != stack_.retain.end();
  if (row.pending && row.physical.empty()) row.physical = row.pending->physical;
  row.pending.reset();
  delete_leftovers(row);
  if (broken_) return false;
  const bool taken_up = rollback_of_create && !row.imported.empty() && row.imported == stack_.operation;
  const bool retain = retained_by_request || taken_up || row.deletion_policy == "Retain" ||
                      (row.deletion_policy == "RetainExceptOnCreate" && !rollback_of_create);
  row.reason.clear();
  row.updated = clock_.wall();
  if (row.physical.empty()) {
    row.status = "DELETE_COMPLETE";
    return save(row, {row.status});
  }
  if (retain) {
    row.status = "DELETE_SKIPPED";
    return save(row, {row.status});
  }
  row.status = "DELETE_IN_PROGRESS";
  if (!save(row, {row.status})) return false;
  auto outcome =
      delete_physical(row, row.type, row.physical, row.attempted.is_null() ? row.properties : row.attempted);
  row.updated = clock_.wall();
  if (!outcome) {
    row.status = "DELETE_FAILED";
    row.reason = reason_of(outcome.error(), stack_.operation);
    failed.push_back(row.logical);
    save(row, {row.status});
    return false;
  }
  row.status = "DELETE_COMPLETE";
  return save(row, {row.status});
}

Result<void> Execution::remove_all(bool rollback_of_create) {
  std::vector<Node> nodes;
  std::map<std::string, std::set<std::string>> after;
  for (auto& [logical, row] : rows_) {
    if (row.status == "DELETE_COMPLETE" || row.status == "DELETE_SKIPPED") continue;
    after[logical];
    for (const auto& on : row.depends) after[on].insert(logical);
  }
  for (auto& [logical, waits] : after) {
    if (rows_.count(logical) != 0) nodes.push_back({logical, waits});
  }
  run_graph(std::move(nodes), [&](const std::string& logical) {
    ResourceRow& row = rows_[logical];
    if (row.status == "DELETE_COMPLETE" || row.status == "DELETE_SKIPPED") return true;
    return delete_row(row, rollback_of_create);
  });
  if (broken_) return *broken_;
  return {};
}

Result<void> Execution::clean_up(const Template& t, const Scope& scope) {
  const auto wanted = TRY(wanted_resources(t, scope));
  std::set<std::string> keep;
  for (const auto& one : wanted) keep.insert(one.decl->logical);
  std::map<std::string, std::set<std::string>> after;
  for (auto& [logical, row] : rows_) {
    if (keep.count(logical) != 0 && row.leftovers.empty()) continue;
    after[logical];
    for (const auto& on : row.depends) after[on].insert(logical);
  }
  std::vector<Node> nodes;
  for (auto& [logical, waits] : after) {
    if (rows_.count(logical) != 0) nodes.push_back({logical, waits});
  }
  std::vector<std::string> gone;
  run_graph(std::move(nodes), [&](const std::string& logical) {
    ResourceRow& row = rows_[logical];
    if (keep.count(logical) != 0) {
      delete_leftovers(row);
    } else if (row.status != "DELETE_COMPLETE") {
      delete_row(row, false);
      gone.push_back(logical);
    } else {
      gone.push_back(logical);
    }
    return !broken_;
  });
  failed.clear();
  if (broken_) return *broken_;
  return records_.db().write([&](store::Writer& w) -> Result<void> {
    for (const auto& logical : gone) TRY(records_.remove_resource(w, stack_, logical));
    return {};
  });
}

}  // namespace bastide::services::cfn
