// Output for reading: aligned columns; ANSI colours only on a terminal and without NO_COLOR.
#pragma once

#include <string>
#include <vector>

namespace bastide::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> head) : head_(std::move(head)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  std::string text(const std::string& indent = "") const;

 private:
  std::vector<std::string> head_;
  std::vector<std::vector<std::string>> rows_;
};

bool colours(int fd);
std::string bold(const std::string& text);
std::string green(const std::string& text);
std::string red(const std::string& text);
std::string yellow(const std::string& text);
std::string dim(const std::string& text);

std::string ago(double unix_seconds);  // "3 min ago"

}  // namespace bastide::cli
