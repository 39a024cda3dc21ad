// What decisions need of the organisation, from memory.
#include <map>

#include "services/organizations/rows.h"

namespace bastide::services {

using namespace organization_rows;

struct Organizations::Snapshot {
  struct Place {
    std::string parent;
    bool active = true;
    std::vector<std::string> policies;
  };
  bool exists = false, scp = false;
  std::string id, root, management;
  std::map<std::string, Place> places;  // the root, OUs and accounts
  std::map<std::string, aws::PolicyDocument> policies;
};

void Organizations::changed() {
  ++generation_;
  snapshot_.reset();
  controls_.clear();
}

Result<void> Organizations::writing(std::function<Result<void>(store::Writer&)> f) {
  TRY(db_.write(std::move(f)));
  changed();
  return {};
}

Result<std::shared_ptr<const Organizations::Snapshot>> Organizations::snapshot() {
  if (snapshot_) return snapshot_;
  auto s = std::make_shared<Snapshot>();
  TRY(db_.read([&](store::Reader& r) -> Result<void> {
    const auto org = TRY(find(r));
    if (!org) return {};
    const auto texts = [](const json::Array& list) {
      std::vector<std::string> out;
      for (const auto& v : list) out.push_back(v.string());
      return out;
    };
    s->exists = true;
    s->scp = org->get_bool("scp");
    s->id = org->get("id");
    s->root = org->get("root");
    s->management = org->get("management");
    s->places[s->root] = {"", true, texts(org->get_array("root_policies"))};
    for (const char* noun : {"ou", "account"}) {
      const auto list = TRY(rows(r, *org, noun));
      for (const auto& row : list) {
        s->places[row.key.id] = {row.body.get("parent"), row.body.get("status", "ACTIVE") == "ACTIVE",
                                 texts(row.body.get_array("policies"))};
      }
    }
    s->policies[kFullAccess] = aws::PolicyDocument::of_text(full_access_policy().get("content"));
    const auto list = TRY(rows(r, *org, "policy"));
    for (const auto& row : list)
      s->policies[row.key.id] = aws::PolicyDocument::of_text(row.body.get("content"));
    return {};
  }));
  snapshot_ = s;
  return snapshot_;
}

bool Organizations::active(const std::string& account) {
  const auto s = snapshot();
  if (!s) return false;
  const auto it = (*s)->places.find(account);
  return it == (*s)->places.end() ? !(*s)->exists : it->second.active;
}

// The management account is not bound.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
Result<std::shared_ptr<const aws::AccountControls>> Organizations::controls_of(const std::string& account) {
  if (const auto it = controls_.find(account); it != controls_.end()) return it->second;
  const auto s = TRY(snapshot());
  auto out = std::make_shared<aws::AccountControls>();
  std::vector<std::string> path;  // from the account up
  for (auto it = s->places.find(account); it != s->places.end(); it = s->places.find(it->second.parent)) {
    path.push_back(it->first);
    constexpr size_t kMaxDepth = 8;
    if (path.size() > kMaxDepth) break;
  }
  if (s->exists && !path.empty()) {
    out->context.emplace_back("aws:PrincipalOrgID", s->id);
    std::string text = s->id + "/";
    for (auto id = path.rbegin(); id != path.rend(); ++id) {
      if (*id != account) text += *id + "/";
    }
    out->context.emplace_back("aws:PrincipalOrgPaths", text);
    if (s->scp && account != s->management) {
      for (auto id = path.rbegin(); id != path.rend(); ++id) {
        auto& level = out->levels.emplace_back();
        for (const auto& policy : s->places.at(*id).policies) {
          const auto document = s->policies.find(policy);
          if (document != s->policies.end()) level.push_back({policy, document->second});
        }
      }
    }
  }
  controls_[account] = out;
  return std::shared_ptr<const aws::AccountControls>(out);
}

}  // namespace bastide::services
