// The audit trail: one JSON line a call, each naming the SHA-256 of the line before it, so that a line that
// was changed or taken out shows. Written before the call is answered; on disk within a second.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "aws/call.h"
#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace bastide::aws {

struct AuditEvent {
  const Call* call = nullptr;  // who, what, from where
  std::vector<std::string> resources;
  bool allowed = false;
  std::string policy_kind;  // what decided
  std::string statement;
  std::string error_code;  // of the answer; empty: it succeeded
  std::string error_message;
};

class AuditSink {
 public:
  virtual ~AuditSink() = default;
  virtual Result<void> write(const AuditEvent& event) = 0;
};

// Files FOLDER/YYYY-MM-DD.jsonl. Thread-safe.
class AuditLog final : public AuditSink {
 public:
  static Result<std::unique_ptr<AuditLog>> open(const std::string& folder, Clock& clock);
  ~AuditLog() override;
  Result<void> write(const AuditEvent& event) override;
  Result<void> sync();

 private:
  AuditLog(std::string folder, Clock& clock) : folder_(std::move(folder)), clock_(clock) {}
  Result<void> continue_chain();
  Result<void> open_day(const std::string& day);
  void sync_until_end();

  std::string folder_;
  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  sys::Fd file_;
  std::string day_;
  std::string previous_;  // hash of the last line, hex
  bool dirty_ = false;
  bool ending_ = false;
  std::thread syncer_;
};

// Checks the chain through all files of a folder; the error names the first line that does not fit.
Result<int64_t> verify_audit(const std::string& folder);  // number of lines

}  // namespace bastide::aws
