#include <gtest/gtest.h>

#include "aws/body_check.h"
#include "aws/client.h"
#include "aws/front.h"
#include "aws/inflate.h"
#include "aws/stream.h"
#include "aws/virtual_host.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "gen/cloudwatch.h"
#include "gen/s3.h"
#include "model/cbor_codec.h"
#include "net/http_client.h"
#include "net/socket.h"
#include "net/test_loop.h"

namespace bastide::aws {
namespace {

namespace s3 = model::s3;
namespace cloudwatch = model::cloudwatch;

struct Store {
  std::string stored;

  Result<s3::PutObjectOutput> put(Call& call, const s3::PutObjectRequest& request) {
    std::string body;
    char piece[7];
    for (;;) {
      const size_t got = TRY(call.stream->body->read(piece, sizeof piece));
      if (got == 0) break;
      body.append(piece, got);
    }
    stored = request.bucket + "/" + request.key + "=" + body;
    const auto* crc = call.stream->body->trailers().find("x-amz-checksum-crc32");
    s3::PutObjectOutput out;
    out.e_tag = crc != nullptr ? *crc : "none";
    return out;
  }
  Result<s3::GetObjectOutput> get(Call& call, const s3::GetObjectRequest& request) {
    if (request.key == "missing") return fault("NoSuchKey", "The specified key does not exist.", 404);
    call.stream->length = 6;
    call.stream->send = [](const Stream::Piece& piece) -> Result<void> {
      TRY(piece("abc"));
      return piece("def");
    };
    return s3::GetObjectOutput{};
  }
  Result<cloudwatch::DescribeAlarmsOutput> alarms(Call&, const cloudwatch::DescribeAlarmsInput& request) {
    if (request.next_token) return fault("InvalidNextToken", "no such token");
    cloudwatch::DescribeAlarmsOutput out;
    out.metric_alarms.emplace().emplace_back().alarm_name = request.alarm_name_prefix.value_or("");
    return out;
  }
  static Result<std::vector<Target>> bucket(const std::string& name) {
    std::vector<Target> targets(1);
    targets[0].resource = "arn:aws:s3:::" + name;
    targets[0].owner = "123456789012";
    if (name == "public") {
      targets[0].policy = PolicyDocument::of_text(
          R"({"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]})");
    }
    return targets;
  }
  void offer(Registry& registry) {
    registry.add<s3::op::PutObject>(this, &Store::put, {"s3:PutObject", [](const Call&, const auto& request) {
                                                          return bucket(request.bucket);
                                                        }});
    registry.add<s3::op::GetObject>(this, &Store::get, {"s3:GetObject", [](const Call&, const auto& request) {
                                                          return bucket(request.bucket);
                                                        }});
    registry.add<cloudwatch::op::DescribeAlarms>(this, &Store::alarms, {"cloudwatch:DescribeAlarms"});
  }
};

struct NoDoor final : Door {
  bool intercept(net::Exchange&, Call&) override { return false; }
  void decorate(const net::Request&, const std::string&, net::Headers& headers) override {
    headers.set("Access-Control-Allow-Origin", "*");
  }
};

struct Everyone final : CredentialSource, PolicySource, AuditSink {
  Result<Identity> identify(const std::string& id, const std::string&) override {
    if (id != "AKIAADMIN") return fault("InvalidClientTokenId", "no", 403);
    Identity out;
    out.secret_access_key = "secret";
    out.principal.kind = Principal::Kind::user;
    out.principal.account = "123456789012";
    out.principal.arn = "arn:aws:iam::123456789012:user/admin";
    return out;
  }
  Result<std::shared_ptr<const IdentityPolicies>> policies_of(const Principal&) override {
    auto out = std::make_shared<IdentityPolicies>();
    out->identity.push_back(
        {"all",
         PolicyDocument::of_text(R"({"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})")});
    return std::shared_ptr<const IdentityPolicies>(out);
  }
  Result<void> write(const AuditEvent&) override { return {}; }
};

struct Api {
  net::TestLoop test;
  Store store;
  NoDoor door;
  Registry registry;
  Everyone everyone;
  uint16_t port = 0;

  void run(const std::function<void()>& body) {
    store.offer(registry);
    test.run([&] {
      Front front(registry, everyone, everyone, everyone, Clock::system());
      front.use_door("s3", door);
      net::HttpServer server([&](net::Exchange& exchange) { front.handle(exchange); });
      auto listener = net::listen_tcp("127.0.0.1", 0).value();
      port = net::local_port(listener.get()).value();
      server.listen(std::move(listener));
      body();
      server.drain();
    });
  }
  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port); }
  std::string host() const { return "127.0.0.1:" + std::to_string(port); }
  net::Response send(const net::Request& request) {
    net::HttpClient http(net::parse_endpoint(endpoint()).value());
    auto response = http.send(request);
    EXPECT_TRUE(response.ok()) << (response.ok() ? "" : response.error().message);
    return response.ok() ? std::move(response).value() : net::Response{};
  }
  net::Request request(const std::string& method, const std::string& target, std::string body = "") {
    net::Request out;
    out.method = method;
    out.target = target;
    out.body = std::move(body);
    out.headers.set("Host", host());
    return out;
  }
  void sign(net::Request& request, const std::string& service, const std::string& hash) {
    sign_request(request, {"AKIAADMIN", "secret", "", 0}, "us-east-1", service, Clock::system().wall(), hash);
  }
};

TEST(FrontRest, StreamsBodiesBothWaysAndChecksTheSignedHash) {
  Api api;
  api.run([&] {
    auto put = api.request("PUT", "/box/a%20b", "hello world");
    api.sign(put, "s3", sha256_hex(put.body));
    EXPECT_EQ(api.send(put).status, 200);
    EXPECT_EQ(api.store.stored, "box/a b=hello world");
    put.body = "hello WORLD";
    const auto forged = api.send(put);
    EXPECT_EQ(forged.status, 400);
    EXPECT_NE(forged.body.find("<Error><Code>XAmzContentSHA256Mismatch</Code>"), std::string::npos)
        << forged.body;
    auto get = api.request("GET", "/box/k");
    get.headers.set("Origin", "http://x");
    api.sign(get, "s3", sha256_hex(""));
    const auto got = api.send(get);
    EXPECT_EQ(got.body, "abcdef");
    EXPECT_EQ(got.headers.get("Content-Length"), "6");
    EXPECT_EQ(got.headers.get("Access-Control-Allow-Origin"), "*");
    auto missing = api.request("GET", "/box/missing");
    api.sign(missing, "s3", sha256_hex(""));
    EXPECT_NE(api.send(missing).body.find("<Code>NoSuchKey</Code>"), std::string::npos);
  });
}

TEST(FrontRest, UndoesAwsChunkedWithTrailersAndRefusesShortBodies) {
  Api api;
  api.run([&] {
    auto put =
        api.request("PUT", "/box/k", "5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:AbCd\r\n\r\n");
    put.headers.set("x-amz-decoded-content-length", "11");
    put.headers.set("Content-Encoding", "aws-chunked");
    put.headers.set("x-amz-trailer", "x-amz-checksum-crc32");
    auto signed_put = put;
    api.sign(signed_put, "s3", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    const auto answer = api.send(signed_put);
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.headers.get("ETag"), "AbCd");
    EXPECT_EQ(api.store.stored, "box/k=hello world");
    for (const std::string body : {"5\r\nhello\r\n", "5\r\nhello\r\n0\r\n\r\n", "zz\r\nhello\r\n0\r\n\r\n",
                                   "5\r\nhelloo\r\n0\r\n\r\n", "ffffffffffffffff\r\n"}) {
      auto broken = put;
      broken.body = body;
      api.sign(broken, "s3", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
      EXPECT_EQ(api.send(broken).status, 400) << body;
    }
  });
}

// The chunk signatures chain from the request's.
TEST(FrontRest, ChecksSignedChunks) {
  Api api;
  api.run([&] {
    auto put = api.request("PUT", "/box/k");
    put.headers.set("x-amz-decoded-content-length", "5");
    api.sign(put, "s3", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    auto signature = find_signature(put).value().value();
    const SigningKey key("secret", signature.scope);
    auto sign_chunk = [&, previous = signature.signature](std::string_view data) mutable {
      previous =
          key.sign_hex("AWS4-HMAC-SHA256-PAYLOAD\n" + signature.timestamp + "\n" + signature.scope.text() +
                       "\n" + previous + "\n" + sha256_hex("") + "\n" + sha256_hex(data));
      return previous;
    };
    const std::string first = sign_chunk("hello"), last = sign_chunk("");
    put.body = "5;chunk-signature=" + first + "\r\nhello\r\n0;chunk-signature=" + last + "\r\n\r\n";
    EXPECT_EQ(api.send(put).status, 200);
    EXPECT_EQ(api.store.stored, "box/k=hello");
    put.body = "5;chunk-signature=" + first + "\r\nhallo\r\n0;chunk-signature=" + last + "\r\n\r\n";
    EXPECT_EQ(api.send(put).status, 403);
  });
}

TEST(FrontRest, StrangersGetWhatABucketsPolicyAllows) {
  Api api;
  api.run([&] {
    EXPECT_EQ(api.send(api.request("GET", "/public/k")).body, "abcdef");
    const auto refused = api.send(api.request("GET", "/private/k"));
    EXPECT_EQ(refused.status, 403);
    EXPECT_NE(refused.body.find("<Code>AccessDenied</Code>"), std::string::npos);
    EXPECT_EQ(api.send(api.request("PUT", "/public/k", "x")).status, 403);
    auto virtual_host = api.request("GET", "/k");
    virtual_host.headers.set("Host", "public.s3.localhost:" + std::to_string(api.port));
    EXPECT_EQ(api.send(virtual_host).body, "abcdef");
    EXPECT_EQ(api.send(api.request("PATCH", "/public/k")).status, 405);
  });
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
TEST(FrontRest, PresignedByEitherVersion) {
  Api api;
  api.run([&] {
    auto get = api.request("GET", "/box/k");
    get.target = presign(get, {"AKIAADMIN", "secret", "", 0}, "us-east-1", "s3", Clock::system().wall(), 60);
    EXPECT_EQ(api.send(get).body, "abcdef");
    const std::string expires = std::to_string(Clock::system().wall() / 1000 + 60);
    const auto v2 = [&](const std::string& when, const std::string& signature) {
      return api.send(api.request("GET", "/box/k?AWSAccessKeyId=AKIAADMIN&Expires=" + when +
                                             "&Signature=" + percent_encode(signature)));
    };
    EXPECT_EQ(v2(expires, "bm8=").status, 403);
    EXPECT_EQ(v2("1", "bm8=").status, 403);
  });
}

TEST(FrontRest, MonitoringSpeaksCborAndJsonWithQueryCodes) {
  Api api;
  api.run([&] {
    cloudwatch::DescribeAlarmsInput input;
    input.alarm_name_prefix = "cpu";
    auto request = api.request("POST", "/service/GraniteServiceVersion20100801/operation/DescribeAlarms");
    model::write_cbor(request.body, *cloudwatch::op::DescribeAlarms::operation.input, &input);
    request.headers.set("smithy-protocol", "rpc-v2-cbor");
    request.headers.set("Content-Type", "application/cbor");
    auto signed_request = request;
    api.sign(signed_request, "monitoring", sha256_hex(request.body));
    const auto response = api.send(signed_request);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.headers.get("smithy-protocol"), "rpc-v2-cbor");
    cloudwatch::DescribeAlarmsOutput output;
    ASSERT_TRUE(
        model::read_cbor(response.body, *cloudwatch::op::DescribeAlarms::operation.output, &output, nullptr)
            .ok());
    EXPECT_EQ(output.metric_alarms->at(0).alarm_name, "cpu");

    auto json = api.request("POST", "/", R"({"NextToken":"x"})");
    json.headers.set("X-Amz-Target", "GraniteServiceVersion20100801.DescribeAlarms");
    json.headers.set("Content-Type", "application/x-amz-json-1.0");
    json.headers.set("x-amzn-query-mode", "true");
    api.sign(json, "monitoring", sha256_hex(json.body));
    const auto refused = api.send(json);
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(refused.headers.get("x-amzn-query-error"), "InvalidNextToken;Sender");
    EXPECT_NE(refused.body.find("\"__type\":\"InvalidNextToken\""), std::string::npos);
  });
}

TEST(Inflate, IsBoundedAndStrict) {
  const auto gz = unhex("1f8b08000000000002ffcb48cdc9c9070086a6103605000000").value();
  EXPECT_EQ(gunzip(gz, 5).value_or("-"), "hello");
  EXPECT_EQ(gunzip(gz, 4).error().code, "TooLarge");
  EXPECT_EQ(gunzip(gz.substr(0, gz.size() - 1), 99).error().code, "Invalid");
  EXPECT_EQ(gunzip(gz + "x", 99).error().code, "Invalid");
}

TEST(VirtualHost, FindsTheBucket) {
  EXPECT_EQ(virtual_bucket("photos.s3.localhost:4566"), "photos");
  EXPECT_EQ(virtual_bucket("my.photos.s3.eu-west-1.amazonaws.com"), "my.photos");
  EXPECT_EQ(virtual_bucket("photos.localhost:4566"), "photos");
  EXPECT_EQ(virtual_bucket("s3.localhost"), "");
  EXPECT_EQ(virtual_bucket("127.0.0.1:4566"), "");
  EXPECT_EQ(virtual_bucket("localhost"), "");
  EXPECT_EQ(virtual_bucket("photos.s3-website.localhost"), "");
  EXPECT_EQ(website_bucket("photos.s3-website.localhost:1"), "photos");
  EXPECT_EQ(website_bucket("photos.s3-website-us-east-1.amazonaws.com"), "photos");
}

TEST(BodyCheck, FindsWhatTheClientAnnounced) {
  net::Request request;
  EXPECT_TRUE(check_body(request, {}, "x", false).ok());
  EXPECT_EQ(check_body(request, {}, "x", true).error().code, "InvalidRequest");
  request.headers.set("Content-MD5", base64(md5("x")));
  EXPECT_TRUE(check_body(request, {}, "x", true).ok());
  EXPECT_EQ(check_body(request, {}, "y", true).error().code, "BadDigest");
  request.headers.set("Content-MD5", "short");
  EXPECT_EQ(check_body(request, {}, "x", true).error().code, "InvalidDigest");
}

}  // namespace
}  // namespace bastide::aws
