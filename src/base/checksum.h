// The checksums that S3 knows, computed piece by piece.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace bastide {

enum class ChecksumKind : uint8_t { crc32, crc32c, crc64nvme, sha1, sha256, sha512, md5 };
inline constexpr ChecksumKind kChecksumKinds[] = {
    ChecksumKind::crc32,  ChecksumKind::crc32c, ChecksumKind::crc64nvme, ChecksumKind::sha1,
    ChecksumKind::sha256, ChecksumKind::sha512, ChecksumKind::md5};

const char* checksum_name(ChecksumKind kind);  // "CRC64NVME"
std::optional<ChecksumKind> checksum_kind(std::string_view name);
bool is_crc(ChecksumKind kind);

// On one thread at a time.
class Checksum {
 public:
  explicit Checksum(ChecksumKind kind);
  ~Checksum();
  Checksum(Checksum&&) noexcept;
  Checksum& operator=(Checksum&&) noexcept;
  ChecksumKind kind() const { return kind_; }
  void update(std::string_view bytes);
  std::string finish();  // raw bytes, big-endian; once

 private:
  ChecksumKind kind_;
  uint64_t crc_ = 0;
  void* digest_ = nullptr;
};

std::string checksum(ChecksumKind kind, std::string_view bytes);

// The CRC of A followed by B, from those of A and B and the length of B. Raw bytes.
std::string combine_crc(ChecksumKind kind, std::string_view a, std::string_view b, uint64_t b_length);

uint32_t crc32c(uint32_t crc, std::string_view bytes);  // begins with 0

}  // namespace bastide
