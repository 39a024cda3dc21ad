// https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html
#include "services/kms/kms.h"
#include "services/kms/page.h"

namespace bastide::services {

namespace m = model::kms;

namespace {

Error no_alias(const std::string& arn) {
  return fault("NotFoundException", "Alias " + arn + " is not found.");
}

Result<void> allowed_name(const std::string& alias) {
  if (!alias.starts_with("alias/")) {
    return fault("ValidationException",
                 "Alias must start with the prefix \"alias/\". Please see "
                 "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html");
  }
  if (alias.starts_with("alias/aws/"))
    return fault("NotAuthorizedException", "Aliases that begin with alias/aws/ are reserved.");
  return {};
}

json::Value alias_body(const std::string& target, Millis created, Millis updated) {
  return json::object({{"target", target}, {"created", created}, {"updated", updated}});
}

}  // namespace

Result<model::Empty> Kms::create_alias(Call& call, const m::CreateAliasRequest& q) {
  TRY(allowed_name(q.alias_name));
  const auto found = TRY(find_key(call, q.target_key_id));
  TRY(not_pending(*found));
  const KmsKey& k = found->key;
  if (k.account != call.account) return fault("NotFoundException", "Key '" + k.arn() + "' does not exist");
  const std::string arn = alias_arn(call.region, call.account, q.alias_name);
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const store::Key row{call.account, call.region, kAliasKind, q.alias_name};
    const auto there = TRY(w.get(row));
    if (there) return fault("AlreadyExistsException", "An alias with the name " + arn + " already exists");
    return w.put(row, alias_body(k.id, call.now, call.now), {{"target", k.id}});
  }));
  return model::Empty{};
}

Result<model::Empty> Kms::update_alias(Call& call, const m::UpdateAliasRequest& q) {
  TRY(allowed_name(q.alias_name));
  const auto found = TRY(find_key(call, q.target_key_id));
  TRY(not_pending(*found));
  const auto before = TRY(find_alias(call, call.region, call.account, q.alias_name));
  if (before->key.usage != found->key.usage || before->key.symmetric() != found->key.symmetric()) {
    return fault("ValidationException",
                 "The current and the new KMS key must be of the same type and key usage.");
  }
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const store::Key row{call.account, call.region, kAliasKind, q.alias_name};
    const auto there = TRY(w.get(row));
    if (!there) return no_alias(alias_arn(call.region, call.account, q.alias_name));
    return w.put(row, alias_body(found->key.id, there->body.get_int("created"), call.now),
                 {{"target", found->key.id}});
  }));
  return model::Empty{};
}

Result<model::Empty> Kms::delete_alias(Call& call, const m::DeleteAliasRequest& q) {
  TRY(allowed_name(q.alias_name));
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const bool removed = TRY(w.remove({call.account, call.region, kAliasKind, q.alias_name}));
    if (!removed) return no_alias(alias_arn(call.region, call.account, q.alias_name));
    return {};
  }));
  return model::Empty{};
}

Result<m::ListAliasesResponse> Kms::list_aliases(Call& call, const m::ListAliasesRequest& q) {
  auto rows = TRY(database_.list(call.account, call.region, kAliasKind));
  if (q.key_id) {
    const auto found = TRY(find_key(call, *q.key_id));
    std::erase_if(rows, [&](const store::Resource& r) { return r.body.get("target") != found->key.id; });
  }
  m::ListAliasesResponse out;
  out.next_marker = TRY(page(
      call, rows, [](const store::Resource& r) { return r.key.id; }, q.marker, q.limit, 50,
      q.key_id.value_or("")));
  out.truncated = out.next_marker.has_value();
  out.aliases.emplace();
  for (const auto& r : rows) {
    out.aliases->push_back({r.key.id, alias_arn(call.region, call.account, r.key.id), r.body.get("target"),
                            r.body.get_int("created"), r.body.get_int("updated")});
  }
  return out;
}

}  // namespace bastide::services
