// https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
#include "aws/arn.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "services/kms/kms.h"
#include "services/kms/page.h"

namespace bastide::services {

namespace m = model::kms;
namespace op = model::kms::op;

namespace {

constexpr size_t kMaxGrants = 50'000;  // of a key
constexpr const char* kToken = "kms-grant-token";

std::string row_id(const Grant& g) { return g.key_id + "/" + g.id; }

m::GrantListEntry entry_of(const Grant& g, const std::string& arn) {
  m::GrantListEntry out;
  out.key_id = arn;
  out.grant_id = g.id;
  out.name = g.name;
  out.creation_date = g.created;
  out.grantee_principal = g.grantee;
  if (!g.retiring.empty()) out.retiring_principal = g.retiring;
  out.issuing_account = "arn:aws:iam::" + g.issuer + ":root";
  out.operations = g.operations;
  if (g.subset || g.equals) out.constraints = m::GrantConstraints{g.subset, g.equals};
  return out;
}

Result<void> check_principal(const std::string& text) {
  const auto arn = aws::parse_arn(text);
  if (arn && (arn->service == "iam" || arn->service == "sts")) return {};
  if (text.ends_with(".amazonaws.com")) return {};
  return fault("InvalidArnException", "Invalid principal " + text);
}

}  // namespace

// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html
Result<m::CreateGrantResponse> Kms::create_grant(Call& call, const m::CreateGrantRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(usable(*found));
  TRY(check_principal(q.grantee_principal));
  if (q.retiring_principal) TRY(check_principal(*q.retiring_principal));
  if (q.dry_run.value_or(false)) return dry_run_succeeded();
  const KmsKey& k = found->key;
  Grant g;
  g.id = hex(random_bytes(32));
  g.key_id = k.id;
  g.name = q.name.value_or("");
  g.grantee = q.grantee_principal;
  g.retiring = q.retiring_principal.value_or("");
  g.issuer = call.account;
  g.operations = q.operations;
  if (q.constraints) {
    g.subset = q.constraints->encryption_context_subset;
    g.equals = q.constraints->encryption_context_equals;
    if (g.subset && g.equals) {
      return fault("ValidationException",
                   "A grant constraint is either EncryptionContextSubset or EncryptionContextEquals.");
    }
  }
  g.created = call.now;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    TRY(reread(w, k.account, k.region, k.id));
    const auto rows = TRY(w.list(k.account, k.region, kGrantKind, "", kMaxGrants, k.id + "/"));
    if (rows.size() >= kMaxGrants)
      return fault("LimitExceededException", "A key can have no more than 50,000 grants.");
    for (const auto& row : rows) {  // the same name and content: the same grant
      Grant old = grant_from_json(row.body);
      if (g.name.empty() || old.name != g.name) continue;
      old.created = g.created;
      const std::string id = std::exchange(old.id, g.id);
      if (to_json(old) == to_json(g)) {
        g.id = id;
        return {};
      }
    }
    return w.put({k.account, k.region, kGrantKind, row_id(g)}, to_json(g), {{"retiring", g.retiring}});
  }));
  m::CreateGrantResponse out;
  out.grant_id = g.id;
  out.grant_token = base64(keyring_.seal(kToken, row_id(g), ""));
  return out;
}

Result<m::ListGrantsResponse> Kms::list_grants(Call& call, const m::ListGrantsRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(not_pending(*found));
  std::vector<Grant> grants;
  for (const auto& g : found->grants) {
    if (q.grant_id && g.id != *q.grant_id) continue;
    if (q.grantee_principal && g.grantee != *q.grantee_principal) continue;
    grants.push_back(g);
  }
  m::ListGrantsResponse out;
  out.next_marker = TRY(page(
      call, grants, [](const Grant& g) { return g.id; }, q.marker, q.limit, 50, found->key.id));
  out.truncated = out.next_marker.has_value();
  out.grants.emplace();
  for (const auto& g : grants) out.grants->push_back(entry_of(g, found->key.arn()));
  return out;
}

Result<m::ListGrantsResponse> Kms::list_retirable(Call& call, const m::ListRetirableGrantsRequest& q) {
  auto rows = TRY(database_.find(kGrantKind, "retiring", q.retiring_principal));
  std::erase_if(rows, [&](const store::Resource& r) {
    return r.key.region != call.region || r.key.account != call.account;
  });
  m::ListGrantsResponse out;
  out.next_marker = TRY(page(
      call, rows, [](const store::Resource& r) { return r.key.id; }, q.marker, q.limit, 50,
      q.retiring_principal));
  out.truncated = out.next_marker.has_value();
  out.grants.emplace();
  for (const auto& r : rows) {
    const Grant g = grant_from_json(r.body);
    out.grants->push_back(entry_of(g, key_arn(r.key.region, r.key.account, g.key_id)));
  }
  return out;
}

Result<Grant> Kms::grant_to_retire(const Call& call, const m::RetireGrantRequest& q, Found* found) {
  std::string key_id, grant_id;
  if (q.grant_token) {
    const auto raw = unbase64(*q.grant_token);
    const auto id = raw ? keyring_.unseal(kToken, *raw, "") : Result<std::string>(error("not base64"));
    if (!id) return fault("InvalidGrantTokenException", "The grant token is not valid.");
    key_id = id->substr(0, id->find('/'));
    grant_id = id->substr(id->find('/') + 1);
    *found = TRY(load("", call.region, key_id));
    if (!*found) return fault("NotFoundException", "The key of the grant does not exist.");
  } else if (q.key_id && q.grant_id) {
    *found = TRY(find_key(call, *q.key_id));
    grant_id = *q.grant_id;
  } else {
    return fault("ValidationException", "Specify a GrantToken, or a KeyId and a GrantId.");
  }
  for (const auto& g : (*found)->grants) {
    if (g.id == grant_id) return g;
  }
  return fault(q.grant_token ? "NotFoundException" : "InvalidGrantIdException",
               "Grant " + grant_id + " does not exist.");
}

Result<model::Empty> Kms::retire_grant(Call& call, const m::RetireGrantRequest& q) {
  Found found;
  const Grant g = TRY(grant_to_retire(call, q, &found));
  TRY(not_pending(*found));
  if (q.dry_run.value_or(false)) return dry_run_succeeded();
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    TRY(w.remove({found->key.account, found->key.region, kGrantKind, row_id(g)}));
    return {};
  }));
  return model::Empty{};
}

Result<model::Empty> Kms::revoke_grant(Call& call, const m::RevokeGrantRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(not_pending(*found));
  if (q.dry_run.value_or(false)) return dry_run_succeeded();
  const KmsKey& k = found->key;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const bool removed = TRY(w.remove({k.account, k.region, kGrantKind, k.id + "/" + q.grant_id}));
    if (!removed) return fault("InvalidGrantIdException", "Grant " + q.grant_id + " does not exist.");
    return {};
  }));
  return model::Empty{};
}

void Kms::offer_grants(aws::Registry& registry) {
  using aws::Target;
  using Targets = Result<std::vector<Target>>;
  auto on_key = [this](const char* action) {
    return [this, action](const aws::Call& call, const auto& q) -> Targets {
      const auto found = TRY(find_key(call, q.key_id));
      return std::vector<Target>{target(call, *found, action)};
    };
  };
  registry.add<op::CreateGrant>(
      this, &Kms::create_grant,
      {"kms:CreateGrant", [this](auto& call, auto& q) -> Targets {
         const auto found = TRY(find_key(call, q.key_id));
         auto t = target(call, *found, "CreateGrant");
         t.context.emplace_back("kms:GranteePrincipal", q.grantee_principal);
         if (q.retiring_principal) t.context.emplace_back("kms:RetiringPrincipal", *q.retiring_principal);
         for (const auto& o : q.operations) t.context.emplace_back("kms:GrantOperations", o);
         t.context.emplace_back("kms:GrantIsForAWSResource",
                                call.principal.kind == aws::Principal::Kind::service ? "true" : "false");
         if (q.constraints) {
           t.context.emplace_back("kms:GrantConstraintType", q.constraints->encryption_context_equals
                                                                 ? "EncryptionContextEquals"
                                                                 : "EncryptionContextSubset");
         }
         return std::vector<Target>{std::move(t)};
       }});
  registry.add<op::ListGrants>(this, &Kms::list_grants, {"kms:ListGrants", on_key("ListGrants")});
  registry.add<op::RevokeGrant>(this, &Kms::revoke_grant, {"kms:RevokeGrant", on_key("RevokeGrant")});
  registry.add<op::ListRetirableGrants>(this, &Kms::list_retirable, {"kms:ListRetirableGrants", {}});
  registry.add<op::RetireGrant>(this, &Kms::retire_grant,
                                {"kms:RetireGrant", [this](auto& call, auto& q) -> Targets {
                                   Found found;
                                   const Grant g = TRY(grant_to_retire(call, q, &found));
                                   auto t = target(call, *found, "RetireGrant");
                                   const auto& who = call.principal;
                                   auto is = [&](const std::string& arn) {
                                     return arn == who.arn || (!who.role_arn.empty() && arn == who.role_arn);
                                   };
                                   const bool may = std::find(g.operations.begin(), g.operations.end(),
                                                              "RetireGrant") != g.operations.end();
                                   t.granted = is(g.retiring) || (is(g.grantee) && may);
                                   return std::vector<Target>{std::move(t)};
                                 }});
}

}  // namespace bastide::services
