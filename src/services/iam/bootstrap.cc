#include "services/iam/bootstrap.h"

#include "base/crypto.h"

namespace bastide::services {
namespace {

constexpr const char* kHome = "organizations.home";

Result<std::string> account_of(store::Reader& r) {
  auto rows = TRY(r.list("*", "", kHome));
  return rows.empty() ? std::string() : rows.front().key.account;
}

}  // namespace

Result<std::string> management_account(store::Database& db) {
  std::string account;
  TRY(db.read([&](store::Reader& r) -> Result<void> {
    account = TRY(account_of(r));
    return {};
  }));
  if (account.empty()) return error("NotFound", "this home has no management account yet");
  return account;
}

Result<std::optional<FirstCredentials>> bootstrap(store::Database& db, Iam& iam, Clock& clock,
                                                  bool have_credentials) {
  std::optional<FirstCredentials> out;
  TRY(db.write([&](store::Writer& w) -> Result<void> {
    std::string account = TRY(account_of(w));
    if (account.empty()) {
      account = random_text(1, "123456789") + random_text(11, "0123456789");
      TRY(w.put({account, "", kHome, "home"}, json::object({{"account", account},
                                                            {"email", "root@" + account + ".invalid"},
                                                            {"created", clock.wall()}})));
    } else if (have_credentials) {
      return {};
    }
    const auto old = TRY(w.find("iam.access-key", "user", account + " "));
    for (const auto& row : old) TRY(w.remove(row.key));
    const auto key = TRY(iam.mint_access_key(w, account, ""));
    out = FirstCredentials{account, key.access_key_id, key.secret_access_key};
    return {};
  }));
  iam.changed();
  return out;
}

}  // namespace bastide::services
