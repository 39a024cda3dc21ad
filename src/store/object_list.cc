#include "store/object_rows.h"

namespace bastide::store::objects {
namespace {

#define COLUMNS \
  "SELECT bucket, key, version, seq, latest, marker, size, etag, modified, data, meta FROM s3_object "

// One step through the keys of a bucket from a starting point.
struct Cursor {
  std::string from;  // keys at or behind this one
  int64_t below_sequence =
      0;  // of the key `from` itself: only versions below this; 0: none of it is left out
};

Result<Page> walk(Connection& db, const Query& q, Cursor at, bool all) {
  Page page;
  const std::string end = behind(q.prefix);
  if (at.from < q.prefix) at = {q.prefix, 0};
  const char* sql =
      all ? COLUMNS "WHERE bucket=?1 AND key>=?2 AND (key>?2 OR ?3=0 OR seq<?3) ORDER BY key, seq DESC"
          : COLUMNS "WHERE bucket=?1 AND key>=?2 AND ?3=?3 AND latest=1 AND marker=0 ORDER BY key";
  for (bool again = true; again;) {
    again = false;
    auto s = TRY(db.prepare(sql));
    s.bind(q.bucket).bind(at.from).bind(at.below_sequence);
    for (;;) {
      const bool more = TRY(s.step());
      if (!more) return page;
      const std::string_view key = s.view(1);
      if (!end.empty() && key >= end) return page;
      if (page.rows.size() + page.prefixes.size() == q.limit) {
        page.truncated = true;
        return page;
      }
      const size_t cut =
          q.delimiter.empty() ? std::string_view::npos : key.find(q.delimiter, q.prefix.size());
      if (cut != std::string_view::npos) {
        std::string prefix(key.substr(0, cut + q.delimiter.size()));
        page.last = prefix;
        page.last_version.clear();
        page.last_is_prefix = true;
        at = {behind(prefix), 0};
        page.prefixes.push_back(std::move(prefix));
        if (at.from.empty()) return page;
        again = true;
        break;
      }
      auto row = TRY(object_of(s));
      page.last = row.key;
      page.last_version = row.version;
      page.last_is_prefix = false;
      page.rows.push_back(std::move(row));
    }
  }
  return page;
}

// Whether everything below the last common prefix is to be passed over.
bool passed_prefix(const Query& q) {
  if (q.after_is_prefix) return true;
  return !q.delimiter.empty() && q.after.size() > q.prefix.size() && q.after.starts_with(q.prefix) &&
         q.after.find(q.delimiter, q.prefix.size()) + q.delimiter.size() == q.after.size();
}

}  // namespace

Result<Page> list(Reader& reader, const Query& q) {
  Cursor at;
  if (!q.after.empty()) {
    at.from = passed_prefix(q) ? behind(q.after) : q.after + '\0';
    if (at.from.empty()) return Page{};
  }
  if (q.limit == 0) return Page{};
  return walk(connection_of(reader), q, at, false);
}

Result<Page> versions(Reader& reader, const Query& q) {
  Cursor at;
  if (!q.after.empty()) {
    if (passed_prefix(q)) {
      at.from = behind(q.after);
      if (at.from.empty()) return Page{};
    } else if (q.after_version.empty()) {
      at.from = q.after + '\0';
    } else {
      const auto known = TRY(version(reader, q.bucket, q.after, q.after_version));
      at = known ? Cursor{q.after, known->sequence} : Cursor{q.after + '\0', 0};
    }
  }
  if (q.limit == 0) return Page{};
  return walk(connection_of(reader), q, at, true);
}

}  // namespace bastide::store::objects
