#include "edge/fetch.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "edge/body.h"
#include "edge/compress.h"
#include "edge/sign.h"
#include "net/http.h"

namespace bastide::edge {
namespace {

constexpr int64_t kWindow = 512 << 10;
constexpr size_t kStreamBuffer = 64u << 10;
constexpr Millis kAloneFor = 10 * kSecond;

Error failure(const char* code, std::string message) { return error(code, std::move(message)); }

std::string error_body(int status) {
  return fmt::format(
      "<html>\r\n<head><title>{0} {1}</title></head>\r\n<body>\r\n<h1>{0} {1}</h1>\r\n</body>\r\n</html>\r\n",
      status, net::reason_phrase(status));
}

class Fetch {
 public:
  Fetch(std::shared_ptr<Cdn> cdn, std::shared_ptr<Job> job)
      : cdn_(std::move(cdn)),
        job_(std::move(job)),
        d_(*job_->distribution),
        b_(*job_->behavior),
        fill_(*job_->fill) {}

  void run() {
    auto done = attempt();
    if (!done) fail(std::move(done).error());
    if (job_->stale) job_->stale->refreshing = false;
    leave();
  }

 private:
  void publish(std::shared_ptr<Object> object) {
    fill_.object = std::move(object);
    fill_.done = true;
    fill_.ready.set();
  }
  void leave() {
    if (job_->registered) cdn_->cache.end(job_->ask.key);
    job_->registered = false;
  }

  // A stale answer may stand in (RFC 9111 section 4.2.4, RFC 5861 section 4).
  bool stand_in() {
    const auto& stale = job_->stale;
    if (!stale || d_.invalidated(stale->head)) return false;
    const auto now = cdn_->clock.wall();
    const auto& head = stale->head;
    if (head.age(now) > (head.fresh + head.if_error) * kSecond) return false;
    stale->error_until = now + std::max<int64_t>(1, d_.error_min(504)) * kSecond;
    fill_.stale = true;
    publish(stale);
    return true;
  }

  void fail(Error e) {
    if (fill_.done) {
      if (fill_.object && fill_.object->body) fill_.object->body->break_off();
      return;
    }
    ++cdn_->stats[d_.spec.id].origin_failures;
    if (stand_in()) return;
    fill_.failed = e.message;
    fill_.failed_status = e.code == "Timeout" ? 504 : 502;
    fill_.failed_layer = e.code == "Denied" ? "edge" : "origin";
    const auto keep = d_.error_min(fill_.failed_status);
    if (!job_->ask.key.empty() && keep > 0 && (job_->ask.method == "GET" || job_->ask.method == "HEAD")) {
      auto object = std::make_shared<Object>();
      auto& head = object->head;
      head.status = fill_.failed_status;
      head.content_type = "text/html";
      head.fields = fmt::format(
          "Content-Type: text/html\r\nDate: {}\r\nServer: CloudFront\r\nX-Bastide-Layer: {}; {}\r\n",
          http_date(cdn_->clock.wall()), fill_.failed_layer, header_text(e.message));
      head.received = cdn_->clock.wall();
      head.fresh = keep;
      head.why = "the origin failed; errors are kept for their minimum time";
      head.uri = job_->ask.uri;
      head.invalidation = latest_;
      object->body = std::make_shared<Body>(error_body(head.status));
      head.length = object->body->size();
      object->key = job_->ask.key;
      cdn_->cache.memory().put(object);
      publish(std::move(object));
      return;
    }
    fill_.done = true;
    fill_.ready.set();
  }

  static std::string header_text(std::string_view text) {
    std::string out;
    for (unsigned char c : text.substr(0, 200)) out += c < 0x20 || c >= 0x7f ? ' ' : static_cast<char>(c);
    return out;
  }

  std::string conditions() const {
    std::string out;
    if (!job_->stale) return out;
    const auto& head = job_->stale->head;
    if (!head.etag.empty()) out += "If-None-Match: " + origin_etag(head) + "\r\n";
    if (head.last_modified >= 0) out += "If-Modified-Since: " + http_date(head.last_modified) + "\r\n";
    return out;
  }
  static const std::string& origin_etag(const Stored& head) {
    return head.origin_etag.empty() ? head.etag : head.origin_etag;
  }

  Result<void> attempt() {
    latest_ = d_.latest();
    const auto route = d_.route(b_);
    Error last = failure("Invalid", "the behavior has no origin");
    for (int i = 0; i < 2 && route.origins[i] != nullptr; ++i) {
      const auto& origin = *route.origins[i];
      const bool more = i == 0 && route.origins[1] != nullptr;
      auto asked = ask(origin);
      if (!asked) {
        last = std::move(asked).error().context("origin " + origin.id);
        continue;
      }
      if (more && route.statuses != nullptr &&
          std::find(route.statuses->begin(), route.statuses->end(), response_.status) !=
              route.statuses->end()) {
        last = failure("Invalid", fmt::format("origin {} answered {}", origin.id, response_.status));
        connection_ = {};
        continue;
      }
      return take(origin);
    }
    return last;
  }

  Result<void> ask(const internal::EdgeOrigin& origin) {
    ++cdn_->stats[d_.spec.id].origin_requests;
    asked_at_ = cdn_->clock.wall();
    const bool https = origin_https(origin, job_->ask.https);
    for (bool fresh : {false, true}) {
      connection_ = TRY(cdn_->origins.connect(origin, https, job_->ask.client, fresh));
      auto& upstream = *connection_.upstream;
      upstream.socket.set_timeout(origin.read_timeout);
      auto sent = upstream.socket.write(origin_head(d_, origin, job_->ask, conditions(), asked_at_));
      if (sent) sent = read_response(upstream, response_, origin.read_timeout);
      if (sent) return {};
      // A kept connection that the origin had closed: once more with a new one.
      if (!connection_.reused || sent.error().code != "Closed") return std::move(sent).error();
    }
    return failure("Closed", "the origin closed the connection");
  }

  Result<void> take(const internal::EdgeOrigin& origin) {
    const auto received = cdn_->clock.wall();
    auto facts = facts_of(response_);
    TtlRule rule{b_.rfc9111, b_.min_ttl, b_.default_ttl, b_.max_ttl, d_.error_min(response_.status)};
    if (response_.status == 304 && job_->stale) return validated(origin, facts, rule, received);
    if (response_.status >= 500 && job_->stale && stand_in()) {
      ++cdn_->stats[d_.spec.id].origin_failures;
      return {};
    }
    auto object = std::make_shared<Object>();
    auto& head = object->head;
    const bool cookies = b_.send_cookies.kind != internal::EdgeSelection::Kind::none ||
                         b_.key_cookies.kind != internal::EdgeSelection::Kind::none;
    fill_head(head, facts, received, cookies);
    if (!facts.date) head.fields += "Date: " + http_date(received) + "\r\n";
    head.length = response_.chunked ? -1 : response_.content_length;
    auto life = lifetime(facts, job_->ask.facts, rule, received);
    set_life(head, life, facts, received);
    head.vary = vary_names(response_, b_);
    const bool get = job_->ask.method == "GET" || job_->ask.method == "OPTIONS";
    const bool storable = life.store && !job_->ask.key.empty() && get;
    head.not_stored = !storable;
    object->key = job_->ask.key;
    // Framing; the views of response_ end with the next read.
    auto body = BodyReader::of_length(std::max<int64_t>(0, response_.content_length));
    if (job_->ask.method == "HEAD" || response_.status == 204 || response_.status == 304) {
      body = BodyReader::of_length(0);
    } else if (response_.chunked) {
      body = BodyReader::of_chunks();
    } else if (response_.content_length < 0) {
      body = BodyReader::until_close();
    }
    const bool origin_keeps = response_.keep_alive && !body.ends_with_connection();
    const bool compress = may_compress(head, facts);
    auto& in = connection_.upstream->in;
    in.consume(head_length(in.view()));
    object->body = std::make_shared<Body>();

    bool spooled = false;
    DiskCache::Spool spool;
    if (compress) {
      TRY(read_all(*object->body, body));
      TRY(compress_body(*object));
    } else if (!storable) {
      object->body->keep_window();
      fill_.alone = true;
      if (!job_->ask.key.empty() && get) cdn_->cache.set_alone(job_->ask.key, received + kAloneFor);
    } else if (head.length > DiskCache::kWhole && head.length <= cdn_->cache.disk().max_bytes() / 4) {
      object->key = cdn_->cache.key_of(job_->ask.key, head, job_->request.fields);
      auto made = cdn_->cache.disk().spool(object->key, head);
      if (made && object->key == job_->ask.key) {
        spool = std::move(*made);
        spooled = true;
        object->body = Body::in_file(TRY(spool.file.duplicate()), spool.body_offset);
      } else {
        if (made) cdn_->cache.disk().drop(*made);
        object->body->keep_window();
      }
    } else if (head.length > DiskCache::kWhole) {
      object->body->keep_window();
    } else if (head.length > 0) {
      object->body->reserve(static_cast<size_t>(head.length));
    }
    if (storable && !object->body->in_window())
      object->key = cdn_->cache.key_of(job_->ask.key, head, job_->request.fields);
    if (object->body->in_window()) leave();
    publish(object);
    if (!compress) {
      auto read = read_all(*object->body, body);
      if (!read) {
        if (spooled) cdn_->cache.disk().drop(spool);
        return read;
      }
      object->body->finish();
    }
    if (origin_keeps) cdn_->origins.keep(std::move(connection_), origin, cdn_->clock.steady());
    if (object->body->in_window()) return {};
    if (spooled) {
      if (cdn_->cache.disk().keep(spool, object->key, object->body->size())) cdn_->cache.put_spooled(object);
    } else if (storable) {
      head.length = object->body->size();
      cdn_->cache.put(job_->ask.key, object, job_->request.fields);
    }
    return {};
  }

  void fill_head(Stored& head, const AnswerFacts& facts, Millis received, bool cookies) {
    head.status = response_.status;
    head.fields = passed_fields(response_, cookies);
    head.etag = facts.etag;
    head.content_type = field_value(response_.fields, "content-type");
    head.content_encoding = field_value(response_.fields, "content-encoding");
    head.last_modified = facts.last_modified.value_or(-1);
    head.received = received;
    head.uri = job_->ask.uri;
    head.invalidation = latest_;
  }
  void set_life(Stored& head, const Lifetime& life, const AnswerFacts& facts, Millis received) {
    // CloudFront counts its TTLs from when it got the answer; RFC 9111 from when the answer was made.
    head.initial_age = b_.rfc9111 ? initial_age(facts, asked_at_, received) : facts.age * kSecond;
    head.received = received;
    head.fresh = life.fresh;
    head.while_revalidate = life.while_revalidate;
    head.if_error = life.if_error;
    head.why = life.why;
  }

  // Section 4.3.4: the stored answer with the new fields.
  Result<void> validated(const internal::EdgeOrigin& origin, AnswerFacts facts, const TtlRule& rule,
                         Millis received) {
    auto object = std::make_shared<Object>();
    object->key = job_->stale->key;
    object->body = job_->stale->body;
    object->head = job_->stale->head;
    auto& head = object->head;
    ResponseHead merged;
    const auto before = fmt::format("HTTP/1.1 {} OK\r\n{}\r\n", head.status, head.fields);
    if (parse_response(before, merged)) return failure("Invalid", "a stored head that cannot be read");
    auto replaced = [&](const Field& old) {
      if (iequals(old.name, "content-encoding") || iequals(old.name, "content-range") ||
          iequals(old.name, "content-md5") || iequals(old.name, "etag"))
        return false;
      return std::any_of(response_.fields.begin(), response_.fields.end(),
                         [&](const Field& f) { return !f.hop && iequals(f.name, old.name); });
    };
    std::erase_if(merged.fields, replaced);
    for (const auto& f : response_.fields) {
      const bool there = std::any_of(merged.fields.begin(), merged.fields.end(),
                                     [&](const Field& old) { return iequals(old.name, f.name); });
      if (!f.hop && f.known != Name::content_length && (!there || iequals(f.name, "set-cookie")))
        merged.fields.push_back(f);
    }
    merged.status = head.status;
    auto now_facts = facts_of(merged);
    now_facts.status = head.status;
    now_facts.age = facts.age;
    if (!facts.date) now_facts.date = received;
    head.fields = passed_fields(merged, true);
    head.invalidation = latest_;
    auto life = lifetime(now_facts, job_->ask.facts, rule, received);
    set_life(head, life, now_facts, received);
    auto& in = connection_.upstream->in;
    in.consume(head_length(in.view()));
    if (response_.keep_alive) cdn_->origins.keep(std::move(connection_), origin, cdn_->clock.steady());
    fill_.validated = true;
    if (life.store) {
      cdn_->cache.memory().put(object);
      if (!object->body->is_file()) cdn_->cache.disk().save(object);
    } else {
      head.not_stored = true;
      cdn_->cache.erase(job_->stale);
    }
    publish(std::move(object));
    return {};
  }

  bool may_compress(const Stored& head, const AnswerFacts& facts) const {
    const auto& ask = job_->ask;
    return ask.compress && (ask.brotli || ask.gzip) && ask.method == "GET" &&
           (head.status == 200 || head.status == 403 || head.status == 404) && head.length >= kCompressFrom &&
           head.length <= kCompressTo && head.content_encoding.empty() && !facts.control.no_transform &&
           compressible_type(head.content_type);
  }

  Result<void> compress_body(Object& object) {
    std::string plain;
    std::shared_ptr<const Body::Piece> hold;
    while (static_cast<int64_t>(plain.size()) < object.body->size())
      plain += object.body->at(static_cast<int64_t>(plain.size()), hold);
    const bool br = job_->ask.brotli;
    auto packed = TRY(net::offload_result([&] { return br ? brotli(plain) : gzip(plain); }));
    auto& head = object.head;
    ResponseHead parsed;
    const auto before = "HTTP/1.1 200 OK\r\n" + head.fields + "\r\n";
    if (parse_response(before, parsed)) return failure("Invalid", "a head that cannot be read");
    std::string fields;
    for (const auto& f : parsed.fields) {
      std::string value(f.value);
      if (iequals(f.name, "etag")) {
        head.origin_etag = value;
        if (!value.starts_with("W/")) value = "W/" + value;
        head.etag = value;
      }
      if (iequals(f.name, "accept-ranges")) continue;
      fields += std::string(f.name) + ": " + value + "\r\n";
    }
    head.content_encoding = br ? "br" : "gzip";
    head.fields = fields + "Content-Encoding: " + head.content_encoding + "\r\nVary: Accept-Encoding\r\n";
    head.length = static_cast<int64_t>(packed.size());
    object.body = std::make_shared<Body>(std::move(packed));
    return {};
  }

  Result<void> read_all(Body& to, BodyReader& from) {
    auto& upstream = *connection_.upstream;
    auto& in = upstream.in;
    while (true) {
      std::string_view piece;
      switch (from.step(in, piece)) {
        case BodyReader::Step::end:
          return {};
        case BodyReader::Step::bad:
          return failure("Invalid", "the origin's answer is malformed");
        case BodyReader::Step::data:
          TRY(to.append(piece));
          // Of unknown length, and too large to be kept: for those who read it now alone.
          if (!to.in_window() && !to.is_file() && to.size() > std::max(DiskCache::kWhole, kCompressTo)) {
            to.keep_window();
            leave();
          }
          if (!to.wait_for_room(kWindow)) return failure("Closed", "the viewer left");
          continue;
        case BodyReader::Step::more:
          break;
      }
      in.compact();
      in.grow(kStreamBuffer);
      auto n = upstream.socket.read(in.room(), in.room_size());
      if (!n) return std::move(n).error();
      if (*n == 0) {
        if (from.ends_with_connection()) return {};
        return failure("Closed", "the origin broke its answer off");
      }
      in.added(*n);
    }
  }

  std::shared_ptr<Cdn> cdn_;
  std::shared_ptr<Job> job_;
  const Distribution& d_;
  const internal::EdgeBehavior& b_;
  Fill& fill_;
  Origins::Connection connection_;
  ResponseHead response_;
  Millis asked_at_ = 0;
  int64_t latest_ = 0;
};

}  // namespace

void start_fetch(const std::shared_ptr<Cdn>& cdn, std::shared_ptr<Job> job) {
  net::spawn([cdn, job = std::move(job)] { Fetch(cdn, job).run(); });
}

}  // namespace bastide::edge
