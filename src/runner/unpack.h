// Archives of untrusted origin, inside bastide-unpack: the current folder is also the root folder. Everything
// returns an empty text, or what is wrong.
#pragma once

#include <cstdint>
#include <string>

namespace bastide::runner {

inline constexpr int64_t kMaxUnpackedBytes = int64_t{16} << 30;
inline constexpr int64_t kMaxEntries = 2'000'000;
inline constexpr int64_t kMaxId = 65'535;

enum class Unpack { layer, files };
// `one_owner`: every entry belongs to the folder's owner, whatever the archive says.
std::string unpack(int archive, Unpack how, bool one_owner);

enum class Pack { changes, files };
std::string pack(int archive, Pack how);

// A name in an archive as a relative path without "." and empty parts; false when it has ".." in it.
bool clean_name(const char* name, std::string& out);

}  // namespace bastide::runner
