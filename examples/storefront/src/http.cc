#include "http.h"

Request parse_request(std::string_view head) {
  const auto line = head.substr(0, head.find("\r\n"));
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || last <= first || !line.substr(last + 1).starts_with("HTTP/1.")) return {};
  auto path = line.substr(first + 1, last - first - 1);
  path = path.substr(0, path.find('?'));
  if (!path.starts_with('/')) return {};
  return {std::string(line.substr(0, first)), std::string(path)};
}

std::string make_response(int status, std::string_view content_type, std::string_view body, bool head_only) {
  std::string out = "HTTP/1.1 " + std::to_string(status) + (status == 200 ? " OK" : status == 404 ? " Not Found" : " Error");
  out += "\r\nContent-Type: ";
  out += content_type;
  out += "\r\nContent-Length: " + std::to_string(body.size());
  out += "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";
  if (!head_only) out += body;
  return out;
}
