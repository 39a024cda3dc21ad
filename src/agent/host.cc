#include "agent/host.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <functional>

#include "base/bytes.h"
#include "sys/file.h"

namespace bastide::agent {
namespace {

constexpr size_t kMaxProc = 1u << 20;

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> out;
  for (const auto part : split(line, ' ')) {
    for (const auto word : split(part, '\t')) {
      if (!word.empty()) out.push_back(word);
    }
  }
  return out;
}

double number(std::string_view text) { return std::strtod(std::string(text).c_str(), nullptr); }

double to_hundredth(double v) {
  return static_cast<double>(static_cast<int64_t>(v * 100 + (v < 0 ? -0.5 : 0.5))) / 100;
}

}  // namespace

Host::Host(std::string disk, std::string root) : disk_(std::move(disk)), root_(std::move(root)) {
  char name[256] = "localhost";
  ::gethostname(name, sizeof name - 1);
  host_ = name;
}

std::vector<store::MetricSample> Host::collect(const std::string& account, const std::string& region,
                                               Millis now) {
  std::vector<store::MetricSample> out;
  auto add = [&](const char* name, const char* unit, double value,
                 std::vector<std::pair<std::string, std::string>> dimensions = {}) {
    dimensions.emplace_back("host", host_);
    std::sort(dimensions.begin(), dimensions.end());
    out.push_back({{account, region, "CWAgent", name, std::move(dimensions), unit},
                   store::MetricCell::of(now - now % kMinute, to_hundredth(value))});
  };
  auto file = [&](const char* path) { return sys::read_file(root_ + path, kMaxProc).value_or(""); };
  // What a counter grew by since the last round; nothing in the first, or after it began anew.
  const double seconds = at_ == 0 ? 0 : static_cast<double>(now - at_) / kSecond;
  auto grown = [&](const std::string& name, double value, const std::function<void(double)>& f) {
    const auto it = counters_.find(name);
    if (it != counters_.end() && value >= it->second && seconds > 0) f(value - it->second);
    counters_[name] = value;
  };

  const std::string stat = file("/proc/stat");
  const auto cpu = words(split(stat, '\n').front());
  if (cpu.size() >= 9) {
    Cpu c;
    c.user = number(cpu[1]) + number(cpu[2]);
    c.system = number(cpu[3]) + number(cpu[6]) + number(cpu[7]);
    c.idle = number(cpu[4]);
    c.iowait = number(cpu[5]);
    c.steal = number(cpu[8]);
    c.total = c.user + c.system + c.idle + c.iowait + c.steal;
    const double total = c.total - cpu_.total;
    if (cpu_.total > 0 && total > 0) {
      const auto share = [&](double a, double b) { return 100 * (a - b) / total; };
      add("cpu_usage_user", "Percent", share(c.user, cpu_.user));
      add("cpu_usage_system", "Percent", share(c.system, cpu_.system));
      add("cpu_usage_iowait", "Percent", share(c.iowait, cpu_.iowait));
      add("cpu_usage_steal", "Percent", share(c.steal, cpu_.steal));
      add("cpu_usage_active", "Percent", 100 - share(c.idle, cpu_.idle) - share(c.iowait, cpu_.iowait));
    }
    cpu_ = c;
  }

  std::map<std::string, double> memory;
  const std::string meminfo = file("/proc/meminfo");
  for (const auto line : split(meminfo, '\n')) {
    const auto w = words(line);
    if (w.size() >= 2) memory[std::string(w[0].substr(0, w[0].size() - 1))] = number(w[1]) * 1024;
  }
  if (memory["MemTotal"] > 0) {
    add("mem_total", "Bytes", memory["MemTotal"]);
    add("mem_available", "Bytes", memory["MemAvailable"]);
    add("mem_used_percent", "Percent", 100 * (1 - memory["MemAvailable"] / memory["MemTotal"]));
    if (memory["SwapTotal"] > 0)
      add("swap_used_percent", "Percent", 100 * (1 - memory["SwapFree"] / memory["SwapTotal"]));
  }

  struct statvfs fs {};
  if (::statvfs(disk_.c_str(), &fs) == 0 && fs.f_blocks > 0) {
    const double size = static_cast<double>(fs.f_blocks) * static_cast<double>(fs.f_frsize);
    const double free = static_cast<double>(fs.f_bavail) * static_cast<double>(fs.f_frsize);
    add("disk_total", "Bytes", size, {{"path", disk_}});
    add("disk_free", "Bytes", free, {{"path", disk_}});
    add("disk_used_percent", "Percent", 100 * (1 - free / size), {{"path", disk_}});
    if (fs.f_files > 0)
      add("disk_inodes_used_percent", "Percent",
          100 * (1 - static_cast<double>(fs.f_favail) / static_cast<double>(fs.f_files)), {{"path", disk_}});
  }

  double read = 0, written = 0;
  const std::string disks = file("/proc/diskstats");
  for (const auto line : split(disks, '\n')) {
    const auto w = words(line);
    if (w.size() < 14 || w[2].starts_with("loop") || w[2].starts_with("ram") || w[2].starts_with("dm-"))
      continue;
    // Partitions are part of their disk: sda1, nvme0n1p1.
    const bool nvme = w[2].starts_with("nvme") || w[2].starts_with("mmcblk");
    if (nvme ? w[2].find('p', 4) != std::string_view::npos
             : std::isdigit(static_cast<unsigned char>(w[2].back())))
      continue;
    read += number(w[5]) * 512;
    written += number(w[9]) * 512;
  }
  grown("read", read, [&](double d) { add("diskio_read_bytes", "Bytes", d); });
  grown("written", written, [&](double d) { add("diskio_write_bytes", "Bytes", d); });

  double received = 0, sent = 0, errors = 0;
  const std::string net = file("/proc/net/dev");
  for (const auto line : split(net, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const auto name = trim(line.substr(0, colon));
    const auto w = words(line.substr(colon + 1));
    if (name == "lo" || w.size() < 16) continue;
    received += number(w[0]);
    sent += number(w[8]);
    errors += number(w[2]) + number(w[3]) + number(w[10]) + number(w[11]);
  }
  grown("received", received, [&](double d) { add("net_bytes_recv", "Bytes", d); });
  grown("sent", sent, [&](double d) { add("net_bytes_sent", "Bytes", d); });
  grown("errors", errors, [&](double d) { add("net_errors", "Count", d); });

  const std::string loadavg = file("/proc/loadavg");
  const auto load = words(loadavg);
  if (load.size() >= 3) {
    add("load_1m", "None", number(load[0]));
    add("load_5m", "None", number(load[1]));
  }
  for (const char* what : {"cpu", "memory", "io"}) {
    const std::string pressure = file((std::string("/proc/pressure/") + what).c_str());
    const size_t at = pressure.find("some avg10=");
    if (at != std::string::npos)
      add("pressure_some", "Percent", number(pressure.substr(at + 11, 8)), {{"resource", what}});
  }
  at_ = now;
  return out;
}

}  // namespace bastide::agent
