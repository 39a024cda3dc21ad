#include "aws/front.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "aws/client.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "gen/ec2.h"
#include "gen/kms.h"
#include "gen/sts.h"
#include "net/http_client.h"
#include "net/socket.h"
#include "net/test_loop.h"
#include "sys/file.h"

namespace bastide::aws {
namespace {

namespace kms = model::kms;
namespace sts = model::sts;
namespace ec2 = model::ec2;

constexpr const char* kAccount = "123456789012";

// Three services of one operation or two each, enough to see every protocol.
struct Services {
  Result<kms::EncryptResponse> encrypt(Call& call, const kms::EncryptRequest& request) {
    if (request.key_id == "none") return fault("NotFoundException", "Key 'none' does not exist");
    if (request.key_id == "broken") return error("the disk is on fire");
    kms::EncryptResponse response;
    response.key_id = "arn:aws:kms:" + call.region + ":" + call.account + ":key/" + request.key_id;
    response.ciphertext_blob = "sealed " + request.plaintext;
    return response;
  }
  Result<sts::GetCallerIdentityResponse> identity(Call& call, const sts::GetCallerIdentityRequest&) {
    sts::GetCallerIdentityResponse response;
    response.account = call.account;
    response.arn = call.principal.arn;
    return response;
  }
  Result<sts::AssumeRoleWithWebIdentityResponse> web_identity(Call& call,
                                                              const sts::AssumeRoleWithWebIdentityRequest&) {
    sts::AssumeRoleWithWebIdentityResponse response;
    response.provider = call.principal.kind == Principal::Kind::anonymous ? "nobody" : "somebody";
    return response;
  }
  Result<ec2::DescribeVpcsResult> vpcs(Call&, const ec2::DescribeVpcsRequest& request) {
    ec2::DescribeVpcsResult result;
    for (const auto& id : request.vpc_ids.value_or(std::vector<std::string>{})) {
      result.vpcs.emplace().emplace_back().vpc_id = id;
    }
    return result;
  }
  void offer(Registry& registry) {
    registry.add<kms::op::Encrypt>(
        this, &Services::encrypt,
        {"kms:Encrypt", [](const Call&, const kms::EncryptRequest& request) -> Result<std::vector<Target>> {
           std::vector<Target> targets(1);
           targets[0].resource = "arn:aws:kms:us-east-1:123456789012:key/" + request.key_id;
           return targets;
         }});
    registry.add<sts::op::GetCallerIdentity>(this, &Services::identity, {});
    registry.add_unauthenticated<sts::op::AssumeRoleWithWebIdentity>(this, &Services::web_identity);
    registry.add<ec2::op::DescribeVpcs>(this, &Services::vpcs, {"ec2:DescribeVpcs"});
  }
};

class People final : public CredentialSource, public PolicySource {
 public:
  Result<Identity> identify(const std::string& id, const std::string& token) override {
    if (id != "AKIAADMIN" && id != "AKIANOBODY") {
      return fault("InvalidClientTokenId", "The security token included in the request is invalid.", 403);
    }
    if (!token.empty())
      return fault("ExpiredToken", "The security token included in the request is expired", 403);
    Identity out;
    out.secret_access_key = "secret of " + id;
    out.principal.kind = Principal::Kind::user;
    out.principal.account = kAccount;
    out.principal.name = id == "AKIAADMIN" ? "admin" : "nobody";
    out.principal.arn = "arn:aws:iam::123456789012:user/" + out.principal.name;
    out.principal.id = "AIDA" + out.principal.name;
    return out;
  }
  Result<std::shared_ptr<const IdentityPolicies>> policies_of(const Principal& principal) override {
    auto out = std::make_shared<IdentityPolicies>();
    if (principal.name == "admin") {
      out->identity.push_back(
          {"all", PolicyDocument::of_text(
                      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
             {"Effect":"Deny","Action":"kms:Encrypt","Resource":"*:key/forbidden"}]})")});
    }
    return std::shared_ptr<const IdentityPolicies>(out);
  }
};

struct Memory final : AuditSink {
  std::vector<std::string> lines;
  bool broken = false;
  Result<void> write(const AuditEvent& e) override {
    if (broken) return error("disk full");
    lines.push_back(e.call->operation + " " + e.call->principal.name + " " +
                    (e.allowed ? "allowed" : "refused") + " " + e.error_code);
    return {};
  }
};

// Front behind a real server on loopback; `body` runs in a fiber.
struct Api {
  net::TestLoop test;
  Services services;
  Registry registry;
  People people;
  Memory audit;
  std::unique_ptr<Front> front;
  uint16_t port = 0;

  void run(const std::function<void()>& body) {
    services.offer(registry);
    test.run([&] {
      front = std::make_unique<Front>(registry, people, people, audit, Clock::system(),
                                      FrontConfig{.hosts = {"*.bastide.test"}});
      net::HttpServer server([this](net::Exchange& exchange) { front->handle(exchange); });
      auto listener = net::listen_tcp("127.0.0.1", 0).value();
      port = net::local_port(listener.get()).value();
      server.listen(std::move(listener));
      body();
      server.drain();
    });
  }
  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port); }
  std::unique_ptr<Client> client(const std::string& key = "AKIAADMIN", const std::string& token = "") {
    ClientConfig config;
    config.endpoint = endpoint();
    config.credentials = {key, "secret of " + key, token, 0};
    config.attempts = 1;
    return std::make_unique<Client>(config);
  }
  net::Response send(net::Request request) {
    net::HttpClient http(net::parse_endpoint(endpoint()).value());
    auto response = http.send(request);
    EXPECT_TRUE(response.ok()) << (response.ok() ? "" : response.error().message);
    return response.ok() ? std::move(response).value() : net::Response{};
  }
  net::Request post(const std::string& service, std::vector<std::pair<std::string, std::string>> headers,
                    std::string body) {
    net::Request request;
    request.method = "POST";
    request.target = "/";
    request.headers.add("Host", "127.0.0.1:" + std::to_string(port));
    for (auto& [name, value] : headers) request.headers.add(name, value);
    request.body = std::move(body);
    if (!service.empty()) {
      sign_request(request, {"AKIAADMIN", "secret of AKIAADMIN", "", 0}, "us-east-1", service,
                   Clock::system().wall(), sha256_hex(request.body));
    }
    return request;
  }
  net::Request json(const std::string& target, std::string body) {
    return post("kms", {{"Content-Type", "application/x-amz-json-1.1"}, {"X-Amz-Target", target}},
                std::move(body));
  }
  net::Request form(const std::string& service, std::string body) {
    return post(service, {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}},
                std::move(body));
  }
};

TEST(Front, TheClientReachesEveryProtocol) {
  Api api;
  api.run([&] {
    const auto client = api.client();
    const auto encrypted =
        client->call("kms", "Encrypt", json::object({{"KeyId", "app"}, {"Plaintext", "aGVsbG8="}}));
    ASSERT_TRUE(encrypted.ok()) << encrypted.error().message;
    EXPECT_EQ(encrypted->get("KeyId"), "arn:aws:kms:us-east-1:123456789012:key/app");
    EXPECT_EQ(unbase64(encrypted->get("CiphertextBlob")).value(), "sealed hello");
    const auto caller = client->call("sts", "GetCallerIdentity", json::object());
    ASSERT_TRUE(caller.ok()) << caller.error().message;
    EXPECT_EQ(caller->get("Arn"), "arn:aws:iam::123456789012:user/admin");
    const auto vpcs = client->call("ec2", "DescribeVpcs", json::parse(R"({"VpcIds":["vpc-1"]})").value());
    ASSERT_TRUE(vpcs.ok()) << vpcs.error().message;
    EXPECT_EQ(vpcs->get_array("Vpcs").at(0).get("VpcId"), "vpc-1");
  });
  EXPECT_EQ(api.audit.lines.at(0), "Encrypt admin allowed ");
}

TEST(Front, FaultsHaveTheLayoutOfTheirProtocol) {
  Api api;
  api.run([&] {
    auto response = api.send(api.json("TrentService.Encrypt", R"({"KeyId":"none","Plaintext":"YQ=="})"));
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(response.body, R"({"__type":"NotFoundException","message":"Key 'none' does not exist"})");
    EXPECT_EQ(response.headers.get("Content-Type"), "application/x-amz-json-1.1");
    EXPECT_EQ(response.headers.get("x-amzn-RequestId").size(), 36u);

    response = api.send(api.json("TrentService.Encrypt", R"({"KeyId":"broken","Plaintext":"YQ=="})"));
    EXPECT_EQ(response.status, 500);
    EXPECT_EQ(response.body.find("fire"), std::string::npos);
    EXPECT_NE(response.body.find("InternalFailure"), std::string::npos);

    response = api.send(api.json("TrentService.Encrypt", R"({"KeyId":)"));
    EXPECT_NE(response.body.find("SerializationException"), std::string::npos) << response.body;
    response = api.send(api.json("TrentService.Encrypt", R"({"KeyId":"a"})"));
    EXPECT_NE(
        response.body.find(
            "\"ValidationException\",\"message\":\"1 validation error detected: Value null at 'plaintext'"),
        std::string::npos)
        << response.body;

    response = api.send(api.form("sts", "Action=Nonsense&Version=2011-06-15"));
    EXPECT_EQ(response.status, 400);
    EXPECT_NE(
        response.body.find(
            "<Error><Type>Sender</Type><Code>InvalidAction</Code><Message>Could not find operation Nonsense "
            "for version 2011-06-15</Message></Error><RequestId>"),
        std::string::npos)
        << response.body;
    response = api.send(api.form("ec2", "Action=CreateSubnet&Version=2016-11-15"));
    EXPECT_EQ(response.status, 501);
    EXPECT_NE(response.body.find("<Response><Errors><Error><Code>NotImplemented</"
                                 "Code><Message>ec2.CreateSubnet is not implemented"),
              std::string::npos)
        << response.body;
    response = api.send(api.json("TrentService.DeriveSharedSecret", "{}"));
    EXPECT_EQ(response.status, 501);
    EXPECT_NE(response.body.find("kms.DeriveSharedSecret"), std::string::npos);
    response = api.send(api.json("TrentService.Frobnicate", "{}"));
    EXPECT_NE(response.body.find("UnknownOperationException"), std::string::npos);
  });
}

TEST(Front, RefusesWhoCannotProveWhoTheyAre) {
  Api api;
  api.run([&] {
    const auto input = json::object({{"KeyId", "app"}, {"Plaintext", "aGVsbG8="}});
    EXPECT_EQ(api.client("AKIAUNKNOWN")->call("kms", "Encrypt", input).error().code,
              "UnrecognizedClientException");
    EXPECT_EQ(api.client("AKIAUNKNOWN")->call("sts", "GetCallerIdentity", json::object()).error().code,
              "InvalidClientTokenId");
    EXPECT_EQ(api.client("AKIAUNKNOWN")->call("ec2", "DescribeVpcs", json::object()).error().code,
              "AuthFailure");
    EXPECT_EQ(api.client("AKIAADMIN", "old")->call("kms", "Encrypt", input).error().code,
              "ExpiredTokenException");
    ClientConfig wrong = api.client()->config();
    wrong.credentials.secret_access_key = "guessed";
    EXPECT_EQ(Client(wrong).call("kms", "Encrypt", input).error().code, "InvalidSignatureException");
    auto unsigned_request = api.post(
        "", {{"X-Amz-Target", "TrentService.Encrypt"}, {"Content-Type", "application/x-amz-json-1.1"}}, "{}");
    auto response = api.send(unsigned_request);
    EXPECT_NE(response.body.find("MissingAuthenticationTokenException"), std::string::npos) << response.body;
    // Signed for one service, sent to another.
    auto crossed = api.post(
        "sts", {{"X-Amz-Target", "TrentService.Encrypt"}, {"Content-Type", "application/x-amz-json-1.1"}},
        "{}");
    response = api.send(crossed);
    EXPECT_NE(response.body.find("Credential should be scoped to correct service: 'kms'."), std::string::npos)
        << response.body;
    // A body that is not what was signed.
    auto changed = api.json("TrentService.Encrypt", R"({"KeyId":"a","Plaintext":"YQ=="})");
    changed.body = R"({"KeyId":"b","Plaintext":"YQ=="})";
    EXPECT_NE(api.send(changed).body.find("InvalidSignatureException"), std::string::npos);
  });
}

TEST(Front, OperationsWithoutASignatureNeedNone) {
  Api api;
  api.run([&] {
    const auto response = api.send(
        api.form("",
                 "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:"
                 "role/ci&RoleSessionName=ci&WebIdentityToken=eyJ0"));
    EXPECT_EQ(response.status, 200);
    EXPECT_NE(response.body.find("<Provider>nobody</Provider>"), std::string::npos) << response.body;
    EXPECT_EQ(api.send(api.form("", "Action=GetCallerIdentity&Version=2011-06-15")).status, 403);
  });
}

TEST(Front, DenialsSayWhyInEachProtocol) {
  Api api;
  api.run([&] {
    const auto input = json::object({{"KeyId", "app"}, {"Plaintext", "aGVsbG8="}});
    const auto denied = api.client("AKIANOBODY")->call("kms", "Encrypt", input);
    ASSERT_FALSE(denied.ok());
    EXPECT_EQ(denied.error().code, "AccessDeniedException");
    EXPECT_EQ(
        denied.error().message,
        "User: arn:aws:iam::123456789012:user/nobody is not authorized to perform: kms:Encrypt on resource: "
        "arn:aws:kms:us-east-1:123456789012:key/app because no identity-based policy allows the kms:Encrypt "
        "action");
    EXPECT_EQ(api.client("AKIANOBODY")->call("ec2", "DescribeVpcs", json::object()).error().code,
              "UnauthorizedOperation");
    const auto forbidden =
        api.client()->call("kms", "Encrypt", json::object({{"KeyId", "forbidden"}, {"Plaintext", "YQ=="}}));
    ASSERT_FALSE(forbidden.ok());
    EXPECT_NE(forbidden.error().message.find("with an explicit deny"), std::string::npos)
        << forbidden.error().message;
  });
  EXPECT_EQ(api.audit.lines.at(0), "Encrypt nobody refused AccessDenied");
}

TEST(Front, NoAnswerWithoutItsAuditLine) {
  Api api;
  api.run([&] {
    api.audit.broken = true;
    EXPECT_EQ(api.client()->call("sts", "GetCallerIdentity", json::object()).error().code, "InternalFailure");
  });
}

TEST(Front, BoundsBodiesAndNames) {
  Api api;
  api.run([&] {
    EXPECT_EQ(api.send(api.json("TrentService.Encrypt", std::string((1u << 20) + 1, ' '))).status, 413);
    api.front->body_limit("kms", 2u << 20);
    EXPECT_EQ(api.send(api.json("TrentService.Encrypt", std::string((1u << 20) + 1, ' '))).status, 400);
    auto rebound = api.json("TrentService.Encrypt", "{}");
    rebound.headers.set("Host", "evil.example:4566");
    EXPECT_EQ(api.send(rebound).status, 421);
  });
}

TEST(Front, RawRoutesStandBesideAndCanAuthenticate) {
  Api api;
  api.run([&] {
    api.front->route("/v2/", [&](net::Exchange& exchange) {
      const auto who = api.front->authenticate(exchange.request(), sha256_hex(""));
      net::Response response;
      response.body = who.ok() ? who->principal.name : who.error().code;
      (void)exchange.respond(std::move(response));
    });
    auto request = api.post("", {}, "");
    request.method = "GET";
    request.target = "/v2/app/manifests/latest";
    EXPECT_EQ(api.send(request).body, "MissingAuthenticationToken");
    sign_request(request, {"AKIAADMIN", "secret of AKIAADMIN", "", 0}, "us-east-1", "ecr",
                 Clock::system().wall(), sha256_hex(""));
    EXPECT_EQ(api.send(request).body, "admin");
    request.target = "/v20";
    EXPECT_NE(api.send(request).body, "admin");
  });
}

TEST(Hosts, OnlyOurOwnNamesAndLiterals) {
  for (const char* host : {"localhost", "localhost:4566", "bucket.s3.localhost:4566", "127.0.0.1:4566",
                           "[::1]:4566", "10.0.0.1", "LOCALHOST.", "a.bastide.test"}) {
    EXPECT_TRUE(host_allowed(host, {"*.bastide.test"})) << host;
  }
  for (const char* host : {"", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
                           "bastide.test", "[::1", "0x7f.1"}) {
    EXPECT_FALSE(host_allowed(host, {"*.bastide.test"})) << host;
  }
}

TEST(LocalClient, IsAuthorisedAndAuditedLikeAnyone) {
  Api api;
  api.run([&] {
    Principal nobody = api.people.identify("AKIANOBODY", "")->principal;
    const auto input = json::object({{"KeyId", "app"}, {"Plaintext", "aGVsbG8="}});
    EXPECT_EQ(api.front->local().call(nobody, kAccount, "us-east-1", "kms", "Encrypt", input).error().code,
              "AccessDenied");
    Principal admin = api.people.identify("AKIAADMIN", "")->principal;
    EXPECT_TRUE(api.front->local().call(admin, kAccount, "us-east-1", "kms", "Encrypt", input).ok());
    const auto typed = api.front->local().call<kms::op::Encrypt>(admin, kAccount, "us-east-1",
                                                                 {.key_id = "app", .plaintext = "x"});
    ASSERT_TRUE(typed.ok());
    EXPECT_EQ(typed->ciphertext_blob, "sealed x");
    const auto service = Principal::service("ecs-tasks.amazonaws.com");
    EXPECT_TRUE(api.front->local().call(service, kAccount, "us-east-1", "kms", "Encrypt", input).ok());
    EXPECT_EQ(
        api.front->local().call(admin, kAccount, "us-east-1", "kms", "ListKeys", json::object()).error().code,
        "NotImplemented");
    EXPECT_EQ(
        api.front->local().call(admin, kAccount, "us-east-1", "kms", "Encrypt", json::object()).error().code,
        "ValidationException");
  });
  EXPECT_EQ(api.audit.lines.size(), 4u);
  EXPECT_EQ(api.audit.lines.at(0), "Encrypt nobody refused AccessDenied");
}

TEST(Registry, NamesImplementedOperationsThatNobodyAdded) {
  Services services;
  Registry registry;
  services.offer(registry);
  const auto missing = registry.missing(sts::kService);
  EXPECT_NE(std::find(missing.begin(), missing.end(), "AssumeRole"), missing.end());
  EXPECT_EQ(std::find(missing.begin(), missing.end(), "GetCallerIdentity"), missing.end());
}

struct AuditFolder {
  std::string path = "/tmp/bastide_audit_test." + std::to_string(::getpid()) + "." + hex(random_bytes(4));
  ~AuditFolder() { (void)sys::remove_tree(path); }
};

TEST(AuditLog, ContinuesItsChainAndNoticesAChange) {
  const AuditFolder folder;
  ManualClock clock(1'700'000'000'000);
  Call call;
  call.operation = "Encrypt";
  AuditEvent event;
  event.call = &call;
  event.error_message = "quote \" and\nline";
  for (int run = 0; run < 3; ++run) {
    const auto log = AuditLog::open(folder.path, clock).value();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(log->write(event).ok());
    clock.advance(run == 1 ? kDay : 0);
    ASSERT_TRUE(log->sync().ok());
  }
  EXPECT_EQ(verify_audit(folder.path).value(), 15);
  const std::string file = folder.path + "/2023-11-14.jsonl";
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  // Cut off by a power failure: the rest goes on.
  { std::ofstream(folder.path + "/2023-11-15.jsonl", std::ios::app) << "{\"time\":\"20"; }
  { ASSERT_TRUE(AuditLog::open(folder.path, clock).value()->write(event).ok()); }
  EXPECT_EQ(verify_audit(folder.path).value(), 16);
  auto text = sys::read_file(file).value();
  text.replace(text.find("Encrypt"), 7, "Decrypt");
  ASSERT_TRUE(sys::write_file(file, text).ok());
  EXPECT_FALSE(verify_audit(folder.path).ok());
}

}  // namespace
}  // namespace bastide::aws
