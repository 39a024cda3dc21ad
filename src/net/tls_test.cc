#include "net/tls.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <thread>

#include "net/http_client.h"
#include "net/http_server.h"
#include "net/test_loop.h"

namespace bastide::net {
namespace {

const Millis kNow = Clock::system().wall();

struct TlsServed : TestLoop {
  TlsServed() {
    authority = make_authority("Test CA", kNow).value();
    const auto one = issue_certificate(authority, {"localhost", "127.0.0.1"}, kNow).value();
    const auto two = issue_certificate(authority, {"*.shop.example"}, kNow).value();
    auto context = TlsContext::server({{one.certificate_pem, one.key_pem, {"localhost"}},
                                       {two.certificate_pem, two.key_pem, {"*.shop.example"}}})
                       .value();
    server = std::make_unique<HttpServer>([](Exchange& x) {
      auto body = x.read_body(1 << 20);
      (void)x.respond(
          Response{200, {}, (x.request().tls ? "tls " : "plain ") + std::move(body).value_or("?"), {}});
    });
    auto listener = listen_tcp("127.0.0.1", 0).value();
    port = local_port(listener.get()).value();
    server->listen(std::move(listener), context);
  }
  Result<Response> ask(bool tls, const std::string& ca, std::string body = "") {
    ClientOptions options;
    if (!ca.empty()) options.tls = TlsContext::client(ca).value();
    HttpClient client(Endpoint{tls, "127.0.0.1", port, ""}, options);
    return client.send(Request{"POST", "/", {}, std::move(body), "", "", false});
  }
  // The handshake alone, by another name.
  Result<void> shake(const std::string& name) {
    auto context = TlsContext::client(authority.certificate_pem).value();
    auto socket = Socket::connect_tcp("127.0.0.1", port, 1000).value();
    return socket.start_tls_client(*context, name, 1000);
  }

  KeyPair authority;
  std::unique_ptr<HttpServer> server;
  uint16_t port = 0;
};

TEST(Tls, OnePortServesTlsAndPlainHttp) {
  TlsServed s;
  s.run([&] {
    auto r = s.ask(true, s.authority.certificate_pem, "x");
    ASSERT_TRUE(r.ok()) << r.error().message;
    EXPECT_EQ(r->body, "tls x");
    r = s.ask(false, "", "y");
    ASSERT_TRUE(r.ok()) << r.error().message;
    EXPECT_EQ(r->body, "plain y");
    const std::string large(900'000, 'z');
    r = s.ask(true, s.authority.certificate_pem, large);
    ASSERT_TRUE(r.ok()) << r.error().message;
    EXPECT_EQ(r->body, "tls " + large);
  });
}

TEST(Tls, KeptConnectionsServeManyRequests) {
  TlsServed s;
  s.run([&] {
    ClientOptions options;
    options.tls = TlsContext::client(s.authority.certificate_pem).value();
    HttpClient client(Endpoint{true, "127.0.0.1", s.port, ""}, options);
    for (int i = 0; i < 20; ++i) {
      auto r = client.send(Request{"POST", "/", {}, std::to_string(i), "", "", false});
      ASSERT_TRUE(r.ok()) << r.error().message;
      EXPECT_EQ(r->body, "tls " + std::to_string(i));
      if (i % 5 == 0) sleep_for(2);
    }
    EXPECT_EQ(s.server->open_connections(), 1u);
  });
}

TEST(Tls, WorksWithoutAReactor) {
  TlsServed s;
  std::thread outside([&] {
    auto r = s.ask(true, s.authority.certificate_pem, "cli");
    EXPECT_TRUE(r.ok() && r->body == "tls cli");
    s.loop.stop();
  });
  s.loop.run();
  outside.join();
}

TEST(Tls, TheCertificateFollowsTheName) {
  TlsServed s;
  s.run([&] {
    EXPECT_TRUE(s.shake("localhost").ok());
    EXPECT_TRUE(s.shake("www.shop.example").ok());
    EXPECT_TRUE(s.shake("WWW.Shop.Example").ok());
    auto wrong = s.shake("shop.example");
    ASSERT_FALSE(wrong.ok());
    EXPECT_NE(wrong.error().message.find("ostname mismatch"), std::string::npos) << wrong.error().message;
    EXPECT_FALSE(s.shake("a.b.shop.example").ok());
  });
}

TEST(Tls, ClientsRefuseWhomTheyDoNotTrust) {
  TlsServed s;
  const auto other = make_authority("Other CA", kNow).value();
  s.run([&] {
    auto r = s.ask(true, other.certificate_pem);
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code, "Denied");
    EXPECT_FALSE(s.ask(true, "").ok());  // the system's authorities
    EXPECT_TRUE(s.ask(true, s.authority.certificate_pem).ok());
  });
}

TEST(Tls, RefusesWhatItCannotUse) {
  const auto ca = make_authority("CA", kNow).value();
  const auto leaf = issue_certificate(ca, {"a.example"}, kNow).value();
  EXPECT_FALSE(TlsContext::server({}).ok());
  EXPECT_FALSE(TlsContext::server({{leaf.certificate_pem, ca.key_pem, {}}}).ok());
  EXPECT_FALSE(TlsContext::server({{"junk", leaf.key_pem, {}}}).ok());
  EXPECT_FALSE(TlsContext::client("junk").ok());
  EXPECT_FALSE(issue_certificate(ca, {}, kNow).ok());
  EXPECT_FALSE(issue_certificate(ca, {"a.example,IP:1.2.3.4"}, kNow).ok());
  EXPECT_FALSE(issue_certificate(ca, {"a example"}, kNow).ok());
  EXPECT_FALSE(issue_certificate({"junk", "junk"}, {"a.example"}, kNow).ok());
}

TEST(Tls, LeavesLiveAtMost397DaysAndNameAddresses) {
  const auto ca = make_authority("CA", kNow).value();
  const auto leaf = issue_certificate(ca, {"a.example", "::1", "10.0.0.1"}, kNow).value();
  BIO* text = BIO_new_mem_buf(leaf.certificate_pem.data(), static_cast<int>(leaf.certificate_pem.size()));
  X509* cert = PEM_read_bio_X509(text, nullptr, nullptr, nullptr);
  ASSERT_NE(cert, nullptr);
  int days = 0, seconds = 0;
  ASSERT_EQ(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(cert), X509_get0_notAfter(cert)), 1);
  EXPECT_LE(days, 397);
  EXPECT_EQ(X509_check_ip_asc(cert, "::1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(cert, "10.0.0.1", 0), 1);
  EXPECT_EQ(X509_check_host(cert, "a.example", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_ca(cert), 0);
  X509_free(cert);
  BIO_free(text);
}

}  // namespace
}  // namespace bastide::net
