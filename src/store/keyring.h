// The master key and what is kept under it. The master key comes from a key file (0600, made on first start);
// everything secret at rest is sealed under a key derived from it for its purpose (HKDF-SHA256).
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace bastide::store {

class Keyring {
 public:
  // Makes the file where it is missing. `check_path` keeps a sealed constant, so that a wrong key is refused
  // clearly before anything is touched.
  static Result<std::unique_ptr<Keyring>> open(const std::string& key_file, const std::string& check_path);
  ~Keyring();

  // AES-256-GCM, bound to purpose and context; binary out. Derived keys are cached. Thread-safe.
  std::string seal(const std::string& purpose, std::string_view plaintext, std::string_view context);
  Result<std::string> unseal(const std::string& purpose, std::string_view sealed, std::string_view context);

 private:
  Keyring();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bastide::store
