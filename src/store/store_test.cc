#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "base/bytes.h"
#include "store/blobs.h"
#include "store/database.h"
#include "store/keyring.h"
#include "store/schema.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

class Store : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bastide-store-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  void TearDown() override { EXPECT_TRUE(sys::remove_tree(path_)); }
  std::unique_ptr<Database> open() {
    auto db = Database::open(path_ + "/metadata.sqlite", Clock::system());
    EXPECT_TRUE(db) << db.error().message;
    return std::move(*db);
  }
  std::string path_;
};

using DatabaseTest = Store;
using KeyringTest = Store;
using BlobsTest = Store;

const Key kRole{"111111111111", "", "iam.role", "admin"};

TEST_F(DatabaseTest, WhatWasWrittenIsThereAfterReopening) {
  {
    auto db = open();
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(db->write([&](Writer& w) { return w.put(kRole, json::object({{"n", i}})); }));
    }
  }
  auto db = open();
  const auto r = db->get(kRole);
  ASSERT_TRUE(r && *r);
  EXPECT_EQ((*r)->version, 3);
  EXPECT_EQ((*r)->body.get_int("n"), 2);
  struct stat st;
  ASSERT_EQ(::stat((path_ + "/metadata.sqlite").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  EXPECT_TRUE(db->write([&](Writer& w) -> Result<void> {
    const bool there = TRY(w.remove(kRole));
    EXPECT_TRUE(there);
    const bool again = TRY(w.remove(kRole));
    EXPECT_FALSE(again);
    return {};
  }));
  EXPECT_FALSE(db->get(kRole).value().has_value());
}

TEST_F(DatabaseTest, AFailedMutationLeavesNothingBehindAndDisturbsNoOther) {
  auto db = open();
  std::vector<std::thread> threads;
  std::atomic<int> failed = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const std::string id = std::to_string(t) + "." + std::to_string(i);
        auto r = db->write([&](Writer& w) -> Result<void> {
          TRY(w.put({"1", "r", "k", id}, json::object({{"t", t}}), {{"thread", std::to_string(t)}}));
          if (i % 2 == 1) return fault("Conflict", "no");
          return {};
        });
        if (!r) {
          ++failed;
          EXPECT_EQ(r.error().code, "Conflict");
        }
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(failed, 80);
  EXPECT_EQ(db->list("1", "r", "k")->size(), 80u);
  EXPECT_EQ(db->find("k", "thread", "3")->size(), 10u);
}

TEST_F(DatabaseTest, ListsByAccountRegionPrefixAndPage) {
  auto db = open();
  ASSERT_TRUE(db->write([&](Writer& w) -> Result<void> {
    for (const char* account : {"1", "2"}) {
      for (const char* region : {"eu", "us"}) {
        for (const char* id : {"", "/a/x", "/a/y", "/b"})
          TRY(w.put({account, region, "p", id}, json::object()));
      }
    }
    return {};
  }));
  EXPECT_EQ(db->list("1", "eu", "p")->size(), 4u);
  EXPECT_EQ(db->list("*", "eu", "p")->size(), 8u);
  EXPECT_EQ(db->list("*", "*", "p")->size(), 16u);
  ASSERT_TRUE(db->read([&](Reader& r) -> Result<void> {
    auto page = TRY(r.list("1", "us", "p", "/a/x", 1));
    EXPECT_EQ(page.size(), 1u);
    EXPECT_EQ(page[0].key.id, "/a/y");
    auto prefixed = TRY(r.list("1", "us", "p", "", 10, "/a/"));
    EXPECT_EQ(prefixed.size(), 2u);
    return {};
  }));
}

TEST_F(DatabaseTest, IndexesFollowTheResource) {
  auto db = open();
  const Key key{"1", "eu", "k", "a"};
  ASSERT_TRUE(db->write([&](Writer& w) {
    return w.put(key, json::object(), {{"name", "old"}, {"tag", "x"}});
  }));
  ASSERT_TRUE(db->write([&](Writer& w) { return w.put(key, json::object(), {{"name", "new"}}); }));
  EXPECT_EQ(db->find("k", "name", "old")->size(), 0u);
  EXPECT_EQ(db->find("k", "tag", "x")->size(), 0u);
  EXPECT_EQ(db->find("k", "name", "new")->size(), 1u);
  ASSERT_TRUE(db->write([&](Writer& w) -> Result<void> {
    TRY(w.remove(key));
    return {};
  }));
  EXPECT_EQ(db->find("k", "name", "new")->size(), 0u);
}

TEST_F(DatabaseTest, CountersNeverRepeatAndChangesAreCounted) {
  auto db = open();
  const auto& changes = db->changes("k");
  const int64_t before = changes;
  for (int64_t want = 1; want <= 3; ++want) {
    ASSERT_TRUE(db->write([&](Writer& w) -> Result<void> {
      const int64_t n = TRY(w.next("c"));
      EXPECT_EQ(n, want);
      return w.put({"1", "", "k", "x"}, json::object());
    }));
  }
  EXPECT_EQ(changes, before + 3);
  EXPECT_EQ(db->changes("other"), 0);
}

TEST_F(DatabaseTest, ASecondProcessIsRefused) {
  auto db = open();
  auto second = Database::open(path_ + "/metadata.sqlite", Clock::system());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, "Locked");
}

TEST_F(DatabaseTest, ANewerSchemaIsRefused) {
  open();
  {
    auto c = Connection::open(path_ + "/metadata.sqlite", Connection::Mode::writer);
    ASSERT_TRUE(c);
    ASSERT_TRUE((*c)->script("PRAGMA user_version=999"));
  }
  auto db = Database::open(path_ + "/metadata.sqlite", Clock::system());
  ASSERT_FALSE(db);
  EXPECT_EQ(db.error().code, "NewerSchema");
}

TEST_F(DatabaseTest, ABackupIsADatabaseOfItsOwn) {
  auto db = open();
  ASSERT_TRUE(db->write([&](Writer& w) { return w.put(kRole, json::object({{"n", 7}})); }));
  const auto done = db->backup(path_ + "/copy.sqlite");
  ASSERT_TRUE(done) << done.error().message;
  auto copy = Database::open(path_ + "/copy.sqlite", Clock::system());
  ASSERT_TRUE(copy) << copy.error().message;
  EXPECT_EQ((*copy)->get(kRole).value()->body.get_int("n"), 7);
}

TEST_F(KeyringTest, TheKeyIsMadePrivateAndAWrongOneRefused) {
  const std::string key = path_ + "/master.key", check = path_ + "/master.check";
  std::string sealed;
  {
    auto ring = Keyring::open(key, check);
    ASSERT_TRUE(ring) << ring.error().message;
    sealed = (*ring)->seal("kms", "secret", "key-1");
  }
  struct stat st;
  ASSERT_EQ(::stat(key.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  {
    auto ring = Keyring::open(key, check);
    ASSERT_TRUE(ring);
    EXPECT_EQ(*(*ring)->unseal("kms", sealed, "key-1"), "secret");
    EXPECT_FALSE((*ring)->unseal("kms", sealed, "key-2"));
    EXPECT_FALSE((*ring)->unseal("sts", sealed, "key-1"));
    sealed[20] ^= 1;
    EXPECT_FALSE((*ring)->unseal("kms", sealed, "key-1"));
  }
  ASSERT_TRUE(Keyring::open(path_ + "/other.key", path_ + "/other.check"));
  EXPECT_EQ(Keyring::open(path_ + "/other.key", check).error().code, "WrongKey");
  EXPECT_EQ(Keyring::open(path_ + "/missing.key", check).error().code, "NotFound");
  EXPECT_FALSE(sys::exists(path_ + "/missing.key"));
  ASSERT_EQ(::chmod(key.c_str(), 0644), 0);
  EXPECT_EQ(Keyring::open(key, check).error().code, "Denied");
}

TEST_F(BlobsTest, UploadsResumeAndAreVerified) {
  std::string id;
  const std::string digest = "sha256:" + sha256_hex("hello world");
  {
    auto blobs = Blobs::open(path_ + "/blobs").value();
    id = *blobs->begin_upload();
    EXPECT_EQ(*blobs->append(id, "hello "), 6);
  }
  auto blobs = Blobs::open(path_ + "/blobs").value();
  EXPECT_EQ(*blobs->upload_size(id), 6);
  EXPECT_EQ(*blobs->append(id, "world"), 11);
  EXPECT_EQ(blobs->finish_upload(id, "sha256:" + std::string(64, '0')).error().code, "DigestMismatch");
  EXPECT_FALSE(*blobs->has(digest));
  ASSERT_TRUE(blobs->finish_upload(id, digest));
  ASSERT_TRUE(blobs->finish_upload(id, digest));
  EXPECT_EQ(*blobs->read(digest, 100), "hello world");
  EXPECT_EQ(*blobs->size(digest), 11);
  EXPECT_EQ(*blobs->put("hello world"), digest);
  EXPECT_EQ(blobs->list()->size(), 1u);
  EXPECT_EQ(blobs->read(digest, 5).error().code, "TooLarge");
  ASSERT_TRUE(blobs->remove(digest));
  EXPECT_EQ(blobs->size(digest).error().code, "NotFound");
}

TEST_F(BlobsTest, NamesFromOutsideReachNoOtherFile) {
  auto blobs = Blobs::open(path_ + "/blobs").value();
  EXPECT_EQ(blobs->upload_size("../../etc/passwd").error().code, "NotFound");
  EXPECT_EQ(blobs->append("../sha256", "x").error().code, "NotFound");
  EXPECT_EQ(blobs->open_read("sha256:../../../../etc/passwd").error().code, "NotFound");
  EXPECT_FALSE(valid_digest("sha256:" + std::string(64, 'A')));
  EXPECT_FALSE(valid_digest("md5:" + std::string(64, 'a')));
}

TEST_F(BlobsTest, ForgottenUploadsExpire) {
  auto blobs = Blobs::open(path_ + "/blobs").value();
  const std::string id = *blobs->begin_upload();
  ASSERT_TRUE(blobs->expire_uploads(kHour));
  EXPECT_EQ(*blobs->upload_size(id), 0);
  ASSERT_TRUE(blobs->expire_uploads(0));
  EXPECT_EQ(blobs->upload_size(id).error().code, "NotFound");
}

}  // namespace
}  // namespace bastide::store
