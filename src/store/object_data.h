// The data of S3's objects: files under random ids, encrypted block by block with a key that the caller
// keeps, with a checksum per block; on disk, folder included, before finish() returns. A file that was never
// finished or that no row names is garbage: see objects.h.
//
// Layout: blocks of 64 KiB (AES-256-GCM, the block's index as nonce), then 20 bytes a block (CRC-32C of what
// is stored, tag), then a footer. Blocking: call through net::offload. A Writer or Reader is used by one
// thread at a time, ObjectData by any.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace bastide::store {

inline constexpr size_t kDataKeySize = 32;
inline constexpr size_t kDataBlock = 64u << 10;

class ObjectData {
 public:
  static Result<std::unique_ptr<ObjectData>> open(const std::string& folder);

  class Writer {
   public:
    ~Writer();  // what was not finished is removed
    Result<void> append(std::string_view bytes);
    Result<void> finish();
    const std::string& id() const { return id_; }
    int64_t size() const { return size_; }

   private:
    friend class ObjectData;
    Writer() = default;
    Result<void> put_block(std::string_view plain);

    std::string path_, folder_, id_;
    sys::Fd fd_;
    void* cipher_ = nullptr;
    std::string pending_;  // less than a block
    std::string table_;
    int64_t size_ = 0;
    uint64_t blocks_ = 0;
    bool finished_ = false;
  };

  class Reader {
   public:
    ~Reader();
    int64_t size() const { return size_; }
    // Up to `size` bytes from `offset`, appended to `out`; "Damaged" where a block is not what was written.
    Result<void> read(int64_t offset, size_t size, std::string& out);

   private:
    friend class ObjectData;
    Reader() = default;
    Result<std::string_view> block(uint64_t index);

    sys::Fd fd_;
    void* cipher_ = nullptr;
    std::string table_, stored_, plain_;
    uint64_t cached_ = ~uint64_t{0};
    int64_t size_ = 0;
  };

  Result<std::unique_ptr<Writer>> create(std::string_view key);
  Result<std::unique_ptr<Reader>> open_read(const std::string& id, std::string_view key);  // "NotFound"
  Result<void> remove(const std::string& id);  // no error where it is not there
  // Ids of files last written before `before`.
  Result<std::vector<std::string>> list(Millis before);
  // Reads every block and compares its checksum; "Damaged", "NotFound". Needs no key.
  Result<void> verify(const std::string& id);

 private:
  std::string folder_;
};

}  // namespace bastide::store
