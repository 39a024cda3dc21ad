#include "net/http_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "base/bytes.h"
#include "net/http_client.h"
#include "net/http_stream.h"
#include "net/loop.h"
#include "net/test_loop.h"
#include "sys/file.h"

namespace bastide::net {
namespace {

void answer(Exchange& x) {
  const auto path = std::string(x.request().raw_path());
  if (path == "/echo") {
    auto body = x.read_body(1 << 20);
    if (!body) {
      (void)x.respond(Response{body.error().code == "TooLarge" ? 413 : 400, {}, body.error().code, {}});
      return;
    }
    (void)x.respond(Response{200, {}, *body, {}});
  } else if (path == "/ignore") {
    (void)x.respond(Response{200, {}, "ignored", {}});
  } else if (path == "/pieces") {
    Headers headers;
    headers.add("X-Kind", "pieces");
    if (!x.begin(200, headers)) return;
    for (int i = 0; i < 5; ++i) {
      (void)x.write(std::string(1000, static_cast<char>('a' + i)));
      sleep_for(1);
    }
    (void)x.finish();
  } else if (path == "/unfinished") {
    (void)x.begin(200, {});
    (void)x.write("half");
  } else if (path == "/file") {
    auto file = sys::memory_file("test", "0123456789", false);
    Response r{200, {}, "<", {}};
    r.file = FilePart{std::move(file).value(), 2, 5};
    (void)x.respond(std::move(r));
  } else if (path == "/inject") {
    Response r{200, {}, "", {}};
    r.headers.add("X", "a\r\nSet-Cookie: b");
    (void)x.respond(std::move(r));
  } else if (path == "/silent") {
  } else if (path == "/slow") {
    sleep_for(100);
    (void)x.respond(Response{200, {}, "slow", {}});
  } else {
    (void)x.respond(Response{404, {}, path + " peer=" + x.request().peer.substr(0, 10), {}});
  }
}

struct Served : TestLoop {
  explicit Served(HttpLimits limits = {}, Handler handler = answer) : server(std::move(handler), limits) {
    auto listener = listen_tcp("127.0.0.1", 0).value();
    port = local_port(listener.get()).value();
    server.listen(std::move(listener));
  }
  Endpoint endpoint() const { return Endpoint{false, "127.0.0.1", port, ""}; }

  // Sends raw bytes and returns all that comes back until the server closes, or for `patience` of silence.
  std::string raw(std::string_view bytes, Millis patience = 3000) {
    std::string out;
    run([&] {
      auto socket = Socket::connect_tcp("127.0.0.1", port, 1000).value();
      socket.set_timeout(patience);
      if (!socket.write(bytes)) return;
      char buffer[4096];
      for (;;) {
        auto n = socket.read(buffer, sizeof buffer);
        if (!n || *n == 0) return;
        out.append(buffer, *n);
      }
    });
    return out;
  }

  HttpServer server;
  uint16_t port = 0;
};

Request get(std::string target) { return Request{"GET", std::move(target), {}, "", "", "", false}; }
Request post(std::string target, std::string body) {
  return Request{"POST", std::move(target), {}, std::move(body), "", "", false};
}

TEST(HttpServer, AnswersManyRequestsOnOneKeptConnection) {
  Served s;
  s.run([&] {
    HttpClient client(s.endpoint());
    for (int i = 0; i < 20; ++i) {
      auto r = client.send(post("/echo?x=1", "hello " + std::to_string(i)));
      ASSERT_TRUE(r.ok()) << r.error().message;
      EXPECT_EQ(r->status, 200);
      EXPECT_EQ(r->body, "hello " + std::to_string(i));
      EXPECT_TRUE(r->headers.has("Date"));
    }
    EXPECT_EQ(s.server.open_connections(), 1u);
    EXPECT_EQ(client.send(get("/nowhere"))->status, 404);
    EXPECT_EQ(client.send(get("/nowhere"))->body, "/nowhere peer=127.0.0.1:");
  });
}

TEST(HttpServer, AnswersInPiecesAndFromFiles) {
  Served s;
  s.run([&] {
    HttpClient client(s.endpoint());
    auto r = client.send(get("/pieces"));
    ASSERT_TRUE(r.ok()) << r.error().message;
    EXPECT_EQ(r->body.size(), 5000u);
    EXPECT_EQ(r->headers.get("x-kind"), "pieces");
    EXPECT_EQ(r->headers.get("Transfer-Encoding"), "chunked");
    size_t pieces = 0, bytes = 0;
    auto streamed = client.stream(get("/pieces"), [&](std::string_view piece) -> Result<void> {
      ++pieces;
      bytes += piece.size();
      return {};
    });
    ASSERT_TRUE(streamed.ok());
    EXPECT_EQ(bytes, 5000u);
    EXPECT_GE(pieces, 5u);
    EXPECT_EQ(client.send(get("/file"))->body, "<23456");
    EXPECT_EQ(s.server.open_connections(), 1u);
  });
}

TEST(HttpServer, SendsTheHeadAloneToHead) {
  Served s;
  s.run([&] {
    HttpClient client(s.endpoint());
    auto r = client.send(Request{"HEAD", "/file", {}, "", "", "", false});
    ASSERT_TRUE(r.ok()) << r.error().message;
    EXPECT_EQ(r->headers.get("Content-Length"), "6");
    EXPECT_EQ(r->body, "");
    EXPECT_EQ(client.send(get("/file"))->body, "<23456");  // the connection is still in step
    EXPECT_EQ(client.send(Request{"HEAD", "/pieces", {}, "", "", "", false})->status, 200);
    EXPECT_EQ(client.send(get("/file"))->body, "<23456");
  });
}

TEST(HttpServer, ReadsChunkedBodies) {
  Served s;
  const auto out = s.raw(
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
      "5\r\nhello\r\n6;x=\"y\"\r\n world\r\n0\r\nX-T: 1\r\n\r\n");
  EXPECT_TRUE(out.ends_with("\r\n\r\nhello world")) << out;
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
  Served s;
  const auto out = s.raw(
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\ntwo");
  const size_t one = out.find("one"), two = out.find("two");
  EXPECT_NE(one, std::string::npos);
  EXPECT_NE(two, std::string::npos);
  EXPECT_LT(one, two);
}

TEST(HttpServer, ContinuesOnlyWhenTheBodyIsWanted) {
  Served s;
  s.run([&] {
    auto socket = Socket::connect_tcp("127.0.0.1", s.port, 1000).value();
    socket.set_timeout(2000);
    ASSERT_TRUE(
        socket.write("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            .ok());
    char buffer[4096];
    auto n = socket.read(buffer, sizeof buffer);
    ASSERT_TRUE(n.ok());
    EXPECT_EQ(std::string(buffer, *n), "HTTP/1.1 100 Continue\r\n\r\n");
    ASSERT_TRUE(socket.write("ok").ok());
    n = socket.read(buffer, sizeof buffer);
    ASSERT_TRUE(n.ok());
    EXPECT_TRUE(std::string_view(buffer, *n).ends_with("ok"));
  });
  const auto refused =
      s.raw("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 200 OK")) << refused;
  EXPECT_NE(refused.find("Connection: close"), std::string::npos) << refused;
}

TEST(HttpServer, DropsASmallUnreadBodyAndClosesOnALargeOne) {
  Served s;
  s.run([&] {
    HttpClient client(s.endpoint());
    for (int i = 0; i < 3; ++i) {
      auto r = client.send(post("/ignore", std::string(100 << 10, 'x')));
      ASSERT_TRUE(r.ok()) << r.error().message;
      EXPECT_FALSE(r->headers.has("Connection"));
    }
    EXPECT_EQ(s.server.open_connections(), 1u);
    auto r = client.send(post("/ignore", std::string(900 << 10, 'x')));
    ASSERT_TRUE(r.ok()) << r.error().message;
    EXPECT_EQ(r->body, "ignored");
    EXPECT_EQ(r->headers.get("Connection"), "close");
    EXPECT_EQ(client.send(post("/echo", std::string(2 << 20, 'x')))->status, 413);
  });
}

TEST(HttpServer, AnswersForAHandlerThatDoesNot) {
  Served s;
  s.run([&] {
    HttpClient client(s.endpoint());
    EXPECT_EQ(client.send(get("/silent"))->status, 500);
    EXPECT_EQ(client.send(get("/inject"))->status, 500);
    auto cut = client.send(get("/unfinished"));
    ASSERT_FALSE(cut.ok());
    EXPECT_EQ(cut.error().code, "Closed");
  });
}

TEST(HttpServer, SaysWhatItRefuses) {
  HttpLimits limits;
  limits.head_bytes = 2048;
  limits.target_bytes = 512;
  limits.header_count = 10;
  Served s(limits);
  const auto status = [&](std::string_view bytes) { return s.raw(bytes).substr(9, 3); };
  EXPECT_EQ(status("GET / HTTP/1.1\r\n\r\n"), "400");
  EXPECT_EQ(status("GET / HTTP/1.1\nHost: a\n\n"), "400");
  EXPECT_EQ(status("GET /" + std::string(1000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), "414");
  EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(3000, 'a') + "\r\n\r\n"), "431");
  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 20; ++i) many += "A: b\r\n";
  EXPECT_EQ(status(many + "\r\n"), "431");
  EXPECT_EQ(status("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), "505");
  EXPECT_EQ(status("GET / HTTP/1.1\r\nHost: a\r\nExpect: coffee\r\n\r\n"), "417");
  EXPECT_EQ(status("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"), "501");
  EXPECT_EQ(status("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "400");
  EXPECT_EQ(status("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "400");
}

TEST(HttpServer, GivesUpOnSlowClients) {
  HttpLimits limits;
  limits.head_timeout = 50;
  limits.idle_timeout = 80;
  limits.body_timeout = 50;
  Served s(limits);
  EXPECT_EQ(s.raw("GET / HTT").substr(9, 3), "408");
  EXPECT_EQ(s.raw(""), "");
  const auto idle = s.raw("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(idle.substr(9, 3), "404");
  EXPECT_TRUE(s.raw("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab").ends_with("Timeout"));
}

TEST(HttpServer, DrainsWhatRunsAndClosesWhatIsIdle) {
  Served s;
  s.run([&] {
    HttpClient idle(s.endpoint());
    ASSERT_TRUE(idle.send(get("/a")).ok());
    bool answered = false;
    Event done;
    spawn([&] {
      HttpClient busy(s.endpoint());
      auto r = busy.send(get("/slow"));
      answered = r.ok() && r->body == "slow" && r->headers.get("connection") == "close";
      done.set();
    });
    sleep_for(30);
    EXPECT_EQ(s.server.open_connections(), 2u);
    s.server.drain();
    EXPECT_EQ(s.server.open_connections(), 0u);
    done.wait();
    EXPECT_TRUE(answered);
    EXPECT_FALSE(HttpClient(s.endpoint()).send(get("/a")).ok());
  });
}

TEST(HttpClient, TriesAKeptConnectionThatWasClosedOnceAnew) {
  HttpLimits limits;
  limits.idle_timeout = 20;
  Served s(limits);
  s.run([&] {
    HttpClient client(s.endpoint());
    for (int i = 0; i < 5; ++i) {
      auto r = client.send(post("/echo", "x"));
      ASSERT_TRUE(r.ok()) << r.error().message;
      sleep_for(18 + i);
    }
  });
}

TEST(HttpClient, WorksWithoutAReactor) {
  Served s;
  std::string body;
  std::thread outside([&] {
    ASSERT_FALSE(in_fiber());
    HttpClient client(s.endpoint());
    for (int i = 0; i < 3; ++i) {
      auto r = client.send(post("/echo", std::string(300'000, 'y')));
      ASSERT_TRUE(r.ok()) << r.error().message;
      body = r->body;
    }
    s.loop.stop();
  });
  s.loop.run();
  outside.join();
  EXPECT_EQ(body.size(), 300'000u);
}

TEST(HttpClient, BoundsTheAnswerAndTheTime) {
  Served s;
  s.run([&] {
    ClientOptions small;
    small.max_response_bytes = 100;
    auto r = HttpClient(s.endpoint(), small).send(post("/echo", std::string(200, 'y')));
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code, "TooLarge");
    r = HttpClient(s.endpoint(), small).send(get("/pieces"));
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code, "TooLarge");
    ClientOptions hasty;
    hasty.timeout = 30;
    r = HttpClient(s.endpoint(), hasty).send(get("/slow"));
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code, "Timeout");
    EXPECT_FALSE(HttpClient(s.endpoint()).send(get("/a b")).ok());
  });
}

TEST(HttpClient, ReadsEndpoints) {
  const auto one = parse_endpoint("https://[::1]:8443/").value();
  EXPECT_TRUE(one.tls);
  EXPECT_EQ(one.host, "[::1]");
  EXPECT_EQ(one.port, 8443);
  EXPECT_EQ(parse_endpoint("http://localhost:4566")->port, 4566);
  EXPECT_EQ(parse_endpoint("https://a.example")->port, 443);
  for (const char* wrong :
       {"localhost:4566", "http://", "http://a:0", "http://a:99999", "http://a/b", "http://u@a", "ftp://a"}) {
    EXPECT_FALSE(parse_endpoint(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace bastide::net
