#include "edge/respond.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "edge/ask.h"
#include "edge/pattern.h"

namespace bastide::edge {
namespace {

using internal::EdgeResponseHeaders;

void line(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

bool cors_name(std::string_view name) {
  return name.size() > 21 && iequals(name.substr(0, 21), "access-control-allow-")
             ? true
             : iequals(name, "access-control-expose-headers") || iequals(name, "access-control-max-age");
}

void append_cors(std::string& out, const EdgeResponseHeaders& p, const std::vector<Field>& request,
                 std::string_view origin) {
  const bool any = std::find(p.cors_origins.begin(), p.cors_origins.end(), "*") != p.cors_origins.end();
  const bool fits =
      any || std::any_of(p.cors_origins.begin(), p.cors_origins.end(), [&](const std::string& o) {
        auto text = o.find("://") == std::string::npos ? origin.substr(origin.find("://") + 3) : origin;
        return matches(o, text, true);
      });
  if (!fits) return;
  line(out, "Access-Control-Allow-Origin", any && !p.cors_credentials ? "*" : origin);
  if (!any || p.cors_credentials) line(out, "Vary", "Origin");
  if (p.cors_credentials) line(out, "Access-Control-Allow-Credentials", "true");
  if (!p.cors_expose.empty()) line(out, "Access-Control-Expose-Headers", join(p.cors_expose, ", "));
  if (field_value(request, "access-control-request-method").empty()) return;
  const bool all = !p.cors_methods.empty() && p.cors_methods.front() == "ALL";
  line(out, "Access-Control-Allow-Methods",
       all ? "GET, DELETE, HEAD, OPTIONS, PUT, POST, PATCH" : join(p.cors_methods, ", "));
  if (!p.cors_headers.empty()) line(out, "Access-Control-Allow-Headers", join(p.cors_headers, ", "));
  if (p.cors_max_age >= 0) line(out, "Access-Control-Max-Age", std::to_string(p.cors_max_age));
}

}  // namespace

void append_fields(std::string& out, std::string_view fields, const EdgeResponseHeaders& p,
                   const std::vector<Field>& request) {
  if (p.put.empty() && p.remove.empty() && !p.cors) {
    out += fields;
    return;
  }
  const auto origin = p.cors ? field_value(request, "origin") : std::string_view();
  const bool cors = !origin.empty();
  bool origins_cors = false;
  std::vector<bool> there(p.put.size());
  while (!fields.empty()) {
    const auto end = fields.find("\r\n");
    const auto one = fields.substr(0, end);
    fields.remove_prefix(end + 2);
    const auto name = one.substr(0, one.find(':'));
    if (std::any_of(p.remove.begin(), p.remove.end(), [&](const auto& r) { return iequals(r, name); }))
      continue;
    if (cors && cors_name(name)) {
      if (p.cors_replace) continue;
      origins_cors = true;
    }
    bool drop = false;
    for (size_t i = 0; i < p.put.size(); ++i) {
      if (!iequals(p.put[i].name, name)) continue;
      if (p.put[i].replace)
        drop = true;
      else
        there[i] = true;
    }
    if (drop) continue;
    out += one;
    out += "\r\n";
  }
  for (size_t i = 0; i < p.put.size(); ++i) {
    if (!there[i]) line(out, p.put[i].name, p.put[i].value);
  }
  if (cors && !origins_cors) append_cors(out, p, request, origin);
}

}  // namespace bastide::edge
