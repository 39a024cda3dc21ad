#include "runner/archives.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/spawn.h"
#include "runner/unpack.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {
constexpr Millis kTimeout = 15 * kMinute;
constexpr rlim_t kMemory = rlim_t{2} << 30;
constexpr rlim_t kCpuSeconds = 900;
}  // namespace

Result<void> run_unpacker(const Stage& stage, const std::string& mode, int archive, const std::string& folder,
                          uint32_t first_uid) {
  const auto target = TRY(sys::open_read(folder));
  const bool namespaces = has_namespaces(stage.tier());
  const bool one_owner = stage.ids().count == 1;
  Spawn child{.program = stage.unpacker(),
              .argv = {"bastide-unpack", mode, one_owner ? "one-owner" : "owners", namespaces ? "0" : std::to_string(first_uid)},
              .environment = {},
              .descriptors = {{archive, 3}, {target.get(), 4}},
              .ids = namespaces ? std::optional(IdMap{0, first_uid, stage.ids().count}) : std::nullopt,
              .limits = {{RLIMIT_AS, kMemory},
                         {RLIMIT_CPU, kCpuSeconds},
                         {RLIMIT_FSIZE, static_cast<rlim_t>(kMaxUnpackedBytes)},
                         {RLIMIT_NOFILE, 256},
                         {RLIMIT_NPROC, 1},
                         {RLIMIT_CORE, 0}}};
  const auto report = TRY(spawn_and_wait(std::move(child), 5, kTimeout));
  if (report.status == 0) return {};
  return error("Invalid", report.text.empty()
                              ? "the archive's reader ended with status " + std::to_string(report.status)
                              : report.text);
}

Result<void> make_owned_folder(const std::string& path, uint32_t uid, mode_t mode) {
  TRY(sys::make_folders(path));
  if (::chown(path.c_str(), uid, uid) != 0 || ::chmod(path.c_str(), mode) != 0)
    return sys::system_error(path);
  return {};
}

}  // namespace bastide::runner
