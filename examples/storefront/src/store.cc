#include "store.h"

#include <cstdint>
#include <cstdio>

std::string json_member(std::string_view json, std::string_view name) {
  const std::string quoted = '"' + std::string(name) + '"';
  auto at = json.find(quoted);
  if (at == std::string_view::npos) return {};
  at = json.find_first_not_of(" \t\r\n", at + quoted.size());
  if (at == std::string_view::npos || json[at] != ':') return {};
  at = json.find_first_not_of(" \t\r\n", at + 1);
  if (at == std::string_view::npos || json[at] != '"') return {};
  std::string out;
  for (++at; at < json.size() && json[at] != '"'; ++at) {
    if (json[at] == '\\' && at + 1 < json.size()) {
      const char c = json[++at];
      out += c == 'n' ? '\n' : c == 't' ? '\t' : c;
    } else {
      out += json[at];
    }
  }
  return out;
}

std::string html_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

// Iterated FNV-1a: enough to tell two configurations apart on a page, useless to find the secret from.
std::string fingerprint(std::string_view secret) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (int round = 0; round < 4096; ++round) {
    for (const char c : secret) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
    hash = (hash ^ static_cast<uint64_t>(round)) * 0x100000001b3u;
  }
  char text[9];
  std::snprintf(text, sizeof text, "%08x", static_cast<unsigned>(hash >> 32));
  return text;
}

std::string home_page(const Settings& s) {
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Storefront</title>"
         "<link rel=\"stylesheet\" href=\"/static/style.css\"></head><body><main>"
         "<h1>" + html_escape(s.greeting) + "</h1>"
         "<dl><dt>environment</dt><dd>" + html_escape(s.environment) + "</dd>"
         "<dt>commit</dt><dd><code>" + html_escape(s.commit) + "</code></dd>"
         "<dt>payment key</dt><dd>" + (s.secret.empty() ? "missing" : "decrypted, fingerprint " + fingerprint(s.secret)) +
         "</dd></dl></main></body></html>\n";
}

std::string about_json(const Settings& s) {
  return "{\"environment\":\"" + s.environment + "\",\"commit\":\"" + s.commit + "\",\"secret\":\"" +
         (s.secret.empty() ? "missing" : "decrypted") + "\",\"fingerprint\":\"" + fingerprint(s.secret) + "\"}\n";
}
