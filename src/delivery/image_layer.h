// Writing layers: a tar of a FileTree, the same bytes for the same files, compressed by gzip.
// https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md
#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"
#include "delivery/image_tree.h"
#include "sys/fd.h"

namespace bastide::delivery {

inline constexpr std::string_view kLayerType = "application/vnd.oci.image.layer.v1.tar+gzip";

struct Layer {
  std::string digest;   // of the compressed bytes
  std::string diff_id;  // of the tar
  std::string media_type;
  int64_t size = 0;
};

struct WrittenLayer {
  Layer layer;
  sys::Fd file;  // unnamed, at its beginning
};

// Entries in the order of their paths, each with this time and with names of nobody. Blocking.
Result<WrittenLayer> write_layer(const FileTree& tree, Millis time, const std::string& work_folder);

// A layer of an archive as it is: decompressed, and compressed by gzip. Blocking.
Result<WrittenLayer> repack_layer(int fd, const std::string& work_folder);

}  // namespace bastide::delivery
