// From the cache, from somebody who asks already, or from the origin.
#include <utility>

#include "edge/fetch.h"

namespace bastide::edge {
namespace {
constexpr Millis kFillPatience = 10 * kMinute;
}

Got obtain(const std::shared_ptr<Cdn>& cdn, const std::shared_ptr<Config>& config, const Distribution& d,
           const internal::EdgeBehavior& b, Ask ask, const std::string& head_text,
           const std::vector<Field>& fields) {
  auto& cache = cdn->cache;
  auto& stats = cdn->stats[d.spec.id];
  Got out;
  bool together = ask.method == "GET";
  const auto make_job = [&](std::shared_ptr<Object> stale) {
    auto job = std::make_shared<Job>();
    job->config = config;
    job->distribution = &d;
    job->behavior = &b;
    job->ask = ask;
    job->head_text = head_text;
    parse_request(job->head_text, job->request);
    job->stale = std::move(stale);
    job->fill = std::make_shared<Fill>();
    return job;
  };
  while (true) {
    std::shared_ptr<Object> found;
    const auto now = cdn->clock.wall();
    if (!ask.key.empty()) {
      found = cache.find(ask.key, fields);
      if (found && d.invalidated(found->head)) {
        cache.erase(found);
        found = nullptr;
      }
    }
    if (found) {
      out.object = found;
      if (found->head.is_fresh(now)) {
        out.how = Got::How::hit;
        return out;
      }
      const auto late = found->head.age(now) - found->head.fresh * kSecond;
      out.how = Got::How::stale;
      if (found->error_until > now) return out;
      if (late < found->head.while_revalidate * kSecond) {
        if (!std::exchange(found->refreshing, true)) start_fetch(cdn, make_job(found));
        return out;
      }
      if (found->head.etag.empty() && found->head.last_modified < 0 && found->head.if_error <= 0)
        found = nullptr;
      out.object = nullptr;
    }
    auto fill = together ? cache.filling(ask.key) : nullptr;
    const bool mine = fill == nullptr;
    if (mine) {
      auto job = make_job(found);
      fill = job->fill;
      if (together && !ask.key.empty() && !cache.goes_alone(ask.key, now)) {
        job->registered = true;
        cache.begin(ask.key, fill);
      }
      start_fetch(cdn, std::move(job));
    } else {
      ++stats.collapsed;
    }
    const auto deadline = cdn->clock.steady() + kFillPatience;
    while (!fill->done && cdn->clock.steady() < deadline) fill->ready.wait_for(kSecond);
    if (fill->object && !mine) {
      const auto& object = *fill->object;
      const bool same = object.head.vary.empty() || object.key == cache.key_of(ask.key, object.head, fields);
      if (object.head.not_stored || !same || !object.body->from_start()) {
        together = false;  // its answer is another's
        continue;
      }
    }
    out.object = fill->object;
    out.how = fill->stale ? Got::How::stale : fill->validated ? Got::How::refresh : Got::How::miss;
    if (!out.object) {
      out.failed = fill->done ? fill->failed : "the origin did not answer in time";
      out.failed_status = fill->done ? fill->failed_status : 504;
      out.layer = fill->failed_layer;
    }
    return out;
  }
}

}  // namespace bastide::edge
