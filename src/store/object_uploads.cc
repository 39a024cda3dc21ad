#include <algorithm>

#include "store/object_rows.h"

namespace bastide::store::objects {
namespace {

Result<Upload> upload_of(const Statement& s) {
  Upload out{s.text(0), s.text(1), s.text(2), s.number(3), {}};
  auto meta = json::parse(s.view(4));
  if (!meta) return error("upload " + out.id + ": a row that is not JSON");
  out.meta = std::move(*meta);
  return out;
}

Result<Part> part_of(const Statement& s) {
  Part out;
  out.number = static_cast<int32_t>(s.number(0));
  out.size = s.number(1);
  out.etag = s.text(2);
  out.modified = s.number(3);
  auto data = json::parse(s.view(4));
  auto meta = json::parse(s.view(5));
  if (!data || !meta) return error("a part whose row is not JSON");
  out.data = std::move(*data);
  out.meta = std::move(*meta);
  return out;
}

#define PART_COLUMNS "SELECT number, size, etag, modified, data, meta FROM s3_part "

}  // namespace

Result<void> begin_upload(Writer& writer, const Upload& upload) {
  const std::string meta = json::print(upload.meta);
  auto s = TRY(connection_of(writer).prepare(
      "INSERT INTO s3_upload(id, bucket, key, started, meta) VALUES(?, ?, ?, ?, ?)"));
  return s.bind(upload.id).bind(upload.bucket).bind(upload.key).bind(upload.started).bind(meta).run();
}

Result<std::optional<Upload>> upload(Reader& reader, const std::string& id) {
  auto s =
      TRY(connection_of(reader).prepare("SELECT id, bucket, key, started, meta FROM s3_upload WHERE id=?"));
  s.bind(id);
  const bool found = TRY(s.step());
  if (!found) return std::optional<Upload>();
  auto row = TRY(upload_of(s));
  return std::optional<Upload>(std::move(row));
}

Result<std::vector<Upload>> uploads(Reader& reader, const std::string& bucket, const std::string& prefix,
                                    const std::string& after_key, const std::string& after_id, size_t limit) {
  std::vector<Upload> out;
  const std::string end = behind(prefix);
  auto s = TRY(connection_of(reader).prepare(
      "SELECT id, bucket, key, started, meta FROM s3_upload WHERE bucket=?1 AND key>=?2 AND "
      "(?3='' OR key>?3 OR (key=?3 AND ?4<>'' AND (started, id)>(SELECT started, id FROM s3_upload WHERE "
      "id=?4))) "
      "ORDER BY key, started, id"));
  s.bind(bucket).bind(prefix).bind(after_key).bind(after_id);
  while (out.size() < limit) {
    const bool more = TRY(s.step());
    if (!more || (!end.empty() && s.view(2) >= end)) break;
    out.push_back(TRY(upload_of(s)));
  }
  return out;
}

Result<void> put_part(Writer& writer, const std::string& upload, const Part& part) {
  Connection& db = connection_of(writer);
  {
    auto s = TRY(db.prepare(PART_COLUMNS "WHERE upload=? AND number=?"));
    s.bind(upload).bind(int64_t{part.number});
    const bool found = TRY(s.step());
    if (found) {
      const auto old = TRY(part_of(s));
      TRY(drop_data(db, old.data));
    }
  }
  TRY(own_data(db, part.data));
  const std::string data = json::print(part.data), meta = json::print(part.meta);
  auto s =
      TRY(db.prepare("INSERT OR REPLACE INTO s3_part(upload, number, size, etag, modified, data, meta) "
                     "VALUES(?, ?, ?, ?, ?, ?, ?)"));
  s.bind(upload).bind(int64_t{part.number}).bind(part.size).bind(part.etag).bind(part.modified);
  return s.bind(data).bind(meta).run();
}

Result<std::vector<Part>> parts(Reader& reader, const std::string& upload, int32_t after, size_t limit) {
  std::vector<Part> out;
  auto s =
      TRY(connection_of(reader).prepare(PART_COLUMNS "WHERE upload=? AND number>? ORDER BY number LIMIT ?"));
  s.bind(upload).bind(int64_t{after}).bind(static_cast<int64_t>(limit));
  for (;;) {
    const bool more = TRY(s.step());
    if (!more) return out;
    out.push_back(TRY(part_of(s)));
  }
}

Result<void> end_upload(Writer& writer, const std::string& id, const std::vector<int32_t>& kept) {
  Connection& db = connection_of(writer);
  const auto all = TRY(parts(writer, id, -1, 20'000));
  for (const Part& part : all) {
    if (std::find(kept.begin(), kept.end(), part.number) != kept.end()) {
      for (const auto& one : part.data.array()) {
        const std::string data = one.get("id");
        auto s = TRY(db.prepare("DELETE FROM s3_data WHERE id=?"));
        TRY(s.bind(data).run());
      }
    } else {
      TRY(drop_data(db, part.data));
    }
  }
  {
    auto s = TRY(db.prepare("DELETE FROM s3_part WHERE upload=?"));
    TRY(s.bind(id).run());
  }
  auto s = TRY(db.prepare("DELETE FROM s3_upload WHERE id=?"));
  return s.bind(id).run();
}

}  // namespace bastide::store::objects
