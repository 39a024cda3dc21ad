#include <fmt/format.h>

#include "base/bytes.h"
#include "services/iam/iam.h"
#include "services/iam/managed.h"

namespace bastide::services {

using namespace iam_rows;

Result<void> Iam::writing(std::function<Result<void>(store::Writer&)> f) {
  TRY(db_.write(std::move(f)));
  changed();
  return {};
}

Result<void> Iam::change(const std::string& account, Kind kind, const std::string& name,
                         std::function<Result<void>(store::Writer&, json::Value&)> f) {
  return writing([&](store::Writer& w) -> Result<void> {
    auto body = TRY(need(w, account, kind, name));
    TRY(f(w, body));
    return save(w, account, kind, body);
  });
}

Result<json::Value> Iam::entity(const std::string& account, Kind kind, const std::string& name) {
  json::Value body;
  TRY(db_.read([&](store::Reader& r) -> Result<void> {
    body = TRY(need(r, account, kind, name));
    return {};
  }));
  return body;
}

Result<std::string> Iam::user_or_caller(const Call& call, const std::optional<std::string>& name) {
  if (name) return *name;
  if (call.principal.kind == aws::Principal::Kind::user) return call.principal.name;
  return fault("ValidationError", "Must specify userName when calling with non-User credentials");
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
Result<void> Iam::put_inline(Call& call, Kind kind, const std::string& name, const std::string& policy,
                             const std::string& document) {
  TRY(aws::check_identity_policy(document));
  return change(call.account, kind, name, [&](store::Writer&, json::Value& body) -> Result<void> {
    const size_t limit = kind == Kind::user ? 2048 : kind == Kind::role ? 10240 : 5120;
    size_t total = aws::policy_size(document);
    for (const auto& [other, text] : body.get_object("inline")) {
      if (other != policy) total += aws::policy_size(text.string());
    }
    if (total > limit) {
      return fault("LimitExceeded", fmt::format("Maximum policy size of {} bytes exceeded for {} {}", limit,
                                                noun(kind).word, body.get("name")));
    }
    body["inline"][policy] = document;
    return {};
  });
}

namespace {

Error no_inline(Kind kind, const std::string& policy) {
  return fault("NoSuchEntity",
               fmt::format("The {} policy with name {} cannot be found.", noun(kind).word, policy));
}

}  // namespace

Result<std::string> Iam::get_inline(Call& call, Kind kind, const std::string& name,
                                    const std::string& policy) {
  const auto body = TRY(entity(call.account, kind, name));
  const auto* all = body.find("inline");
  const auto* text = all ? all->find(policy) : nullptr;
  if (!text) return no_inline(kind, policy);
  return percent_encode(text->string());
}

Result<void> Iam::delete_inline(Call& call, Kind kind, const std::string& name, const std::string& policy) {
  return change(call.account, kind, name, [&](store::Writer&, json::Value& body) -> Result<void> {
    auto* all = body.find("inline");
    if (!all || !all->remove(policy)) return no_inline(kind, policy);
    return {};
  });
}

Result<void> Iam::check_attachable(store::Reader& r, const std::string& account, const std::string& arn) {
  if (managed_policy(arn)) return {};
  if (arn.starts_with("arn:aws:iam::" + account + ":policy/") && need_policy(r, account, arn)) return {};
  return fault("NoSuchEntity", fmt::format("Policy {} does not exist or is not attachable.", arn));
}

Result<void> Iam::attach(Call& call, Kind kind, const std::string& name, const std::string& arn) {
  return change(call.account, kind, name, [&](store::Writer& w, json::Value& body) -> Result<void> {
    TRY(check_attachable(w, call.account, arn));
    for (const auto& p : body.get_array("attached")) {
      if (p.string() == arn) return {};
    }
    constexpr size_t kMaxAttached = 10;
    if (body.get_array("attached").size() >= kMaxAttached) {
      const char* quota = kind == Kind::user ? "User" : kind == Kind::role ? "Role" : "Group";
      return fault("LimitExceeded",
                   fmt::format("Cannot exceed quota for PoliciesPer{}: {}", quota, kMaxAttached));
    }
    body["attached"].push(arn);
    return {};
  });
}

Result<void> Iam::detach(Call& call, Kind kind, const std::string& name, const std::string& arn) {
  return change(call.account, kind, name, [&](store::Writer&, json::Value& body) -> Result<void> {
    json::Value left = json::array();
    for (const auto& p : body.get_array("attached")) {
      if (p.string() != arn) left.push(p);
    }
    if (left.array().size() == body.get_array("attached").size()) {
      return fault("NoSuchEntity", fmt::format("Policy {} was not found.", arn));
    }
    body["attached"] = std::move(left);
    return {};
  });
}

Result<void> Iam::put_boundary(Call& call, Kind kind, const std::string& name, const std::string& arn) {
  return change(call.account, kind, name, [&](store::Writer& w, json::Value& body) -> Result<void> {
    TRY(check_attachable(w, call.account, arn));
    body["boundary"] = arn;
    return {};
  });
}

Result<void> Iam::delete_boundary(Call& call, Kind kind, const std::string& name) {
  return change(call.account, kind, name, [&](store::Writer&, json::Value& body) -> Result<void> {
    if (!body.remove("boundary")) {
      return fault("NoSuchEntity",
                   fmt::format("The {} {} does not have a permissions boundary.", noun(kind).word, name));
    }
    return {};
  });
}

Result<void> Iam::tag(Call& call, Kind kind, const std::string& name, const std::vector<m::Tag>& tags) {
  return change(call.account, kind, name, [&](store::Writer&, json::Value& body) -> Result<void> {
    const char* quota = kind == Kind::user   ? "TagsPerUser"
                        : kind == Kind::role ? "TagsPerRole"
                                             : "TagsPerResource";
    return merge_tags(body, tags, quota);
  });
}

Result<void> Iam::untag(Call& call, Kind kind, const std::string& name,
                        const std::vector<std::string>& keys) {
  return change(call.account, kind, name, [&](store::Writer&, json::Value& body) -> Result<void> {
    if (auto* tags = body.find("tags")) {
      for (const auto& k : keys) tags->remove(k);
    }
    return {};
  });
}

Result<void> Iam::rename(Call& call, Kind kind, const std::string& name,
                         const std::optional<std::string>& new_name,
                         const std::optional<std::string>& new_path) {
  return writing([&](store::Writer& w) -> Result<void> {
    auto body = TRY(need(w, call.account, kind, name));
    const std::string old_name = body.get("name");
    if (new_path) body["path"] = *new_path;
    if (new_name && lower(*new_name) != lower(old_name)) {
      if (TRY(w.get(key_of(call.account, kind, *new_name)))) {
        const char* word = kind == Kind::user ? "User" : "Group";
        return fault("EntityAlreadyExists", fmt::format("{} with name {} already exists.", word, *new_name));
      }
      TRY(w.remove(key_of(call.account, kind, old_name)));
    }
    if (new_name) body["name"] = *new_name;
    TRY(save(w, call.account, kind, body));
    if (!new_name) return {};
    if (kind == Kind::group) {
      for (auto& row : TRY(w.find(noun(Kind::user).kind, "group", call.account + " " + lower(old_name)))) {
        json::Value groups = json::array();
        for (const auto& g : row.body.get_array("groups")) {
          groups.push(g.string() == lower(old_name) ? json::Value(lower(*new_name)) : g);
        }
        row.body["groups"] = std::move(groups);
        TRY(save(w, call.account, Kind::user, row.body));
      }
    } else {
      for (const char* what : {"iam.access-key", "iam.mfa"}) {
        for (auto& row : TRY(w.find(what, "user", call.account + " " + lower(old_name)))) {
          row.body["user"] = *new_name;
          std::vector<store::Index> indexes{{"user", call.account + " " + lower(*new_name)}};
          if (std::string_view(what) == "iam.access-key") indexes.push_back({"id", row.key.id});
          TRY(w.put(row.key, row.body, indexes));
        }
      }
    }
    return {};
  });
}

}  // namespace bastide::services
