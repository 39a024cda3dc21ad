// The CDN as viewers meet it: an edge on free ports before an origin that counts what it is asked.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "edge/edge.h"
#include "edge/fetch.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/test_loop.h"
#include "sys/file.h"

namespace bastide::edge {
namespace {

struct Origin {
  Origin() {
    auto fd = net::listen_tcp("127.0.0.1", 0);
    port = *net::local_port(fd->get());
    server = std::make_unique<net::HttpServer>([this](net::Exchange& x) { answer(x); });
    server->listen(std::move(*fd));
  }
  ~Origin() { server->drain(); }
  void answer(net::Exchange& x) {
    ++requests;
    last = x.request().headers;
    last_target = x.request().target;
    if (delay > 0) net::sleep_for(delay);
    if (x.request().method == "POST") {
      auto body = x.read_body(1 << 20);
      (void)x.respond({200, headers, "posted " + (body ? *body : ""), {}});
      return;
    }
    if (status == 200 && !etag.empty() && x.request().headers.get("If-None-Match") == etag) {
      (void)x.respond({304, headers, "", {}});
      return;
    }
    auto out = headers;
    if (!etag.empty()) out.add("ETag", etag);
    (void)x.respond({status, out, body, {}});
  }
  std::unique_ptr<net::HttpServer> server;
  uint16_t port = 0;
  int requests = 0, status = 200;
  Millis delay = 0;
  std::string body = "hello", etag;
  net::Headers headers, last;
  std::string last_target;
};

struct CdnTest : ::testing::Test {
  net::TestLoop loop;
  struct Running {
    explicit Running(const Origin& origin, std::string home = "") {
      EdgeOptions options;
      options.home = std::move(home);
      auto http = net::listen_tcp("127.0.0.1", 0);
      port = *net::local_port(http->get());
      options.listeners["http"] = std::move(*http);
      edge = std::make_unique<Edge>(std::move(options));
      EXPECT_TRUE(edge->start());
      auto& d = distribution;
      d.id = "E1";
      d.arn = "arn:aws:cloudfront::111122223333:distribution/E1";
      d.account = "111122223333";
      d.domain = "d1.cloudfront.net";
      d.names = {"d1.cloudfront.net", "cdn.test"};
      internal::EdgeOrigin o;
      o.id = "o";
      o.host = "127.0.0.1";
      o.http_port = origin.port;
      o.read_timeout = kSecond;
      o.attempts = 1;
      d.origins = {o};
      internal::EdgeBehavior b;
      b.origin = "o";
      b.methods = {"GET", "HEAD", "POST"};
      b.gzip = b.brotli = b.compress = true;
      d.behaviors = {b};
    }
    ~Running() { edge->drain(); }
    void use(bool private_origins = true) {
      internal::EdgeSnapshot s;
      s.number = ++number;
      s.distributions = {distribution};
      s.private_origins = private_origins;
      auto applied = edge->apply(json::print(internal::to_json(s)), false);
      EXPECT_TRUE(applied.ok()) << (applied ? "" : applied.error().message);
    }
    net::Response get(const std::string& path, std::vector<std::pair<std::string, std::string>> headers = {},
                      const std::string& method = "GET", const std::string& body = "") {
      net::HttpClient client(net::Endpoint{false, "127.0.0.1", port, ""});
      net::Request request;
      request.method = method;
      request.target = path;
      request.body = body;
      request.headers.add("Host", "cdn.test");
      for (auto& [name, value] : headers) request.headers.add(name, value);
      auto response = client.send(request);
      EXPECT_TRUE(response.ok()) << (response ? "" : response.error().message);
      return response ? std::move(*response) : net::Response{0, {}, "", {}};
    }
    std::string cache(const std::string& path) { return get(path).headers.get("X-Cache"); }
    internal::EdgeBehavior& behavior() { return distribution.behaviors.back(); }
    internal::EdgeDistribution distribution;
    std::unique_ptr<Edge> edge;
    uint16_t port = 0;
    int64_t number = 0;
  };
};

TEST_F(CdnTest, TheSecondViewerIsServedFromTheCache) {
  loop.run([] {
    Origin origin;
    Running edge(origin);
    edge.use();
    auto first = edge.get("/a.txt?ignored=1");
    EXPECT_EQ(first.status, 200);
    EXPECT_EQ(first.body, "hello");
    EXPECT_EQ(first.headers.get("X-Cache"), "Miss from cloudfront");
    EXPECT_EQ(origin.last_target, "/a.txt");
    EXPECT_EQ(origin.last.get("X-Forwarded-For"), "127.0.0.1");
    EXPECT_EQ(origin.last.get("User-Agent"), "Amazon CloudFront");
    auto second = edge.get("/a.txt");
    EXPECT_EQ(second.body, "hello");
    EXPECT_EQ(second.headers.get("X-Cache"), "Hit from cloudfront");
    EXPECT_TRUE(second.headers.has("Age"));
    EXPECT_EQ(edge.get("/a.txt", {}, "HEAD").headers.get("Content-Length"), "5");
    EXPECT_EQ(origin.requests, 1);
  });
}

TEST_F(CdnTest, RangesComeFromTheWholeThatIsCached) {
  loop.run([] {
    Origin origin;
    origin.body = "0123456789";
    Running edge(origin);
    edge.use();
    auto first = edge.get("/r", {{"Range", "bytes=2-4"}});
    EXPECT_EQ(first.status, 206);
    EXPECT_EQ(first.body, "234");
    EXPECT_EQ(first.headers.get("Content-Range"), "bytes 2-4/10");
    EXPECT_EQ(edge.get("/r", {{"Range", "bytes=-2"}}).body, "89");
    EXPECT_EQ(edge.get("/r", {{"Range", "bytes=10-"}}).status, 416);
    EXPECT_EQ(edge.get("/r").body, "0123456789");
    EXPECT_EQ(origin.requests, 1);
  });
}

TEST_F(CdnTest, ManyWhoAskAtOnceMakeOneRequest) {
  loop.run([] {
    Origin origin;
    origin.delay = 100;
    origin.body = std::string(300'000, 'b');
    Running edge(origin);
    edge.use();
    int done = 0;
    for (int i = 0; i < 10; ++i) {
      net::spawn([&] {
        EXPECT_EQ(edge.get("/once").body.size(), 300'000u);
        ++done;
      });
    }
    while (done < 10) net::sleep_for(5);
    EXPECT_EQ(origin.requests, 1);
  });
}

TEST_F(CdnTest, APrivateAnswerIsNeverAnothers) {
  loop.run([] {
    Origin origin;
    origin.delay = 50;
    origin.headers.add("Cache-Control", "private");
    Running edge(origin);
    edge.use();
    int done = 0;
    for (int i = 0; i < 5; ++i) {
      net::spawn([&] {
        EXPECT_EQ(edge.get("/mine").body, "hello");
        ++done;
      });
    }
    while (done < 5) net::sleep_for(5);
    EXPECT_EQ(origin.requests, 5);
    EXPECT_EQ(edge.cache("/mine"), "Miss from cloudfront");
    EXPECT_EQ(origin.requests, 6);
  });
}

TEST_F(CdnTest, StaleAnswersAreValidatedAndStandInForErrors) {
  loop.run([] {
    Origin origin;
    origin.etag = "\"v1\"";
    origin.headers.add("Cache-Control", "max-age=0");
    Running edge(origin);
    edge.use();
    edge.get("/v");
    auto again = edge.get("/v");
    EXPECT_EQ(again.status, 200);
    EXPECT_EQ(again.body, "hello");
    EXPECT_EQ(again.headers.get("X-Cache"), "RefreshHit from cloudfront");
    EXPECT_EQ(origin.last.get("If-None-Match"), "\"v1\"");
    EXPECT_EQ(edge.get("/v", {{"If-None-Match", "\"v1\""}}).status, 304);
    origin.status = 503;
    EXPECT_EQ(edge.get("/v").body, "hello");
    const auto asked = origin.requests;
    EXPECT_EQ(edge.get("/v").body, "hello");  // not asked again within the error's time
    EXPECT_EQ(origin.requests, asked);
  });
}

TEST_F(CdnTest, ErrorsAreCachedAndHavePages) {
  loop.run([] {
    Origin origin;
    origin.status = 404;
    origin.body = "none";
    Running edge(origin);
    edge.use();
    EXPECT_EQ(edge.get("/x").body, "none");
    auto again = edge.get("/x");
    EXPECT_EQ(again.headers.get("X-Cache"), "Error from cloudfront");
    EXPECT_EQ(again.headers.get("X-Bastide-Layer"), "origin; it answered 404");
    EXPECT_EQ(origin.requests, 1);
    origin.status = 200;
    origin.body = "the page";
    EXPECT_EQ(edge.get("/error.html").body, "the page");
    origin.status = 404;
    edge.distribution.error_pages = {{404, "/error.html", 200, 10}};
    edge.use();
    auto page = edge.get("/y");
    EXPECT_EQ(page.status, 200);
    EXPECT_EQ(page.body, "the page");
  });
}

TEST_F(CdnTest, InvalidationsTakeEveryVariantAtOnce) {
  loop.run([] {
    Origin origin;
    origin.headers.add("Content-Type", "text/css");
    origin.body = std::string(5'000, 'c');
    Running edge(origin);
    edge.use();
    edge.get("/css/a.css");
    auto packed = edge.get("/css/a.css", {{"Accept-Encoding", "br, gzip"}});
    EXPECT_EQ(packed.headers.get("Content-Encoding"), "br");
    EXPECT_LT(packed.body.size(), 500u);
    EXPECT_EQ(edge.cache("/css/a.css"), "Hit from cloudfront");
    EXPECT_EQ(origin.requests, 2);
    edge.distribution.invalidations = {{1, {"/css/*"}}};
    edge.use();
    EXPECT_EQ(edge.cache("/css/a.css"), "Miss from cloudfront");
    EXPECT_EQ(edge.get("/css/a.css", {{"Accept-Encoding", "br"}}).headers.get("X-Cache"),
              "Miss from cloudfront");
    EXPECT_EQ(edge.cache("/css/a.css"), "Hit from cloudfront");
  });
}

TEST_F(CdnTest, AnswersThatVaryAreKeptApart) {
  loop.run([] {
    Origin origin;
    origin.headers.add("Vary", "X-Lang");
    origin.headers.add("Cache-Control", "max-age=60");
    Running edge(origin);
    edge.behavior().send_headers = {internal::EdgeSelection::Kind::all, {}};
    edge.use();
    origin.body = "german";
    edge.get("/l", {{"X-Lang", "de"}});
    origin.body = "french";
    EXPECT_EQ(edge.get("/l", {{"X-Lang", "fr"}}).body, "french");
    EXPECT_EQ(edge.get("/l", {{"X-Lang", "de"}}).body, "german");
    EXPECT_EQ(origin.requests, 2);
  });
}

TEST_F(CdnTest, BodiesPassAndMethodsAndPrivateOriginsAreRefused) {
  loop.run([] {
    Origin origin;
    Running edge(origin);
    edge.use();
    EXPECT_EQ(edge.get("/p", {}, "POST", "form").body, "posted form");
    auto refused = edge.get("/p", {}, "DELETE");
    EXPECT_EQ(refused.status, 403);
    EXPECT_EQ(refused.headers.get("X-Bastide-Layer").substr(0, 5), "edge;");
    edge.use(false);
    auto denied = edge.get("/private");
    EXPECT_EQ(denied.status, 502);
    EXPECT_NE(denied.headers.get("X-Bastide-Layer").find("private address"), std::string::npos);
  });
}

TEST_F(CdnTest, TheSecondOriginOfAGroupAnswersForTheFirst) {
  loop.run([] {
    Origin first, second;
    first.status = 500;
    second.body = "from the second";
    Running edge(first);
    auto other = edge.distribution.origins[0];
    other.id = "p";
    other.http_port = second.port;
    edge.distribution.origins.push_back(other);
    edge.distribution.origin_groups = {{"g", "o", "p", {500, 502}}};
    edge.behavior().origin = "g";
    edge.use();
    EXPECT_EQ(edge.get("/f").body, "from the second");
  });
}

TEST_F(CdnTest, LargeBodiesGoThroughTheDisk) {
  char path[] = "/tmp/bastide-cdn-XXXXXX";
  const std::string home = ::mkdtemp(path);
  loop.run([&] {
    Origin origin;
    origin.body = std::string(9 << 20, 'L');
    origin.body[6 << 20] = 'x';
    {
      Running edge(origin, home);
      edge.use();
      EXPECT_TRUE(edge.get("/large").body == origin.body);
      net::sleep_for(100);
    }
    Running again(origin, home);
    again.use();
    auto part = again.get("/large", {{"Range", "bytes=6291456-6291460"}});
    EXPECT_EQ(part.body, "xLLLL");
    EXPECT_EQ(part.headers.get("X-Cache"), "Hit from cloudfront");
    EXPECT_EQ(origin.requests, 1);
  });
  (void)sys::remove_tree(home);
}

std::string cloudfront_base64(const std::string& bytes) {
  return replace_all(replace_all(replace_all(base64(bytes), "+", "-"), "=", "_"), "/", "~");
}

TEST_F(CdnTest, SignedUrlsOpenWhatIsClosed) {
  EVP_PKEY* key = EVP_RSA_gen(2048);
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PUBKEY(bio, key);
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio, &data);
  const std::string pem(data, static_cast<size_t>(size));
  BIO_free(bio);
  auto sign = [&](const std::string& policy) {
    EVP_MD_CTX* c = EVP_MD_CTX_new();
    unsigned char out[256];
    size_t n = sizeof out;
    EVP_DigestSignInit(c, nullptr, EVP_sha1(), nullptr, key);
    EXPECT_EQ(
        EVP_DigestSign(c, out, &n, reinterpret_cast<const unsigned char*>(policy.data()), policy.size()), 1);
    EVP_MD_CTX_free(c);
    return cloudfront_base64(std::string(reinterpret_cast<char*>(out), n));
  };
  loop.run([&] {
    Origin origin;
    Running edge(origin);
    edge.distribution.key_groups = {{"kg", {{"K1", pem}}}};
    edge.behavior().key_groups = {"kg"};
    edge.use();
    EXPECT_EQ(edge.get("/s").status, 403);
    const auto until = std::to_string(Clock::system().wall() / kSecond + 60);
    const auto policy =
        "{\"Statement\":[{\"Resource\":\"http://cdn.test/"
        "s\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":" +
        until + "}}}]}";
    const auto good = "/s?Expires=" + until + "&Signature=" + sign(policy) + "&Key-Pair-Id=K1";
    EXPECT_EQ(edge.get(good).status, 200);
    EXPECT_EQ(origin.last_target, "/s");
    EXPECT_EQ(edge.get("/other?" + good.substr(3)).status, 403);
    const auto wide =
        "{\"Statement\":[{\"Resource\":\"http*://cdn.test/"
        "*\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":" +
        until + "}}}]}";
    auto cookies = edge.get(
        "/any", {{"Cookie", "CloudFront-Policy=" + cloudfront_base64(wide) +
                                "; CloudFront-Signature=" + sign(wide) + "; CloudFront-Key-Pair-Id=K1"}});
    EXPECT_EQ(cookies.status, 200);
    const auto past =
        "{\"Statement\":[{\"Resource\":\"*\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":1}}}]}";
    auto late = edge.get(
        "/any", {{"Cookie", "CloudFront-Policy=" + cloudfront_base64(past) +
                                "; CloudFront-Signature=" + sign(past) + "; CloudFront-Key-Pair-Id=K1"}});
    EXPECT_EQ(late.headers.get("X-Bastide-Layer"), "edge; the policy has expired");
  });
  EVP_PKEY_free(key);
}

}  // namespace
}  // namespace bastide::edge
