#include "store/schema.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iterator>

#include "base/log.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

constexpr const char* kMigrations[] = {
    R"(
CREATE TABLE resource(
  rid INTEGER PRIMARY KEY,
  kind TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, id TEXT NOT NULL,
  version INTEGER NOT NULL, body TEXT NOT NULL);
CREATE UNIQUE INDEX resource_key ON resource(kind, account, region, id);
CREATE TABLE resource_index(
  kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
  rid INTEGER NOT NULL REFERENCES resource(rid) ON DELETE CASCADE,
  PRIMARY KEY(kind, name, value, rid)) WITHOUT ROWID;
CREATE INDEX resource_index_rid ON resource_index(rid);
CREATE TABLE job(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, run_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, wakes INTEGER NOT NULL DEFAULT 0, wake_state TEXT NOT NULL DEFAULT '');
CREATE UNIQUE INDEX job_key ON job(kind, key);
CREATE INDEX job_due ON job(kind, run_at);
CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
)",
    // S3's objects (objects.h): every version a row; data files that rows name, and since when none does.
    R"(
CREATE TABLE s3_object(
  bucket TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, version TEXT NOT NULL,
  latest INTEGER NOT NULL, marker INTEGER NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
  modified INTEGER NOT NULL, data TEXT NOT NULL, meta TEXT NOT NULL,
  PRIMARY KEY(bucket, key, seq)) WITHOUT ROWID;
CREATE UNIQUE INDEX s3_object_version ON s3_object(bucket, key, version);
CREATE TABLE s3_upload(
  id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, started INTEGER NOT NULL, meta TEXT NOT NULL
  ) WITHOUT ROWID;
CREATE INDEX s3_upload_key ON s3_upload(bucket, key, started, id);
CREATE TABLE s3_part(
  upload TEXT NOT NULL REFERENCES s3_upload(id), number INTEGER NOT NULL, size INTEGER NOT NULL,
  etag TEXT NOT NULL, modified INTEGER NOT NULL, data TEXT NOT NULL, meta TEXT NOT NULL,
  PRIMARY KEY(upload, number)) WITHOUT ROWID;
CREATE TABLE s3_data(id TEXT PRIMARY KEY, garbage_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX s3_garbage ON s3_data(garbage_at) WHERE garbage_at>0;
)",
};

}  // namespace

int64_t newest_schema() { return static_cast<int64_t>(std::size(kMigrations)); }

Result<void> copy_database(Connection& db, const std::string& path) {
  const std::string partial = path + ".partial";
  TRY(sys::remove_file(partial));
  {
    const sys::Fd made(::open(partial.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!made) return sys::system_error(partial);
    sqlite3_stmt* s = nullptr;
    if (sqlite3_prepare_v2(db.handle(), "VACUUM INTO ?", -1, &s, nullptr) != SQLITE_OK) {
      return sqlite_error(db.handle(), "backup");
    }
    sqlite3_bind_text(s, 1, partial.c_str(), -1, SQLITE_STATIC);
    const int status = sqlite3_step(s);
    sqlite3_finalize(s);
    if (status != SQLITE_DONE) return sqlite_error(db.handle(), "backup");
    if (::fsync(made.get()) != 0) return sys::system_error(partial);
  }
  if (::rename(partial.c_str(), path.c_str()) != 0) return sys::system_error(path);
  const auto slash = path.rfind('/');
  return sys::sync_folder(slash == std::string::npos ? "." : path.substr(0, slash + 1));
}

Result<void> migrate(Connection& db, const std::string& path) {
  const int64_t version = TRY(db.pragma("user_version"));
  const int64_t application = TRY(db.pragma("application_id"));
  if (version > 0 && application != kApplicationId)
    return error("Invalid", path + " is not a database of Bastide");
  if (version > newest_schema()) {
    return error("NewerSchema", fmt::format("{} has schema {}, written by a newer Bastide; this one knows {}",
                                            path, version, newest_schema()));
  }
  if (version > 0 && version < newest_schema()) {
    TRY(copy_database(db, fmt::format("{}.before-{}", path, version)));
    log::info("database: migrating from schema {} to {}", version, newest_schema());
  }
  for (int64_t v = version; v < newest_schema(); ++v) {
    auto step = db.script(
        fmt::format("BEGIN IMMEDIATE; {}; PRAGMA application_id={}; PRAGMA user_version={}; COMMIT;",
                    kMigrations[v], kApplicationId, v + 1));
    if (!step) {
      if (db.in_transaction()) TRY(db.script("ROLLBACK"));
      return std::move(step).error().context(fmt::format("migration to schema {}", v + 1));
    }
  }
  return {};
}

}  // namespace bastide::store
