// Whatever blob comes to KMS, it is refused or was made with this key and context: nothing crashes, and no
// change of a ciphertext opens.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "services/kms/asymmetric.h"
#include "services/kms/ciphertext.h"

using namespace bastide;
using namespace bastide::services;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view blob(reinterpret_cast<const char*>(data), size);
  const std::string material(32, 'm'), id = "0123abcd-0000-4000-8000-0123456789ab", material_id(32, 'i');
  const EncryptionContext context{{"app", "web"}};
  static const std::string good = make_ciphertext(id, material_id, material, "s3cret", context);
  if (const auto head = read_head(blob)) CHECK(head->key_id.size() == 36 && head->material.size() == 32);
  const auto opened = open_ciphertext(blob, material, context);
  CHECK(!opened || blob == good);
  // The input as a change of a good one.
  std::string changed = good;
  for (size_t i = 0; i < size; ++i)
    changed[i % changed.size()] = static_cast<char>(changed[i % changed.size()] ^ data[i]);
  const auto again = open_ciphertext(changed, material, context);
  CHECK(again.ok() == (changed == good));
  CHECK(open_ciphertext(good, material, context).ok() && !open_ciphertext(good, material, {}).ok());
  if (const auto key = aes_key_unwrap(material, blob)) CHECK(key->size() <= blob.size());
  return 0;
}
