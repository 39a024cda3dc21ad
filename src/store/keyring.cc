#include "store/keyring.h"

#include <map>
#include <mutex>

#include "base/crypto.h"
#include "store/master_key.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

constexpr std::string_view kCheckText = "this is the right master key";
constexpr char kFirstGeneration = 1;  // and nothing more
constexpr char kOtherGeneration = 2;  // then one byte: which
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

}  // namespace

struct Keyring::Impl {
  MasterKeys masters;
  std::mutex mutex;
  std::map<std::pair<size_t, std::string>, std::string> derived;

  ~Impl() {
    for (auto& [purpose, key] : derived) wipe(key);
  }
  size_t newest() const { return masters.all().size() - 1; }
  std::string key(size_t generation, const std::string& purpose) {
    const std::lock_guard lock(mutex);
    if (auto it = derived.find({generation, purpose}); it != derived.end()) return it->second;
    std::string made = hkdf(masters.all()[generation], "bastide", purpose);
    if (derived.size() < kMaxPurposes) derived.emplace(std::pair(generation, purpose), made);
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
    MasterKeys fresh;
    fresh.add_generation();
    TRY(save_master_keys(key_file, fresh, {}, ""));
  }
  std::unique_ptr<Keyring> ring(new Keyring);
  std::string passphrase = TRY(given_passphrase());
  auto opened = open_master_keys(key_file, passphrase);
  wipe(passphrase);
  if (!opened) return std::move(opened).error();
  ring->impl_->masters = std::move(*opened);
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
  const size_t generation = impl_->newest();
  std::string key = impl_->key(generation, purpose);
  std::string out(1, generation == 0 ? kFirstGeneration : kOtherGeneration);
  if (generation != 0) out += static_cast<char>(generation);
  out += bastide::seal(key, plaintext, context);
  wipe(key);
  return out;
}

Result<std::string> Keyring::unseal(const std::string& purpose, std::string_view sealed,
                                    std::string_view context) {
  const bool other = sealed.size() > 1 && sealed[0] == kOtherGeneration;
  const size_t generation = other ? static_cast<uint8_t>(sealed[1]) : 0;
  if (sealed.empty() || (sealed[0] != kFirstGeneration && !other))
    return error("Invalid", "sealed text has an unknown format");
  if (generation > impl_->newest())
    return error("WrongKey", "sealed under a generation of the master key that this one lacks");
  std::string key = impl_->key(generation, purpose);
  auto out = bastide::unseal(key, sealed.substr(other ? 2 : 1), context);
  wipe(key);
  return out;
}

}  // namespace bastide::store
