#include "edge/ask.h"

#include <time.h>

#include <algorithm>

#include "base/bytes.h"

namespace bastide::edge {
namespace {

using internal::EdgeSelection;

// q=0 takes a coding away.
bool accepts(const std::vector<Field>& fields, std::string_view coding) {
  for (const auto& f : fields) {
    if (!iequals(f.name, "accept-encoding")) continue;
    for (auto part : split(f.value, ',')) {
      auto semicolon = part.find(';');
      if (!iequals(trim(part.substr(0, semicolon)), coding)) continue;
      if (semicolon == std::string_view::npos) return true;
      auto q = trim(part.substr(semicolon + 1));
      return !(q.starts_with("q=0") && q.find_first_not_of("0.", 3) == std::string_view::npos);
    }
  }
  return false;
}

template <class Takes>
std::string pick(std::string_view list, char separator, Takes takes, std::string_view joiner) {
  std::string out;
  for (auto part : split(list, separator)) {
    part = trim(part);
    if (part.empty() || !takes(part.substr(0, part.find('=')))) continue;
    if (!out.empty()) out += joiner;
    out += part;
  }
  return out;
}

bool everything(const EdgeSelection& s) { return s.kind == EdgeSelection::Kind::all; }
bool nothing(const EdgeSelection& s) { return s.kind == EdgeSelection::Kind::none; }

std::string queries(std::string_view query, const EdgeSelection& a, const EdgeSelection& b) {
  if (query.empty() || (nothing(a) && nothing(b))) return {};
  if (everything(a) || everything(b)) return std::string(query);
  return pick(
      query, '&', [&](std::string_view n) { return selects(a, n, false) || selects(b, n, false); }, "&");
}

// The obsolete forms too (RFC 9110 section 5.6.7); -1: not a date.
Millis any_http_date(std::string_view text) {
  if (auto t = parse_http_date(text)) return *t;
  if (text.size() > 40) return -1;
  const std::string copy(text);
  for (const char* form : {"%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"}) {
    struct tm parts {};
    const char* end = ::strptime(copy.c_str(), form, &parts);
    if (end != nullptr && *end == 0) return static_cast<Millis>(::timegm(&parts)) * kSecond;
  }
  return -1;
}

// What CloudFront writes itself or never passes on.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html
bool own_field(std::string_view name) {
  for (auto own : {"accept-encoding", "cookie", "host", "via", "x-forwarded-for", "x-forwarded-proto",
                   "x-amz-cf-id", "x-real-ip", "if-modified-since", "if-none-match", "if-range", "if-match",
                   "if-unmodified-since", "range", "expect", "content-length"}) {
    if (iequals(name, own)) return true;
  }
  return false;
}

}  // namespace

bool selects(const EdgeSelection& s, std::string_view name, bool ignore_case) {
  if (s.kind == EdgeSelection::Kind::all) return true;
  if (s.kind == EdgeSelection::Kind::none) return false;
  const bool named = std::any_of(s.names.begin(), s.names.end(), [&](const std::string& n) {
    return n == "*" || (ignore_case ? iequals(n, name) : n == name);
  });
  return named == (s.kind == EdgeSelection::Kind::some);
}

Ask make_ask(const internal::EdgeDistribution& d, const internal::EdgeBehavior& b, const RequestHead& request,
             std::string_view path, std::string_view client, bool https) {
  Ask out;
  out.method = request.method;
  out.path = path;
  out.client = client;
  out.https = https;
  const auto& fields = request.fields;
  out.brotli = b.brotli && accepts(fields, "br");
  out.gzip = b.gzip && accepts(fields, "gzip");
  out.compress = b.compress;
  out.query = queries(request.query, b.key_queries, b.send_queries);
  out.uri = out.path;
  if (auto q = queries(request.query, b.key_queries, {}); !q.empty()) out.uri += "?" + q;

  const bool get = request.method == "GET" || request.method == "HEAD";
  const bool cached = (get || std::any_of(b.cached_methods.begin(), b.cached_methods.end(),
                                          [&](const auto& m) { return m == request.method; })) &&
                      !request.has_body() && (b.rfc9111 || b.max_ttl > 0);
  std::string key_cookies, cookies;
  std::string key = d.id + (get ? " " : " OPTIONS ") + out.uri + "\n";
  for (const auto& name : b.key_headers.names) {
    key += lower(name) + ":";
    for (const auto& f : fields) {
      if (iequals(f.name, name)) key += std::string(f.value) + ",";
    }
    key += "\n";
  }
  for (const auto& f : fields) {
    if (!iequals(f.name, "cookie")) continue;
    auto add = [&](std::string& to, auto takes) {
      auto picked = pick(f.value, ';', takes, "; ");
      if (picked.empty()) return;
      if (!to.empty()) to += "; ";
      to += picked;
    };
    add(key_cookies, [&](std::string_view n) { return selects(b.key_cookies, n, false); });
    add(cookies, [&](std::string_view n) {
      return selects(b.key_cookies, n, false) || selects(b.send_cookies, n, false);
    });
  }
  key += "cookie:" + key_cookies + "\ncoding:" + (out.brotli ? "b" : "") + (out.gzip ? "g" : "");
  out.facts.cookies = cookies != key_cookies;

  for (const auto& f : fields) {
    if (f.hop || own_field(f.name)) continue;
    const bool in_key = selects(b.key_headers, f.name, true);
    // A body's description goes with the body.
    const bool of_body = request.has_body() && f.name.size() > 8 && iequals(f.name.substr(0, 8), "content-");
    if (!in_key && !of_body && !selects(b.send_headers, f.name, true)) continue;
    if (iequals(f.name, "authorization")) {
      out.authorized = true;
      if (!in_key) out.facts.authorization = true;
    }
    out.fields += f.name;
    out.fields += ": ";
    out.fields += f.value;
    out.fields += "\r\n";
  }
  if (!cookies.empty()) out.fields += "Cookie: " + cookies + "\r\n";
  if (selects(b.key_headers, "host", true) || selects(b.send_headers, "host", true)) out.host = request.host;
  if (out.brotli || out.gzip) {
    out.fields +=
        std::string("Accept-Encoding: ") + (out.brotli ? out.gzip ? "br,gzip" : "br" : "gzip") + "\r\n";
  } else if (!b.brotli && !b.gzip &&
             (selects(b.key_headers, "accept-encoding", true) ||
              selects(b.send_headers, "accept-encoding", true))) {
    for (const auto& f : fields) {
      if (iequals(f.name, "accept-encoding"))
        out.fields += "Accept-Encoding: " + std::string(f.value) + "\r\n";
    }
  }
  if (cached) out.key = std::move(key);
  return out;
}

std::string variant_key(const std::string& key, const std::vector<std::string>& vary,
                        const std::vector<Field>& fields) {
  std::string out = key + "\nvary";
  for (const auto& name : vary) {
    out += "\n" + name + ":";
    for (const auto& f : fields) {
      if (!iequals(f.name, name)) continue;
      // Blanks around commas carry no meaning (RFC 9111 section 4.1); nor do case and order of languages.
      if (name == "accept-language") {
        std::vector<std::string> languages;
        for (auto part : split(f.value, ',')) languages.push_back(lower(trim(part)));
        std::sort(languages.begin(), languages.end());
        out += join(languages, ",") + ",";
        continue;
      }
      for (auto part : split(f.value, ',')) {
        out += trim(part);
        out += ',';
      }
    }
  }
  return out;
}

std::vector<std::string> vary_names(const ResponseHead& answer, const internal::EdgeBehavior& b) {
  std::vector<std::string> out;
  for (const auto& f : answer.fields) {
    if (!iequals(f.name, "vary")) continue;
    for (auto part : split(f.value, ',')) {
      auto name = lower(trim(part));
      if (name.empty() || name == "*") continue;
      if (b.key_headers.kind == EdgeSelection::Kind::some && selects(b.key_headers, name, true)) continue;
      // What never reaches the origin cannot have changed its answer.
      if (name == "accept-encoding" && !b.rfc9111) continue;
      if (name == "cookie" && nothing(b.send_cookies)) continue;
      if (name != "cookie" && !selects(b.send_headers, name, true)) continue;
      if (out.size() < 20) out.push_back(std::move(name));
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::optional<ByteRange> parse_range(std::string_view value) {
  if (value.size() < 7 || !iequals(value.substr(0, 6), "bytes=")) return std::nullopt;
  value = trim(value.substr(6));
  auto dash = value.find('-');
  if (dash == std::string_view::npos || value.find(',') != std::string_view::npos) return std::nullopt;
  auto digits = [](std::string_view text) {
    return text.size() <= 18 &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  auto first = trim(value.substr(0, dash)), last = trim(value.substr(dash + 1));
  if (!digits(first) || !digits(last) || (first.empty() && last.empty())) return std::nullopt;
  ByteRange out;
  if (first.empty()) {
    out.suffix = *parse_int(last);
    return out;
  }
  out.first = *parse_int(first);
  if (!last.empty()) {
    out.last = *parse_int(last);
    if (out.last < out.first) return std::nullopt;
  }
  return out;
}

std::optional<std::pair<int64_t, int64_t>> satisfy(const ByteRange& r, int64_t length) {
  if (r.suffix >= 0) {
    if (r.suffix == 0 || length == 0) return std::nullopt;
    return std::pair{std::max<int64_t>(0, length - r.suffix), length - 1};
  }
  if (r.first >= length) return std::nullopt;
  return std::pair{r.first, r.last < 0 ? length - 1 : std::min(r.last, length - 1)};
}

bool not_modified(const std::vector<Field>& fields, std::string_view etag, Millis last_modified) {
  bool none_match = false;
  auto opaque = [](std::string_view tag) {
    tag = trim(tag);
    return tag.starts_with("W/") ? tag.substr(2) : tag;
  };
  for (const auto& f : fields) {
    if (!iequals(f.name, "if-none-match")) continue;
    none_match = true;
    if (trim(f.value) == "*") return true;
    if (etag.empty()) continue;
    for (auto part : split(f.value, ',')) {
      if (opaque(part) == opaque(etag)) return true;
    }
  }
  if (none_match || last_modified < 0) return false;
  auto since = field_value(fields, "if-modified-since");
  const auto t = since.empty() ? -1 : any_http_date(since);
  return t >= 0 && last_modified <= t;
}

bool invalidates(std::string_view pattern, std::string_view uri) {
  if (!pattern.starts_with('/') && uri.starts_with('/')) uri.remove_prefix(1);
  if (pattern.ends_with('*')) return uri.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == uri;
}

std::string_view field_value(const std::vector<Field>& fields, std::string_view name) {
  for (const auto& f : fields) {
    if (iequals(f.name, name)) return f.value;
  }
  return {};
}

}  // namespace bastide::edge
