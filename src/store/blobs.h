// Content-addressed blobs: files named by their SHA-256, written beside and renamed, fsynced before they
// exist. Blocking: call through net::offload. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/crypto.h"
#include "base/result.h"
#include "sys/fd.h"

namespace bastide::store {

class Blobs {
 public:
  static Result<std::unique_ptr<Blobs>> open(const std::string& folder);

  // An upload that can be resumed by its id, also after a restart.
  Result<std::string> begin_upload();                                     // its id
  Result<int64_t> upload_size(const std::string& id);                     // "NotFound"
  Result<int64_t> append(const std::string& id, std::string_view bytes);  // the size now
  Result<void> cancel_upload(const std::string& id);
  // Verifies "sha256:<hex>" (code "DigestMismatch" otherwise) and makes it a blob. Idempotent for a known
  // digest.
  Result<void> finish_upload(const std::string& id, const std::string& digest);

  Result<std::string> put(std::string_view bytes);  // its digest, "sha256:<hex>"
  Result<bool> has(const std::string& digest);
  Result<int64_t> size(const std::string& digest);  // "NotFound"
  Result<sys::Fd> open_read(const std::string& digest);
  Result<std::string> read(const std::string& digest, size_t max_bytes);
  Result<void> remove(const std::string& digest);
  Result<std::vector<std::string>> list();
  // Uploads not touched for `age` are dropped.
  Result<void> expire_uploads(int64_t age_ms);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

bool valid_digest(std::string_view digest);

}  // namespace bastide::store
