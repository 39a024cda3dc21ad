// What Encrypt returns for a symmetric key: version (1) | key id (16 bytes) | material id (32 bytes) | nonce
// (12) | ciphertext | tag (16). Version, ids and the encryption context are bound as associated data.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bastide::services {

using EncryptionContext = std::map<std::string, std::string>;

struct CiphertextHead {
  std::string key_id;    // as text
  std::string material;  // raw material id
};

Result<CiphertextHead> read_head(std::string_view blob);
std::string make_ciphertext(std::string_view key_id, std::string_view material_id, std::string_view material,
                            std::string_view plaintext, const EncryptionContext& context);
Result<std::string> open_ciphertext(std::string_view blob, std::string_view material,
                                    const EncryptionContext& context);

}  // namespace bastide::services
