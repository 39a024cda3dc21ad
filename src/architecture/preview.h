// What `up` would do, and what has drifted: nothing is made but change sets, which are deleted again.
#pragma once

#include "architecture/architecture.h"

namespace bastide::architecture {

struct PlannedChange {
  std::string action;  // add, change, replace, delete, import
  std::string type, logical, physical;
  std::vector<std::string> why;  // properties, and which of them force the replacement
  bool perhaps = false;          // a replacement that depends on what another resource will be
  bool kept = false;             // a deletion that leaves the thing itself standing
};

struct DriftedProperty {
  std::string path, expected, actual, kind;
};
struct DriftedResource {
  std::string account, stack, type, logical, physical;
  std::string status;  // MODIFIED, DELETED
  std::vector<DriftedProperty> properties;
};

struct StackPreview {
  std::string account, name;
  std::string action;  // create, update, delete, none, recover
  std::string reason;  // where it is not plain
  std::vector<PlannedChange> changes;
};

struct Preview {
  std::vector<std::string> new_accounts;
  std::vector<std::string> left_accounts;  // that the file does not name any more
  std::vector<StackPreview> stacks;
  std::vector<DriftedResource> drift;
  bool clean() const;
};

// Without `call` there is no organisation yet: everything is to be added.
Result<Preview> preview(const Architecture& a, const Call* call, bool with_drift);

// Of the stacks "account/name"; those that cannot be looked at now are left out.
struct StackName {
  std::string account, name;
};
Result<std::vector<DriftedResource>> detect_drift(const std::vector<StackName>& stacks, const Call& call);

json::Value to_json(const Preview& p);
json::Value to_json(const std::vector<DriftedResource>& drift);

}  // namespace bastide::architecture
