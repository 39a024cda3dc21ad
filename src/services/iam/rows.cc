#include "services/iam/rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "aws/arn.h"
#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::services::iam_rows {
namespace {

constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr size_t kMaxTags = 50;

}  // namespace

const Noun& noun(Kind kind) {
  static constexpr Noun kNouns[] = {
      {"iam.user", "user", "user", "AIDA"},
      {"iam.role", "role", "role", "AROA"},
      {"iam.group", "group", "group", "AGPA"},
      {"iam.policy", "policy", "policy", "ANPA"},
      {"iam.profile", "instance-profile", "instance profile", "AIPA"},
  };
  return kNouns[static_cast<size_t>(kind)];
}

std::string unique_id(std::string_view prefix) { return std::string(prefix) + random_text(17, kBase32); }

std::string access_key_id(std::string_view prefix, const std::string& account) {
  uint64_t number = 0;
  if (auto n = parse_int(account)) number = static_cast<uint64_t>(*n);
  // 80 bits: a zero bit, 40 of the account, 39 random ones.
  std::string random = random_bytes(5);
  unsigned __int128 bits = static_cast<unsigned __int128>(number) << 39;
  uint64_t low = 0;
  for (const char c : random) low = (low << 8) | static_cast<uint8_t>(c);
  bits |= low & ((uint64_t{1} << 39) - 1);
  std::string out(prefix);
  for (int shift = 75; shift >= 0; shift -= 5) out += kBase32[static_cast<size_t>(bits >> shift) & 31];
  return out;
}

std::string account_of_access_key(const std::string& id) {
  if (id.size() != 20 || (!id.starts_with("AKIA") && !id.starts_with("ASIA"))) return {};
  unsigned __int128 bits = 0;
  for (const char c : id.substr(4)) {
    const size_t value = kBase32.find(c);
    if (value == std::string_view::npos) return {};
    bits = (bits << 5) | value;
  }
  return fmt::format("{:012}", static_cast<uint64_t>(bits >> 39) & ((uint64_t{1} << 40) - 1));
}

store::Key key_of(const std::string& account, Kind kind, const std::string& name) {
  return {account, "", noun(kind).kind, lower(name)};
}
store::Key account_key(const std::string& account) { return {account, "", "iam.account", "settings"}; }

std::string arn_of(const std::string& account, Kind kind, const std::string& path, const std::string& name) {
  return aws::make_arn("iam", "", account, noun(kind).type + path + name);
}
std::string arn_of(const std::string& account, Kind kind, const json::Value& body) {
  return arn_of(account, kind, body.get("path", "/"), body.get("name"));
}

Error no_such(Kind kind, const std::string& name) {
  if (kind == Kind::profile)
    return fault("NoSuchEntity", fmt::format("Instance Profile {} cannot be found.", name));
  return fault("NoSuchEntity", fmt::format("The {} with name {} cannot be found.", noun(kind).word, name));
}

Result<json::Value> need(store::Reader& r, const std::string& account, Kind kind, const std::string& name) {
  auto row = TRY(r.get(key_of(account, kind, name)));
  if (!row) return no_such(kind, name);
  return std::move(row->body);
}

Result<void> save(store::Writer& w, const std::string& account, Kind kind, const json::Value& body) {
  std::vector<store::Index> indexes;
  for (const auto& g : body.get_array("groups")) indexes.push_back({"group", account + " " + g.string()});
  for (const auto& p : body.get_array("attached")) indexes.push_back({"policy", account + " " + p.string()});
  for (const auto& p : body.get_array("roles")) indexes.push_back({"role", account + " " + p.string()});
  if (body.has("boundary")) indexes.push_back({"boundary", account + " " + body.get("boundary")});
  return w.put(key_of(account, kind, body.get("name")), body, indexes);
}

std::string name_in_arn(const std::string& arn) { return arn.substr(arn.rfind('/') + 1); }

Result<json::Value> need_policy(store::Reader& r, const std::string& account, const std::string& arn) {
  auto row = TRY(r.get(key_of(account, Kind::policy, name_in_arn(arn))));
  if (!row || row->body.get("arn") != arn) {
    return fault("NoSuchEntity", fmt::format("Policy {} was not found.", arn));
  }
  return std::move(row->body);
}

Result<void> merge_tags(json::Value& body, const std::vector<m::Tag>& tags, const char* quota) {
  json::Value all = body.has("tags") ? *body.find("tags") : json::object();
  for (const auto& t : tags) {
    if (lower(t.key).starts_with("aws:")) {
      return fault("InvalidInput", "Tag keys that start with 'aws:' are reserved for AWS use.");
    }
    all[t.key] = t.value;
  }
  if (all.object().size() > kMaxTags) {
    return fault("LimitExceeded", fmt::format("Cannot exceed quota for {}: {}", quota, kMaxTags));
  }
  body["tags"] = std::move(all);
  return {};
}

std::vector<m::Tag> tags_of(const json::Value& body) {
  std::vector<m::Tag> out;
  for (const auto& [key, value] : body.get_object("tags")) out.push_back({key, value.string()});
  return out;
}

Tags optional_tags(const json::Value& body) {
  auto tags = tags_of(body);
  if (tags.empty()) return std::nullopt;
  return tags;
}

namespace {

std::optional<m::AttachedPermissionsBoundary> boundary_of(const json::Value& body) {
  if (!body.has("boundary")) return std::nullopt;
  return m::AttachedPermissionsBoundary{"Policy", body.get("boundary")};
}

}  // namespace

m::User user_shape(const std::string& account, const json::Value& body) {
  m::User u;
  u.path = body.get("path");
  u.user_name = body.get("name");
  u.user_id = body.get("id");
  u.arn = arn_of(account, Kind::user, body);
  u.create_date = body.get_int("created");
  if (body.has("password_last_used")) u.password_last_used = body.get_int("password_last_used");
  u.permissions_boundary = boundary_of(body);
  u.tags = optional_tags(body);
  return u;
}

m::Role role_shape(const std::string& account, const json::Value& body) {
  m::Role r;
  r.path = body.get("path");
  r.role_name = body.get("name");
  r.role_id = body.get("id");
  r.arn = arn_of(account, Kind::role, body);
  r.create_date = body.get_int("created");
  r.assume_role_policy_document = percent_encode(body.get("trust"));
  if (body.has("description")) r.description = body.get("description");
  r.max_session_duration = static_cast<int32_t>(body.get_int("max_session", 3600));
  r.permissions_boundary = boundary_of(body);
  r.tags = optional_tags(body);
  return r;
}

m::Group group_shape(const std::string& account, const json::Value& body) {
  return {body.get("path"), body.get("name"), body.get("id"), arn_of(account, Kind::group, body),
          body.get_int("created")};
}

m::Policy policy_shape(const json::Value& body) {
  m::Policy p;
  p.policy_name = body.get("name");
  p.policy_id = body.get("id");
  p.arn = body.get("arn");
  p.path = body.get("path");
  p.default_version_id = body.get("default");
  p.is_attachable = true;
  if (body.has("description")) p.description = body.get("description");
  p.create_date = body.get_int("created");
  p.update_date = body.get_int("updated");
  p.tags = optional_tags(body);
  return p;
}

}  // namespace bastide::services::iam_rows
