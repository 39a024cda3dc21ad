// Small files that the shim leaves for runner, each written whole and fsynced: "shim" and "init" (who they
// are), "exit" (how the container ended).
#pragma once

#include <sys/types.h>

namespace bastide::shim {

// "PID START BOOT\n" of a living process: start in clock ticks since boot, boot the kernel's boot id.
bool describe_process(pid_t pid, char* out, int size);

// Writes NAME beside itself in the folder and renames; false leaves errno.
bool write_durably(int folder, const char* name, const char* text, int length);

long long now_millis();

}  // namespace bastide::shim
