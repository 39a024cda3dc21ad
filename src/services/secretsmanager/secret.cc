#include "services/secretsmanager/secret.h"

#include <algorithm>

#include "base/bytes.h"

namespace bastide::services {
namespace {

constexpr size_t kMaxVersions = 100;
constexpr int64_t kMaxDays = 1000;
constexpr Millis kShortestPeriod = 4 * kHour;

Error invalid(std::string message) { return fault("InvalidParameterException", std::move(message)); }

// "rate(10 days)", "rate(4 hours)"
Result<Millis> parse_rate(const std::string& text) {
  const Error wrong = invalid(
      "Invalid ScheduleExpression: use rate(N hours) or rate(N days); cron expressions are not "
      "supported by Bastide.");
  if (!text.starts_with("rate(") || !text.ends_with(')')) return wrong;
  const auto parts = split(std::string_view(text).substr(5, text.size() - 6), ' ');
  if (parts.size() != 2) return wrong;
  const auto count = parse_int(parts[0]);
  const bool hours = parts[1] == "hour" || parts[1] == "hours";
  if (!count || *count < 1 || *count > 24 * kMaxDays || (!hours && parts[1] != "day" && parts[1] != "days"))
    return wrong;
  const Millis period = *count * (hours ? kHour : kDay);
  if (period < kShortestPeriod || period > kMaxDays * kDay) {
    return invalid("The rotation schedule must be between 4 hours and 999 days.");
  }
  return period;
}

}  // namespace

std::string secret_value_id(const std::string& name, const std::string& version) {
  return name + "|" + version;
}

std::optional<std::string> Secret::staged(const std::string& label) const {
  for (const auto& [id, version] : versions) {
    if (std::find(version.stages.begin(), version.stages.end(), label) != version.stages.end()) return id;
  }
  return std::nullopt;
}

void Secret::unstage(const std::string& version, const std::string& label) {
  if (const auto it = versions.find(version); it != versions.end()) std::erase(it->second.stages, label);
}

void Secret::stage(const std::string& version, const std::string& label) {
  const auto holder = staged(label);
  if (holder == version) return;
  if (holder) unstage(*holder, label);
  versions[version].stages.push_back(label);
  if (label != kCurrent || !holder) return;
  if (const auto previous = staged(kPrevious)) unstage(*previous, kPrevious);
  versions[*holder].stages.emplace_back(kPrevious);
}

std::vector<std::string> Secret::prune(Millis now) {
  std::vector<std::pair<Millis, std::string>> old;
  for (const auto& [id, version] : versions) {
    if (version.stages.empty() && version.created < now - kDay) old.emplace_back(version.created, id);
  }
  std::sort(old.begin(), old.end());
  std::vector<std::string> gone;
  for (const auto& [created, id] : old) {
    if (versions.size() <= kMaxVersions) break;
    versions.erase(id);
    gone.push_back(id);
  }
  return gone;
}

json::Value to_json(const Secret& s) {
  json::Value tags = json::object(), versions = json::object();
  for (const auto& [key, value] : s.tags) tags[key] = value;
  for (const auto& [id, v] : s.versions) {
    json::Value stages = json::array();
    for (const auto& stage : v.stages) stages.push(stage);
    versions[id] = json::object(
        {{"stages", std::move(stages)}, {"created", v.created}, {"accessed", v.accessed}, {"key", v.key}});
  }
  const auto& r = s.rotation;
  return json::object({{"arn", s.arn},
                       {"description", s.description},
                       {"keyId", s.key_id},
                       {"policy", s.policy},
                       {"created", s.created},
                       {"changed", s.changed},
                       {"accessed", s.accessed},
                       {"deleted", s.deleted},
                       {"removeAt", s.remove_at},
                       {"tags", std::move(tags)},
                       {"versions", std::move(versions)},
                       {"rotation", json::object({{"enabled", r.enabled},
                                                  {"function", r.function},
                                                  {"days", r.days},
                                                  {"schedule", r.schedule},
                                                  {"duration", r.duration},
                                                  {"token", r.token},
                                                  {"last", r.last},
                                                  {"next", r.next}})}});
}

Secret secret_from_json(const std::string& account, const std::string& region, const std::string& name,
                        const json::Value& b) {
  Secret s;
  s.account = account;
  s.region = region;
  s.name = name;
  s.arn = b.get("arn");
  s.description = b.get("description");
  s.key_id = b.get("keyId");
  s.policy = b.get("policy");
  s.created = b.get_int("created");
  s.changed = b.get_int("changed");
  s.accessed = b.get_int("accessed");
  s.deleted = b.get_int("deleted");
  s.remove_at = b.get_int("removeAt");
  for (const auto& [key, value] : b.get_object("tags")) {
    if (value.is_string()) s.tags[key] = value.string();
  }
  for (const auto& [id, v] : b.get_object("versions")) {
    SecretVersion& version = s.versions[id];
    for (const auto& stage : v.get_array("stages")) {
      if (stage.is_string()) version.stages.push_back(stage.string());
    }
    version.created = v.get_int("created");
    version.accessed = v.get_int("accessed");
    version.key = v.get("key");
  }
  if (const json::Value* r = b.find("rotation")) {
    s.rotation = {r->get_bool("enabled"), r->get("function"), r->get_int("days"), r->get("schedule"),
                  r->get("duration"),     r->get("token"),    r->get_int("last"), r->get_int("next")};
  }
  return s;
}

Result<void> apply_rules(SecretRotation& r, const RotationRules& rules) {
  if (rules.days && rules.schedule) {
    return invalid("You can't specify both AutomaticallyAfterDays and ScheduleExpression.");
  }
  if (rules.schedule) TRY(parse_rate(*rules.schedule));
  if (rules.days || rules.schedule) {
    r.days = rules.days.value_or(0);
    r.schedule = rules.schedule.value_or("");
  }
  if (rules.duration) r.duration = *rules.duration;
  return {};
}

Millis rotation_period(const SecretRotation& r) {
  if (r.days > 0) return r.days * kDay;
  const auto period = parse_rate(r.schedule);
  return period ? *period : 0;
}

}  // namespace bastide::services
