#include "access/audit_reader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/bytes.h"
#include "sys/file.h"

namespace bastide::access {
namespace {

constexpr size_t kPiece = 1u << 20;
constexpr int64_t kMaxRead = 32 << 20;
constexpr size_t kMaxLine = 1u << 20;
constexpr std::string_view kSuffix = ".jsonl";

}  // namespace

Result<AuditPage> read_audit(const std::string& folder, const std::string& from,
                             const std::string& oldest_day, size_t limit,
                             const std::function<bool(const json::Value&)>& wanted) {
  AuditPage page;
  auto names = TRY(sys::list_folder(folder));
  std::erase_if(
      names, [](const std::string& n) { return n.size() != 10 + kSuffix.size() || !n.ends_with(kSuffix); });
  std::reverse(names.begin(), names.end());
  std::string first_day;
  int64_t first_at = -1;
  if (!from.empty()) {
    const size_t colon = from.find(':');
    const auto at =
        colon == std::string::npos ? Result<int64_t>(error("no colon")) : parse_int(from.substr(colon + 1));
    if (!at || *at < 0) return error("Invalid", "not a page of the audit trail");
    first_day = from.substr(0, colon);
    first_at = *at;
  }
  int64_t read = 0;
  for (const auto& name : names) {
    const std::string day = name.substr(0, 10);
    if (day < oldest_day) break;
    if (!first_day.empty() && day > first_day) continue;
    const auto file = TRY(sys::open_read(folder + "/" + name));
    struct stat info {};
    if (::fstat(file.get(), &info) != 0) return error("audit: " + name);
    int64_t at = day == first_day ? std::min<int64_t>(first_at, info.st_size) : info.st_size;
    std::string tail;               // the beginning of a line whose rest was read already
    bool whole = day == first_day;  // what stands before `at` ends with a line's end
    while (at > 0) {
      const size_t size = static_cast<size_t>(std::min<int64_t>(at, kPiece));
      std::string piece(size, '\0');
      const ssize_t n = ::pread(file.get(), piece.data(), size, at - static_cast<int64_t>(size));
      if (n != static_cast<ssize_t>(size)) return error("audit: " + name + " was cut short");
      at -= static_cast<int64_t>(size);
      read += static_cast<int64_t>(size);
      tail.insert(0, piece);
      for (size_t end = tail.size();;) {
        const size_t newline = end == 0 ? std::string::npos : tail.rfind('\n', end - 1);
        if (newline == std::string::npos && at > 0) {
          tail.resize(end);
          break;
        }
        const size_t begin = newline == std::string::npos ? 0 : newline + 1;
        const std::string_view line = std::string_view(tail).substr(begin, end - begin);
        // A last line without its end is still being written.
        const bool complete = whole || end < tail.size();
        if (!line.empty() && complete) {
          auto event = json::parse(line);
          if (event && wanted(*event)) {
            page.events.push_back(std::move(event).value());
            if (page.events.size() >= limit) {
              page.next = day + ":" + std::to_string(at + static_cast<int64_t>(begin));
              return page;
            }
          }
        }
        if (newline == std::string::npos) {
          tail.clear();
          break;
        }
        whole = true;
        end = newline;
      }
      if (tail.size() > kMaxLine) tail.clear();
      if (read >= kMaxRead) {
        page.next = day + ":" + std::to_string(at + static_cast<int64_t>(tail.size()));
        return page;
      }
    }
  }
  return page;
}

}  // namespace bastide::access
