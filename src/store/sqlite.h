// One SQLite connection with its prepared statements. Owned and used by one thread at a time.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"

namespace bastide::store {

// A statement on loan from its connection: reset and unbound when it goes.
class Statement {
 public:
  explicit Statement(sqlite3_stmt* s) : s_(s) {}
  ~Statement() {
    if (s_) {
      sqlite3_reset(s_);
      sqlite3_clear_bindings(s_);
    }
  }
  Statement(Statement&& other) noexcept : s_(std::exchange(other.s_, nullptr)) {}
  Statement& operator=(Statement&&) = delete;

  // In the order of the question marks. Texts must outlive the statement's use.
  Statement& bind(std::string_view text);
  Statement& bind(int64_t number);

  Result<bool> step();  // whether there is a row
  Result<void> run();   // to the end
  std::string text(int column) const;
  std::string_view view(int column) const;  // until the next step
  int64_t number(int column) const { return sqlite3_column_int64(s_, column); }

 private:
  sqlite3_stmt* s_;
  int bound_ = 0;
};

class Connection {
 public:
  enum class Mode { writer, reader };
  static Result<std::unique_ptr<Connection>> open(const std::string& path, Mode mode);
  ~Connection();
  Connection(const Connection&) = delete;

  // `sql` must be a literal: it is the key of the cache.
  Result<Statement> prepare(const char* sql);
  Result<void> run(const char* sql);  // a statement without parameters and rows, cached
  Result<void> script(const std::string& sql);
  Result<int64_t> pragma(const std::string& name);
  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }
  int changes() const { return sqlite3_changes(db_); }
  sqlite3* handle() { return db_; }

 private:
  Connection() = default;
  sqlite3* db_ = nullptr;
  std::unordered_map<const char*, sqlite3_stmt*> statements_;
};

Error sqlite_error(sqlite3* db, std::string_view what);

}  // namespace bastide::store
