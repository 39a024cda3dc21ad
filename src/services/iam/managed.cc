#include "services/iam/managed.h"

#include <algorithm>

#include "base/check.h"
#include "base/crypto.h"

namespace bastide::services {

extern const char* const kManagedPolicies;  // made by CMake of models/managed-policies.json

namespace {

constexpr int64_t kCreated = 1'423'180'800'000;  // 2015-02-06, when AWS introduced managed policies

std::string stable_id(const std::string& arn) {
  const std::string digest = sha256(arn);
  std::string id = "ANPA";
  for (size_t i = 0; i < 17; ++i)
    id += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[static_cast<uint8_t>(digest[i]) & 31];
  return id;
}

std::vector<ManagedPolicy> load() {
  auto parsed = json::parse(kManagedPolicies);
  CHECK(parsed.ok());
  std::vector<ManagedPolicy> out;
  for (const auto& p : parsed->array()) {
    ManagedPolicy policy;
    policy.text = json::print(*p.find("document"));
    policy.document = *p.find("document");
    const std::string path = p.get("path", "/");
    const std::string arn = "arn:aws:iam::aws:policy" + path + p.get("name");
    policy.body = json::object({{"name", p.get("name")},
                                {"path", path},
                                {"arn", arn},
                                {"id", stable_id(arn)},
                                {"default", "v1"},
                                {"created", kCreated},
                                {"updated", kCreated},
                                {"description", p.get("description")}});
    policy.body["versions"] =
        json::array({json::object({{"id", "v1"}, {"document", policy.text}, {"created", kCreated}})});
    out.push_back(std::move(policy));
  }
  std::sort(out.begin(), out.end(), [](auto& a, auto& b) { return a.body.get("arn") < b.body.get("arn"); });
  return out;
}

}  // namespace

const std::vector<ManagedPolicy>& managed_policies() {
  static const std::vector<ManagedPolicy> all = load();
  return all;
}

const ManagedPolicy* managed_policy(std::string_view arn) {
  for (const auto& p : managed_policies()) {
    if (p.body.find("arn")->string() == arn) return &p;
  }
  return nullptr;
}

}  // namespace bastide::services
