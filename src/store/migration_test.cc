// Databases as each schema left them, opened by this program. A released schema's text is never changed.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "store/database.h"
#include "store/schema.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

// 0.1.0, dumped with the sqlite3 shell.
constexpr const char* kSchema1 = R"(
PRAGMA journal_mode=WAL;
CREATE TABLE resource(
  rid INTEGER PRIMARY KEY,
  kind TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, id TEXT NOT NULL,
  version INTEGER NOT NULL, body TEXT NOT NULL);
INSERT INTO resource VALUES(1,'iam.role','111111111111','','web',3,'{"path":"/app/"}');
INSERT INTO resource VALUES(2,'kms.key','111111111111','us-east-1','k-1',1,'{"state":"Enabled"}');
CREATE TABLE resource_index(
  kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
  rid INTEGER NOT NULL REFERENCES resource(rid) ON DELETE CASCADE,
  PRIMARY KEY(kind, name, value, rid)) WITHOUT ROWID;
INSERT INTO resource_index VALUES('kms.key','id','k-1',2);
CREATE TABLE job(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, run_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, wakes INTEGER NOT NULL DEFAULT 0, wake_state TEXT NOT NULL DEFAULT '');
INSERT INTO job VALUES(7,'kms.deletion','111111111111/us-east-1/k-1','{}',1800000000000,2,0,'');
CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counter VALUES('ecs.revision/a/web',41);
CREATE UNIQUE INDEX resource_key ON resource(kind, account, region, id);
CREATE INDEX resource_index_rid ON resource_index(rid);
CREATE UNIQUE INDEX job_key ON job(kind, key);
CREATE INDEX job_due ON job(kind, run_at);
PRAGMA application_id=1112757316;
PRAGMA user_version=1;
)";

class MigrationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bastide-migration-XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = folder_ + "/metadata.sqlite";
  }
  void TearDown() override { EXPECT_TRUE(sys::remove_tree(folder_)); }
  void run(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  std::string folder_, path_;
};

TEST_F(MigrationTest, Schema1OpensWithEverythingInIt) {
  run(kSchema1);
  auto db = Database::open(path_, Clock::system());
  ASSERT_TRUE(db) << db.error().message;
  const auto role = (*db)->get({"111111111111", "", "iam.role", "web"});
  ASSERT_TRUE(role && *role);
  EXPECT_EQ((*role)->version, 3);
  EXPECT_EQ((*role)->body.get("path"), "/app/");
  EXPECT_EQ((*db)->find("kms.key", "id", "k-1")->size(), 1u);
  int64_t next = 0;
  ASSERT_TRUE((*db)->write([&](Writer& w) -> Result<void> {
    next = TRY(w.next("ecs.revision/a/web"));
    return w.put({"111111111111", "", "iam.role", "web"}, json::object({{"path", "/"}}));
  }));
  EXPECT_EQ(next, 42);
  EXPECT_EQ((*(*db)->get({"111111111111", "", "iam.role", "web"}))->version, 4);
}

TEST_F(MigrationTest, ANewerSchemaIsRefusedAndNotTouched) {
  run(kSchema1);
  run("PRAGMA user_version=" + std::to_string(newest_schema() + 1));
  const std::string before = *sys::read_file(path_);
  EXPECT_EQ(Database::open(path_, Clock::system()).error().code, "NewerSchema");
  EXPECT_EQ(*sys::read_file(path_), before);
}

TEST_F(MigrationTest, AForeignDatabaseIsRefused) {
  run(kSchema1);
  run("PRAGMA application_id=7");
  EXPECT_FALSE(Database::open(path_, Clock::system()));
}

}  // namespace
}  // namespace bastide::store
