#include "edge/freshness.h"

#include <algorithm>

#include "base/bytes.h"
#include "net/http.h"

namespace bastide::edge {
namespace {

constexpr int64_t kNoEnd = 365LL * 86400;  // a stale answer that nothing limits

// RFC 9110 section 15.1.
bool heuristically_cacheable(int status) {
  switch (status) {
    case 200:
    case 203:
    case 204:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
      return true;
    default:
      return false;
  }
}

// Explicit lifetime for a shared cache, -1 where there is none (section 4.2.1).
int64_t explicit_lifetime(const AnswerFacts& a, Millis received) {
  if (a.control.s_maxage >= 0) return a.control.s_maxage;
  if (a.control.max_age >= 0) return a.control.max_age;
  if (a.expires) {
    const Millis date = a.date.value_or(received);
    return std::max<int64_t>(0, (*a.expires - date) / kSecond);
  }
  return -1;
}

// One number of seconds; anything else, a list too, makes the answer stale.
int64_t age_of(std::string_view value) {
  const bool digits = !value.empty() && value.find_first_not_of("0123456789") == std::string_view::npos;
  return digits ? delta_seconds(value) : int64_t{1} << 31;
}

Lifetime refuse(const char* why) {
  Lifetime out;
  out.why = why;
  return out;
}

// Section 3.5, and for a Cookie that the key does not have: one user's answer must not become another's.
const char* personal(const AnswerFacts& a, const AskFacts& ask) {
  const bool shared = a.control.is_public || a.control.s_maxage >= 0;
  if (ask.authorization && !shared && !a.control.must_revalidate)
    return "the request had an Authorization that is no part of the cache key";
  if (ask.cookies && a.sets_cookie && !shared)
    return "the answer sets a cookie for a request whose cookies are no part of the cache key";
  return nullptr;
}

Lifetime plain(const AnswerFacts& a, const AskFacts& ask, Millis received) {
  if (a.status < 200 || a.status == 206 || a.status == 304) return refuse("a status that is not stored");
  if (a.control.no_store) return refuse("Cache-Control: no-store");
  if (a.control.is_private) return refuse("Cache-Control: private");
  if (a.control.must_understand && net::reason_phrase(a.status) == "Unknown")
    return refuse("Cache-Control: must-understand, and a status that is not understood");
  if (const char* why = personal(a, ask)) return refuse(why);
  Lifetime out;
  out.fresh = explicit_lifetime(a, received);
  if (out.fresh < 0) {
    if (!heuristically_cacheable(a.status) && !a.control.is_public)
      return refuse("no lifetime, and a status that has none by heuristics");
    if (!a.last_modified) {
      // Nothing to guess from: stored where a validator makes that worth it.
      if (a.etag.empty()) return refuse("no lifetime, and no validator");
      out.fresh = 0;
    } else {
      out.fresh = std::max<int64_t>(0, (a.date.value_or(received) - *a.last_modified) / kSecond / 10);
    }
    out.why = "a heuristic lifetime: a tenth of the age at its last change";
  } else {
    out.why = "the answer's own lifetime";
  }
  if (a.control.no_cache) {
    out.fresh = 0;
    out.why = "Cache-Control: no-cache";
  }
  out.store = true;
  const bool strict = a.control.must_revalidate || a.control.proxy_revalidate || a.control.s_maxage >= 0 ||
                      a.control.no_cache;
  out.while_revalidate = strict ? 0 : std::max<int64_t>(0, a.control.stale_while_revalidate);
  out.if_error = strict ? 0 : a.control.stale_if_error >= 0 ? a.control.stale_if_error : kNoEnd;
  return out;
}

bool always_cached_error(int status) {
  switch (status) {
    case 404:
    case 414:
    case 500:
    case 501:
    case 502:
    case 503:
    case 504:
      return true;
    default:
      return false;
  }
}

Lifetime error_lifetime(const AnswerFacts& a, const TtlRule& rule, Millis received) {
  Lifetime out;
  // https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HTTPStatusCodes.html
  if (a.status == 416) return refuse("416 is never cached");
  const auto own = explicit_lifetime(a, received);
  const bool forbidden = a.control.no_store || a.control.is_private || a.control.no_cache;
  if (!always_cached_error(a.status) && (own < 0 || forbidden))
    return refuse("an error of this status is cached by its Cache-Control alone");
  out.fresh = forbidden || own < 0 ? rule.error_min
                                   : std::clamp(own, rule.error_min, std::max(rule.error_min, rule.max));
  out.store = out.fresh > 0;
  out.why = own > rule.error_min ? "the error's own lifetime" : "the minimum time that errors are cached";
  return out;
}

}  // namespace

AnswerFacts facts_of(const ResponseHead& head) {
  AnswerFacts out;
  out.status = head.status;
  bool expires = false, aged = false;
  for (const auto& f : head.fields) {
    switch (f.name.size()) {
      case 3:
        if (iequals(f.name, "age")) {
          out.age = aged ? int64_t{1} << 31 : age_of(f.value);
          aged = true;
        }
        break;
      case 4:
        if (iequals(f.name, "date")) {
          if (auto t = parse_http_date(f.value)) out.date = *t;
        } else if (iequals(f.name, "vary") && f.value.find('*') != std::string_view::npos) {
          out.vary_any = true;
        } else if (iequals(f.name, "etag")) {
          out.etag = f.value;
        }
        break;
      case 7:
        if (iequals(f.name, "expires")) {
          // One that cannot be read, or a second one, is in the past (section 5.3).
          auto t = parse_http_date(f.value);
          out.expires = t && !expires ? *t : 0;
          expires = true;
        }
        break;
      case 10:
        if (iequals(f.name, "set-cookie")) out.sets_cookie = true;
        break;
      case 13:
        if (iequals(f.name, "cache-control")) {
          out.control.read(f.value);
        } else if (iequals(f.name, "last-modified")) {
          if (auto t = parse_http_date(f.value)) out.last_modified = *t;
        }
        break;
      default:
        break;
    }
  }
  return out;
}

Lifetime lifetime(const AnswerFacts& a, const AskFacts& ask, const TtlRule& rule, Millis received) {
  if (a.vary_any) return refuse("Vary: *");
  if (rule.rfc9111) return plain(a, ask, received);
  if (a.status >= 400) {
    if (const char* why = personal(a, ask)) return refuse(why);
    return error_lifetime(a, rule, received);
  }
  if (a.status < 200 || a.status == 204 || a.status == 206 || a.status == 304)
    return refuse("a status that is not stored");
  const auto& c = a.control;
  const bool forbidden = c.no_store || c.is_private || c.no_cache;
  Lifetime out;
  out.store = true;
  if (rule.max == 0) return refuse("MaxTTL is 0");
  if (const char* why = personal(a, ask)) return refuse(why);
  if (forbidden && rule.min == 0) {
    if (c.no_store || c.is_private)
      return refuse(c.no_store ? "Cache-Control: no-store" : "Cache-Control: private");
    out.why = "Cache-Control: no-cache";
    return out;  // stored, validated each time
  }
  const auto own = explicit_lifetime(a, received);
  if (forbidden) {
    out.fresh = rule.min;
    out.why = "MinTTL, over the answer's no-store, no-cache or private";
  } else if (own < 0) {
    out.fresh = std::min(rule.max, std::max(rule.min, rule.standard));
    out.why = rule.min > rule.standard ? "MinTTL: the answer has no lifetime"
                                       : "DefaultTTL: the answer has no lifetime";
  } else {
    out.fresh = std::clamp(own, std::min(rule.min, rule.max), rule.max);
    out.why = out.fresh == own ? "the answer's own lifetime" : own < out.fresh ? "MinTTL" : "MaxTTL";
  }
  const bool strict = c.must_revalidate || c.proxy_revalidate;
  out.while_revalidate = strict ? 0 : std::max<int64_t>(0, c.stale_while_revalidate);
  out.if_error = strict ? 0 : c.stale_if_error >= 0 ? c.stale_if_error : rule.max;
  return out;
}

Millis initial_age(const AnswerFacts& a, Millis asked, Millis received) {
  const Millis apparent = a.date ? std::max<Millis>(0, received - *a.date) : 0;
  const Millis corrected = a.age * kSecond + std::max<Millis>(0, received - asked);
  // An apparent age below two seconds is the clock's grain.
  return std::max(apparent < 2 * kSecond ? 0 : apparent, corrected);
}

}  // namespace bastide::edge
