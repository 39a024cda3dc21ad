#include "store/objects.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/crypto.h"
#include "net/test_loop.h"
#include "store/object_data.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

namespace o = objects;

struct House {
  std::string path = testing::TempDir() + "objects-" + random_text(8, "abcdefgh");
  net::TestLoop loop;
  ManualClock clock{1'800'000'000'000};
  std::unique_ptr<Database> db;

  void run(const std::function<void()>& body) {
    ASSERT_TRUE(sys::make_folders(path).ok());
    loop.run([&] {
      db = Database::open(path + "/db", clock).value();
      body();
      db.reset();
    });
    (void)sys::remove_tree(path);
  }
  void put(const std::string& key, const std::string& version = "null", const std::string& data = "",
           bool marker = false) {
    o::Object object;
    object.bucket = "b";
    object.key = key;
    object.version = version;
    object.marker = marker;
    object.meta = json::object();
    if (!data.empty()) object.data.push(json::object({{"id", data}}));
    const auto stored = db->write([&](Writer& w) { return o::put(w, object); });
    ASSERT_TRUE(stored.ok()) << stored.error().message;
  }
  o::Page list(o::Query q, bool versions = false) {
    q.bucket = "b";
    o::Page page;
    const auto read = db->read([&](Reader& r) -> Result<void> {
      page = TRY(versions ? o::versions(r, q) : o::list(r, q));
      return {};
    });
    EXPECT_TRUE(read.ok());
    return page;
  }
};

std::string keys(const o::Page& page) {
  std::string out;
  for (const auto& row : page.rows) out += row.key + (row.version == "null" ? "" : "@" + row.version) + " ";
  out += "|";
  for (const auto& prefix : page.prefixes) out += " " + prefix;
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-prefixes.html
TEST(Objects, AreListedByBytesWithCommonPrefixesAndGoOnWhereAPageEnded) {
  House house;
  house.run([&] {
    for (const char* key : {"b", "a/1", "a/2", "a/2/x", "a", "Z", "\xc3\xa9", "c/d", "a0"}) house.put(key);
    EXPECT_EQ(keys(house.list({})), "Z a a/1 a/2 a/2/x a0 b c/d \xc3\xa9 |");
    EXPECT_EQ(keys(house.list({.delimiter = "/"})), "Z a a0 b \xc3\xa9 | a/ c/");
    EXPECT_EQ(keys(house.list({.prefix = "a/", .delimiter = "/"})), "a/1 a/2 | a/2/");
    EXPECT_EQ(keys(house.list({.prefix = "x"})), "|");
    std::string all;
    o::Query q{.delimiter = "/", .limit = 2};
    for (int pages = 0; pages < 10; ++pages) {
      const auto page = house.list(q);
      all += keys(page) + ";";
      EXPECT_LE(page.rows.size() + page.prefixes.size(), 2u);
      if (!page.truncated) break;
      q.after = page.last;
      q.after_is_prefix = page.last_is_prefix;
    }
    EXPECT_EQ(all, "Z a |;a0 | a/;b | c/;\xc3\xa9 |;");
    EXPECT_EQ(keys(house.list({.after = "a/2"})), "a/2/x a0 b c/d \xc3\xa9 |");
    EXPECT_FALSE(house.list({.limit = 0}).truncated);
  });
}

TEST(Objects, KeepVersionsNewestFirstAndShowWhatIsLeft) {
  House house;
  house.run([&] {
    house.put("k", "v1");
    house.put("k", "v2");
    house.put("k", "m", "", true);
    house.put("l", "v1");
    EXPECT_EQ(keys(house.list({})), "l@v1 |");
    EXPECT_EQ(keys(house.list({}, true)), "k@m k@v2 k@v1 l@v1 |");
    const auto page = house.list({.limit = 2}, true);
    EXPECT_TRUE(page.truncated);
    EXPECT_EQ(keys(house.list({.after = page.last, .after_version = page.last_version}, true)),
              "k@v1 l@v1 |");
    EXPECT_TRUE(house.db
                    ->write([](Writer& w) -> Result<void> {
                      TRY(o::remove(w, "b", "k", "m"));
                      return {};
                    })
                    .ok());
    EXPECT_EQ(keys(house.list({})), "k@v2 l@v1 |");
  });
}

TEST(Objects, WhatNoRowNamesIsGarbage) {
  House house;
  house.run([&] {
    house.put("k", "null", "data-1");
    house.put("k", "null", "data-2");
    const auto garbage = [&] {
      std::vector<std::string> out;
      (void)house.db->read([&](Reader& r) -> Result<void> {
        out = TRY(o::garbage(r, Clock::system().wall() + 1000, 10));
        return {};
      });
      return out;
    };
    EXPECT_EQ(garbage(), std::vector<std::string>{"data-1"});
    // A closure that fails leaves everything as it was.
    (void)house.db->write([](Writer& w) -> Result<void> {
      TRY(o::remove(w, "b", "k", "null"));
      return error("no");
    });
    EXPECT_EQ(garbage(), std::vector<std::string>{"data-1"});
    EXPECT_TRUE(house.db->write([](Writer& w) { return o::forget_garbage(w, "data-1"); }).ok());
    EXPECT_TRUE(garbage().empty());
    o::Upload upload{"u", "b", "k", 1, json::object()};
    o::Part part;
    part.number = 1;
    part.data.push(json::object({{"id", "data-3"}}));
    part.meta = json::object();
    EXPECT_TRUE(house.db
                    ->write([&](Writer& w) -> Result<void> {
                      TRY(o::begin_upload(w, upload));
                      TRY(o::put_part(w, "u", part));
                      part.data = json::array({json::object({{"id", "data-4"}})});
                      return o::put_part(w, "u", part);
                    })
                    .ok());
    EXPECT_EQ(garbage(), std::vector<std::string>{"data-3"});
    EXPECT_TRUE(house.db->write([&](Writer& w) { return o::end_upload(w, "u", {}); }).ok());
    EXPECT_EQ(garbage().size(), 2u);
  });
}

TEST(ObjectData, ReadsAnyRangeAndFindsEveryChangedByte) {
  const std::string folder = testing::TempDir() + "data-" + random_text(8, "abcdefgh");
  const auto data = ObjectData::open(folder).value();
  const std::string key = random_bytes(kDataKeySize);
  for (const size_t size : {size_t{0}, size_t{1}, kDataBlock - 1, kDataBlock, kDataBlock * 2 + 77}) {
    const std::string bytes = random_bytes(size);
    auto writer = data->create(key).value();
    for (size_t at = 0; at < size; at += 50'000) ASSERT_TRUE(writer->append(bytes.substr(at, 50'000)).ok());
    ASSERT_TRUE(writer->finish().ok());
    const std::string id = writer->id();
    const auto read = [&](size_t offset, size_t length) {
      std::string out;
      auto reader = data->open_read(id, key);
      EXPECT_TRUE(reader.ok());
      EXPECT_TRUE((*reader)->read(static_cast<int64_t>(offset), length, out).ok());
      return out;
    };
    EXPECT_EQ(read(0, size + 10), bytes);
    for (const size_t offset : {size_t{0}, size / 2, size == 0 ? 0 : size - 1})
      EXPECT_EQ(read(offset, 70'000), bytes.substr(offset, 70'000));
    EXPECT_TRUE(data->verify(id).ok());
    if (size == 0) continue;
    const std::string path = folder + "/" + id.substr(0, 2) + "/" + id;
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(size / 2));
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(static_cast<std::streamoff>(size / 2));
    file.put(byte);
    file.close();
    EXPECT_EQ(data->verify(id).error().code, "Damaged");
    std::string out;
    EXPECT_EQ((*data->open_read(id, key))->read(0, size, out).error().code, "Damaged");
    EXPECT_TRUE(data->remove(id).ok());
    EXPECT_FALSE(data->open_read(id, key).ok());
  }
  { auto unfinished = data->create(key).value(); }
  EXPECT_EQ(data->list(Clock::system().wall() + kMinute).value().size(), 1u);  // the empty one
  (void)sys::remove_tree(folder);
}

}  // namespace
}  // namespace bastide::store
