// A viewer's request to a distribution, from the checks at the door to the last byte.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "edge/connection.h"
#include "edge/fetch.h"
#include "edge/respond.h"
#include "net/http.h"

namespace bastide::edge {
namespace {

constexpr size_t kMaxUrl = 8192, kMaxViewerHead = 20480;  // CloudFront's quotas
constexpr size_t kFilePiece = 256u << 10;
constexpr Millis kBodyPatience = 2 * kMinute;
constexpr int64_t kWholeFrom = 1 << 20;  // a range that begins later does not fetch what lies before it

const char* cache_word(Got::How how, int status) {
  if (status >= 400) return "Error from cloudfront";
  switch (how) {
    case Got::How::hit:
    case Got::How::stale:
      return "Hit from cloudfront";
    case Got::How::refresh:
      return "RefreshHit from cloudfront";
    case Got::How::miss:
      break;
  }
  return "Miss from cloudfront";
}

// The preconditions of one request, evaluated against what is there.
struct Wanted {
  std::optional<ByteRange> range;
  bool conditional = false;
};

Wanted wanted(const RequestHead& request, const Stored& head) {
  Wanted out;
  if (request.method != "GET" || head.status != 200) return out;
  auto range = field_value(request.fields, "range");
  if (range.empty()) return out;
  out.range = parse_range(range);
  auto if_range = field_value(request.fields, "if-range");
  if (if_range.empty()) return out;
  // Only a strong validator that still holds (RFC 9110 section 13.1.5).
  const bool tag = if_range.front() == '"' || if_range.starts_with("W/");
  auto date = parse_http_date(if_range);
  const bool holds =
      tag ? if_range == head.etag && !head.etag.starts_with("W/") : date && *date == head.last_modified;
  if (!holds) out.range.reset();
  return out;
}

Millis date_of(const Stored& head) {
  const auto at = head.fields.find("Date: ");
  if (at == std::string::npos || (at > 0 && head.fields[at - 1] != '\n')) return -1;
  auto t = parse_http_date(std::string_view(head.fields).substr(at + 6, 29));
  return t ? *t : -1;
}

}  // namespace

void Connection::edge_fields(std::string& out, std::string_view cache) {
  auto put = [&](std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  };
  put("X-Cache", cache);
  put("Via", distribution_->via);
  put("X-Amz-Cf-Pop", "BAS50-C1");
  put("X-Amz-Cf-Id", request_id());
}

void Connection::end_head(std::string& out) {
  if (!keep_alive_)
    out += "Connection: close\r\n";
  else if (request_.minor == 0)
    out += "Connection: keep-alive\r\n";
  out += "\r\n";
}

// The edge itself says no: the reason stands in a header, so that nobody has to guess which layer it was.
bool Connection::deny(int status, std::string_view reason, std::string_view location) {
  discard_body();
  std::string why;  // an origin's words may be in it
  for (unsigned char c : reason.substr(0, 200))
    why += c < 0x20 || c >= 0x7f || c == '<' || c == '>' || c == '&' ? ' ' : static_cast<char>(c);
  auto& stats = core_.cdn->stats[distribution_->spec.id];
  ++(status < 400 ? stats.hits : stats.refused);
  std::string body;
  if (status >= 400) {
    body = fmt::format(
        "<html>\r\n<head><title>{0} {1}</title></head>\r\n<body>\r\n<h1>{0} {1}</h1>\r\n<p>Refused by the "
        "edge: {2}.</p>\r\n"
        "</body>\r\n</html>\r\n",
        status, net::reason_phrase(status), why);
  }
  auto& out = client_.text();
  fmt::format_to(std::back_inserter(out),
                 "HTTP/1.1 {} {}\r\nServer: CloudFront\r\nDate: {}\r\nContent-Length: {}\r\n", status,
                 net::reason_phrase(status), http_date(core_.clock.wall()), body.size());
  if (!body.empty()) out += "Content-Type: text/html\r\n";
  if (!location.empty()) fmt::format_to(std::back_inserter(out), "Location: {}\r\n", location);
  if (status >= 400) fmt::format_to(std::back_inserter(out), "X-Bastide-Layer: edge; {}\r\n", why);
  edge_fields(out, status < 400 ? "Redirect from cloudfront" : "Error from cloudfront");
  end_head(out);
  if (request_.method != "HEAD") out += body;
  return client_.flush().ok();
}

bool Connection::deliver(Distribution& distribution) {
  distribution_ = &distribution;
  const auto& spec = distribution.spec;
  auto& stats = core_.cdn->stats[spec.id];
  ++stats.requests;
  socket_.set_timeout(idle_ = 60 * kSecond);
  if (request_.target.size() > kMaxUrl) return deny(414, "the URL is longer than 8192 bytes");
  if (head_.size() > kMaxViewerHead) return deny(494, "the headers are longer than 20480 bytes");
  if (request_.path.empty() || request_.path[0] != '/') return deny(400, "the request has no path");
  std::string path(request_.path);
  if (path == "/" && !spec.root_object.empty()) path += spec.root_object;
  behavior_ = &distribution.behavior(path);
  const auto& b = *behavior_;
  if (!https_ && b.viewer_protocol == "https-only") return deny(403, "this path is served over HTTPS only");
  if (!https_ && b.viewer_protocol == "redirect-to-https") {
    const auto port = core_.https_port == 443 ? std::string() : fmt::format(":{}", core_.https_port);
    const bool safe = request_.method == "GET" || request_.method == "HEAD";
    return deny(safe ? 301 : 307, "",
                fmt::format("https://{}{}{}", request_.host_name, port, request_.target));
  }
  // A plain shared cache passes on methods that it does not know, where every one that CloudFront has is
  // allowed.
  const bool unknown =
      b.rfc9111 && b.methods.size() == 7 && request_.method != "CONNECT" && request_.method != "TRACE";
  if (!unknown && std::find(b.methods.begin(), b.methods.end(), request_.method) == b.methods.end())
    return deny(403, "this path is not configured to allow the HTTP method of the request");
  const bool get = request_.method == "GET" || request_.method == "HEAD";
  if (get && request_.has_body()) return deny(403, "a GET request has a body");
  std::string query;
  if (!b.key_groups.empty() || b.restricted) {
    SignedRequest signed_request{
        https_ ? "https" : "http", request_.host, request_.path, request_.query, peer_address_,
        &request_.fields};
    if (const char* why =
            refused_by_signature(signed_request, distribution.keys, b.key_groups, core_.clock.wall()))
      return deny(403, why);
    query = without_signature(request_.query);
    request_.query = query;
  }
  auto ask = make_ask(spec, b, request_, path, peer_address_, https_);
  if (request_.has_body() || !request_.upgrade.empty()) return pass(std::move(ask));
  // A range far into what is not here is asked for by itself, and not kept.
  auto range = request_.method == "GET" ? parse_range(field_value(request_.fields, "range")) : std::nullopt;
  if (range && (range->suffix >= 0 || range->first > kWholeFrom) &&
      !core_.cdn->cache.find(ask.key, request_.fields)) {
    ask.fields += fmt::format("Range: {}\r\n", field_value(request_.fields, "range"));
    ask.key.clear();
  }
  if (ask.key.empty() && get) {
    for (auto name : {"If-None-Match", "If-Modified-Since", "Range", "If-Range"}) {
      auto value = field_value(request_.fields, name);
      if (!value.empty() && ask.fields.find(std::string(name) + ": ") == std::string::npos)
        ask.fields += fmt::format("{}: {}\r\n", name, value);
    }
  }
  auto got = obtain(core_.cdn, config_, distribution, b, ask, head_, request_.fields);
  if (b.rfc9111 && !get && got.object) {
    ResponseHead answered;
    const auto text = "HTTP/1.1 200 OK\r\n" + got.object->head.fields + "\r\n";
    if (!parse_response(text, answered)) forget_changed(got.object->head.status, answered.fields);
  }
  return reply(got, ask);
}

// RFC 9111 section 4.4. CloudFront does not.
void Connection::forget_changed(int status, const std::vector<Field>& answer) {
  if (status < 200 || status >= 400 || request_.method == "OPTIONS" || request_.method == "TRACE") return;
  const auto forget = [&](std::string_view target) {
    RequestHead plain = request_;
    plain.method = "GET";
    plain.chunked = false;
    plain.content_length = -1;
    const auto mark = target.find('?');
    plain.query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
    const auto path = target.substr(0, mark);
    auto ask =
        make_ask(distribution_->spec, distribution_->behavior(path), plain, path, peer_address_, https_);
    if (!ask.key.empty()) core_.cdn->cache.forget(ask.key);
  };
  forget(request_.target);
  for (auto name : {"location", "content-location"}) {
    auto url = field_value(answer, name);
    if (const auto scheme = url.find("://"); scheme != std::string_view::npos) {
      url.remove_prefix(scheme + 3);
      const auto slash = url.find('/');
      if (slash == std::string_view::npos || !iequals(url.substr(0, slash), request_.host)) continue;
      url.remove_prefix(slash);
    }
    if (!url.empty() && url[0] == '/') {
      forget(url);
    } else if (!url.empty()) {
      forget(std::string(request_.path.substr(0, request_.path.rfind('/') + 1)) + std::string(url));
    }
  }
}

bool Connection::reply(Got& got, const Ask& ask) {
  auto& stats = core_.cdn->stats[distribution_->spec.id];
  if (!got.object) {
    ++stats.errors;
    return deny(got.failed_status, got.failed);
  }
  ++(got.how == Got::How::hit       ? stats.hits
     : got.how == Got::How::miss    ? stats.misses
     : got.how == Got::How::refresh ? stats.refreshes
                                    : stats.stale);
  auto object = got.object;
  int status = object->head.status;
  if (status >= 400) {
    ++stats.errors;
    const auto* page = distribution_->page(status);
    if (page != nullptr && !page->page.empty() && ask.path != page->page) {
      const auto& b = distribution_->behavior(page->page);
      auto plain = request_;
      plain.method = "GET";
      plain.query = {};
      auto page_ask = make_ask(distribution_->spec, b, plain, page->page, peer_address_, https_);
      auto page_got =
          obtain(core_.cdn, config_, *distribution_, b, std::move(page_ask), head_, request_.fields);
      if (page_got.object && page_got.object->head.status == 200) {
        object = page_got.object;
        status = page->response_code != 0 ? page->response_code : status;
        behavior_ = &b;
        return send(object, status, got.how, false);
      }
    }
  }
  return send(object, status, got.how, true);
}

bool Connection::send(const std::shared_ptr<Object>& object, int status, Got::How how, bool selectable) {
  Body::Reader reader(object->body);
  const auto& head = object->head;
  auto& body = *object->body;
  const auto now = core_.clock.wall();
  auto& out = client_.text();
  const bool complete = body.state() == Body::State::complete;
  int64_t length = complete ? body.size() : head.length;
  if (request_.method == "HEAD" && head.length >= 0) length = head.length;
  int64_t begin = 0, end = length;  // -1: not known yet
  std::string content_range;
  bool bodiless = request_.method == "HEAD" || status == 204 || status == 304;
  if (selectable && status == 200) {
    const bool get = request_.method == "GET" || request_.method == "HEAD";
    // Without a Last-Modified the time of its making says as much (RFC 9110 section 13.1.3).
    auto changed = head.last_modified;
    if (changed < 0 && !field_value(request_.fields, "if-modified-since").empty()) changed = date_of(head);
    if (get && not_modified(request_.fields, head.etag, changed)) {
      status = 304;
      bodiless = true;
    } else if (auto want = wanted(request_, head); want.range && length >= 0) {
      auto part = satisfy(*want.range, length);
      if (!part) {
        status = 416;
        content_range = fmt::format("bytes */{}", length);
        begin = end = 0;
      } else {
        status = 206;
        content_range = fmt::format("bytes {}-{}/{}", part->first, part->second, length);
        begin = part->first;
        end = part->second + 1;
      }
    }
  }
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", status, net::reason_phrase(status));
  append_fields(out, head.fields, behavior_->response, request_.fields);
  if (!content_range.empty()) fmt::format_to(std::back_inserter(out), "Content-Range: {}\r\n", content_range);
  bool chunked = false;
  if (status == 304 || status == 204) {
  } else if (end >= 0) {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", end - begin);
  } else if (!bodiless) {
    chunked = request_.minor == 1;
    if (chunked)
      out += "Transfer-Encoding: chunked\r\n";
    else
      keep_alive_ = false;
  }
  if (!head.not_stored && how != Got::How::miss)
    fmt::format_to(std::back_inserter(out), "Age: {}\r\n", std::max<Millis>(0, head.age(now)) / kSecond);
  else if (head.initial_age >= kSecond)
    fmt::format_to(std::back_inserter(out), "Age: {}\r\n", head.age(now) / kSecond);
  if (status >= 400 && head.fields.find("X-Bastide-Layer") == std::string::npos)
    fmt::format_to(std::back_inserter(out), "X-Bastide-Layer: origin; it answered {}\r\n", head.status);
  edge_fields(out, cache_word(how, status));
  end_head(out);
  const auto before = client_.written();
  bool whole = bodiless ? client_.flush().ok() : send_body(reader, begin, end, chunked);
  core_.cdn->stats[distribution_->spec.id].bytes += client_.written() - before;
  return whole;
}

bool Connection::send_body(Body::Reader& reader, int64_t at, int64_t end, bool chunked) {
  auto& body = *reader.body;
  client_.chunked(chunked);
  std::string piece_of_file;
  std::shared_ptr<const Body::Piece> hold;
  while (end < 0 || at < end) {
    std::string_view piece;
    if (at < body.size()) {
      if (body.is_file()) {
        if (!body.read(at, kFilePiece, piece_of_file)) break;
        piece = piece_of_file;
      } else {
        piece = body.at(at, hold);
        if (piece.empty()) break;  // the window has gone on without this reader
      }
    }
    if (piece.empty()) {
      if (body.state() == Body::State::complete && end < 0) break;
      if (body.state() != Body::State::growing) return false;
      if (!client_.flush()) return false;
      if (at < body.size() || body.state() != Body::State::growing) continue;
      if (!body.changed().wait_for(kBodyPatience)) return false;
      continue;
    }
    if (end >= 0)
      piece = piece.substr(
          0, static_cast<size_t>(std::min<int64_t>(end - at, static_cast<int64_t>(piece.size()))));
    if (!client_.piece(piece)) return false;
    at += static_cast<int64_t>(piece.size());
    reader.reached(at);
  }
  if (end >= 0 && at < end) return false;
  if (end < 0 && body.state() == Body::State::broken) return false;
  const bool written = client_.finish().ok();
  client_.chunked(false);
  return written;
}

// A request with a body, or an upgrade: straight to the origin and back, nothing kept.
bool Connection::pass(Ask ask) {
  const auto route = distribution_->route(*behavior_);
  if (route.origins[0] == nullptr) return deny(502, "the behavior has no origin");
  const auto& origin = *route.origins[0];
  auto& stats = core_.cdn->stats[distribution_->spec.id];
  ++stats.misses;
  ++stats.origin_requests;
  auto connected = core_.cdn->origins.connect(origin, origin_https(origin, https_), peer_address_, true);
  if (!connected) {
    ++stats.origin_failures;
    return deny(connected.error().code == "Timeout" ? 504 : 502, connected.error().message);
  }
  Exchange x;
  x.upstream = std::move(connected->upstream);
  x.keep = [&](std::unique_ptr<Upstream> upstream) {
    connected->upstream = std::move(upstream);
    core_.cdn->origins.keep(std::move(*connected), origin, core_.clock.steady());
  };
  const bool upgrading =
      !request_.upgrade.empty() && !request_.has_body() && iequals(request_.upgrade, "websocket");
  std::string more;
  if (upgrading) {
    more = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for (const auto& f : request_.fields) {
      if (f.name.size() > 14 && iequals(f.name.substr(0, 14), "sec-websocket-") &&
          ask.fields.find(std::string(f.name)) == std::string::npos)
        more += fmt::format("{}: {}\r\n", f.name, f.value);
    }
  }
  if (request_.chunked)
    more += "Transfer-Encoding: chunked\r\n";
  else if (request_.content_length >= 0)
    more += fmt::format("Content-Length: {}\r\n", request_.content_length);
  idle_ = origin.read_timeout;
  x.upstream->socket.set_timeout(idle_);
  to_target_.attach(&x.upstream->socket);
  to_target_.text() = origin_head(*distribution_, origin, ask, more, core_.clock.wall());
  auto sent = send_rest(x);
  if (sent == Sent::client_gone) return false;
  if (sent == Sent::client_slow || sent == Sent::client_bad) {
    keep_alive_ = false;
    body_ = BodyReader::of_length(0);
    return deny(sent == Sent::client_slow ? 408 : 400,
                sent == Sent::client_slow ? "the body did not come in time" : "a malformed body");
  }
  auto got = read_answer(*x.upstream, upgrading);
  if (got != Arrival::head) {
    ++stats.origin_failures;
    keep_alive_ = keep_alive_ && body_.ended();
    return deny(got == Arrival::timeout ? 504 : 502, "the origin did not answer");
  }
  if (response_.status == 101) return pass_upgrade(x);
  if (behavior_->rfc9111) forget_changed(response_.status, response_.fields);
  return pass_answer(x, sent == Sent::all);
}

}  // namespace bastide::edge
