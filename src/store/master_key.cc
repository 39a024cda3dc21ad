#include "store/master_key.h"

#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/json.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

constexpr std::string_view kHeader = "bastide-master-key-1 ";
constexpr const char* kFormat = "bastide-master-key-2";
constexpr size_t kKeySize = 32;
constexpr size_t kMaxFile = 64 << 10;
constexpr size_t kMaxSecret = 4096;
constexpr uint64_t kScryptN = 1 << 17, kScryptR = 8, kScryptP = 1;
constexpr uint64_t kScryptMemory = 256u << 20;
constexpr size_t kShortestPassphrase = 8;

Error not_a_key(const std::string& path) {
  return error("Invalid", path + " is not a master key of Bastide");
}

// https://www.rfc-editor.org/rfc/rfc7914
Result<std::string> scrypt(const std::string& passphrase, const std::string& salt, uint64_t n, uint64_t r,
                           uint64_t p) {
  std::string out(kKeySize, '\0');
  if (EVP_PBE_scrypt(passphrase.data(), passphrase.size(),
                     reinterpret_cast<const unsigned char*>(salt.data()), salt.size(), n, r, p, kScryptMemory,
                     reinterpret_cast<unsigned char*>(out.data()), out.size()) != 1) {
    return error("Crypto", "scrypt failed");
  }
  return out;
}

// Nobody else may read what opens everything.
Result<std::string> read_private(const std::string& path, size_t most) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return sys::system_error(path);
  if ((st.st_mode & 077) != 0) {
    return error("Denied", path + " can be read by others; make it private: chmod 600 " + path);
  }
  return sys::read_file(path, most);
}

void strip_newlines(std::string& text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
}

// What serve read for a control that may not read the file itself counts as the file.
Result<std::string> key_of_file(const std::string& path, const std::string& handed_over) {
  auto text = read_private(path, kMaxSecret);
  if (!text && text.error().code != "NotFound" && !handed_over.empty()) text = handed_over;
  if (!text) return error(text.error().code, "the key file of the master key: " + text.error().message);
  strip_newlines(*text);
  if (text->size() < kKeySize) return error("WrongKey", path + " is shorter than 32 bytes");
  std::string key = sha256(*text);
  wipe(*text);
  return key;
}

Result<MasterKeys> split_keys(std::string plain, const std::string& path) {
  std::vector<std::string> keys;
  if (plain.empty() || plain.size() % kKeySize != 0 || plain.size() / kKeySize > kMaxGenerations)
    return not_a_key(path);
  for (size_t at = 0; at < plain.size(); at += kKeySize) keys.push_back(plain.substr(at, kKeySize));
  wipe(plain);
  return MasterKeys(std::move(keys));
}

Result<json::Value> wrapped(const std::string& text, const std::string& path) {
  auto v = json::parse(text);
  if (!v || v->get("format") != kFormat) return not_a_key(path);
  return v;
}

Result<std::string> wrapping_key(const json::Value& v, const std::string& path,
                                 const std::string& passphrase) {
  const std::string kind = v.get("protection");
  if (kind == "file") return key_of_file(v.get("keyFile"), passphrase);
  if (kind != "passphrase") return not_a_key(path);
  if (passphrase.empty()) {
    return error("Locked", "the master key " + path +
                               " is protected by a passphrase: start 'bastide serve' on a terminal, or give "
                               "the passphrase in the file of "
                               "BASTIDE_PASSPHRASE_FILE or as systemd credential bastide-passphrase");
  }
  const std::string salt = TRY(unbase64(v.get("salt")));
  const auto n = v.get_int("n"), r = v.get_int("r"), p = v.get_int("p");
  if (n < 2 || n > 1 << 20 || r < 1 || r > 32 || p < 1 || p > 16) return not_a_key(path);
  return scrypt(passphrase, salt, static_cast<uint64_t>(n), static_cast<uint64_t>(r),
                static_cast<uint64_t>(p));
}

}  // namespace

MasterKeys::~MasterKeys() {
  for (auto& key : keys_) wipe(key);
}

void MasterKeys::add_generation() { keys_.push_back(random_bytes(kKeySize)); }

Result<KeyProtection> key_protection(const std::string& path) {
  const std::string text = TRY(read_private(path, kMaxFile));
  if (trim(text).starts_with(kHeader)) return KeyProtection{};
  const auto v = TRY(wrapped(text, path));
  if (v.get("protection") == "file") return KeyProtection{KeyProtection::Kind::file, v.get("keyFile")};
  return KeyProtection{KeyProtection::Kind::passphrase, ""};
}

Result<MasterKeys> open_master_keys(const std::string& path, const std::string& passphrase) {
  std::string text = TRY(read_private(path, kMaxFile));
  std::string_view body = trim(text);
  if (body.starts_with(kHeader)) {
    body.remove_prefix(kHeader.size());
    auto plain = unbase64(body);
    wipe(text);
    if (!plain) return not_a_key(path);
    return split_keys(std::move(*plain), path);
  }
  const auto v = TRY(wrapped(text, path));
  std::string key = TRY(wrapping_key(v, path, passphrase));
  const std::string sealed = TRY(unbase64(v.get("wrapped")));
  auto plain = unseal(key, sealed, kFormat);
  wipe(key);
  if (!plain) {
    return error("WrongKey", v.get("protection") == "file"
                                 ? v.get("keyFile") + " is not the key file of " + path
                                 : "this is not the passphrase of " + path);
  }
  return split_keys(std::move(*plain), path);
}

Result<void> save_master_keys(const std::string& path, const MasterKeys& keys,
                              const KeyProtection& protection, const std::string& passphrase) {
  std::string plain;
  for (const auto& key : keys.all()) plain += key;
  std::string text;
  if (protection.kind == KeyProtection::Kind::clear) {
    text = std::string(kHeader) + base64(plain) + "\n";
  } else {
    json::Value v = json::object({{"format", kFormat}});
    if (protection.kind == KeyProtection::Kind::file) {
      if (!protection.key_file.starts_with('/'))
        return error("Invalid", "the key file needs its whole path: " + protection.key_file);
      if (!sys::exists(protection.key_file)) {
        std::string fresh = base64(random_bytes(48)) + "\n";
        const auto made = sys::write_file(protection.key_file, fresh);
        wipe(fresh);
        TRY(made);
      }
      v["protection"] = "file";
      v["keyFile"] = protection.key_file;
    } else {
      if (passphrase.size() < kShortestPassphrase)
        return error("Invalid", "a passphrase has at least 8 characters");
      v["protection"] = "passphrase";
      v["salt"] = base64(random_bytes(32));
      v["n"] = static_cast<int64_t>(kScryptN);
      v["r"] = static_cast<int64_t>(kScryptR);
      v["p"] = static_cast<int64_t>(kScryptP);
    }
    std::string key = TRY(wrapping_key(v, path, passphrase));
    v["wrapped"] = base64(seal(key, plain, kFormat));
    wipe(key);
    text = json::pretty(v);
  }
  wipe(plain);
  struct stat st {};
  const bool there = ::stat(path.c_str(), &st) == 0;
  const std::string fresh = path + ".new";
  auto written = sys::write_file(fresh, text, 0600);
  wipe(text);
  TRY(written);
  if (there && ::geteuid() == 0 && ::chown(fresh.c_str(), st.st_uid, st.st_gid) != 0)
    return sys::system_error(fresh);
  // What cannot be opened again never takes the place of what can.
  TRY(open_master_keys(fresh, passphrase));
  if (::rename(fresh.c_str(), path.c_str()) != 0) return sys::system_error(path);
  const size_t slash = path.rfind('/');
  return sys::sync_folder(slash == std::string::npos ? "." : path.substr(0, slash + 1));
}

Result<std::string> given_passphrase() {
  std::string text;
  const char* credentials = std::getenv("CREDENTIALS_DIRECTORY");
  const std::string credential =
      credentials == nullptr ? "" : std::string(credentials) + "/bastide-passphrase";
  if (const char* fd = std::getenv("BASTIDE_UNLOCK_FD")) {
    const auto number = TRY(parse_int(fd));
    char buffer[kMaxSecret];
    const ssize_t n = ::pread(static_cast<int>(number), buffer, sizeof buffer, 0);
    if (n < 0) return sys::system_error("BASTIDE_UNLOCK_FD");
    text.assign(buffer, static_cast<size_t>(n));
    OPENSSL_cleanse(buffer, sizeof buffer);
  } else if (const char* file = std::getenv("BASTIDE_PASSPHRASE_FILE")) {
    text = TRY(read_private(file, kMaxSecret));
  } else if (!credential.empty() && sys::exists(credential)) {
    text = TRY(sys::read_file(credential, kMaxSecret));
  }
  strip_newlines(text);
  return text;
}

}  // namespace bastide::store
