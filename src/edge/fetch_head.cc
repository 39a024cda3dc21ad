// Heads on the way to an origin and back.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "edge/fetch.h"
#include "edge/sign.h"
#include "net/http.h"

namespace bastide::edge {
namespace {

// What the edge writes itself, or what is of the connection to S3 alone.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html
bool withheld(std::string_view name, bool keep_cookies) {
  switch (name.size()) {
    case 3:
      return iequals(name, "age");
    case 7:
      return iequals(name, "x-cache");
    case 10:
      return !keep_cookies && iequals(name, "set-cookie");
    case 15:
      return iequals(name, "x-bastide-layer");
    default:
      return name.size() > 9 && iequals(name.substr(0, 9), "x-amz-cf-");
  }
}

std::string_view s3_host() { return "localhost"; }

}  // namespace

std::string request_id() {
  static const std::string prefix = base64url(random_bytes(18));
  static uint64_t counter = 0;
  return fmt::format("{}{:016x}==", prefix, ++counter);
}

bool origin_https(const internal::EdgeOrigin& origin, bool viewer_https) {
  if (origin.protocol == "s3") return false;
  return origin.protocol == "https-only" || (origin.protocol == "match-viewer" && viewer_https);
}

std::string origin_head(const Distribution& d, const internal::EdgeOrigin& origin, const Ask& ask,
                        const std::string& more, Millis now) {
  std::string out;
  auto line = [&](std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  };
  const bool s3 = origin.protocol == "s3";
  const bool https = origin_https(origin, ask.https);
  std::string signature;
  if (s3) {
    const auto path = encode_path("/" + origin.bucket + origin.path + ask.path);
    const auto query = encode_query(ask.query);
    out += ask.method + " " + path + (query.empty() ? "" : "?" + query) + " HTTP/1.1\r\n";
    line("Host", s3_host());
    const bool viewers = ask.authorized && origin.signing == "no-override";
    if (!origin.signing.empty() && !viewers) {
      signature = sign_for_s3({origin.access_key, origin.secret_key, origin.region}, ask.method, s3_host(),
                              path, query, now);
    }
  } else {
    out += ask.method + " " + origin.path + ask.path + (ask.query.empty() ? "" : "?" + ask.query) +
           " HTTP/1.1\r\n";
    const auto port = https ? origin.https_port : origin.http_port;
    if (!ask.host.empty())
      line("Host", ask.host);
    else if (port == (https ? 443 : 80))
      line("Host", origin.host);
    else
      line("Host", fmt::format("{}:{}", origin.host, port));
  }
  // The viewer's, without those that the origin's own or the signature take the place of.
  bool agent = false;
  std::string_view rest = ask.fields;
  while (!rest.empty()) {
    auto end = rest.find("\r\n");
    auto one = rest.substr(0, end);
    rest.remove_prefix(end + 2);
    auto name = one.substr(0, one.find(':'));
    const bool replaced = std::any_of(origin.headers.begin(), origin.headers.end(),
                                      [&](const auto& h) { return iequals(h.first, name); });
    const bool signed_over =
        !signature.empty() &&
        (iequals(name, "authorization") || (name.size() > 6 && iequals(name.substr(0, 6), "x-amz-")));
    if (replaced || signed_over) continue;
    if (iequals(name, "user-agent")) agent = true;
    out += one;
    out += "\r\n";
  }
  for (const auto& [name, value] : origin.headers) {
    if (signature.empty() || name.size() < 6 || !iequals(name.substr(0, 6), "x-amz-")) line(name, value);
  }
  if (!agent) line("User-Agent", "Amazon CloudFront");
  line("Via", d.via);
  line("X-Forwarded-For", ask.client);
  // S3 wants every x-amz- field of a signed request to be signed.
  if (signature.empty()) line("X-Amz-Cf-Id", request_id());
  out += signature;
  out += more;
  out += "\r\n";
  return out;
}

Result<void> read_response(Upstream& upstream, ResponseHead& head, Millis timeout) {
  auto& in = upstream.in;
  size_t searched = 0;
  upstream.socket.set_timeout(timeout);
  while (true) {
    if (auto length = head_length(in.view(), searched); length != 0) {
      if (auto refusal = parse_response(in.view().substr(0, length), head))
        return error("Invalid", std::string("the origin's answer: ") + refusal.why);
      if (head.status >= 200) return {};
      if (head.status == 101)
        return error("Invalid", "the origin upgraded a connection that nobody asked it to");
      in.consume(length);
      searched = 0;
      continue;
    }
    searched = in.size();
    if (in.size() >= kMaxHeadBytes) return error("Invalid", "the origin's head is too large");
    in.compact();
    if (in.room_size() == 0) in.grow(in.capacity() * 4);
    auto n = upstream.socket.read(in.room(), in.room_size());
    if (!n) return std::move(n).error();
    if (*n == 0) return error(in.empty() ? "Closed" : "Invalid", "the origin closed the connection");
    in.added(*n);
  }
}

std::string passed_fields(const ResponseHead& head, bool keep_cookies) {
  std::string out;
  for (const auto& f : head.fields) {
    if (f.hop || f.known == Name::content_length || withheld(f.name, keep_cookies)) continue;
    out += f.name;
    out += ": ";
    out += f.value;
    out += "\r\n";
  }
  return out;
}

}  // namespace bastide::edge
