// The file of the master key. It holds one key of 32 bytes a generation, oldest first: the newest seals, all
// open. Either in clear ("bastide-master-key-1", for disks that are protected otherwise), or wrapped under a
// passphrase (scrypt) or under the bytes of a key file that is kept elsewhere. Blocking: scrypt takes about
// half a second and 128 MiB.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace bastide::store {

// Generations; wiped when it ends.
class MasterKeys {
 public:
  MasterKeys() = default;
  explicit MasterKeys(std::vector<std::string> keys) : keys_(std::move(keys)) {}
  MasterKeys(MasterKeys&&) = default;
  MasterKeys& operator=(MasterKeys&&) = default;
  ~MasterKeys();
  const std::vector<std::string>& all() const { return keys_; }
  void add_generation();

 private:
  std::vector<std::string> keys_;
};

inline constexpr size_t kMaxGenerations = 200;

struct KeyProtection {
  enum class Kind { clear, passphrase, file };
  Kind kind = Kind::clear;
  std::string key_file;  // of `file`
};

Result<KeyProtection> key_protection(const std::string& path);

// `passphrase` counts where one protects the key. "WrongKey" where it, or the key file, is not the right one;
// "Locked" where a passphrase is needed and empty.
Result<MasterKeys> open_master_keys(const std::string& path, const std::string& passphrase);

// Replaces the file in one step, keeping its owner. Makes the key file where it is missing.
Result<void> save_master_keys(const std::string& path, const MasterKeys& keys,
                              const KeyProtection& protection, const std::string& passphrase);

// The passphrase, or the key file's bytes, that this process was given: on the descriptor of BASTIDE_UNLOCK_FD (from serve), in the
// file of BASTIDE_PASSPHRASE_FILE, or as systemd credential `bastide-passphrase`. Empty: none.
Result<std::string> given_passphrase();

}  // namespace bastide::store
