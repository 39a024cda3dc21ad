// What S3 does by itself: expiry, garbage, orphans after a crash, and looking for bit rot.
#include <algorithm>

#include "base/log.h"
#include "net/loop.h"
#include "services/s3/lifecycle.h"
#include "services/s3/s3.h"

namespace bastide::services {
namespace {

constexpr Millis kGarbageRound = kMinute;
// Those who read it already may finish, and so may a backup that names it.
constexpr Millis kGarbageRest = 6 * kHour;
constexpr Millis kLifecycleRound = kHour;
constexpr Millis kScrubRound = kDay;
constexpr size_t kBatch = 500;

}  // namespace

namespace objects = store::objects;

Result<size_t> S3::collect_garbage(Millis before) {
  size_t removed = 0;
  for (;;) {
    std::vector<std::string> ids;
    TRY(p_.database.read([&](store::Reader& r) -> Result<void> {
      ids = TRY(objects::garbage(r, before, kBatch));
      return {};
    }));
    if (ids.empty()) return removed;
    TRY(net::offload_result([&]() -> Result<void> {
      for (const auto& id : ids) TRY(p_.data.remove(id));
      return {};
    }));
    TRY(p_.database.write([&](store::Writer& w) -> Result<void> {
      for (const auto& id : ids) TRY(objects::forget_garbage(w, id));
      return {};
    }));
    removed += ids.size();
  }
}

Result<size_t> S3::drop_orphans(Millis before) {
  const auto files = TRY(net::offload_result([&] { return p_.data.list(before); }));
  std::vector<std::string> orphans;
  for (size_t at = 0; at < files.size(); at += kBatch) {
    TRY(net::offload_result([&] {
      return p_.database.read([&](store::Reader& r) -> Result<void> {
        for (size_t i = at; i < std::min(files.size(), at + kBatch); ++i) {
          const bool known = TRY(objects::knows_data(r, files[i]));
          if (!known) orphans.push_back(files[i]);
        }
        return {};
      });
    }));
  }
  TRY(net::offload_result([&]() -> Result<void> {
    for (const auto& id : orphans) TRY(p_.data.remove(id));
    return {};
  }));
  return orphans.size();
}

Result<std::vector<std::string>> S3::scrub() {
  std::vector<std::string> damaged;
  std::string after;
  for (;;) {
    std::vector<std::string> ids;
    TRY(p_.database.read([&](store::Reader& r) -> Result<void> {
      ids = TRY(objects::data_after(r, after, kBatch));
      return {};
    }));
    if (ids.empty()) return damaged;
    after = ids.back();
    for (const auto& id : ids) {
      const auto checked = net::offload_result([&] { return p_.data.verify(id); });
      if (checked) continue;
      bool still = false;  // it may have become garbage meanwhile
      TRY(p_.database.read([&](store::Reader& r) -> Result<void> {
        still = TRY(objects::knows_data(r, id));
        return {};
      }));
      if (!still) continue;
      log::error("s3 scrub: {}: {}", id, checked.error().message);
      damaged.push_back(id);
    }
  }
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
Result<size_t> S3::expire() {
  size_t done = 0;
  const auto rows = TRY(p_.database.list("*", "*", s3::kBucketKind));
  for (const auto& row : rows) {
    const auto b = s3::bucket_of(row);
    const json::Value* configured = b.configuration("lifecycle");
    if (configured == nullptr) continue;
    const auto rules = s3::rules_of(*configured);
    const Millis now = p_.clock.wall();
    objects::Query query;
    query.bucket = b.name;
    query.limit = kBatch;
    for (;;) {
      const auto page = TRY(net::offload_result([&]() -> Result<objects::Page> {
        objects::Page out;
        TRY(p_.database.read([&](store::Reader& r) -> Result<void> {
          out = TRY(objects::versions(r, query));
          return {};
        }));
        return out;
      }));
      for (const auto& expired : s3::expired(rules, page.rows, now)) {
        TRY(p_.database.write([&](store::Writer& w) -> Result<void> {
          // Only what is still as it was when it was judged.
          const auto known = TRY(objects::version(w, b.name, expired.key, expired.version));
          if (!known || known->sequence != expired.sequence || known->latest != expired.latest) return {};
          if (known->marker) {
            // The marker of a key that has older versions stays: it hides them.
            objects::Query same;
            same.bucket = b.name;
            same.prefix = expired.key;
            same.limit = 2;
            const auto all = TRY(objects::versions(w, same));
            if (all.rows.size() > 1 && all.rows[1].key == expired.key) return {};
          }
          bool marker = false;
          const bool by_version = expired.permanently || !known->latest;
          TRY(remove_one(w, b.name, expired.key,
                         by_version ? std::optional<std::string>(expired.version) : std::nullopt, marker));
          ++done;
          return {};
        }));
      }
      if (!page.truncated) break;
      query.after = page.last;
      query.after_version = page.last_version;
    }
    std::vector<objects::Upload> uploads;
    TRY(p_.database.read([&](store::Reader& r) -> Result<void> {
      uploads = TRY(objects::uploads(r, b.name, "", "", "", 100'000));
      return {};
    }));
    for (const auto& upload : uploads) {
      if (!s3::upload_expired(rules, upload, now)) continue;
      TRY(p_.database.write([&](store::Writer& w) { return objects::end_upload(w, upload.id, {}); }));
      ++done;
    }
  }
  return done;
}

void S3::start() {
  net::spawn([this] {
    if (const auto dropped = drop_orphans(p_.clock.wall() - kMinute); !dropped)
      log::error("s3 orphans: {}", dropped.error().message);
    for (;;) {
      net::sleep_for(kGarbageRound);
      if (const auto done = collect_garbage(p_.clock.wall() - kGarbageRest); !done)
        log::error("s3 garbage: {}", done.error().message);
    }
  });
  net::spawn([this] {
    for (;;) {
      net::sleep_for(kLifecycleRound);
      if (const auto done = expire(); !done) log::error("s3 lifecycle: {}", done.error().message);
    }
  });
  net::spawn([this] {
    for (;;) {
      net::sleep_for(kScrubRound);
      if (const auto done = scrub(); !done) log::error("s3 scrub: {}", done.error().message);
    }
  });
}

}  // namespace bastide::services
