#include "base/checksum.h"

#include <openssl/evp.h>
#include <zlib.h>

#include <array>
#include <cstring>
#include <utility>

#include "base/check.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace bastide {
namespace {

// Reflected polynomials.
constexpr uint64_t kCrc32 = 0xEDB88320u;
constexpr uint64_t kCrc32c = 0x82F63B78u;
constexpr uint64_t kCrc64Nvme = 0x9A6C9329AC4BC9B5u;

using Tables = std::array<std::array<uint64_t, 256>, 8>;

constexpr Tables make_tables(uint64_t polynomial) {
  Tables out{};
  for (uint64_t i = 0; i < 256; ++i) {
    uint64_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ polynomial : crc >> 1;
    out[0][i] = crc;
  }
  for (size_t t = 1; t < 8; ++t) {
    for (size_t i = 0; i < 256; ++i) out[t][i] = out[t - 1][i] >> 8 ^ out[0][out[t - 1][i] & 255];
  }
  return out;
}

constexpr Tables kTables64 = make_tables(kCrc64Nvme);
constexpr Tables kTables32c = make_tables(kCrc32c);

uint64_t run(const Tables& t, uint64_t crc, std::string_view bytes) {
  const char* p = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; p += 8, left -= 8) {
    uint64_t word = 0;
    std::memcpy(&word, p, 8);
    word ^= crc;
    crc = t[7][word & 255] ^ t[6][word >> 8 & 255] ^ t[5][word >> 16 & 255] ^ t[4][word >> 24 & 255] ^
          t[3][word >> 32 & 255] ^ t[2][word >> 40 & 255] ^ t[1][word >> 48 & 255] ^ t[0][word >> 56];
  }
  for (; left > 0; ++p, --left) crc = t[0][(crc ^ static_cast<uint8_t>(*p)) & 255] ^ crc >> 8;
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t crc32c_hardware(uint32_t crc, std::string_view bytes) {
  const char* p = bytes.data();
  size_t left = bytes.size();
  uint64_t wide = crc;
  for (; left >= 8; p += 8, left -= 8) {
    uint64_t word = 0;
    std::memcpy(&word, p, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  auto narrow = static_cast<uint32_t>(wide);
  for (; left > 0; ++p, --left) narrow = _mm_crc32_u8(narrow, static_cast<uint8_t>(*p));
  return narrow;
}
#endif

const EVP_MD* digest_of(ChecksumKind kind) {
  switch (kind) {
    case ChecksumKind::sha1:
      return EVP_sha1();
    case ChecksumKind::sha256:
      return EVP_sha256();
    case ChecksumKind::sha512:
      return EVP_sha512();
    case ChecksumKind::md5:
      return EVP_md5();
    default:
      return nullptr;
  }
}

std::string big_endian(uint64_t value, size_t size) {
  std::string out;
  for (size_t i = size; i-- > 0;) out += static_cast<char>(value >> (8 * i) & 255);
  return out;
}

uint64_t number_of(std::string_view bytes) {
  uint64_t out = 0;
  for (const char c : bytes) out = out << 8 | static_cast<uint8_t>(c);
  return out;
}

// a * b modulo the polynomial, bits reflected, of `width` bits.
uint64_t multiply(uint64_t polynomial, int width, uint64_t a, uint64_t b) {
  uint64_t out = 0;
  for (uint64_t mask = uint64_t{1} << (width - 1); mask != 0; mask >>= 1) {
    if ((a & mask) != 0) out ^= b;
    b = (b & 1) != 0 ? b >> 1 ^ polynomial : b >> 1;
  }
  return out;
}

uint64_t polynomial_of(ChecksumKind kind) {
  return kind == ChecksumKind::crc32 ? kCrc32 : kind == ChecksumKind::crc32c ? kCrc32c : kCrc64Nvme;
}

}  // namespace

const char* checksum_name(ChecksumKind kind) {
  constexpr const char* kNames[] = {"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5"};
  return kNames[static_cast<size_t>(kind)];
}

std::optional<ChecksumKind> checksum_kind(std::string_view name) {
  for (const ChecksumKind kind : kChecksumKinds) {
    if (name == checksum_name(kind)) return kind;
  }
  return std::nullopt;
}

bool is_crc(ChecksumKind kind) { return kind <= ChecksumKind::crc64nvme; }

uint32_t crc32c(uint32_t crc, std::string_view bytes) {
  crc = ~crc;
#if defined(__x86_64__)
  static const bool hardware = __builtin_cpu_supports("sse4.2") != 0;
  if (hardware) return ~crc32c_hardware(crc, bytes);
#endif
  return ~static_cast<uint32_t>(run(kTables32c, crc, bytes));
}

Checksum::Checksum(ChecksumKind kind) : kind_(kind) {
  if (const EVP_MD* md = digest_of(kind)) {
    digest_ = EVP_MD_CTX_new();
    CHECK(digest_ != nullptr && EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(digest_), md, nullptr) == 1);
  }
  if (kind == ChecksumKind::crc64nvme) crc_ = ~uint64_t{0};
}

Checksum::~Checksum() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(digest_)); }

Checksum::Checksum(Checksum&& other) noexcept
    : kind_(other.kind_), crc_(other.crc_), digest_(std::exchange(other.digest_, nullptr)) {}

Checksum& Checksum::operator=(Checksum&& other) noexcept {
  std::swap(kind_, other.kind_);
  std::swap(crc_, other.crc_);
  std::swap(digest_, other.digest_);
  return *this;
}

void Checksum::update(std::string_view bytes) {
  switch (kind_) {
    case ChecksumKind::crc32:
      crc_ = crc32_z(crc_, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
      return;
    case ChecksumKind::crc32c:
      crc_ = crc32c(static_cast<uint32_t>(crc_), bytes);
      return;
    case ChecksumKind::crc64nvme:
      crc_ = run(kTables64, crc_, bytes);
      return;
    default:
      CHECK(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(digest_), bytes.data(), bytes.size()) == 1);
  }
}

std::string Checksum::finish() {
  if (kind_ == ChecksumKind::crc64nvme) return big_endian(~crc_, 8);
  if (digest_ == nullptr) return big_endian(crc_, 4);
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  CHECK(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(digest_), out, &size) == 1);
  return {reinterpret_cast<const char*>(out), size};
}

std::string checksum(ChecksumKind kind, std::string_view bytes) {
  Checksum made(kind);
  made.update(bytes);
  return made.finish();
}

std::string combine_crc(ChecksumKind kind, std::string_view a, std::string_view b, uint64_t b_length) {
  const int width = kind == ChecksumKind::crc64nvme ? 64 : 32;
  const uint64_t polynomial = polynomial_of(kind);
  const uint64_t one = uint64_t{1} << (width - 1);                                // x^0
  uint64_t power = multiply(polynomial, width, one >> 4, one >> 4), shift = one;  // x^8, squared at each step
  for (; b_length != 0; b_length >>= 1) {
    if ((b_length & 1) != 0) shift = multiply(polynomial, width, shift, power);
    power = multiply(polynomial, width, power, power);
  }
  const uint64_t combined = multiply(polynomial, width, number_of(a), shift) ^ number_of(b);
  return big_endian(combined, static_cast<size_t>(width) / 8);
}

}  // namespace bastide
