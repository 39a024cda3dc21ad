#include "services/kms/key.h"

#include "aws/arn.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "services/kms/asymmetric.h"

namespace bastide::services {
namespace {

json::Value texts(const std::map<std::string, std::string>& map) {
  auto out = json::object();
  for (const auto& [k, v] : map) out[k] = v;
  return out;
}

std::map<std::string, std::string> texts(const json::Object& object) {
  std::map<std::string, std::string> out;
  for (const auto& [k, v] : object) {
    if (v.is_string()) out[k] = v.string();
  }
  return out;
}

}  // namespace

Entry::~Entry() {
  for (auto& [id, material] : opened) wipe(material);
}

std::string key_arn(const std::string& region, const std::string& account, const std::string& id) {
  return aws::make_arn("kms", region, account, "key/" + id);
}
std::string alias_arn(const std::string& region, const std::string& account, const std::string& alias) {
  return aws::make_arn("kms", region, account, alias);
}
std::string KmsKey::arn() const { return key_arn(region, account, id); }

json::Value to_json(const KmsKey& k) {
  auto materials = json::array();
  for (const auto& m : k.materials) {
    materials.push(json::object(
        {{"id", m.id}, {"sealed", base64(m.sealed)}, {"created", m.created}, {"rotation", m.rotation}}));
  }
  return json::object({{"id", k.id},
                       {"account", k.account},
                       {"region", k.region},
                       {"description", k.description},
                       {"usage", k.usage},
                       {"spec", k.spec},
                       {"manager", k.manager},
                       {"state", k.state},
                       {"created", k.created},
                       {"deletion", k.deletion},
                       {"policy", k.policy},
                       {"tags", texts(k.tags)},
                       {"materials", std::move(materials)},
                       {"rotates", k.rotates},
                       {"rotationDays", k.rotation_days},
                       {"nextRotation", k.next_rotation},
                       {"origin", k.origin},
                       {"validTo", k.valid_to}});
}

Result<KmsKey> key_from_json(const json::Value& b) {
  KmsKey k;
  k.id = b.get("id");
  k.account = b.get("account");
  k.region = b.get("region");
  k.description = b.get("description");
  k.usage = b.get("usage");
  k.spec = b.get("spec");
  k.manager = b.get("manager");
  k.state = b.get("state");
  k.created = b.get_int("created");
  k.deletion = b.get_int("deletion");
  k.policy = b.get("policy");
  k.tags = texts(b.get_object("tags"));
  for (const auto& m : b.get_array("materials")) {
    auto sealed = TRY(unbase64(m.get("sealed")));
    k.materials.push_back({m.get("id"), std::move(sealed), m.get_int("created"), m.get("rotation")});
  }
  k.origin = b.get("origin", "AWS_KMS");
  k.valid_to = b.get_int("validTo");
  if (k.materials.empty() && k.origin == "AWS_KMS") return error("key " + k.id + " has no material");
  k.rotates = b.get_bool("rotates");
  k.rotation_days = static_cast<int>(b.get_int("rotationDays", 365));
  k.next_rotation = b.get_int("nextRotation");
  return k;
}

void KmsKey::forget_material() {
  if (materials.empty()) return;
  materials.back().sealed.clear();
  valid_to = 0;
  if (state != "PendingDeletion") state = "PendingImport";
}

json::Value to_json(const Grant& g) {
  auto operations = json::array();
  for (const auto& o : g.operations) operations.push(o);
  auto out = json::object({{"id", g.id},
                           {"keyId", g.key_id},
                           {"name", g.name},
                           {"grantee", g.grantee},
                           {"retiring", g.retiring},
                           {"issuer", g.issuer},
                           {"operations", std::move(operations)},
                           {"created", g.created}});
  if (g.subset) out["subset"] = texts(*g.subset);
  if (g.equals) out["equals"] = texts(*g.equals);
  return out;
}

Grant grant_from_json(const json::Value& b) {
  Grant g;
  g.id = b.get("id");
  g.key_id = b.get("keyId");
  g.name = b.get("name");
  g.grantee = b.get("grantee");
  g.retiring = b.get("retiring");
  g.issuer = b.get("issuer");
  for (const auto& o : b.get_array("operations")) {
    if (o.is_string()) g.operations.push_back(o.string());
  }
  g.created = b.get_int("created");
  if (b.has("subset")) g.subset = texts(b.get_object("subset"));
  if (b.has("equals")) g.equals = texts(b.get_object("equals"));
  return g;
}

Result<Material> make_material(store::Keyring& keyring, const KmsKey& key, Millis now) {
  Material m;
  m.id = hex(random_bytes(32));
  m.created = now;
  std::string plain;
  if (key.symmetric()) {
    plain = random_bytes(32);
  } else {
    plain = TRY(make_private_material(key.spec));
  }
  m.sealed = keyring.seal("kms", plain, key.id + "/" + m.id);
  wipe(plain);
  return m;
}

Result<std::string> open_material(store::Keyring& keyring, const KmsKey& key, const Material& material) {
  return keyring.unseal("kms", material.sealed, key.id + "/" + material.id);
}

}  // namespace bastide::services
