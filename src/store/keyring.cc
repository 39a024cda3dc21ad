#include "store/keyring.h"

#include <sys/stat.h>

#include <map>
#include <mutex>

#include "base/bytes.h"
#include "base/crypto.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

constexpr std::string_view kHeader = "bastide-master-key-1 ";
constexpr std::string_view kCheckText = "this is the right master key";
constexpr char kFormat = 1;
constexpr size_t kMaxPurposes = 256;

// RFC 5869 with SHA-256 and one block of output. https://www.rfc-editor.org/rfc/rfc5869
std::string hkdf(std::string_view secret, std::string_view salt, std::string_view info) {
  std::string extracted = hmac_sha256(salt, secret);
  std::string block(info);
  block += '\x01';
  std::string out = hmac_sha256(extracted, block);
  wipe(extracted);
  return out;
}

Result<std::string> load(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return sys::system_error(path);
  if ((st.st_mode & 077) != 0) {
    return error("Denied", path + " can be read by others; make it private: chmod 600 " + path);
  }
  auto text = TRY(sys::read_file(path, 4096));
  std::string_view body = trim(text);
  if (!body.starts_with(kHeader)) return error("Invalid", path + " is not a master key of Bastide");
  body.remove_prefix(kHeader.size());
  auto key = unbase64(body);
  wipe(text);
  if (!key || key->size() != 32) return error("Invalid", path + " is not a master key of Bastide");
  return key;
}

}  // namespace

struct Keyring::Impl {
  std::string master;
  std::mutex mutex;
  std::map<std::string, std::string, std::less<>> derived;

  ~Impl() {
    wipe(master);
    for (auto& [purpose, key] : derived) wipe(key);
  }
  std::string key(const std::string& purpose) {
    const std::lock_guard lock(mutex);
    if (auto it = derived.find(purpose); it != derived.end()) return it->second;
    std::string made = hkdf(master, "bastide", purpose);
    if (derived.size() < kMaxPurposes) derived.emplace(purpose, made);
    return made;
  }
};

Keyring::Keyring() : impl_(std::make_unique<Impl>()) {}
Keyring::~Keyring() = default;

Result<std::unique_ptr<Keyring>> Keyring::open(const std::string& key_file, const std::string& check_path) {
  const bool checked = sys::exists(check_path);
  if (!sys::exists(key_file)) {
    if (checked) {
      return error("NotFound",
                   "the master key " + key_file + " is missing; without it nothing here can be read");
    }
    std::string master = random_bytes(32);
    std::string text = std::string(kHeader) + base64(master) + "\n";
    auto written = sys::write_file(key_file, text, 0600);
    wipe(text);
    wipe(master);
    TRY(std::move(written));
  }
  std::unique_ptr<Keyring> ring(new Keyring);
  ring->impl_->master = TRY(load(key_file));
  if (!checked) {
    TRY(sys::write_file(check_path, ring->seal("check", kCheckText, ""), 0600));
    return ring;
  }
  const std::string sealed = TRY(sys::read_file(check_path, 4096));
  const auto text = ring->unseal("check", sealed, "");
  if (!text || *text != kCheckText) {
    return error("WrongKey", key_file + " is not the master key under which this home was made");
  }
  return ring;
}

std::string Keyring::seal(const std::string& purpose, std::string_view plaintext, std::string_view context) {
  std::string key = impl_->key(purpose);
  std::string out(1, kFormat);
  out += bastide::seal(key, plaintext, context);
  wipe(key);
  return out;
}

Result<std::string> Keyring::unseal(const std::string& purpose, std::string_view sealed,
                                    std::string_view context) {
  if (sealed.empty() || sealed[0] != kFormat) return error("Invalid", "sealed text has an unknown format");
  std::string key = impl_->key(purpose);
  auto out = bastide::unseal(key, sealed.substr(1), context);
  wipe(key);
  return out;
}

}  // namespace bastide::store
