// Unpacked image layers on disk, by digest: <home>/runner/layers/sha256-.../tree, owned by the neutral uid
// range. A layer is there whole or not at all. Thread-safe; put() blocks for as long as unpacking takes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "runner/stage.h"
#include "sys/fd.h"

namespace bastide::runner {

class Layers {
 public:
  // Removes what an earlier runner left half unpacked, and makes the skeleton.
  static Result<std::unique_ptr<Layers>> open(const Stage& stage);

  bool has(const std::string& digest) const;
  std::vector<std::string> missing(const std::vector<std::string>& digests) const;
  // `blob` must have this digest. Media types: OCI's and Docker's layers, plain, gzip or zstd.
  Result<void> put(const std::string& digest, const std::string& media_type, sys::Fd blob);
  std::string tree(const std::string& digest) const;
  // The lowest layer under everything: the files and folders that mounts need, so that none appear above.
  std::string skeleton() const { return folder_ + "/skeleton"; }

 private:
  explicit Layers(const Stage& stage) : stage_(stage), folder_(stage.layers()) {}
  const Stage& stage_;
  std::string folder_;
};

// The folders and files that mounts of containers need, under `root`.
Result<void> make_skeleton(const std::string& root, uint32_t uid);

}  // namespace bastide::runner
