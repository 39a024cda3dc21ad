#include "store/page.h"

#include "base/bytes.h"

namespace bastide::store {

std::string seal_page(Keyring& keyring, const std::string& scope, const std::string& last) {
  return base64url(keyring.seal("page", last, scope));
}

Result<std::string> open_page(Keyring& keyring, const std::string& scope, const std::string& token) {
  const auto sealed = unbase64url(token);
  if (!sealed) return error("Invalid", "not a page token");
  return keyring.unseal("page", *sealed, scope);
}

}  // namespace bastide::store
