// What the storefront understands of HTTP: one GET a connection, answered and closed.
#pragma once

#include <string>
#include <string_view>

struct Request {
  std::string method;
  std::string path;  // without the query
};

// Nothing valid: an empty method.
Request parse_request(std::string_view head);
std::string make_response(int status, std::string_view content_type, std::string_view body, bool head_only);
