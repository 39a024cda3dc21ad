#include <algorithm>

#include "base/bytes.h"
#include "services/secretsmanager/secretsmanager.h"
#include "store/page.h"

namespace bastide::services {

namespace m = model::secretsmanager;

namespace {

constexpr int32_t kPage = 100;

std::vector<m::Tag> tags_of(const Secret& s) {
  std::vector<m::Tag> out;
  for (const auto& [key, value] : s.tags) out.push_back({key, value});
  return out;
}

// Deprecated versions, which have no label, are not told of.
std::map<std::string, std::vector<std::string>> stages_of(const Secret& s) {
  std::map<std::string, std::vector<std::string>> out;
  for (const auto& [id, v] : s.versions) {
    if (!v.stages.empty()) out[id] = v.stages;
  }
  return out;
}

// What both answers say of a secret.
template <class Answer>
void describe_into(Answer& out, const Secret& s) {
  out.arn = s.arn;
  out.name = s.name;
  if (!s.description.empty()) out.description = s.description;
  if (!s.key_id.empty()) out.kms_key_id = s.key_id;
  const auto& r = s.rotation;
  if (!r.function.empty()) {
    out.rotation_enabled = r.enabled;
    out.rotation_lambda_arn = r.function;
    m::RotationRulesType rules;
    if (r.days > 0) rules.automatically_after_days = r.days;
    if (!r.schedule.empty()) rules.schedule_expression = r.schedule;
    if (!r.duration.empty()) rules.duration = r.duration;
    out.rotation_rules = std::move(rules);
    if (r.last != 0) out.last_rotated_date = r.last;
    if (r.enabled && r.next != 0) out.next_rotation_date = r.next;
  }
  out.last_changed_date = s.changed;
  if (s.accessed != 0) out.last_accessed_date = s.accessed;
  if (s.deleted != 0) out.deleted_date = s.remove_at;
  if (!s.tags.empty()) out.tags = tags_of(s);
  out.created_date = s.created;
}

bool prefixed(const std::string& text, const std::string& value, bool any_case) {
  return any_case ? lower(text).starts_with(lower(value)) : text.starts_with(value);
}

bool one_matches(const std::string& key, const std::string& value, const Secret& s) {
  auto tags = [&](auto part) { return std::any_of(s.tags.begin(), s.tags.end(), part); };
  if (key == "name") return prefixed(s.name, value, false);
  if (key == "description") return prefixed(s.description, value, true);
  if (key == "tag-key") return tags([&](const auto& t) { return prefixed(t.first, value, false); });
  if (key == "tag-value") return tags([&](const auto& t) { return prefixed(t.second, value, false); });
  if (key == "primary-region") return prefixed(s.region, value, false);
  if (key != "all") return false;  // owning-service: no service owns secrets here
  const std::string low = lower(value);
  for (const auto word : split(low, ' ')) {
    if (word.empty()) continue;
    auto has = [&](const std::string& text) { return lower(text).find(word) != std::string::npos; };
    if (has(s.name) || has(s.description) ||
        tags([&](const auto& t) { return has(t.first) || has(t.second); }))
      return true;
  }
  return false;
}

std::string sort_key(const Secret& s, const std::string& by) {
  if (by == "name") return s.name;
  const Millis t = by == "last-accessed-date"  ? s.accessed
                   : by == "last-changed-date" ? s.changed
                                               : s.created;
  const std::string digits = std::to_string(t);
  return std::string(digits.size() < 20 ? 20 - digits.size() : 0, '0') + digits + "/" + s.name;
}

}  // namespace

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Filter.html
Result<bool> SecretsManager::matches(const std::optional<std::vector<m::Filter>>& filters, const Secret& s) {
  if (!filters) return true;
  for (const auto& f : *filters) {
    if (!f.key || !f.values || f.values->empty()) {
      return fault("InvalidParameterException", "A filter needs a key and values.");
    }
    bool any = false;
    for (const auto& value : *f.values) {
      const bool negated = value.starts_with('!');
      any = any || one_matches(*f.key, negated ? value.substr(1) : value, s) != negated;
    }
    if (!any) return false;
  }
  return true;
}

m::SecretListEntry SecretsManager::entry(const Secret& s) {
  m::SecretListEntry out;
  describe_into(out, s);
  out.secret_versions_to_stages = stages_of(s);
  return out;
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
Result<m::DescribeSecretResponse> SecretsManager::describe(Call& call, const m::DescribeSecretRequest& q) {
  const auto s = TRY(find(call, q.secret_id));
  m::DescribeSecretResponse out;
  describe_into(out, s);
  out.version_ids_to_stages = stages_of(s);
  return out;
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html
Result<m::ListSecretsResponse> SecretsManager::list(Call& call, const m::ListSecretsRequest& q) {
  const std::string by = q.sort_by.value_or("created-date");
  const bool down = q.sort_order.value_or("asc") == "desc";
  std::vector<std::pair<std::string, Secret>> found;
  const auto rows = TRY(database_.list(call.account, call.region, kSecretKind));
  for (const auto& row : rows) {
    auto s = secret_from_json(row.key.account, row.key.region, row.key.id, row.body);
    if (s.deleted != 0 && !q.include_planned_deletion.value_or(false)) continue;
    const bool wanted = TRY(matches(q.filters, s));
    if (wanted) found.emplace_back(sort_key(s, by), std::move(s));
  }
  std::sort(found.begin(), found.end(),
            [&](const auto& a, const auto& b) { return down ? b.first < a.first : a.first < b.first; });
  const std::string bound = scope(call, by + (down ? "/down" : "/up"));
  if (q.next_token) {
    const auto last = store::open_page(keyring_, bound, *q.next_token);
    if (!last) return fault("InvalidNextTokenException", "Invalid NextToken.");
    std::erase_if(found, [&](const auto& one) { return down ? one.first >= *last : one.first <= *last; });
  }
  m::ListSecretsResponse out;
  const auto size = static_cast<size_t>(q.max_results.value_or(kPage));
  if (found.size() > size) {
    found.resize(size);
    out.next_token = store::seal_page(keyring_, bound, found.back().first);
  }
  out.secret_list.emplace();
  for (const auto& [key, s] : found) out.secret_list->push_back(entry(s));
  return out;
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecretVersionIds.html
Result<m::ListSecretVersionIdsResponse> SecretsManager::list_versions(
    Call& call, const m::ListSecretVersionIdsRequest& q) {
  const auto s = TRY(find(call, q.secret_id));
  const std::string bound = scope(call, s.arn);
  std::string after;
  if (q.next_token) {
    auto last = store::open_page(keyring_, bound, *q.next_token);
    if (!last) return fault("InvalidNextTokenException", "Invalid NextToken.");
    after = std::move(*last);
  }
  m::ListSecretVersionIdsResponse out;
  out.arn = s.arn;
  out.name = s.name;
  out.versions.emplace();
  for (auto it = s.versions.upper_bound(after); it != s.versions.end(); ++it) {
    const auto& [id, v] = *it;
    if (v.stages.empty() && !q.include_deprecated.value_or(false)) continue;
    if (out.versions->size() == static_cast<size_t>(q.max_results.value_or(kPage))) {
      out.next_token = store::seal_page(keyring_, bound, *out.versions->back().version_id);
      break;
    }
    m::SecretVersionsListEntry e;
    e.version_id = id;
    if (!v.stages.empty()) e.version_stages = v.stages;
    if (v.accessed != 0) e.last_accessed_date = v.accessed;
    e.created_date = v.created;
    e.kms_key_ids = {s.key_id.empty() ? "DefaultEncryptionKey" : v.key};
    out.versions->push_back(std::move(e));
  }
  return out;
}

}  // namespace bastide::services
