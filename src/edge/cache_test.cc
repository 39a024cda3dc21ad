#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "edge/ask.h"
#include "edge/cache.h"
#include "edge/compress.h"
#include "edge/freshness.h"
#include "net/test_loop.h"
#include "sys/file.h"

namespace bastide::edge {
namespace {

constexpr Millis kNow = 1'800'000'000'000;

struct Answer {
  explicit Answer(const std::string& fields, int status = 200)
      : text("HTTP/1.1 " + std::to_string(status) + " X\r\n" + fields + "\r\n") {
    EXPECT_FALSE(parse_response(text, head)) << text;
  }
  Lifetime life(TtlRule rule, AskFacts ask = {}) { return lifetime(facts_of(head), ask, rule, kNow); }
  std::string text;
  ResponseHead head;
};

TtlRule cloudfront(int64_t min = 0, int64_t standard = 86400, int64_t max = 31536000) {
  return {false, min, standard, max, 10};
}
TtlRule rfc() { return {true, 0, 0, 0, 0}; }

TEST(CacheControlTest, ReadsWhatServersWrite) {
  CacheControl c;
  c.read("Max-Age=\"60\", no-cache=\"set-cookie, x\" , s-maxage=5,private");
  EXPECT_EQ(c.max_age, 60);
  EXPECT_EQ(c.s_maxage, 5);
  EXPECT_TRUE(c.no_cache && c.is_private);
  CacheControl odd;
  odd.read("max-age=10, max-age=5, stale-while-revalidate=99999999999999999999, foo, =, \"");
  EXPECT_EQ(odd.max_age, 5);
  EXPECT_EQ(odd.stale_while_revalidate, 1LL << 31);
  CacheControl bad;
  bad.read("max-age=-1");
  EXPECT_EQ(bad.max_age, 0);
  CacheControl fraction;
  fraction.read("max-age=60.5");
  EXPECT_EQ(fraction.max_age, 0);
}

// The table of CloudFront's documentation, line by line.
TEST(FreshnessTest, FollowsCloudFrontsTableOfTtls) {
  EXPECT_EQ(Answer("Cache-Control: max-age=60\r\n").life(cloudfront()).fresh, 60);
  EXPECT_EQ(Answer("Cache-Control: max-age=60\r\n").life(cloudfront(0, 86400, 30)).fresh, 30);
  EXPECT_EQ(Answer("Cache-Control: max-age=60\r\n").life(cloudfront(100)).fresh, 100);
  EXPECT_EQ(Answer("").life(cloudfront()).fresh, 86400);
  EXPECT_EQ(Answer("").life(cloudfront(100'000)).fresh, 100'000);
  EXPECT_EQ(Answer("Cache-Control: max-age=60, s-maxage=7\r\n").life(cloudfront()).fresh, 7);
  auto date = "Date: " + http_date(kNow) + "\r\n";
  EXPECT_EQ(Answer(date + "Expires: " + http_date(kNow + 90 * kSecond) + "\r\n").life(cloudfront()).fresh,
            90);
  EXPECT_EQ(Answer(date + "Expires: 0\r\n").life(cloudfront()).fresh, 0);
  EXPECT_FALSE(Answer("Cache-Control: no-store\r\n").life(cloudfront()).store);
  EXPECT_FALSE(Answer("Cache-Control: private\r\n").life(cloudfront()).store);
  EXPECT_EQ(Answer("Cache-Control: no-cache\r\n").life(cloudfront()).fresh, 0);
  EXPECT_EQ(Answer("Cache-Control: no-store, private\r\n").life(cloudfront(20)).fresh, 20);
  EXPECT_FALSE(Answer("Cache-Control: max-age=60\r\n").life(cloudfront(0, 0, 0)).store);
}

TEST(FreshnessTest, ErrorsAreKeptForTheirMinimumTime) {
  EXPECT_EQ(Answer("", 404).life(cloudfront()).fresh, 10);
  EXPECT_EQ(Answer("Cache-Control: max-age=3\r\n", 503).life(cloudfront()).fresh, 10);
  EXPECT_EQ(Answer("Cache-Control: max-age=60\r\n", 503).life(cloudfront()).fresh, 60);
  EXPECT_FALSE(Answer("", 403).life(cloudfront()).store);
  EXPECT_TRUE(Answer("Cache-Control: max-age=60\r\n", 403).life(cloudfront()).store);
  EXPECT_FALSE(Answer("Cache-Control: max-age=60\r\n", 416).life(cloudfront()).store);
}

TEST(FreshnessTest, OneUsersAnswerIsNotStoredForOthers) {
  EXPECT_FALSE(Answer("Cache-Control: max-age=60\r\n").life(cloudfront(), {true, false}).store);
  EXPECT_TRUE(Answer("Cache-Control: max-age=60, public\r\n").life(cloudfront(), {true, false}).store);
  EXPECT_FALSE(
      Answer("Cache-Control: max-age=60\r\nSet-Cookie: id=1\r\n").life(cloudfront(), {false, true}).store);
  EXPECT_FALSE(Answer("Cache-Control: max-age=60\r\nVary: *\r\n").life(cloudfront()).store);
  EXPECT_FALSE(Answer("Cache-Control: max-age=60\r\n").life(rfc(), {true, false}).store);
}

TEST(FreshnessTest, PlainRfc9111HasHeuristicsAndStaleTimes) {
  auto date = "Date: " + http_date(kNow) + "\r\n";
  auto guessed = Answer(date + "Last-Modified: " + http_date(kNow - 1000 * kSecond) + "\r\n").life(rfc());
  EXPECT_EQ(guessed.fresh, 100);
  EXPECT_FALSE(Answer("").life(rfc()).store);
  EXPECT_FALSE(Answer("Last-Modified: " + http_date(kNow - kHour) + "\r\n", 302).life(rfc()).store);
  auto stale = Answer("Cache-Control: max-age=1, stale-while-revalidate=9, stale-if-error=8\r\n").life(rfc());
  EXPECT_EQ(stale.while_revalidate, 9);
  EXPECT_EQ(stale.if_error, 8);
  EXPECT_EQ(Answer("Cache-Control: max-age=1, must-revalidate, stale-if-error=8\r\n").life(rfc()).if_error,
            0);
  auto old = Answer(date + "Age: 30\r\nCache-Control: max-age=60\r\n");
  EXPECT_EQ(initial_age(facts_of(old.head), kNow, kNow), 30 * kSecond);
}

struct Request {
  explicit Request(const std::string& target, const std::string& fields = "")
      : text("GET " + target + " HTTP/1.1\r\nHost: cdn.test\r\n" + fields + "\r\n") {
    EXPECT_FALSE(parse_request(text, head)) << text;
  }
  std::string text;
  RequestHead head;
};

internal::EdgeBehavior optimized() {
  internal::EdgeBehavior b;
  b.methods = {"GET", "HEAD"};
  b.gzip = b.brotli = b.compress = true;
  return b;
}

Ask ask(const internal::EdgeBehavior& b, const Request& r) {
  internal::EdgeDistribution d;
  d.id = "E1";
  return make_ask(d, b, r.head, r.head.path, "192.0.2.7", true);
}

TEST(AskTest, TheKeyHasWhatThePolicySaysAndNothingElse) {
  auto b = optimized();
  auto key = [&](const Request& r) { return ask(b, r).key; };
  EXPECT_EQ(key(Request("/a?x=1")), key(Request("/a?y=2", "Cookie: a=1\r\nX-Z: 1\r\n")));
  EXPECT_NE(key(Request("/a")), key(Request("/A")));
  EXPECT_NE(key(Request("/a")), key(Request("/a", "Accept-Encoding: gzip\r\n")));
  EXPECT_EQ(key(Request("/a", "Accept-Encoding: gzip, deflate, br\r\n")),
            key(Request("/a", "Accept-Encoding: br;q=0.5, gzip;q=1\r\n")));
  EXPECT_EQ(key(Request("/a", "Accept-Encoding: br;q=0\r\n")), key(Request("/a")));
  b.key_queries = {internal::EdgeSelection::Kind::some, {"x"}};
  b.key_cookies = {internal::EdgeSelection::Kind::all_but, {"track"}};
  b.key_headers = {internal::EdgeSelection::Kind::some, {"X-Country"}};
  EXPECT_EQ(key(Request("/a?x=1&y=2")), key(Request("/a?y=3&x=1")));
  EXPECT_NE(key(Request("/a?x=1")), key(Request("/a?x=2")));
  EXPECT_EQ(key(Request("/a", "Cookie: s=1; track=9\r\n")), key(Request("/a", "Cookie: track=8; s=1\r\n")));
  EXPECT_NE(key(Request("/a", "Cookie: s=1\r\n")), key(Request("/a", "Cookie: s=2\r\n")));
  EXPECT_NE(key(Request("/a", "x-country: de\r\n")), key(Request("/a", "x-country: fr\r\n")));
}

TEST(AskTest, OnlyWhatThePoliciesNameReachesTheOrigin) {
  auto b = optimized();
  Request r("/a?x=1&y=2",
            "Cookie: s=1; t=2\r\nAuthorization: Bearer 1\r\nX-A: 1\r\nAccept-Encoding: gzip\r\n");
  auto closed = ask(b, r);
  EXPECT_EQ(closed.query, "");
  EXPECT_EQ(closed.fields, "Accept-Encoding: gzip\r\n");
  EXPECT_FALSE(closed.facts.authorization || closed.facts.cookies);
  b.send_headers = {internal::EdgeSelection::Kind::all, {}};
  b.send_cookies = {internal::EdgeSelection::Kind::some, {"s"}};
  b.send_queries = {internal::EdgeSelection::Kind::all, {}};
  auto open = ask(b, r);
  EXPECT_EQ(open.query, "x=1&y=2");
  EXPECT_NE(open.fields.find("Authorization: Bearer 1"), std::string::npos);
  EXPECT_NE(open.fields.find("Cookie: s=1\r\n"), std::string::npos);
  EXPECT_TRUE(open.facts.authorization && open.facts.cookies);
  EXPECT_EQ(open.key, closed.key);
}

TEST(AskTest, RangesAndInvalidations) {
  auto part = [](const char* text, int64_t length) {
    auto r = parse_range(text);
    return r ? satisfy(*r, length) : std::nullopt;
  };
  EXPECT_EQ(part("bytes=0-3", 10), (std::pair<int64_t, int64_t>{0, 3}));
  EXPECT_EQ(part("bytes=5-", 10), (std::pair<int64_t, int64_t>{5, 9}));
  EXPECT_EQ(part("bytes=-4", 10), (std::pair<int64_t, int64_t>{6, 9}));
  EXPECT_EQ(part("bytes=0-99", 10), (std::pair<int64_t, int64_t>{0, 9}));
  EXPECT_FALSE(part("bytes=10-", 10));
  EXPECT_FALSE(parse_range("bytes=3-2"));
  EXPECT_FALSE(parse_range("bytes=0-1,3-4"));
  EXPECT_FALSE(parse_range("bytes=-"));
  EXPECT_FALSE(parse_range("bytes=99999999999999999999-"));
  EXPECT_TRUE(invalidates("/*", "/a?x"));
  EXPECT_TRUE(invalidates("/a/*", "/a/b.css"));
  EXPECT_FALSE(invalidates("/a", "/a?x=1"));
  EXPECT_TRUE(invalidates("a*", "/a?x=1"));
  EXPECT_FALSE(invalidates("/a*b", "/aXb"));
}

std::shared_ptr<Object> object(const std::string& key, size_t size = 100) {
  auto o = std::make_shared<Object>();
  o->key = key;
  o->head.received = kNow;
  o->head.fresh = 60;
  o->head.etag = "\"" + key + "\"";
  o->body = std::make_shared<Body>(std::string(size, 'x') + key);
  o->head.length = o->body->size();
  return o;
}

TEST(MemoryCacheTest, AScanDoesNotPushOutWhatIsAskedAgainAndAgain) {
  MemoryCache cache(1 << 20);
  for (int i = 0; i < 50; ++i) cache.put(object("hot" + std::to_string(i), 5'000));
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(cache.find("hot" + std::to_string(i)));
  }
  for (int i = 0; i < 5'000; ++i) cache.put(object("scan" + std::to_string(i), 5'000));
  int kept = 0;
  for (int i = 0; i < 50; ++i) kept += cache.find("hot" + std::to_string(i)) != nullptr;
  EXPECT_GE(kept, 45);
  EXPECT_LE(cache.bytes(), 1 << 20);
  EXPECT_GT(cache.evicted(), 4'000);
}

struct DiskTest : ::testing::Test {
  DiskTest() {
    char path[] = "/tmp/bastide-cache-XXXXXX";
    folder = ::mkdtemp(path);
  }
  ~DiskTest() override { (void)sys::remove_tree(folder); }
  std::string folder;
  net::TestLoop loop;
};

std::string text_of(const Object& o) {
  std::string out;
  EXPECT_TRUE(o.body->read(0, 1 << 20, out));
  return out;
}

TEST_F(DiskTest, WhatWasSavedIsThereAfterARestart) {
  loop.run([&] {
    {
      Cache cache(folder, {1 << 20, 1 << 20});
      ASSERT_TRUE(cache.start());
      cache.put("k1", object("k1"), {});
      cache.disk().flush();
      cache.stop();
    }
    Cache cache(folder, {1 << 20, 1 << 20});
    ASSERT_TRUE(cache.start());
    auto found = cache.find("k1", {});
    ASSERT_TRUE(found);
    EXPECT_EQ(text_of(*found), text_of(*object("k1")));
    EXPECT_EQ(found->head.etag, "\"k1\"");
    EXPECT_FALSE(cache.find("k2", {}));
    cache.erase(found);
    EXPECT_FALSE(cache.find("k1", {}));
    cache.stop();
  });
}

TEST_F(DiskTest, ADamagedFileIsAMissAndHalfAFileIsGone) {
  loop.run([&] {
    std::string path;
    {
      auto disk = std::make_shared<DiskCache>(folder, 1 << 20);
      ASSERT_TRUE(disk->start());
      disk->save(object("k"));
      disk->flush();
      disk->stop();
    }
    auto subs = sys::list_folder(folder);
    ASSERT_EQ(subs->size(), 1u);
    const auto sub = folder + "/" + subs->front();
    path = sub + "/" + sys::list_folder(sub)->front();
    auto bytes = *sys::read_file(path);
    bytes[bytes.size() - 3] ^= 1;
    ASSERT_TRUE(sys::write_file(path, bytes));
    ASSERT_TRUE(sys::write_file(sub + "/half.part1", "BCDN"));
    auto disk = std::make_shared<DiskCache>(folder, 1 << 20);
    ASSERT_TRUE(disk->start());
    EXPECT_EQ(disk->count(), 1u);
    EXPECT_FALSE(disk->load("k"));
    EXPECT_EQ(disk->count(), 0u);
    EXPECT_TRUE(sys::list_folder(sub)->empty());
    disk->stop();
  });
}

TEST_F(DiskTest, TheFolderStaysWithinItsBytes) {
  loop.run([&] {
    auto disk = std::make_shared<DiskCache>(folder, 100'000);
    ASSERT_TRUE(disk->start());
    for (int i = 0; i < 60; ++i) disk->save(object("k" + std::to_string(i), 5'000));
    disk->flush();
    EXPECT_LE(disk->bytes(), 100'000);
    EXPECT_GT(disk->count(), 10u);
    EXPECT_FALSE(disk->load("k0"));
    EXPECT_TRUE(disk->load("k59"));
    disk->stop();
  });
}

TEST(CompressTest, BothCodingsShrinkText) {
  std::string text;
  for (int i = 0; i < 2'000; ++i) text += "body { margin: 0 }\n";
  EXPECT_LT(gzip(text)->size(), text.size() / 10);
  EXPECT_LT(brotli(text)->size(), text.size() / 10);
  EXPECT_TRUE(compressible_type("text/css; charset=utf-8"));
  EXPECT_FALSE(compressible_type("image/png"));
}

}  // namespace
}  // namespace bastide::edge
