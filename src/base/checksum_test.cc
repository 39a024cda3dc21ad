#include "base/checksum.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace bastide {
namespace {

// The check values of the catalogue of parametrised CRC algorithms, and of RFC 1321, FIPS 180.
TEST(Checksum, GivesThePublishedCheckValues) {
  const std::string text = "123456789";
  EXPECT_EQ(hex(checksum(ChecksumKind::crc32, text)), "cbf43926");
  EXPECT_EQ(hex(checksum(ChecksumKind::crc32c, text)), "e3069283");
  EXPECT_EQ(hex(checksum(ChecksumKind::crc64nvme, text)), "ae8b14860a799888");
  EXPECT_EQ(hex(checksum(ChecksumKind::sha1, "abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hex(checksum(ChecksumKind::md5, "abc")), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(hex(checksum(ChecksumKind::sha256, "")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Checksum, PiecesAndCombinationsGiveTheWhole) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += static_cast<char>(i * 31 + i / 7);
  for (const ChecksumKind kind : kChecksumKinds) {
    const std::string whole = checksum(kind, text);
    for (const size_t at : {size_t{0}, size_t{1}, size_t{13}, size_t{4096}, text.size()}) {
      Checksum pieces(kind);
      pieces.update(std::string_view(text).substr(0, at));
      pieces.update(std::string_view(text).substr(at));
      EXPECT_EQ(hex(pieces.finish()), hex(whole)) << checksum_name(kind) << " " << at;
      if (!is_crc(kind)) continue;
      EXPECT_EQ(hex(combine_crc(kind, checksum(kind, std::string_view(text).substr(0, at)),
                                checksum(kind, std::string_view(text).substr(at)), text.size() - at)),
                hex(whole))
          << checksum_name(kind) << " " << at;
    }
  }
  EXPECT_EQ(checksum_kind("CRC64NVME"), ChecksumKind::crc64nvme);
  EXPECT_FALSE(checksum_kind("XXHASH64").has_value());
}

}  // namespace
}  // namespace bastide
