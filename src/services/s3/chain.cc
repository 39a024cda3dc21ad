#include "services/s3/chain.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "net/loop.h"

namespace bastide::services::s3 {

Chain::Chain(store::ObjectData& data, const json::Value& files, std::string object_key, int64_t offset,
             int64_t length)
    : data_(data), object_key_(std::move(object_key)), offset_(offset), left_(length) {
  for (const auto& one : files.array())
    files_.push_back({one.get("id"), one.get("key"), one.get_int("size")});
  while (at_ < files_.size() && offset_ >= files_[at_].size) offset_ -= files_[at_++].size;
}

Chain::~Chain() { wipe(object_key_); }

Result<std::string> Chain::read(size_t max) {
  std::string out;
  max = std::min(max, static_cast<size_t>(left_));
  out.reserve(max);
  while (out.size() < max) {
    if (at_ >= files_.size()) return error("Damaged", "object data ends early");
    const File& file = files_[at_];
    if (reader_ == nullptr) {
      const std::string sealed = TRY(unbase64(file.sealed_key));
      std::string key = TRY(unseal(object_key_, sealed, file.id));
      reader_ = TRY(data_.open_read(file.id, key));
      wipe(key);
      if (reader_->size() != file.size) return error("Damaged", "object data of another size");
    }
    const size_t before = out.size();
    const auto here =
        static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(max - before), file.size - offset_));
    TRY(reader_->read(offset_, here, out));
    offset_ += static_cast<int64_t>(out.size() - before);
    if (offset_ < file.size) continue;
    reader_.reset();
    offset_ = 0;
    ++at_;
  }
  left_ -= static_cast<int64_t>(out.size());
  return out;
}

Result<std::string> Chain::next(size_t max) {
  if (left_ <= 0) return std::string();
  return net::offload_result([&] { return read(max); });
}

}  // namespace bastide::services::s3
