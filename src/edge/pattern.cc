#include "edge/pattern.h"

namespace bastide::edge {
namespace {
char fold(char c, bool ignore_case) {
  return ignore_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
}  // namespace

bool matches(std::string_view pattern, std::string_view text, bool ignore_case) {
  size_t p = 0, t = 0;
  size_t star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() &&
               (pattern[p] == '?' || fold(pattern[p], ignore_case) == fold(text[t], ignore_case))) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string expand(std::string_view location, const Placeholders& v) {
  std::string out;
  while (!location.empty()) {
    auto at = location.find("#{");
    out += location.substr(0, at);
    if (at == std::string_view::npos) break;
    location.remove_prefix(at);
    auto end = location.find('}');
    auto name = end == std::string_view::npos ? std::string_view() : location.substr(2, end - 2);
    if (name == "protocol")
      out += v.protocol;
    else if (name == "host")
      out += v.host;
    else if (name == "path")
      out += v.path;
    else if (name == "query")
      out += v.query;
    else if (name == "port")
      out += std::to_string(v.port);
    else if (name == "https_port")
      out += std::to_string(v.https_port);
    else if (name == "http_port")
      out += std::to_string(v.http_port);
    else {
      out += "#{";
      location.remove_prefix(2);
      continue;
    }
    location.remove_prefix(end + 1);
  }
  // Without a query nothing is left of "?#{query}".
  if (!out.empty() && out.back() == '?') out.pop_back();
  return out;
}

}  // namespace bastide::edge
