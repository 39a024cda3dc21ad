#include "net/http_parser.h"

#include <gtest/gtest.h>

namespace bastide::net {
namespace {

// The whole way of a request's head: 200, or the status of the refusal; 0 while incomplete.
int status_of(std::string_view text, HeadLimits limits = {}) {
  size_t scanned = 0;
  auto end = find_head_end(text, scanned, limits);
  if (!end) return end.error().status;
  if (*end == 0) return 0;
  auto head = parse_request_head(text.substr(0, *end), limits);
  return head ? 200 : head.error().status;
}

std::string with(std::string_view headers) {
  return "POST /x HTTP/1.1\r\nHost: a\r\n" + std::string(headers) + "\r\n\r\n";
}

TEST(HttpParser, RefusesEveryShapeThatTwoParsersCouldReadDifferently) {
  using namespace std::string_view_literals;
  struct Case {
    std::string text;
    int status;
  };
  const Case cases[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/1.0\r\n\r\n", 200},
      {"GET / HTTP/1.9\r\nHost: a\r\n\r\n", 200},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\n", 0},
      {"GET / HTTP/1.1\nHost: a\n\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400},
      {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
      {"GET / http/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
      {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
      {"GET /\r\n\r\n", 400},
      {with("X: a\r\n b"), 400},
      {with("X: a\r\n\tb"), 400},
      {with(" X: a"), 400},
      {with("X : a"), 400},
      {with("X\t: a"), 400},
      {with(": a"), 400},
      {with("X"), 400},
      {with("X(): a"), 400},
      {with("X: a\x7f"), 400},
      {with("X: a\0b"sv), 400},
      {with("X\0: a"sv), 400},
      {with("X: a\x01"), 400},
      {with("X: caf\xc3\xa9\tok"), 200},
      {with("X:"), 200},
      {with("Content-Length: 5"), 200},
      {with("Content-Length: 5\r\nContent-Length: 5"), 200},
      {with("Content-Length: 5\r\nContent-Length: 6"), 400},
      {with("Content-Length: 5, 5"), 400},
      {with("Content-Length: +5"), 400},
      {with("Content-Length: -5"), 400},
      {with("Content-Length: 0x5"), 400},
      {with("Content-Length: 5 5"), 400},
      {with("Content-Length:"), 400},
      {with("Content-Length: 5\x0b"), 400},
      {with("Content-Length: 9223372036854775808"), 413},
      {with("Content-Length: 99999999999999999999999"), 413},
      {with("Transfer-Encoding: chunked"), 200},
      {with("Transfer-Encoding: Chunked"), 200},
      {with("Transfer-Encoding: chunked\r\nContent-Length: 5"), 400},
      {with("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400},
      {with("Transfer-Encoding: identity\r\nContent-Length: 5"), 400},
      {with("Transfer-Encoding: gzip, chunked"), 501},
      {with("Transfer-Encoding: chunked, gzip"), 501},
      {with("Transfer-Encoding: xchunked"), 501},
      {with("Transfer-Encoding: chunked, chunked"), 400},
      {with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 400},
      {with("Transfer-Encoding: \"chunked\""), 501},
      {with("Transfer-Encoding:"), 501},
      {with("Transfer-Encoding : chunked"), 400},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {with("Expect: 100-Continue"), 200},
      {with("Expect: 200-ok"), 417},
  };
  for (const auto& one : cases) EXPECT_EQ(status_of(one.text), one.status) << one.text;
}

TEST(HttpParser, GivesTheSameAnswerHoweverTheBytesAreCut) {
  const std::string text = "\r\nPUT /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
  size_t scanned = 0;
  for (size_t i = 0; i + 3 < text.size(); ++i) {
    auto end = find_head_end(std::string_view(text).substr(0, i), scanned, {});
    ASSERT_TRUE(end.ok()) << i;
    EXPECT_EQ(*end, 0u) << i;
  }
  auto end = find_head_end(text, scanned, {});
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(*end, text.size() - 3);
  size_t at_lf = 0;
  const std::string bad = "GET / HTTP/1.1\r\nA: b\n\n";
  bool refused = false;
  for (size_t i = 1; i <= bad.size() && !refused; ++i)
    refused = !find_head_end(bad.substr(0, i), at_lf, {}).ok();
  EXPECT_TRUE(refused);
}

TEST(HttpParser, EnforcesItsLimits) {
  HeadLimits limits;
  limits.head_bytes = 1000;
  limits.line_bytes = 100;
  limits.header_count = 3;
  EXPECT_EQ(status_of("GET /" + std::string(200, 'a'), limits), 414);
  EXPECT_EQ(status_of("GET /" + std::string(200, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", limits), 414);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nX: " + std::string(2000, 'a'), limits), 431);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nX: " + std::string(2000, 'a') + "\r\n\r\n", limits), 431);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n\r\n", limits), 200);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\nE: f\r\n\r\n", limits), 431);
}

TEST(HttpParser, ReadsARequest) {
  auto head = parse_request_head(
      "GET HTTP://B.example:80?x=1 HTTP/1.1\r\nHost: a\r\nX-One:  two \t\r\n"
      "Connection: Foo, CLOSE\r\nContent-Length: 07\r\nContent-Length: 07\r\n\r\n",
      {});
  ASSERT_TRUE(head.ok()) << head.error().message;
  EXPECT_EQ(head->request.host, "B.example:80");
  EXPECT_EQ(head->request.target, "/?x=1");
  EXPECT_EQ(head->request.raw_path(), "/");
  EXPECT_EQ(head->request.raw_query(), "x=1");
  EXPECT_EQ(head->request.headers.get("x-one"), "two");
  EXPECT_EQ(head->framing.length, 7);
  EXPECT_FALSE(head->keep_alive);
  size_t lengths = 0;
  for (const auto& [name, value] : head->request.headers) lengths += name == "Content-Length";
  EXPECT_EQ(lengths, 1u);

  EXPECT_TRUE(parse_request_head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", {})->keep_alive);
  EXPECT_FALSE(parse_request_head("GET / HTTP/1.0\r\n\r\n", {})->keep_alive);
  EXPECT_TRUE(parse_request_head(with("Expect: 100-continue\r\nContent-Length: 1"), {})->expects_continue);
  EXPECT_FALSE(parse_request_head(with("Expect: 100-continue\r\nContent-Length: 0"), {})->expects_continue);
  EXPECT_FALSE(parse_request_head(with("Expect: 100-continue"), {})->expects_continue);
  EXPECT_TRUE(
      parse_request_head(with("Expect: 100-continue\r\nTransfer-Encoding: chunked"), {})->expects_continue);
}

TEST(HttpParser, ReadsAnAnswer) {
  using Kind = Framing::Kind;
  struct Case {
    std::string text, method;
    Kind kind;
    bool keep_alive;
  };
  const Case cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", Kind::length, true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", Kind::none, true},
      {"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", Kind::chunked, true},
      {"HTTP/1.1 200 \r\n\r\n", "GET", Kind::until_close, false},
      {"HTTP/1.1 204 No Content\r\n\r\n", "GET", Kind::none, true},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", Kind::none, true},
      {"HTTP/1.1 100 Continue\r\n\r\n", "POST", Kind::none, true},
      {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", Kind::length, false},
  };
  for (const auto& one : cases) {
    auto head = parse_response_head(one.text, one.method, {});
    ASSERT_TRUE(head.ok()) << one.text << head.error().message;
    EXPECT_EQ(head->framing.kind, one.kind) << one.text;
    EXPECT_EQ(head->keep_alive, one.keep_alive) << one.text;
  }
  for (const char* wrong :
       {"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 200 a\x01\r\n\r\n", "HTTP/1.1 200 OK\r\nA b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    EXPECT_FALSE(parse_response_head(wrong, "GET", {}).ok()) << wrong;
  }
}

// All data of a chunked body fed in pieces of this size; "!" for an error, "..." when it has not ended.
std::string decode(std::string_view text, size_t piece, std::string* rest = nullptr) {
  ChunkDecoder decoder;
  std::string out;
  while (!text.empty() && !decoder.done()) {
    auto step = decoder.step(text.substr(0, piece));
    if (!step) return "!";
    out += step->data;
    text.remove_prefix(step->consumed);
  }
  if (rest != nullptr) *rest = text;
  return decoder.done() ? out : out + "...";
}

TEST(ChunkDecoder, TakesBodiesApartHoweverTheyAreCut) {
  struct Case {
    std::string text, out;
  };
  const Case cases[] = {
      {"0\r\n\r\n", ""},
      {"5\r\nhello\r\n0\r\n\r\n", "hello"},
      {"5;a=b\r\nhello\r\n00000A ;x\r\n0123456789\r\n0\r\nX: y\r\nZ:\r\n\r\n", "hello0123456789"},
      {"5\r\nhel", "hel..."},
      {"5\r\nhello\r\n0\r\n", "hello..."},
      {"\r\n", "!"},
      {"x\r\n", "!"},
      {"-1\r\n", "!"},
      {"0x5\r\nhello\r\n", "!"},
      {"5 \r\nhello\r\n", "!"},
      {" 5\r\nhello\r\n", "!"},
      {"5\nhello\r\n", "!"},
      {"5\r\nhelloX\r\n", "!"},
      {"5\r\nhello\n0\r\n\r\n", "!"},
      {"5\r\nhello\rX", "!"},
      {"5;\x01\r\nhello\r\n", "!"},
      {"5;a\rb\r\nhello\r\n", "!"},
      {"1234567890abcdef0\r\n", "!"},
      {"fffffffffffffffff\r\n", "!"},
      {"0\r\nX y\r\n\r\n", "!"},
      {"0\r\n X: y\r\n\r\n", "!"},
      {"0\r\nX : y\r\n\r\n", "!"},
      {"5;" + std::string(5000, 'a') + "\r\nhello\r\n0\r\n\r\n", "!"},
  };
  for (const auto& one : cases) {
    for (const size_t piece : {1u, 2u, 3u, 7u, 100'000u}) {
      EXPECT_EQ(decode(one.text, piece), one.out) << one.text << " in pieces of " << piece;
    }
  }
  std::string rest;
  EXPECT_EQ(decode("1\r\na\r\n0\r\n\r\nGET / ", 100, &rest), "a");
  EXPECT_EQ(rest, "GET / ");
}

TEST(ChunkDecoder, BoundsExtensionsAndTrailers) {
  std::string many;
  for (int i = 0; i < 10; ++i) many += "1;" + std::string(3000, 'a') + "\r\nx\r\n";
  EXPECT_EQ(decode(many + "0\r\n\r\n", 1000), "!");
  std::string trailers = "0\r\n";
  for (int i = 0; i < 100; ++i) trailers += "A: b\r\n";
  EXPECT_EQ(decode(trailers + "\r\n", 1000), "!");
}

TEST(HttpWriter, NeverSendsWhatWouldBeReadAsMore) {
  std::string out;
  EXPECT_FALSE(append_request_head(out, "GET", "/ HTTP/1.1\r\nX: y", {}).ok());
  EXPECT_FALSE(append_request_head(out, "GET", "", {}).ok());
  EXPECT_FALSE(append_request_head(out, "G T", "/", {}).ok());
  Headers headers;
  headers.add("A", "b\r\nC: d");
  EXPECT_FALSE(append_headers(out, headers).ok());
}

TEST(Form, DecodesAndBounds) {
  auto pairs = parse_form("Action=Get&Name=a+b%2Fc&&empty&x=").value();
  ASSERT_EQ(pairs.size(), 4u);
  EXPECT_EQ(pairs[1].second, "a b/c");
  EXPECT_EQ(pairs[2].first, "empty");
  EXPECT_FALSE(parse_form("a=%zz").ok());
  std::string many;
  for (int i = 0; i < 1001; ++i) many += "a=b&";
  EXPECT_EQ(parse_form(many).error().code, "TooLarge");
}

}  // namespace
}  // namespace bastide::net
