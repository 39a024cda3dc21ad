#include "edge/edge.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/test_loop.h"
#include "net/tls.h"
#include "sys/file.h"

namespace bastide::edge {
namespace {

using internal::EdgeAction;

// An origin server that says its name, the request's headers and its body.
struct Origin {
  Origin() {
    auto fd = net::listen_tcp("127.0.0.1", 0);
    port = *net::local_port(fd->get());
    server = std::make_unique<net::HttpServer>([this](net::Exchange& x) { answer(x); });
    server->listen(std::move(*fd));
  }
  void answer(net::Exchange& x) {
    auto path = std::string(x.request().raw_path());
    if (path == "/health") {
      (void)x.respond({healthy ? 200 : 500, {}, "", {}});
      return;
    }
    ++requests;
    if (path == "/slow") net::sleep_for(300);
    if (path == "/pieces") {
      (void)x.begin(200, {});
      for (int i = 0; i < 3; ++i) (void)x.write("piece " + std::to_string(i) + ";");
      (void)x.finish();
      return;
    }
    if (path == "/large") {
      (void)x.respond({200, {}, std::string(3 << 20, 'L'), {}});
      return;
    }
    auto body = x.read_body(8 << 20);
    std::string text;
    for (const auto& [name, value] : x.request().headers) text += name + ": " + value + "\n";
    net::Headers headers;
    headers.add("X-Origin", std::to_string(port));
    (void)x.respond({200, headers, text + "\n" + (body ? *body : "bad body"), {}});
  }
  internal::EdgeTarget target() const {
    return {"127.0.0.1:" + std::to_string(port), "127.0.0.1", port, false};
  }
  std::unique_ptr<net::HttpServer> server;
  uint16_t port = 0;
  bool healthy = true;
  int requests = 0;
};

// A socket on which raw bytes are said.
struct Raw {
  explicit Raw(uint16_t port) : socket(net::Socket::connect_tcp("127.0.0.1", port, kSecond).value()) {
    socket.set_timeout(5 * kSecond);
  }
  std::string all(std::string_view bytes) {
    (void)socket.write(bytes);
    return rest();
  }
  std::string rest() {
    std::string out;
    char buffer[4096];
    while (true) {
      auto n = socket.read(buffer, sizeof buffer);
      if (!n || *n == 0) return out;
      out.append(buffer, *n);
    }
  }
  net::Socket socket;
};

struct EdgeTest : ::testing::Test {
  net::TestLoop loop;

  // An edge on free ports, without a snapshot.
  struct Running {
    Running() {
      EdgeOptions options;
      auto http = net::listen_tcp("127.0.0.1", 0), https = net::listen_tcp("127.0.0.1", 0);
      http_port = *net::local_port(http->get());
      https_port = *net::local_port(https->get());
      options.listeners["http"] = std::move(*http);
      options.listeners["https"] = std::move(*https);
      edge = std::make_unique<Edge>(std::move(options));
      EXPECT_TRUE(edge->start());
    }
    ~Running() { edge->drain(); }
    void use(internal::EdgeSnapshot snapshot) {
      snapshot.number = ++number;
      auto applied = edge->apply(json::print(internal::to_json(snapshot)), false);
      EXPECT_TRUE(applied.ok()) << (applied ? "" : applied.error().message);
    }
    net::Response get(const std::string& path, const std::string& host = "app.test") {
      net::HttpClient client(net::Endpoint{false, "127.0.0.1", http_port, ""});
      net::Request request;
      request.method = "GET";
      request.target = path;
      request.headers.add("Host", host);
      auto response = client.send(request);
      EXPECT_TRUE(response.ok()) << (response ? "" : response.error().message);
      return response ? std::move(*response) : net::Response{0, {}, "", {}};
    }
    std::unique_ptr<Edge> edge;
    uint16_t http_port = 0, https_port = 0;
    int64_t number = 0;
  };
};

EdgeAction forward_to(std::vector<EdgeAction::Weighted> groups) {
  EdgeAction a;
  a.kind = EdgeAction::Kind::forward;
  a.forward = std::move(groups);
  return a;
}

internal::EdgeTargetGroup group_of(const std::string& id, std::vector<internal::EdgeTarget> targets,
                                   bool checked = false) {
  internal::EdgeTargetGroup g;
  g.id = id;
  g.targets = std::move(targets);
  g.health.enabled = checked;
  g.health.path = "/health";
  g.health.interval = 20;
  g.health.timeout = kSecond;
  g.health.healthy = 2;
  return g;
}

internal::EdgeSnapshot simple(std::vector<internal::EdgeTarget> targets, bool checked = false) {
  internal::EdgeSnapshot s;
  s.target_groups.push_back(group_of("g", std::move(targets), checked));
  internal::EdgeListener l;
  l.id = "listener";
  l.balancer = "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/web/0123456789abcdef";
  l.socket = "http";
  l.host_names = {"app.test"};
  l.fallback = forward_to({{"g", 1}});
  l.idle_timeout = 2 * kSecond;
  s.listeners.push_back(l);
  return s;
}

TEST_F(EdgeTest, ForwardsWithForwardedHeadersAndWithoutHopByHopOnes) {
  loop.run([] {
    Origin origin;
    Running edge;
    edge.use(simple({origin.target()}));
    auto answer = Raw(edge.http_port)
                      .all(
                          "POST /x?y=1 HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: "
                          "1.2.3.4\r\nX-Forwarded-Proto: https\r\n"
                          "Connection: close, X-Private\r\nX-Private: 1\r\nTE: trailers\r\nKeep-Alive: "
                          "5\r\nX-Kept: yes\r\n"
                          "Content-Length: 5\r\n\r\nhello");
    EXPECT_EQ(answer.substr(0, 15), "HTTP/1.1 200 OK");
    EXPECT_NE(answer.find("X-Forwarded-For: 1.2.3.4, 127.0.0.1\n"), std::string::npos) << answer;
    EXPECT_NE(answer.find("X-Forwarded-Proto: http\n"), std::string::npos);
    EXPECT_NE(answer.find("X-Forwarded-Port: " + std::to_string(edge.http_port)), std::string::npos);
    EXPECT_NE(answer.find("X-Amzn-Trace-Id: Root=1-"), std::string::npos);
    EXPECT_NE(answer.find("X-Kept: yes"), std::string::npos);
    EXPECT_EQ(answer.find("X-Private"), std::string::npos);
    EXPECT_EQ(answer.find("trailers"), std::string::npos);
    EXPECT_NE(answer.find("\nhello"), std::string::npos);
  });
}

TEST_F(EdgeTest, StreamsBodiesOfEveryFraming) {
  loop.run([] {
    Origin origin;
    Running edge;
    edge.use(simple({origin.target()}));
    // Chunked from the client, with an extension, and a second request behind it on the same connection.
    auto answer = Raw(edge.http_port)
                      .all(
                          "POST /a HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "3;x=1\r\nabc\r\n4\r\ndefg\r\n0\r\nTrailer: 1\r\n\r\n"
                          "GET /pieces HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n");
    EXPECT_NE(answer.find("\nabcdefg"), std::string::npos) << answer;
    EXPECT_NE(answer.find("piece 2;"), std::string::npos);
    EXPECT_EQ(answer.substr(answer.size() - 5), "0\r\n\r\n");
    EXPECT_EQ(edge.get("/large").body.size(), size_t{3 << 20});
    // HTTP/1.0 knows no chunks: the end of the connection is the end.
    auto old = Raw(edge.http_port).all("GET /pieces HTTP/1.0\r\nHost: app.test\r\n\r\n");
    EXPECT_NE(old.find("\r\n\r\npiece 0;piece 1;piece 2;"), std::string::npos) << old;
    // A large upload.
    net::HttpClient client(net::Endpoint{false, "127.0.0.1", edge.http_port, ""});
    net::Request upload;
    upload.method = "PUT";
    upload.target = "/up";
    upload.headers.add("Host", "app.test");
    upload.body = std::string(2 << 20, 'u');
    auto up = client.send(upload);
    ASSERT_TRUE(up.ok());
    EXPECT_GT(up->body.size(), size_t{2 << 20});
  });
}

TEST_F(EdgeTest, ReadsTheSameHoweverTheBytesArrive) {
  loop.run([] {
    Origin origin;
    Running edge;
    edge.use(simple({origin.target()}));
    Raw raw(edge.http_port);
    const std::string bytes =
        "\r\nPOST /a HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\nA;e=1\r\n0123456789\r\n0\r\nT: 1\r\n\r\n"
        "POST /b HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlast";
    for (char c : bytes) {
      (void)raw.socket.write({&c, 1});
      net::sleep_for(0);
    }
    auto answer = raw.rest();
    EXPECT_NE(answer.find("\nabc0123456789"), std::string::npos) << answer;
    EXPECT_EQ(answer.substr(answer.size() - 5), "\nlast");
    EXPECT_EQ(origin.requests, 2);
  });
}

TEST_F(EdgeTest, RefusesShapesThatTwoParsersReadDifferently) {
  loop.run([] {
    Origin origin;
    Running edge;
    edge.use(simple({origin.target()}));
    const std::string host = "Host: app.test\r\n";
    const std::pair<std::string, const char*> shapes[] = {
        {"POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET",
         "400"},
        {"POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "400"},
        {"POST / HTTP/1.1\r\n" + host + "Content-Length: +5\r\n\r\nhello", "400"},
        {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "501"},
        {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"},
        {"POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\n" + host + "X: a\r\n b\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\n" + host + "X: a\nY: b\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\n" + host + host + "\r\n", "400"},
        {"GET / HTTP/1.1\r\n\r\n", "400"},
        {"GET /a b HTTP/1.1\r\n" + host + "\r\n", "400"},
        {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5 x\r\nhello\r\n0\r\n\r\n", "400"},
        {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n", "400"},
        {"TRACE / HTTP/1.1\r\n" + host + "\r\n", "405"},
        {"GET / HTTP/2.0\r\n" + host + "\r\n", "505"},
    };
    for (const auto& [bytes, status] : shapes) {
      auto answer = Raw(edge.http_port).all(bytes);
      EXPECT_EQ(answer.substr(0, 12), std::string("HTTP/1.1 ") + status) << bytes << "\n" << answer;
      EXPECT_EQ(answer.find("HTTP/1.1", 8), std::string::npos) << "a second answer to " << bytes;
    }
    EXPECT_EQ(origin.requests, 0);
  });
}

TEST_F(EdgeTest, RulesPickByHostAndPathInOrderOfPriority) {
  loop.run([] {
    Origin origin;
    Running edge;
    auto s = simple({origin.target()});
    auto& l = s.listeners[0];
    l.host_names = {"app.test", "*.wild.test"};
    EdgeAction fixed;
    fixed.status = 418;
    fixed.content_type = "text/plain";
    fixed.body = "teapot";
    EdgeAction redirect;
    redirect.kind = EdgeAction::Kind::redirect;
    redirect.status = 301;
    redirect.location = "https://#{host}:#{https_port}/#{path}?#{query}";
    l.rules.push_back({10, {}, {"/tea/*"}, fixed});
    l.rules.push_back({20, {"*.WILD.test"}, {}, redirect});
    edge.use(s);
    EXPECT_EQ(edge.get("/tea/pot").body, "teapot");
    EXPECT_EQ(edge.get("/tea").status, 200);
    auto moved =
        Raw(edge.http_port).all("GET /a/b?c=d HTTP/1.1\r\nHost: x.wild.test:80\r\nConnection: close\r\n\r\n");
    EXPECT_NE(moved.find("301 Moved Permanently"), std::string::npos);
    EXPECT_NE(moved.find("Location: https://x.wild.test:" + std::to_string(edge.https_port) + "/a/b?c=d\r\n"),
              std::string::npos)
        << moved;
    auto bare = Raw(edge.http_port).all("GET /a HTTP/1.1\r\nHost: x.wild.test\r\nConnection: close\r\n\r\n");
    EXPECT_NE(bare.find("/a\r\n"), std::string::npos) << bare;
    EXPECT_EQ(edge.get("/", "other.test").status, 404);
  });
}

TEST_F(EdgeTest, SpreadsByRoundRobinAndByWeight) {
  loop.run([] {
    Origin a, b;
    Running edge;
    edge.use(simple({a.target(), b.target()}));
    for (int i = 0; i < 10; ++i) edge.get("/");
    EXPECT_EQ(a.requests, 5);
    EXPECT_EQ(b.requests, 5);
    auto s = simple({a.target()});
    s.target_groups.push_back(group_of("h", {b.target()}));
    s.listeners[0].fallback = forward_to({{"g", 9}, {"h", 1}});
    edge.use(s);
    a.requests = b.requests = 0;
    for (int i = 0; i < 20; ++i) edge.get("/");
    EXPECT_EQ(a.requests, 18);
    EXPECT_EQ(b.requests, 2);
  });
}

TEST_F(EdgeTest, AnswersAsElbWhereTargetsFail) {
  loop.run([] {
    Running edge;
    edge.use(simple({}));
    EXPECT_EQ(edge.get("/").status, 503);
    // Nobody listens: refused.
    internal::EdgeTarget refused{"127.0.0.1:1", "127.0.0.1", 1, false};
    edge.use(simple({refused}));
    EXPECT_EQ(edge.get("/").status, 502);
    // Refused by one, answered by the other: nothing was sent, so that nothing is lost.
    Origin origin;
    edge.use(simple({refused, origin.target()}));
    for (int i = 0; i < 4; ++i) EXPECT_EQ(edge.get("/").status, 200);
    // Nonsense, silence, and a close without an answer.
    auto fd = net::listen_tcp("127.0.0.1", 0);
    auto port = *net::local_port(fd->get());
    std::string mode = "nonsense";
    net::Acceptor bad(std::move(*fd), [&](net::Socket socket) {
      char buffer[4096];
      (void)socket.read(buffer, sizeof buffer);
      if (mode == "nonsense") (void)socket.write("220 ftp.example ready\r\n\r\n");
      if (mode == "silence") net::sleep_for(600);
    });
    auto s = simple({{"bad", "127.0.0.1", port, false}});
    s.listeners[0].idle_timeout = 200;
    edge.use(s);
    EXPECT_EQ(edge.get("/").status, 502);
    mode = "silence";
    EXPECT_EQ(edge.get("/").status, 504);
    mode = "close";
    EXPECT_EQ(edge.get("/").status, 502);
    net::sleep_for(600);
  });
}

TEST_F(EdgeTest, LeavesUnhealthyTargetsOutAndFailsOpen) {
  loop.run([] {
    Origin a, b;
    Running edge;
    b.healthy = false;
    edge.use(simple({a.target(), b.target()}, true));
    net::sleep_for(200);
    for (int i = 0; i < 6; ++i) edge.get("/");
    EXPECT_EQ(a.requests, 6);
    EXPECT_EQ(b.requests, 0);
    a.healthy = false;
    net::sleep_for(200);
    for (int i = 0; i < 6; ++i) edge.get("/");
    EXPECT_EQ(b.requests, 3) << "all are unhealthy: all are used";
    b.healthy = true;
    net::sleep_for(200);
    b.requests = 0;
    for (int i = 0; i < 4; ++i) edge.get("/");
    EXPECT_EQ(b.requests, 4);
  });
}

TEST_F(EdgeTest, DrainingTargetsFinishWhatTheyHave) {
  loop.run([] {
    Origin a, b;
    Running edge;
    edge.use(simple({a.target()}));
    int status = 0;
    net::Event done;
    net::spawn([&] {
      status = edge.get("/slow").status;
      done.set();
    });
    net::sleep_for(100);
    auto leaving = a.target();
    leaving.draining = true;
    edge.use(simple({leaving, b.target()}));
    for (int i = 0; i < 4; ++i) edge.get("/");
    EXPECT_EQ(a.requests, 1);
    EXPECT_EQ(b.requests, 4);
    while (status == 0) done.wait();
    EXPECT_EQ(status, 200);
  });
}

TEST_F(EdgeTest, TerminatesTlsByServerNameAndSwapsCertificates) {
  loop.run([] {
    Origin origin;
    Running edge;
    auto ca = net::make_authority("test", Clock::system().wall());
    ASSERT_TRUE(ca.ok());
    auto certified = [&](const std::string& name) {
      auto s = simple({origin.target()});
      s.listeners[0].socket = "https";
      s.listeners[0].host_names = {name};
      auto leaf = net::issue_certificate(*ca, {name}, Clock::system().wall());
      s.certificates.push_back({{name}, leaf->certificate_pem, leaf->key_pem});
      return s;
    };
    auto trusted = net::TlsContext::client(ca->certificate_pem);
    auto status = [&](const std::string& name) {
      auto socket = net::Socket::connect_tcp("127.0.0.1", edge.https_port, kSecond);
      if (!socket || !socket->start_tls_client(**trusted, name, kSecond)) return std::string("no handshake");
      (void)socket->write("GET / HTTP/1.1\r\nHost: " + name + "\r\nConnection: close\r\n\r\n");
      char buffer[4096];
      auto n = socket->read(buffer, sizeof buffer);
      return n ? std::string(buffer, std::min<size_t>(*n, 12)) : "no answer";
    };
    edge.use(certified("one.test"));
    EXPECT_EQ(status("one.test"), "HTTP/1.1 200");
    EXPECT_EQ(status("two.test"), "no handshake");
    edge.use(certified("two.test"));
    EXPECT_EQ(status("two.test"), "HTTP/1.1 200");
    EXPECT_EQ(status("one.test"), "no handshake");
  });
}

TEST_F(EdgeTest, PassesAnUpgradeThrough) {
  loop.run([] {
    Running edge;
    auto fd = net::listen_tcp("127.0.0.1", 0);
    auto port = *net::local_port(fd->get());
    std::string head;
    net::Acceptor echo(std::move(*fd), [&](net::Socket socket) {
      char buffer[4096];
      auto n = socket.read(buffer, sizeof buffer);
      if (!n) return;
      head.assign(buffer, *n);
      (void)socket.write(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello ");
      while ((n = socket.read(buffer, sizeof buffer)) && *n > 0) (void)socket.write({buffer, *n});
    });
    edge.use(simple({{"ws", "127.0.0.1", port, false}}));
    Raw raw(edge.http_port);
    (void)raw.socket.write(
        "GET /ws HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: "
        "websocket\r\nSec-WebSocket-Key: k\r\n\r\n");
    std::string got;
    char buffer[4096];
    while (got.find("hello ") == std::string::npos) {
      auto n = raw.socket.read(buffer, sizeof buffer);
      ASSERT_TRUE(n && *n > 0) << got;
      got.append(buffer, *n);
    }
    (void)raw.socket.write("back");
    while (got.find("hello back") == std::string::npos) {
      auto n = raw.socket.read(buffer, sizeof buffer);
      ASSERT_TRUE(n && *n > 0) << got;
      got.append(buffer, *n);
    }
    EXPECT_EQ(got.substr(0, 12), "HTTP/1.1 101");
    EXPECT_NE(head.find("Connection: Upgrade\r\nUpgrade: websocket"), std::string::npos) << head;
    raw.socket.close();
    net::sleep_for(50);
    EXPECT_EQ(edge.edge->core().connections, 0u);
  });
}

TEST_F(EdgeTest, BoundsSlowClients) {
  loop.run([] {
    Origin origin;
    Running edge;
    edge.edge->core().limits.head_timeout = 150;
    edge.use(simple({origin.target()}));
    Raw raw(edge.http_port);
    (void)raw.socket.write("GET / HTTP/1.1\r\nHo");
    EXPECT_EQ(raw.rest().substr(0, 12), "HTTP/1.1 408");
    Raw large(edge.http_port);
    std::string head = "GET / HTTP/1.1\r\nHost: app.test\r\n";
    for (int i = 0; i < 100; ++i) head += "X-" + std::to_string(i) + ": " + std::string(1000, 'x') + "\r\n";
    EXPECT_EQ(large.all(head).substr(0, 12), "HTTP/1.1 400");
    edge.edge->core().limits.connections = 0;
    EXPECT_EQ(Raw(edge.http_port).all("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n"), "");
  });
}

TEST_F(EdgeTest, IdleConnectionsComeBackAndEnd) {
  loop.run([] {
    Origin origin;
    Running edge;
    edge.use(simple({origin.target()}));
    auto& core = edge.edge->core();
    core.limits.in_fiber = 30;
    Raw raw(edge.http_port);
    char buffer[4096];
    for (int i = 0; i < 3; ++i) {
      (void)raw.socket.write("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
      auto n = raw.socket.read(buffer, sizeof buffer);
      ASSERT_TRUE(n && *n > 0);
      EXPECT_EQ(std::string(buffer, 12), "HTTP/1.1 200");
      net::sleep_for(100);
      EXPECT_EQ(core.connections, 1u);
    }
    core.limits.idle_timeout = 50;
    (void)raw.socket.write("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    net::sleep_for(300);
    EXPECT_EQ(core.connections, 0u) << "idle for too long";
    core.limits.idle_timeout = 60 * kSecond;
    Raw waiting(edge.http_port);
    net::sleep_for(100);
    edge.edge->drain();
    EXPECT_EQ(waiting.rest(), "") << "draining ends those that wait";
    EXPECT_EQ(core.connections, 0u);
  });
}

TEST_F(EdgeTest, KeepsTheLastGoodSnapshotAndReportsToControl) {
  loop.run([] {
    Origin origin;
    std::string folder = "/tmp/edge-test-" + std::to_string(::getpid());
    ASSERT_TRUE(sys::make_folders(folder));
    EdgeOptions options;
    options.home = folder;
    auto http = net::listen_tcp("127.0.0.1", 0);
    auto port = *net::local_port(http->get());
    options.listeners["http"] = std::move(*http);
    options.channel = net::listen_messages(folder + "/edge.sock").value();
    {
      Edge edge(std::move(options));
      ASSERT_TRUE(edge.start());
      auto channel = net::Channel::connect(folder + "/edge.sock", "control", kSecond);
      ASSERT_TRUE(channel.ok());
      std::vector<json::Value> events;
      (*channel)->on_message([&](net::Message m) -> Result<net::Message> {
        events.push_back(m.body);
        net::Message answer;
        answer.body = json::object();
        return answer;
      });
      auto send = [&](const std::string& text) {
        net::Message m;
        m.body = json::object({{"kind", "snapshot"}, {"number", 7}});
        m.fds.push_back(sys::memory_file("snapshot", text, true).value());
        return (*channel)->call(std::move(m), 5 * kSecond);
      };
      auto s = simple({origin.target()}, true);
      s.number = 7;
      auto taken = send(json::print(internal::to_json(s)));
      ASSERT_TRUE(taken.ok()) << taken.error().message;
      s.listeners[0].fallback = forward_to({{"missing", 1}});
      EXPECT_FALSE(send(json::print(internal::to_json(s))));
      EXPECT_FALSE(send("{"));
      net::sleep_for(100);
      EXPECT_EQ(Raw(port).all("GET /p HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n").substr(0, 12),
                "HTTP/1.1 200");
      net::sleep_for(800);
      bool healthy = false, logged = false;
      for (const auto& e : events) {
        healthy |= e.get("kind") == "target.health" && e.get("state") == "healthy" &&
                   e.get("target") == origin.target().id;
        for (const auto& v : e.get_array("entries")) {
          auto entry = internal::access_entry(v);
          logged |= entry && entry->status == 200 &&
                    internal::log_line(*entry).find("\"GET http://app.test:") != std::string::npos;
        }
      }
      EXPECT_TRUE(healthy);
      EXPECT_TRUE(logged);
      edge.drain();
    }
    // Another edge starts with what this one kept, while control is away.
    EdgeOptions again;
    again.home = folder;
    auto http2 = net::listen_tcp("127.0.0.1", 0);
    auto port2 = *net::local_port(http2->get());
    again.listeners["http"] = std::move(*http2);
    Edge edge(std::move(again));
    ASSERT_TRUE(edge.start());
    EXPECT_EQ(Raw(port2).all("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n").substr(0, 12),
              "HTTP/1.1 200");
    edge.drain();
    EXPECT_TRUE(sys::remove_tree(folder));
  });
}

}  // namespace
}  // namespace bastide::edge
