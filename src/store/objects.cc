#include "store/objects.h"

#include "store/object_rows.h"

namespace bastide::store::objects {
namespace {

#define COLUMNS \
  "SELECT bucket, key, version, seq, latest, marker, size, etag, modified, data, meta FROM s3_object "

Result<std::optional<Object>> first(Statement& s) {
  const bool found = TRY(s.step());
  if (!found) return std::optional<Object>();
  auto row = TRY(object_of(s));
  return std::optional<Object>(std::move(row));
}

}  // namespace

Result<Object> object_of(const Statement& s) {
  Object out;
  out.bucket = s.text(0);
  out.key = s.text(1);
  out.version = s.text(2);
  out.sequence = s.number(3);
  out.latest = s.number(4) != 0;
  out.marker = s.number(5) != 0;
  out.size = s.number(6);
  out.etag = s.text(7);
  out.modified = s.number(8);
  auto data = json::parse(s.view(9));
  auto meta = json::parse(s.view(10));
  if (!data || !meta) return error("object " + out.bucket + "/" + out.key + ": a row that is not JSON");
  out.data = std::move(*data);
  out.meta = std::move(*meta);
  return out;
}

Result<void> own_data(Connection& db, const json::Value& data) {
  for (const auto& one : data.array()) {
    const std::string id = one.get("id");
    auto s = TRY(db.prepare("INSERT INTO s3_data(id, garbage_at) VALUES(?, 0)"));
    TRY(s.bind(id).run());
  }
  return {};
}

Result<void> drop_data(Connection& db, const json::Value& data) {
  for (const auto& one : data.array()) {
    const std::string id = one.get("id");
    auto s = TRY(db.prepare("UPDATE s3_data SET garbage_at=? WHERE id=?"));
    TRY(s.bind(Clock::system().wall()).bind(id).run());
  }
  return {};
}

Result<std::optional<Object>> latest(Reader& reader, const std::string& bucket, const std::string& key) {
  auto s = TRY(connection_of(reader).prepare(COLUMNS "WHERE bucket=? AND key=? AND latest=1"));
  s.bind(bucket).bind(key);
  return first(s);
}

Result<std::optional<Object>> version(Reader& reader, const std::string& bucket, const std::string& key,
                                      const std::string& version) {
  auto s = TRY(connection_of(reader).prepare(COLUMNS "WHERE bucket=? AND key=? AND version=?"));
  s.bind(bucket).bind(key).bind(version);
  return first(s);
}

Result<bool> remove(Writer& writer, const std::string& bucket, const std::string& key,
                    const std::string& version) {
  Connection& db = connection_of(writer);
  const auto known = TRY(objects::version(writer, bucket, key, version));
  if (!known) return false;
  TRY(drop_data(db, known->data));
  {
    auto s = TRY(db.prepare("DELETE FROM s3_object WHERE bucket=? AND key=? AND seq=?"));
    TRY(s.bind(bucket).bind(key).bind(known->sequence).run());
  }
  if (known->latest) {
    auto s =
        TRY(db.prepare("UPDATE s3_object SET latest=1 WHERE bucket=?1 AND key=?2 AND "
                       "seq=(SELECT max(seq) FROM s3_object WHERE bucket=?1 AND key=?2)"));
    TRY(s.bind(bucket).bind(key).run());
  }
  return true;
}

Result<void> put(Writer& writer, Object& object) {
  Connection& db = connection_of(writer);
  object.sequence = 1;
  {
    auto s = TRY(db.prepare("SELECT max(seq) FROM s3_object WHERE bucket=? AND key=?"));
    s.bind(object.bucket).bind(object.key);
    const bool found = TRY(s.step());
    if (found) object.sequence = s.number(0) + 1;
  }
  if (object.sequence > 1) {
    TRY(remove(writer, object.bucket, object.key, object.version));
    auto s = TRY(db.prepare("UPDATE s3_object SET latest=0 WHERE bucket=? AND key=? AND latest=1"));
    TRY(s.bind(object.bucket).bind(object.key).run());
  }
  TRY(own_data(db, object.data));
  const std::string data = json::print(object.data), meta = json::print(object.meta);
  auto s = TRY(db.prepare(
      "INSERT INTO s3_object(bucket, key, version, seq, latest, marker, size, etag, modified, data, meta) "
      "VALUES(?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)"));
  s.bind(object.bucket).bind(object.key).bind(object.version).bind(object.sequence);
  s.bind(int64_t{object.marker})
      .bind(object.size)
      .bind(object.etag)
      .bind(object.modified)
      .bind(data)
      .bind(meta);
  return s.run();
}

Result<void> set_meta(Writer& writer, const Object& object) {
  const std::string meta = json::print(object.meta);
  auto s =
      TRY(connection_of(writer).prepare("UPDATE s3_object SET meta=? WHERE bucket=? AND key=? AND seq=?"));
  return s.bind(meta).bind(object.bucket).bind(object.key).bind(object.sequence).run();
}

Result<bool> any(Reader& reader, const std::string& bucket) {
  Connection& db = connection_of(reader);
  auto s = TRY(db.prepare("SELECT 1 FROM s3_object WHERE bucket=? LIMIT 1"));
  s.bind(bucket);
  return s.step();
}

Result<Usage> usage(Reader& reader, const std::string& bucket) {
  auto s = TRY(connection_of(reader).prepare(
      "SELECT count(*), coalesce(sum(size), 0) FROM s3_object WHERE bucket=? AND marker=0"));
  s.bind(bucket);
  TRY(s.step());
  return Usage{s.number(0), s.number(1)};
}

Result<std::vector<std::string>> garbage(Reader& reader, Millis before, size_t limit) {
  auto s = TRY(connection_of(reader).prepare(
      "SELECT id FROM s3_data WHERE garbage_at>0 AND garbage_at<? ORDER BY garbage_at LIMIT ?"));
  s.bind(before).bind(static_cast<int64_t>(limit));
  return texts(s);
}

Result<void> forget_garbage(Writer& writer, const std::string& id) {
  auto s = TRY(connection_of(writer).prepare("DELETE FROM s3_data WHERE id=? AND garbage_at>0"));
  return s.bind(id).run();
}

Result<bool> knows_data(Reader& reader, const std::string& id) {
  auto s = TRY(connection_of(reader).prepare("SELECT 1 FROM s3_data WHERE id=?"));
  s.bind(id);
  return s.step();
}

Result<std::vector<std::string>> data_after(Reader& reader, const std::string& after, size_t limit) {
  auto s = TRY(connection_of(reader).prepare(
      "SELECT id FROM s3_data WHERE id>? AND garbage_at=0 ORDER BY id LIMIT ?"));
  s.bind(after).bind(static_cast<int64_t>(limit));
  return texts(s);
}

Result<std::vector<std::string>> texts(Statement& s) {
  std::vector<std::string> out;
  for (;;) {
    const bool more = TRY(s.step());
    if (!more) return out;
    out.push_back(s.text(0));
  }
}

}  // namespace bastide::store::objects
