// Drift: how what stands differs from what the template says. Only properties that the template sets are
// compared, as on AWS.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html Plain values; any
// thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "services/cloudformation/records.h"

namespace bastide::services::cfn {

struct PropertyDrift {
  std::string path;              // "/Tags/0/Value"
  std::string expected, actual;  // JSON, or the text of a scalar
  std::string kind;              // ADD, REMOVE, NOT_EQUAL
};

// What `actual` has beyond `expected` in maps is not looked at; in lists it is an ADD. The order of lists
// does not matter, nor "443" or 443, nor a policy's text or its object.
std::vector<PropertyDrift> property_drift(const json::Value& expected, const json::Value& actual);

struct ResourceDrift {
  std::string logical, physical, type;
  std::string status;  // IN_SYNC, MODIFIED, DELETED, NOT_CHECKED
  std::string reason;
  json::Value expected, actual;
  std::vector<PropertyDrift> differences;
  Millis at = 0;
};
json::Value to_json(const ResourceDrift& d);
ResourceDrift resource_drift_of(const json::Value& v);

// Takes away additions that another resource of the stack made: a rule of its own in a security group, a
// policy attached to a role, a user added to a group.
void spare_siblings(const ResourceRow& row, const std::map<std::string, ResourceRow>& rows, ResourceDrift& d);

}  // namespace bastide::services::cfn
