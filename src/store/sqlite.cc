#include "store/sqlite.h"

#include <fcntl.h>

#include "base/check.h"
#include "sys/fd.h"

namespace bastide::store {
namespace {
constexpr int kBusyMillis = 10'000;
}

Error sqlite_error(sqlite3* db, std::string_view what) {
  return error("Database", std::string(what) + ": " + (db ? sqlite3_errmsg(db) : "out of memory"));
}

Statement& Statement::bind(std::string_view text) {
  sqlite3_bind_text(s_, ++bound_, text.data() ? text.data() : "", static_cast<int>(text.size()),
                    SQLITE_STATIC);
  return *this;
}

Statement& Statement::bind(int64_t number) {
  sqlite3_bind_int64(s_, ++bound_, number);
  return *this;
}

Result<bool> Statement::step() {
  const int status = sqlite3_step(s_);
  if (status == SQLITE_ROW) return true;
  if (status == SQLITE_DONE) return false;
  return sqlite_error(sqlite3_db_handle(s_), "step");
}

Result<void> Statement::run() {
  while (true) {
    const bool row = TRY(step());
    if (!row) return {};
  }
}

std::string_view Statement::view(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(s_, column));
  return {text ? text : "", static_cast<size_t>(sqlite3_column_bytes(s_, column))};
}

std::string Statement::text(int column) const { return std::string(view(column)); }

Result<std::unique_ptr<Connection>> Connection::open(const std::string& path, Mode mode) {
  // Made by us first, so that it and the files SQLite puts beside it are private.
  if (mode == Mode::writer) {
    const sys::Fd made(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!made) return sys::system_error(path);
  }
  std::unique_ptr<Connection> c(new Connection);
  const int flags =
      (mode == Mode::writer ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path.c_str(), &c->db_, flags, nullptr) != SQLITE_OK) return sqlite_error(c->db_, path);
  sqlite3_busy_timeout(c->db_, kBusyMillis);
  if (mode == Mode::writer) {
    TRY(
        c->script("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                  "PRAGMA cache_size=-1024; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=8388608;"));
  } else {
    TRY(c->script("PRAGMA query_only=ON; PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY;"));
  }
  return c;
}

Connection::~Connection() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

Result<Statement> Connection::prepare(const char* sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (!statement &&
      sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
    return sqlite_error(db_, sql);
  }
  CHECK(!sqlite3_stmt_busy(statement));  // the same query nested within itself
  return Statement(statement);
}

Result<void> Connection::run(const char* sql) {
  auto statement = TRY(prepare(sql));
  return statement.run();
}

Result<void> Connection::script(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return sqlite_error(db_, "script");
  return {};
}

Result<int64_t> Connection::pragma(const std::string& name) {
  sqlite3_stmt* s = nullptr;
  if (sqlite3_prepare_v2(db_, ("PRAGMA " + name).c_str(), -1, &s, nullptr) != SQLITE_OK) {
    return sqlite_error(db_, name);
  }
  const int status = sqlite3_step(s);
  const int64_t value = status == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
  sqlite3_finalize(s);
  if (status != SQLITE_ROW) return sqlite_error(db_, name);
  return value;
}

}  // namespace bastide::store
