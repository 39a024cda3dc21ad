#include "runner/usage.h"

#include <algorithm>
#include <optional>

#include "base/bytes.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

constexpr const char* kMount = "/sys/fs/cgroup";
constexpr size_t kMaxFile = 64u << 10;

std::optional<int64_t> number(const std::string& path) {
  const auto text = sys::read_file(path, kMaxFile);
  if (!text) return std::nullopt;
  const auto n = parse_int(trim(*text));
  return n ? std::optional(*n) : std::nullopt;
}

// "key value" lines.
std::optional<int64_t> field(const std::string& path, std::string_view key) {
  const auto text = sys::read_file(path, kMaxFile);
  if (!text) return std::nullopt;
  for (const auto line : split(*text, '\n')) {
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || line.substr(0, space) != key) continue;
    const auto n = parse_int(trim(line.substr(space + 1)));
    return n ? std::optional(*n) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

json::Value usage_of(int version, const std::string& group) {
  json::Value out = json::object();
  auto put = [&](const char* key, std::optional<int64_t> v) {
    if (v) out[key] = *v;
  };
  std::optional<int64_t> memory, cached;
  const std::string mount = kMount;
  if (version == 2) {
    put("cpu_us", field(mount + group + "/cpu.stat", "usage_usec"));
    put("throttled_us", field(mount + group + "/cpu.stat", "throttled_usec"));
    put("processes", number(mount + group + "/pids.current"));
    memory = number(mount + group + "/memory.current");
    cached = field(mount + group + "/memory.stat", "inactive_file");
  } else if (version == 1) {
    auto cpu = number(mount + "/cpuacct" + group + "/cpuacct.usage");
    if (!cpu) cpu = number(mount + "/cpu,cpuacct" + group + "/cpuacct.usage");
    if (cpu) put("cpu_us", *cpu / 1000);
    if (const auto ns = field(mount + "/cpu" + group + "/cpu.stat", "throttled_time")) put("throttled_us", *ns / 1000);
    put("processes", number(mount + "/pids" + group + "/pids.current"));
    memory = number(mount + "/memory" + group + "/memory.usage_in_bytes");
    cached = field(mount + "/memory" + group + "/memory.stat", "total_inactive_file");
  }
  // As ECS counts it: without cache that the kernel can take back at once.
  if (memory) put("memory", *memory - std::min(*memory, cached.value_or(0)));
  return out;
}

}  // namespace bastide::runner
