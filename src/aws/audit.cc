#include "aws/audit.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>

#include "aws/sign_in.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"
#include "sys/file.h"

namespace bastide::aws {
namespace {

constexpr size_t kMaxMessage = 1024;
constexpr size_t kMaxResources = 20;
constexpr size_t kMaxFile = size_t{4} << 30;
constexpr auto kSyncEvery = std::chrono::milliseconds(500);
constexpr std::string_view kSuffix = ".jsonl";

void member(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out += ",\"";
  out += name;
  out += "\":";
  json::append_string(out, valid_utf8(value) ? std::string(value) : percent_encode(value));
}

std::string_view kind_name(Principal::Kind kind) {
  switch (kind) {
    case Principal::Kind::root:
      return "root";
    case Principal::Kind::user:
      return "user";
    case Principal::Kind::assumed_role:
      return "assumed-role";
    case Principal::Kind::federated_user:
      return "federated-user";
    case Principal::Kind::service:
      return "service";
    case Principal::Kind::anonymous:
      return "anonymous";
  }
  return "anonymous";
}

std::string line_of(const AuditEvent& event, const std::string& previous) {
  const Call& call = *event.call;
  std::string out = "{\"time\":\"" + iso8601(call.now) + "\"";
  member(out, "id", call.request_id);
  member(out, "service", call.service);
  member(out, "operation", call.operation);
  member(out, "account", call.account);
  member(out, "region", call.region);
  member(out, "principalKind", kind_name(call.principal.kind));
  member(out, "principal", call.principal.arn);
  member(out, "principalId", call.principal.id);
  member(out, "assumedBy", session_tag(call.principal, kAssumedByTag));
  member(out, "accessKeyId", call.principal.access_key_id);
  member(out, "sourceIp", call.source_ip);
  member(out, "userAgent", std::string_view(call.user_agent).substr(0, 256));
  out += event.allowed ? ",\"allowed\":true" : ",\"allowed\":false";
  member(out, "policyKind", event.policy_kind);
  member(out, "statement", event.statement);
  if (!event.resources.empty()) {
    out += ",\"resources\":[";
    for (size_t i = 0; i < event.resources.size() && i < kMaxResources; ++i) {
      if (i > 0) out += ',';
      json::append_string(
          out, valid_utf8(event.resources[i]) ? event.resources[i] : percent_encode(event.resources[i]));
    }
    out += ']';
  }
  member(out, "errorCode", event.error_code);
  member(out, "errorMessage", std::string_view(event.error_message).substr(0, kMaxMessage));
  member(out, "previous", previous);
  return out + "}";
}

bool audit_file(std::string_view name) {
  return name.size() == 10 + kSuffix.size() && name.ends_with(kSuffix);
}

Result<std::vector<std::string>> audit_files(const std::string& folder) {
  auto names = TRY(sys::list_folder(folder));
  std::erase_if(names, [](const std::string& name) { return !audit_file(name); });
  return names;
}

}  // namespace

Result<std::unique_ptr<AuditLog>> AuditLog::open(const std::string& folder, Clock& clock) {
  TRY(sys::make_folders(folder));
  std::unique_ptr<AuditLog> log(new AuditLog(folder, clock));
  TRY(log->continue_chain());
  log->syncer_ = std::thread([raw = log.get()] { raw->sync_until_end(); });
  return log;
}

// The chain goes on from the last whole line; a line cut off by a power failure was never acknowledged.
Result<void> AuditLog::continue_chain() {
  const auto names = TRY(audit_files(folder_));
  if (names.empty()) return {};
  const std::string path = folder_ + "/" + names.back();
  const sys::Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!file) return sys::system_error(path);
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  if (size < 0) return sys::system_error(path);
  constexpr off_t kTail = 64 << 10;
  const off_t from = size > kTail ? size - kTail : 0;
  std::string tail(static_cast<size_t>(size - from), '\0');
  const ssize_t got = ::pread(file.get(), tail.data(), tail.size(), from);
  if (got < 0) return sys::system_error(path);
  tail.resize(static_cast<size_t>(got));
  const size_t end = tail.rfind('\n');
  if (end == std::string::npos) {
    if (from > 0) return error("audit: " + path + " ends in a line that is too long");
    if (::ftruncate(file.get(), 0) != 0) return sys::system_error(path);
    if (names.size() > 1) {
      TRY(sys::remove_file(path));
      return continue_chain();
    }
    return {};
  }
  if (end + 1 < tail.size() && ::ftruncate(file.get(), from + static_cast<off_t>(end) + 1) != 0)
    return sys::system_error(path);
  const size_t begin = end == 0 ? std::string::npos : tail.rfind('\n', end - 1);
  const size_t start = begin == std::string::npos ? 0 : begin + 1;
  previous_ = sha256_hex(std::string_view(tail).substr(start, end - start));
  return {};
}

AuditLog::~AuditLog() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (syncer_.joinable()) syncer_.join();
  if (file_) ::fdatasync(file_.get());
}

Result<void> AuditLog::open_day(const std::string& day) {
  const std::string path = folder_ + "/" + day + std::string(kSuffix);
  sys::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!file) return sys::system_error(path);
  TRY(sys::sync_folder(folder_));
  if (file_ && ::fdatasync(file_.get()) != 0) return sys::system_error("audit");
  file_ = std::move(file);
  day_ = day;
  return {};
}

Result<void> AuditLog::write(const AuditEvent& event) {
  const std::lock_guard lock(mutex_);
  const std::string day = iso8601(clock_.wall()).substr(0, 10);
  // A clock that goes back must not reorder the chain.
  if (day > day_) TRY(open_day(day));
  std::string line = line_of(event, previous_);
  std::string hash = sha256_hex(line);
  line += '\n';
  TRY(sys::write_all(file_.get(), line));
  previous_ = std::move(hash);
  dirty_ = true;
  return {};
}

Result<void> AuditLog::sync() {
  const std::lock_guard lock(mutex_);
  if (file_ && ::fdatasync(file_.get()) != 0) return sys::system_error("audit");
  dirty_ = false;
  return {};
}

void AuditLog::sync_until_end() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    wake_.wait_for(lock, kSyncEvery);
    if (!dirty_) continue;
    dirty_ = false;
    auto copy = file_.duplicate();
    lock.unlock();
    if (!copy || ::fdatasync(copy->get()) != 0) log::error("audit: the trail could not be brought to disk");
    lock.lock();
  }
}

Result<int64_t> verify_audit(const std::string& folder) {
  const auto names = TRY(audit_files(folder));
  std::string previous;
  int64_t lines = 0;
  for (const std::string& name : names) {
    const auto text = TRY(sys::read_file(folder + "/" + name, kMaxFile));
    std::string_view rest = text;
    int64_t number = 0;
    while (!rest.empty()) {
      ++number;
      const size_t end = rest.find('\n');
      const std::string_view line = rest.substr(0, end);
      const auto wrong = [&](std::string_view why) {
        return error("Invalid", fmt::format("{} line {}: {}", name, number, why));
      };
      if (end == std::string_view::npos) return wrong("cut off");
      const auto parsed = json::parse(line);
      if (!parsed) return wrong(parsed.error().message);
      if (parsed->get("previous") != previous) return wrong("does not continue the line before it");
      previous = sha256_hex(line);
      rest.remove_prefix(end + 1);
      ++lines;
    }
  }
  return lines;
}

}  // namespace bastide::aws
