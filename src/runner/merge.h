// Puts a layer as it lies on disk (unpack.h: whiteouts as overlayfs wants them) over a root folder, for tiers
// that cannot mount. Inside bastide-unpack, confined to the target, which is the current folder.
#pragma once

#include <string>

namespace bastide::runner {
std::string merge(int layer);  // a folder's descriptor; an empty text, or what is wrong
}
