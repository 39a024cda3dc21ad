#include "net/local_authority.h"

#include <mutex>

#include "net/loop.h"
#include "sys/file.h"

namespace bastide::net {

Result<KeyPair> local_authority(const std::string& home, Millis now) {
  return offload_result([&]() -> Result<KeyPair> {
    static std::mutex making;
    std::lock_guard lock(making);
    const auto certificate = home + "/tls/ca.pem", key = home + "/tls/ca.key";
    if (sys::exists(certificate) && sys::exists(key)) {
      auto certificate_pem = TRY(sys::read_file(certificate, 1 << 20));
      auto key_pem = TRY(sys::read_file(key, 1 << 20));
      return KeyPair{std::move(certificate_pem), std::move(key_pem)};
    }
    auto made = TRY(make_authority("Bastide local CA", now));
    TRY(sys::make_folders(home + "/tls"));
    TRY(sys::write_file(key, made.key_pem));
    TRY(sys::write_file(certificate, made.certificate_pem, 0644));
    return made;
  });
}

}  // namespace bastide::net
