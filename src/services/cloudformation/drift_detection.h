// Detecting drift: reads every resource of a stack through its service, as a job, and keeps what it found.
// On the loop's thread, in fibers.
#pragma once

#include <optional>

#include "aws/local_client.h"
#include "services/cloudformation/drift.h"
#include "services/cloudformation/records.h"

namespace bastide::services::cfn {

inline constexpr const char* kDriftKind = "cloudformation.drift";  // one a stack: its last detection
inline constexpr const char* kDriftJob = "cloudformation.drift";

struct Detection {
  std::string id, status, reason;  // DETECTION_IN_PROGRESS, DETECTION_COMPLETE, DETECTION_FAILED
  std::string stack_arn, stack_status = "NOT_CHECKED";  // DRIFTED, IN_SYNC, NOT_CHECKED
  Millis started = 0, checked = 0;
  std::vector<std::string> only;         // logical ids; empty: all
  aws::Principal principal;              // who asked: resources are read in its name
  std::vector<ResourceDrift> resources;  // sealed
  int drifted() const;
};

class DriftDetection {
 public:
  DriftDetection(Records& records, aws::LocalClient& client, Clock& clock)
      : records_(records), client_(client), clock_(clock) {}

  // Nothing where none was ever asked for.
  Result<std::optional<Detection>> last(const Stack& stack);
  Result<std::optional<Detection>> by_id(const std::string& account, const std::string& region,
                                         const std::string& id);
  Result<std::string> begin(const Stack& stack, const aws::Principal& who, std::vector<std::string> only);
  Result<void> run(const Stack& stack);  // the job
  // One resource now; kept with the others.
  Result<ResourceDrift> detect(const Stack& stack, const ResourceRow& row,
                               const std::map<std::string, ResourceRow>& rows, const aws::Principal& who);
  Result<void> keep(const Stack& stack, const ResourceDrift& d);

 private:
  Result<Detection> of(const store::Resource& r);
  Result<void> put(store::Writer& w, const Stack& stack, const Detection& d);

  Records& records_;
  aws::LocalClient& client_;
  Clock& clock_;
};

}  // namespace bastide::services::cfn
