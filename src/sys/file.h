// Files and folders. Blocking: on the control reactor call these through net::offload unless the file is tiny.
// Files are made 0600 and folders 0700 unless told otherwise.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sys/fd.h"

namespace bastide::sys {

Result<Fd> open_read(const std::string& path);
Result<std::string> read_all(int fd, size_t max_bytes);  // "TooLarge" beyond it
Result<std::string> read_file(const std::string& path, size_t max_bytes = 64u << 20);
Result<void> write_all(int fd, std::string_view bytes);

// Writes beside the target, fsyncs, renames, fsyncs the folder: afterwards the old file or the new one is there.
Result<void> write_file(const std::string& path, std::string_view bytes, mode_t mode = 0600);

bool exists(const std::string& path);
Result<void> make_folders(const std::string& path, mode_t mode = 0700);  // with its parents
Result<void> remove_file(const std::string& path);                       // no error where there is none
Result<void> remove_tree(const std::string& path);                       // follows no symlink, crosses no mount
Result<std::vector<std::string>> list_folder(const std::string& path);   // names, sorted
Result<void> sync_folder(const std::string& path);

// An anonymous file in memory; sealed against every change when `sealed`.
Result<Fd> memory_file(std::string_view name, std::string_view bytes, bool sealed);

}  // namespace bastide::sys
