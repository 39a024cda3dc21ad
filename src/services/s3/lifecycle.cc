#include "services/s3/lifecycle.h"

namespace bastide::services::s3 {
namespace {

using store::objects::Object;

// AWS counts days and rounds up to the next midnight UTC.
Millis due(Millis since, int64_t days) { return (since + days * kDay + kDay - 1) / kDay * kDay; }

bool applies(const LifecycleRule& rule, const Object& object) {
  if (!object.key.starts_with(rule.prefix)) return false;
  if (rule.larger_than >= 0 && object.size <= rule.larger_than) return false;
  if (rule.smaller_than >= 0 && object.size >= rule.smaller_than) return false;
  for (const auto& [key, value] : rule.tags) {
    bool found = false;
    for (const auto& tag : object.meta.get_array("tags"))
      found = found || (tag.get("Key") == key && tag.get("Value") == value);
    if (!found) return false;
  }
  return true;
}

void read_filter(const json::Value& filter, LifecycleRule& out) {
  if (filter.has("Prefix")) out.prefix = filter.get("Prefix");
  out.larger_than = filter.get_int("ObjectSizeGreaterThan", out.larger_than);
  out.smaller_than = filter.get_int("ObjectSizeLessThan", out.smaller_than);
  if (const json::Value* tag = filter.find("Tag")) out.tags.emplace_back(tag->get("Key"), tag->get("Value"));
  for (const auto& tag : filter.get_array("Tags")) out.tags.emplace_back(tag.get("Key"), tag.get("Value"));
  if (const json::Value* all = filter.find("And")) read_filter(*all, out);
}

}  // namespace

std::vector<LifecycleRule> rules_of(const json::Value& configuration) {
  std::vector<LifecycleRule> out;
  for (const auto& rule : configuration.get_array("Rules")) {
    if (rule.get("Status") != "Enabled") continue;
    LifecycleRule one;
    one.prefix = rule.get("Prefix");
    if (const json::Value* filter = rule.find("Filter")) read_filter(*filter, one);
    if (const json::Value* e = rule.find("Expiration")) {
      one.days = e->get_int("Days");
      one.lone_markers = e->get_bool("ExpiredObjectDeleteMarker");
      if (const json::Value* date = e->find("Date"); date != nullptr && date->is_number())
        one.date = static_cast<Millis>(date->number() * 1000);
    }
    if (const json::Value* n = rule.find("NoncurrentVersionExpiration")) {
      one.noncurrent_days = n->get_int("NoncurrentDays");
      one.noncurrent_kept = n->get_int("NewerNoncurrentVersions");
    }
    if (const json::Value* a = rule.find("AbortIncompleteMultipartUpload"))
      one.abort_days = a->get_int("DaysAfterInitiation");
    out.push_back(std::move(one));
  }
  return out;
}

std::vector<Expired> expired(const std::vector<LifecycleRule>& rules, const std::vector<Object>& rows,
                             Millis now) {
  std::vector<Expired> out;
  int64_t noncurrent = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Object& object = rows[i];
    const bool newest = i == 0 || rows[i - 1].key != object.key;
    const bool alone = newest && i + 1 < rows.size() && rows[i + 1].key != object.key;
    const bool last_of_page = i + 1 == rows.size();
    noncurrent = newest ? 0 : noncurrent + 1;
    for (const LifecycleRule& rule : rules) {
      if (!applies(rule, object)) continue;
      const Expired hit{object.key, object.version, object.sequence, object.latest, false};
      if (object.latest && !object.marker) {
        const bool by_days = rule.days > 0 && now >= due(object.modified, rule.days);
        const bool by_date = rule.date > 0 && now >= rule.date;
        if (!by_days && !by_date) continue;
        out.push_back(hit);
        break;
      }
      if (object.latest && object.marker) {
        const bool lone = alone || (last_of_page && newest);
        if (!lone || !(rule.lone_markers || (rule.days > 0 && now >= due(object.modified, rule.days))))
          continue;
        out.push_back({object.key, object.version, object.sequence, true, true});
        break;
      }
      // A version is noncurrent since its successor came.
      if (rule.noncurrent_days == 0 || newest || noncurrent <= rule.noncurrent_kept) continue;
      if (now < due(rows[i - 1].modified, rule.noncurrent_days)) continue;
      out.push_back({object.key, object.version, object.sequence, false, true});
      break;
    }
  }
  return out;
}

bool upload_expired(const std::vector<LifecycleRule>& rules, const store::objects::Upload& upload,
                    Millis now) {
  for (const LifecycleRule& rule : rules) {
    if (rule.abort_days == 0 || !rule.tags.empty() || !upload.key.starts_with(rule.prefix)) continue;
    if (now >= due(upload.started, rule.abort_days)) return true;
  }
  return false;
}

}  // namespace bastide::services::s3
