// Taking up what stands already, and waiting for signals.
#include <fmt/format.h>

#include "base/bytes.h"
#include "services/cloudformation/execution.h"

namespace bastide::services::cfn {
namespace {

constexpr Millis kLongestWait = 12 * kHour, kStep = 200;

// "PT15M", "PT1H30M": ISO 8601, days at most.
std::optional<Millis> duration_of(const std::string& text) {
  if (text.size() < 3 || text[0] != 'P') return std::nullopt;
  Millis total = 0;
  bool time = false;
  size_t at = 1;
  while (at < text.size()) {
    if (text[at] == 'T' && !time) {
      time = true;
      ++at;
      continue;
    }
    const size_t end = text.find_first_not_of("0123456789", at);
    if (end == std::string::npos || end == at || end - at > 6) return std::nullopt;
    const auto n = parse_int(text.substr(at, end - at));
    if (!n) return std::nullopt;
    const char unit = text[end];
    if (unit == 'D' && !time) {
      total += *n * kDay;
    } else if (unit == 'H' && time) {
      total += *n * kHour;
    } else if (unit == 'M' && time) {
      total += *n * kMinute;
    } else if (unit == 'S' && time) {
      total += *n * kSecond;
    } else {
      return std::nullopt;
    }
    at = end + 1;
  }
  return total;
}

}  // namespace

// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources.html
bool Execution::import(ResourceRow& row, const Handler& handler, const ResourceDecl& decl,
                       json::Value properties, const std::string& physical) {
  row.status = "IMPORT_IN_PROGRESS";
  row.reason.clear();
  row.updated = clock_.wall();
  if (!save(row, {row.status})) return false;
  Context c = context(row);
  c.type = decl.type;
  c.resumed = true;
  if (handler.read == nullptr)
    return fail(row, "IMPORT_FAILED",
                validation("Resource type " + decl.type + " is not supported for import"));
  auto there = handler.read(c, physical, properties);
  if (!there) return fail(row, "IMPORT_FAILED", there.error());
  json::Value attributes = json::object();
  if (handler.attributes != nullptr) {
    auto got = handler.attributes(c, physical, properties);
    if (!got) return fail(row, "IMPORT_FAILED", got.error());
    attributes = std::move(*got);
  }
  row.type = decl.type;
  row.physical = physical;
  row.known.push_back(physical);
  row.properties = std::move(properties);
  row.attributes = std::move(attributes);
  row.imported = stack_.operation;
  row.status = "IMPORT_COMPLETE";
  row.updated = clock_.wall();
  return save(row, {row.status});
}

Result<void> Execution::forget_imported() {
  std::vector<std::string> gone;
  for (const auto& [logical, row] : rows_) {
    const bool unmade = row.status == "IMPORT_FAILED" || row.status == "IMPORT_IN_PROGRESS";
    if (unmade || (!row.imported.empty() && row.imported == stack_.operation)) gone.push_back(logical);
  }
  return records_.db().write([&, this](store::Writer& w) -> Result<void> {
    for (const auto& logical : gone) {
      const ResourceRow& row = rows_.at(logical);
      TRY(records_.remove_resource(w, stack_, logical));
      TRY(records_.event(w, stack_, logical, row.physical, row.type, "IMPORT_ROLLBACK_COMPLETE", "",
                         clock_.wall()));
    }
    return {};
  });
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-creationpolicy.html
Result<void> Execution::wait_for_signals(const Context& c, const ResourceDecl& decl) {
  const json::Value* wanted = decl.creation_policy.find("ResourceSignal");
  if (wanted == nullptr) return {};
  auto value = TRY(evaluate(scope_, *wanted));
  const json::Value signal = value ? *value : json::object();
  auto given = parse_int(signal.has("Count") ? scalar_text(*signal.find("Count")) : "1");
  const auto bound = duration_of(signal.get("Timeout", "PT5M"));
  if (!given || *given < 0 || !bound || *bound > kLongestWait)
    return validation("CreationPolicy: Count must be a number, and Timeout a duration of at most PT12H");
  const int64_t count = *given;
  int64_t good = 0;
  auto outcome = c.wait_until(*bound, kStep, [&, this]() -> Result<bool> {
    std::vector<store::Resource> rows;
    TRY(records_.db().read([&](store::Reader& r) -> Result<void> {
      rows = TRY(r.list(stack_.account, stack_.region, kSignalKind, "", 10'000,
                        stack_.id() + "/" + decl.logical + "/"));
      return {};
    }));
    good = 0;
    for (const auto& row : rows) {
      if (row.body.get("operation") != stack_.operation) continue;
      if (row.body.get("status") == "FAILURE")
        return fault("GeneralServiceException",
                     fmt::format("Received FAILURE signal with UniqueId {}", row.body.get("unique")));
      ++good;
    }
    return good >= count;
  });
  if (!outcome && outcome.error().code == "NotStabilized") {
    return fault(
        "GeneralServiceException",
        fmt::format("Failed to receive {} resource signal(s) within the specified duration", count - good));
  }
  return outcome;
}

}  // namespace bastide::services::cfn
