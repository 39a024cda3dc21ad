#include "cli/table.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/time.h"

namespace bastide::cli {
namespace {

// Columns a text takes: UTF-8 continuation bytes and colour codes take none.
size_t width(const std::string& text) {
  size_t n = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\033') {
      while (i < text.size() && text[i] != 'm') ++i;
    } else if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) {
      ++n;
    }
  }
  return n;
}

std::string painted(const char* code, const std::string& text) {
  return colours(1) ? "\033[" + std::string(code) + "m" + text + "\033[0m" : text;
}

}  // namespace

std::string Table::text(const std::string& indent) const {
  std::vector<size_t> widths(head_.size());
  const auto measure = [&](const std::vector<std::string>& row) {
    for (size_t i = 0; i < row.size() && i < widths.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  };
  measure(head_);
  for (const auto& row : rows_) measure(row);
  std::string out;
  const auto line = [&](const std::vector<std::string>& row, bool head) {
    out += indent;
    for (size_t i = 0; i < row.size(); ++i) {
      out += head ? dim(row[i]) : row[i];
      if (i + 1 < row.size()) out.append(widths[i] - width(row[i]) + 2, ' ');
    }
    out += '\n';
  };
  line(head_, true);
  for (const auto& row : rows_) line(row, false);
  return out;
}

bool colours(int fd) { return ::isatty(fd) && !std::getenv("NO_COLOR"); }
std::string bold(const std::string& text) { return painted("1", text); }
std::string green(const std::string& text) { return painted("32", text); }
std::string red(const std::string& text) { return painted("31", text); }
std::string yellow(const std::string& text) { return painted("33", text); }
std::string dim(const std::string& text) { return painted("2", text); }

std::string ago(double unix_seconds) {
  if (unix_seconds <= 0) return "-";
  return human_duration(std::max<Millis>(0, Clock::system().wall() - static_cast<Millis>(unix_seconds * 1000))) + " ago";
}

}  // namespace bastide::cli
