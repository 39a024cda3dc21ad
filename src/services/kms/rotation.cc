// https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html
#include <algorithm>

#include "base/bytes.h"
#include "services/kms/kms.h"
#include "services/kms/page.h"

namespace bastide::services {

namespace m = model::kms;

namespace {
constexpr size_t kMaxOnDemand = 25;
constexpr int kDefaultPeriod = 365;

Result<void> not_imported(const KmsKey& k) {
  if (k.origin == "AWS_KMS") return {};
  return fault("UnsupportedOperationException",
               k.arn() + " origin is EXTERNAL which is not valid for this operation.");
}

Error not_symmetric(const KmsKey& k) {
  return fault("UnsupportedOperationException",
               k.arn() + " is not a symmetric encryption key; it cannot be rotated.");
}
std::string rotation_job(const KmsKey& k) { return k.account + "/" + k.region + "/" + k.id; }
}  // namespace

Result<model::Empty> Kms::enable_rotation(Call& call, const m::EnableKeyRotationRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(usable(*found));
  TRY(not_imported(found->key));
  if (!found->key.symmetric()) return not_symmetric(found->key);
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto k = TRY(reread(w, found->key.account, found->key.region, found->key.id));
    k.rotates = true;
    k.rotation_days = q.rotation_period_in_days.value_or(kDefaultPeriod);
    k.next_rotation = call.now + k.rotation_days * kDay;
    TRY(put(w, k));
    return w.enqueue("kms.rotation", rotation_job(k), json::object(), k.next_rotation);
  }));
  return model::Empty{};
}

Result<model::Empty> Kms::disable_rotation(Call& call, const m::DisableKeyRotationRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(usable(*found));
  if (!found->key.symmetric()) return not_symmetric(found->key);
  TRY(change(*found, [](KmsKey& k) -> Result<void> {
    k.rotates = false;
    k.next_rotation = 0;
    return {};
  }));
  return model::Empty{};
}

Result<m::GetKeyRotationStatusResponse> Kms::rotation_status(Call& call,
                                                             const m::GetKeyRotationStatusRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(not_pending(*found));
  const KmsKey& k = found->key;
  if (!k.symmetric()) return not_symmetric(k);
  m::GetKeyRotationStatusResponse out;
  out.key_id = k.id;
  out.key_rotation_enabled = k.rotates;
  if (k.rotates) {
    out.rotation_period_in_days = k.rotation_days;
    out.next_rotation_date = k.next_rotation;
  }
  return out;
}

Result<m::RotateKeyOnDemandResponse> Kms::rotate(Call& call, const m::RotateKeyOnDemandRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  TRY(usable(*found));
  TRY(not_imported(found->key));
  if (!found->key.symmetric()) return not_symmetric(found->key);
  auto material = TRY(make_material(keyring_, found->key, call.now));
  material.rotation = "ON_DEMAND";
  TRY(change(*found, [&](KmsKey& k) -> Result<void> {
    const auto done = std::count_if(k.materials.begin(), k.materials.end(),
                                    [](const Material& old) { return old.rotation == "ON_DEMAND"; });
    if (static_cast<size_t>(done) >= kMaxOnDemand) {
      return fault("LimitExceededException", "The key was rotated on demand as often as is allowed.");
    }
    k.materials.push_back(material);
    return {};
  }));
  return m::RotateKeyOnDemandResponse{found->key.id};
}

Result<m::ListKeyRotationsResponse> Kms::list_rotations(Call& call, const m::ListKeyRotationsRequest& q) {
  const auto found = TRY(find_key(call, q.key_id));
  const KmsKey& k = found->key;
  if (!k.symmetric()) return not_symmetric(k);
  const bool all = q.include_key_material.value_or("ROTATIONS_ONLY") == "ALL_KEY_MATERIAL";
  std::vector<m::RotationsListEntry> rotations;
  for (const auto& material : k.materials) {
    if (material.rotation.empty() && !all) continue;
    auto& e = rotations.emplace_back();
    e.key_id = k.id;
    e.key_material_id = material.id;
    e.key_material_state = &material == &k.materials.back() ? "CURRENT" : "NON_CURRENT";
    if (!material.rotation.empty()) {
      e.rotation_date = material.created;
      e.rotation_type = material.rotation;
    }
  }
  m::ListKeyRotationsResponse out;
  auto name = [](const m::RotationsListEntry& e) {
    const std::string date = std::to_string(e.rotation_date.value_or(0));
    return std::string(20 - date.size(), '0') + date + *e.key_material_id;
  };
  out.next_marker = TRY(page(call, rotations, name, q.marker, q.limit, 100, k.id));
  out.truncated = out.next_marker.has_value();
  out.rotations = std::move(rotations);
  return out;
}

Result<std::optional<Millis>> Kms::run_rotation(store::Job& job) {
  const auto parts = split(job.key, '/');
  if (parts.size() != 3) return std::optional<Millis>{};
  const std::string account(parts[0]), region(parts[1]), id(parts[2]);
  std::optional<Millis> again;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto k = reread(w, account, region, id);
    if (!k) return k.error().fault ? Result<void>() : Result<void>(k.error());
    if (!k->rotates) return {};
    const Millis now = clock_.wall();
    if (k->next_rotation <= now) {
      k->next_rotation = now + k->rotation_days * kDay;
      if (k->state == "Enabled") {
        auto material = TRY(make_material(keyring_, *k, now));
        material.rotation = "AUTOMATIC";
        k->materials.push_back(std::move(material));
      }
      TRY(put(w, *k));
    }
    again = k->next_rotation - now;
    return {};
  }));
  return again;
}

}  // namespace bastide::services
