// What an update would change, without making anything: the body of change sets, and "No updates are to be
// performed."
#pragma once

#include <string>
#include <vector>

#include "services/cloudformation/engine.h"

namespace bastide::services::cfn {

struct ChangeDetail {
  std::string attribute, name, recreation, evaluation, source, entity;
};

struct Change {
  std::string action;  // Add, Modify, Remove
  std::string logical, physical, type;
  std::string replacement;    // True, False, Conditional; of Modify
  std::string policy_action;  // Delete, Retain, ReplaceAndDelete, ReplaceAndRetain
  std::vector<ChangeDetail> details;
};

struct Side {
  const Template* t = nullptr;
  const Version* version = nullptr;
  Scope scope;
};

struct Difference {
  std::vector<Change> changes;
  bool outputs_differ = false;
  bool none() const { return changes.empty() && !outputs_differ; }
};

// `before` without a template: everything is new.
Result<Difference> difference(const Side& before, const Side& after,
                              const std::map<std::string, ResourceRow>& rows);

json::Value to_json(const std::vector<Change>& changes);
std::vector<Change> changes_of(const json::Value& list);

}  // namespace bastide::services::cfn
