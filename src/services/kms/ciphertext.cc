#include "services/kms/ciphertext.h"

#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::services {
namespace {

constexpr char kVersion = 1;
constexpr size_t kHead = 1 + 16 + 32;
constexpr size_t kSealing = 12 + 16;

void append_text(std::string& out, std::string_view text) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((text.size() >> shift) & 0xff);
  out += text;
}

std::string associated(std::string_view head, const EncryptionContext& context) {
  std::string out(head);
  for (const auto& [key, value] : context) {
    append_text(out, key);
    append_text(out, value);
  }
  return out;
}

}  // namespace

Result<CiphertextHead> read_head(std::string_view blob) {
  if (blob.size() < kHead + kSealing || blob[0] != kVersion)
    return error("Invalid", "not a ciphertext of this KMS");
  const std::string id = hex(blob.substr(1, 16));
  CiphertextHead head;
  head.key_id = id.substr(0, 8) + "-" + id.substr(8, 4) + "-" + id.substr(12, 4) + "-" + id.substr(16, 4) +
                "-" + id.substr(20);
  head.material = blob.substr(17, 32);
  return head;
}

std::string make_ciphertext(std::string_view key_id, std::string_view material_id, std::string_view material,
                            std::string_view plaintext, const EncryptionContext& context) {
  auto id = unhex(replace_all(key_id, "-", ""));
  CHECK(id && id->size() == 16 && material_id.size() == 32);
  std::string out(1, kVersion);
  out += *id;
  out += material_id;
  return out + seal(material, plaintext, associated(out, context));
}

Result<std::string> open_ciphertext(std::string_view blob, std::string_view material,
                                    const EncryptionContext& context) {
  if (blob.size() < kHead + kSealing) return error("Invalid", "too short");
  return unseal(material, blob.substr(kHead), associated(blob.substr(0, kHead), context));
}

}  // namespace bastide::services
