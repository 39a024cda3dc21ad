#include "services/iam/bootstrap.h"

#include "base/crypto.h"

namespace bastide::services {

Result<std::string> bootstrap(store::Database& db, Clock& clock) {
  constexpr const char* kHome = "organizations.home";
  std::string account;
  TRY(db.write([&](store::Writer& w) -> Result<void> {
    const auto rows = TRY(w.list("*", "", kHome));
    if (!rows.empty()) {
      account = rows.front().key.account;
      return {};
    }
    account = random_text(1, "123456789") + random_text(11, "0123456789");
    return w.put({account, "", kHome, "home"},
                 json::object({{"account", account}, {"email", "root@" + account + ".invalid"}, {"created", clock.wall()}}));
  }));
  return account;
}

}  // namespace bastide::services
