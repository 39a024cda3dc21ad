// An object's data files, read one behind the other.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "store/object_data.h"

namespace bastide::services::s3 {

class Chain {
 public:
  // From `offset`, `length` bytes. Borrows `data`.
  Chain(store::ObjectData& data, const json::Value& files, std::string object_key, int64_t offset,
        int64_t length);
  ~Chain();
  Chain(const Chain&) = delete;
  // The next piece, at most `max` bytes; empty at the end. Waits.
  Result<std::string> next(size_t max);

 private:
  struct File {
    std::string id, sealed_key;
    int64_t size = 0;
  };
  Result<std::string> read(size_t max);

  store::ObjectData& data_;
  std::string object_key_;
  std::vector<File> files_;
  size_t at_ = 0;       // of files_
  int64_t offset_ = 0;  // in that file
  int64_t left_ = 0;
  std::unique_ptr<store::ObjectData::Reader> reader_;
};

}  // namespace bastide::services::s3
