// ECR and the distribution on one port, as users of docker, skopeo and the API see them.
#include "services/ecr/ecr.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "net/http_client.h"
#include "net/socket.h"
#include "net/test_loop.h"
#include "services/ecr/distribution.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::services {
namespace {

namespace m = model::ecr;
namespace op = model::ecr::op;

constexpr const char* kShared = "111122223333";
constexpr const char* kStage = "444455556666";
constexpr const char* kRegion = "eu-west-1";

struct Policies : aws::PolicySource {
  std::map<std::string, std::string> by_name;  // principal's name: its policy
  Result<std::shared_ptr<const aws::IdentityPolicies>> policies_of(const aws::Principal& p) override {
    auto out = std::make_shared<aws::IdentityPolicies>();
    const auto it = by_name.find(p.name);
    if (it != by_name.end()) out->identity.push_back({p.name, aws::PolicyDocument::of_text(it->second)});
    return std::shared_ptr<const aws::IdentityPolicies>(out);
  }
};

aws::Principal user(const std::string& account, const std::string& name) {
  aws::Principal p;
  p.kind = aws::Principal::Kind::user;
  p.account = account;
  p.name = name;
  p.arn = "arn:aws:iam::" + account + ":user/" + name;
  p.id = "AIDA" + name;
  return p;
}

struct EcrTest : testing::Test {
  std::string folder = "/tmp/bastide-ecr-" + std::to_string(::getpid());
  net::TestLoop loop;
  std::unique_ptr<store::Database> database;
  std::unique_ptr<store::Blobs> blobs;
  std::unique_ptr<store::Keyring> keyring;
  std::unique_ptr<Ecr> ecr;
  Policies policies;
  std::unique_ptr<Distribution> distribution;
  std::unique_ptr<net::HttpServer> server;
  aws::Registry registry;
  uint16_t port = 0;

  void SetUp() override {
    (void)sys::remove_tree(folder);
    ASSERT_TRUE(sys::make_folders(folder));
    database = store::Database::open(folder + "/metadata.sqlite", Clock::system()).value();
    blobs = store::Blobs::open(folder + "/blobs").value();
    keyring = store::Keyring::open(folder + "/master.key", folder + "/check").value();
    ecr = std::make_unique<Ecr>(*database, *blobs, *keyring, Clock::system());
    ecr->offer(registry);
    policies.by_name["admin"] =
        R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})";
    distribution = std::make_unique<Distribution>(*ecr, Distribution::decide_with(policies), Clock::system());
    auto listener = net::listen_tcp("127.0.0.1", 0).value();
    port = net::local_port(listener.get()).value();
    server = std::make_unique<net::HttpServer>([this](net::Exchange& x) { distribution->handle(x); });
    loop.run([&] { server->listen(std::move(listener)); });
  }
  void TearDown() override {
    server.reset();
    distribution.reset();
    ecr.reset();
    database.reset();
    (void)sys::remove_tree(folder);
  }

  aws::Call call_of(const std::string& account = kShared, const std::string& name = "admin") {
    aws::Call call;
    call.principal = user(account, name);
    call.account = account;
    call.region = kRegion;
    call.endpoint = "http://127.0.0.1:" + std::to_string(port);
    call.now = Clock::system().wall();
    return call;
  }
  // As the front does it, after it has authorised.
  template <class Op>
  Result<typename Op::Response> call(const typename Op::Request& request,
                                     const std::string& account = kShared) {
    const aws::Entry* entry = registry.find("ecr", Op::operation.name);
    typename Op::Response response;
    aws::Call c = call_of(account);
    TRY(entry->run(c, &request, &response));
    return response;
  }
  void make_repository(const std::string& name, const std::string& mutability = "MUTABLE") {
    m::CreateRepositoryRequest r;
    r.repository_name = name;
    r.image_tag_mutability = mutability;
    auto made = call<op::CreateRepository>(r);
    ASSERT_TRUE(made) << made.error().message;
  }
  std::string password(const std::string& account = kShared, const std::string& name = "admin") {
    return ecr::seal_login(*keyring, {user(account, name), kRegion, Clock::system().wall() + kHour});
  }
  net::Response http(const std::string& method, const std::string& target, const std::string& body = "",
                     std::vector<std::pair<std::string, std::string>> headers = {},
                     const std::string& account = kShared, const std::string& name = "admin") {
    net::HttpClient client(net::Endpoint{false, "127.0.0.1", port, ""});
    net::Request request;
    request.method = method;
    request.target = target;
    request.body = body;
    for (auto& [k, v] : headers) request.headers.add(k, v);
    if (!name.empty())
      request.headers.add("Authorization", "Basic " + base64("AWS:" + password(account, name)));
    auto response = client.send(request);
    EXPECT_TRUE(response) << (response ? "" : response.error().message);
    return response ? std::move(response).value() : net::Response{599, {}, "", {}};
  }
  std::string push_blob(const std::string& repository, const std::string& bytes) {
    const std::string digest = "sha256:" + sha256_hex(bytes);
    EXPECT_EQ(http("POST", "/v2/" + repository + "/blobs/uploads/?digest=" + digest, bytes).status, 201);
    return digest;
  }
  std::string manifest_of(const std::string& config, size_t config_size, const std::string& layer,
                          size_t layer_size) {
    return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" +
           config + R"(","size":)" + std::to_string(config_size) +
           R"(},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":")" + layer +
           R"(","size":)" + std::to_string(layer_size) + "}]}";
  }
  std::string push_image(const std::string& repository, const std::string& tag, const std::string& content) {
    const std::string config = push_blob(repository, "{\"c\":\"" + content + "\"}");
    const std::string layer = push_blob(repository, "layer " + content);
    const std::string manifest = manifest_of(config, content.size() + 8, layer, content.size() + 6);
    auto put = http("PUT", "/v2/" + repository + "/manifests/" + tag, manifest,
                    {{"Content-Type", "application/vnd.oci.image.manifest.v1+json"}});
    EXPECT_EQ(put.status, 201) << put.body;
    return put.headers.get("Docker-Content-Digest");
  }
};

TEST_F(EcrTest, RepositoryIsFoundByTheNameThatItWasGivenAndOnlyOnce) {
  loop.run([&] {
    make_repository("team/app", "IMMUTABLE");
    m::CreateRepositoryRequest again;
    again.repository_name = "team/app";
    EXPECT_EQ(call<op::CreateRepository>(again).error().code, "RepositoryAlreadyExistsException");
    m::DescribeRepositoriesRequest describe;
    describe.repository_names.emplace().push_back("team/app");
    auto found = call<op::DescribeRepositories>(describe).value();
    ASSERT_EQ(found.repositories->size(), 1u);
    const auto& r = found.repositories->front();
    EXPECT_EQ(*r.repository_arn, "arn:aws:ecr:eu-west-1:111122223333:repository/team/app");
    EXPECT_EQ(*r.repository_uri, "127.0.0.1:" + std::to_string(port) + "/111122223333/team/app");
    EXPECT_EQ(*r.image_tag_mutability, "IMMUTABLE");
    describe.repository_names->front() = "none";
    auto none = call<op::DescribeRepositories>(describe);
    EXPECT_EQ(none.error().code, "RepositoryNotFoundException");
    EXPECT_EQ(none.error().message,
              "The repository with name 'none' does not exist in the registry with id '111122223333'");
    EXPECT_EQ(call<op::DescribeRepositories>(describe, kStage).error().code, "RepositoryNotFoundException");
  });
}

TEST_F(EcrTest, ListingsGoOnWhereTheTokenSays) {
  loop.run([&] {
    for (const char* name : {"aa", "bb", "cc"}) make_repository(name);
    m::DescribeRepositoriesRequest request;
    request.max_results = 2;
    auto first = call<op::DescribeRepositories>(request).value();
    ASSERT_EQ(first.repositories->size(), 2u);
    request.next_token = *first.next_token;
    auto second = call<op::DescribeRepositories>(request).value();
    ASSERT_EQ(second.repositories->size(), 1u);
    EXPECT_EQ(*second.repositories->front().repository_name, "cc");
    EXPECT_FALSE(second.next_token);
    EXPECT_EQ(call<op::DescribeRepositories>(request, kStage).error().code, "InvalidParameterException");
  });
}

TEST_F(EcrTest, PushedImageIsPulledAndDescribedAndDeleted) {
  loop.run([&] {
    make_repository("app");
    const std::string digest = push_image("app", "v1", "one");
    auto pulled = http("GET", "/v2/app/manifests/v1");
    EXPECT_EQ(pulled.status, 200);
    EXPECT_EQ("sha256:" + sha256_hex(pulled.body), digest);
    EXPECT_EQ(pulled.headers.get("Content-Type"), "application/vnd.oci.image.manifest.v1+json");
    auto head = http("HEAD", "/v2/111122223333/app/manifests/" + digest);
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.headers.get("Content-Length"), std::to_string(pulled.body.size()));

    m::DescribeImagesRequest describe;
    describe.repository_name = "app";
    auto images = call<op::DescribeImages>(describe).value();
    ASSERT_EQ(images.image_details->size(), 1u);
    EXPECT_EQ(*images.image_details->front().image_tags, std::vector<std::string>{"v1"});

    m::DeleteRepositoryRequest remove;
    remove.repository_name = "app";
    EXPECT_EQ(call<op::DeleteRepository>(remove).error().code, "RepositoryNotEmptyException");
    EXPECT_EQ(http("DELETE", "/v2/app/manifests/v1").status, 202);
    EXPECT_EQ(http("GET", "/v2/app/manifests/" + digest).status, 404);
    EXPECT_TRUE(call<op::DeleteRepository>(remove));
  });
}

TEST_F(EcrTest, ImmutableTagStaysWithItsImage) {
  loop.run([&] {
    make_repository("app", "IMMUTABLE");
    const std::string digest = push_image("app", "v1", "one");
    EXPECT_EQ(push_image("app", "v1", "one"), digest) << "the same image again is no change";
    const std::string config = push_blob("app", "{}");
    const std::string layer = push_blob("app", "other");
    auto put = http("PUT", "/v2/app/manifests/v1", manifest_of(config, 2, layer, 5),
                    {{"Content-Type", "application/vnd.oci.image.manifest.v1+json"}});
    EXPECT_EQ(put.status, 400);
    EXPECT_NE(put.body.find("TAG_INVALID"), std::string::npos) << put.body;
    m::PutImageRequest request;
    request.repository_name = "app";
    request.image_tag = "v1";
    request.image_manifest = manifest_of(config, 2, layer, 5);
    auto api = call<op::PutImage>(request);
    EXPECT_EQ(api.error().code, "ImageTagAlreadyExistsException");
    EXPECT_EQ(http("HEAD", "/v2/app/manifests/v1").headers.get("Docker-Content-Digest"), digest);
  });
}

TEST_F(EcrTest, ManifestNeedsItsBlobsInTheSameRepository) {
  loop.run([&] {
    make_repository("app");
    make_repository("other");
    const std::string config = push_blob("other", "{}");
    const std::string layer = push_blob("app", "layer");
    auto put = http("PUT", "/v2/app/manifests/v1", manifest_of(config, 2, layer, 5));
    EXPECT_EQ(put.status, 404);
    EXPECT_NE(put.body.find("MANIFEST_BLOB_UNKNOWN"), std::string::npos);
    EXPECT_EQ(http("GET", "/v2/app/blobs/" + config).status, 404) << "a digest alone opens nothing";
    EXPECT_EQ(http("POST", "/v2/app/blobs/uploads/?from=other&mount=" + config).status, 201);
    EXPECT_EQ(http("PUT", "/v2/app/manifests/v1", manifest_of(config, 2, layer, 5)).status, 201);
  });
}

TEST_F(EcrTest, ChunksComeInOrder) {
  loop.run([&] {
    make_repository("app");
    auto begun = http("POST", "/v2/app/blobs/uploads/");
    EXPECT_EQ(begun.status, 202);
    const std::string location = begun.headers.get("Location");
    auto first = http("PATCH", location, "hello ", {{"Content-Range", "0-5"}});
    EXPECT_EQ(first.status, 202);
    EXPECT_EQ(first.headers.get("Range"), "0-5");
    auto gap = http("PATCH", location, "world", {{"Content-Range", "7-11"}});
    EXPECT_EQ(gap.status, 416);
    EXPECT_EQ(http("GET", location).headers.get("Range"), "0-5");
    EXPECT_EQ(http("PATCH", location, "world", {{"Content-Range", "6-10"}}).status, 202);
    EXPECT_EQ(http("PUT", location + "?digest=sha256:" + sha256_hex("hello worlds")).status, 400);
    const std::string digest = "sha256:" + sha256_hex("hello world");
    begun = http("POST", "/v2/app/blobs/uploads/");
    const std::string again = begun.headers.get("Location");
    EXPECT_EQ(http("PATCH", again, "hello ").status, 202);
    EXPECT_EQ(http("PUT", again + "?digest=" + digest, "world").status, 201);
    auto part = http("GET", "/v2/app/blobs/" + digest, "", {{"Range", "bytes=6-"}});
    EXPECT_EQ(part.status, 206);
    EXPECT_EQ(part.body, "world");
    EXPECT_EQ(part.headers.get("Content-Range"), "bytes 6-10/11");
    EXPECT_EQ(http("GET", "/v2/app/blobs/" + digest, "", {{"Range", "bytes=99-"}}).status, 416);
    begun = http("POST", "/v2/app/blobs/uploads/");
    EXPECT_EQ(http("DELETE", begun.headers.get("Location")).status, 204);
    EXPECT_EQ(http("GET", begun.headers.get("Location")).status, 404);
  });
}

TEST_F(EcrTest, NobodyReadsWithoutATokenAndOthersOnlyByPolicy) {
  loop.run([&] {
    make_repository("app");
    push_image("app", "v1", "one");
    auto anonymous = http("GET", "/v2/", "", {}, "", "");
    EXPECT_EQ(anonymous.status, 401);
    EXPECT_NE(anonymous.headers.get("WWW-Authenticate").find("Basic realm="), std::string::npos);
    EXPECT_EQ(http("GET", "/v2/").status, 200);
    EXPECT_EQ(http("GET", "/v2/app/manifests/v1", "", {}, kShared, "nobody").status, 403);
    // Another account needs both: the repository's policy and its own.
    EXPECT_EQ(http("GET", "/v2/111122223333/app/manifests/v1", "", {}, kStage).status, 403);
    m::SetRepositoryPolicyRequest policy;
    policy.repository_name = "app";
    policy.policy_text =
        R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":["ecr:BatchGetImage"]}]})";
    ASSERT_TRUE(call<op::SetRepositoryPolicy>(policy));
    EXPECT_EQ(http("GET", "/v2/111122223333/app/manifests/v1", "", {}, kStage).status, 200);
    EXPECT_EQ(http("GET", "/v2/111122223333/app/manifests/v1", "", {}, kStage, "nobody").status, 403);
    EXPECT_EQ(http("DELETE", "/v2/111122223333/app/manifests/v1", "", {}, kStage).status, 403);
    EXPECT_EQ(http("GET", "/v2/app/manifests/v1", "", {}, kStage).status, 404)
        << "its own account has no app";
  });
}

TEST_F(EcrTest, ReferrersAreListedByTypeAlsoBeforeTheirSubject) {
  loop.run([&] {
    make_repository("app");
    const std::string subject = "sha256:" + sha256_hex("not there yet");
    const std::string config = push_blob("app", "{}");
    const std::string manifest =
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/sig","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":")" +
        config +
        R"(","size":2},"layers":[],"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
        subject + R"(","size":9},"annotations":{"a":"b"}})";
    const std::string digest = "sha256:" + sha256_hex(manifest);
    auto put = http("PUT", "/v2/app/manifests/" + digest, manifest);
    EXPECT_EQ(put.status, 201) << put.body;
    EXPECT_EQ(put.headers.get("OCI-Subject"), subject);
    auto list = json::parse(http("GET", "/v2/app/referrers/" + subject).body).value();
    ASSERT_EQ(list.get_array("manifests").size(), 1u);
    EXPECT_EQ(list.get_array("manifests")[0].get("digest"), digest);
    EXPECT_EQ(list.get_array("manifests")[0].get("artifactType"), "application/sig");
    auto filtered = http("GET", "/v2/app/referrers/" + subject + "?artifactType=application/other");
    EXPECT_EQ(filtered.headers.get("OCI-Filters-Applied"), "artifactType");
    EXPECT_TRUE(json::parse(filtered.body).value().get_array("manifests").empty());
  });
}

TEST_F(EcrTest, LayersGoThroughTheApiToo) {
  loop.run([&] {
    make_repository("app");
    m::InitiateLayerUploadRequest begin;
    begin.repository_name = "app";
    const std::string id = *call<op::InitiateLayerUpload>(begin).value().upload_id;
    m::UploadLayerPartRequest part;
    part.repository_name = "app";
    part.upload_id = id;
    part.layer_part_blob = "bytes";
    part.part_first_byte = 0;
    part.part_last_byte = 4;
    EXPECT_EQ(*call<op::UploadLayerPart>(part).value().last_byte_received, 4);
    EXPECT_EQ(call<op::UploadLayerPart>(part).error().code, "InvalidLayerPartException");
    m::CompleteLayerUploadRequest complete;
    complete.repository_name = "app";
    complete.upload_id = id;
    complete.layer_digests.push_back("sha256:" + sha256_hex("bytes"));
    ASSERT_TRUE(call<op::CompleteLayerUpload>(complete));
    EXPECT_EQ(call<op::CompleteLayerUpload>(complete).error().code, "UploadNotFoundException");
    m::GetDownloadUrlForLayerRequest url;
    url.repository_name = "app";
    url.layer_digest = complete.layer_digests[0];
    const std::string where = *call<op::GetDownloadUrlForLayer>(url).value().download_url;
    const std::string target = where.substr(where.find("/v2/"));
    EXPECT_EQ(http("GET", target, "", {}, "", "").body, "bytes");
    EXPECT_EQ(http("GET", target + "x", "", {}, "", "").status, 403);
  });
}

TEST_F(EcrTest, SkopeoCopiesInspectsAndDeletes) {
  if (::access("/usr/bin/skopeo", X_OK) != 0) GTEST_SKIP() << "skopeo is not installed";
  loop.run([&] {
    make_repository("app");
    make_repository("copy");
    push_image("app", "v1", "one");
    const std::string host = "docker://127.0.0.1:" + std::to_string(port);
    const std::string creds = "AWS:" + password();
    const auto skopeo = [&](std::vector<std::string> argv) {
      argv.insert(argv.begin(), "skopeo");
      sys::Command command;
      command.argv = std::move(argv);
      return net::offload_result([&] { return sys::run(command); }).value();
    };
    // The image's configuration must be one for skopeo to inspect it: only the raw manifest is read here.
    auto raw = skopeo({"inspect", "--raw", "--tls-verify=false", "--creds", creds, host + "/app:v1"});
    EXPECT_EQ(raw.status, 0) << raw.errors;
    auto copied = skopeo({"copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--src-creds", creds,
                          "--dest-creds", creds, host + "/app:v1", host + "/111122223333/copy:v2"});
    EXPECT_EQ(copied.status, 0) << copied.errors;
    auto tags = skopeo({"list-tags", "--tls-verify=false", "--creds", creds, host + "/copy"});
    EXPECT_NE(tags.output.find("v2"), std::string::npos) << tags.errors;
    auto removed = skopeo({"delete", "--tls-verify=false", "--creds", creds, host + "/copy:v2"});
    EXPECT_EQ(removed.status, 0) << removed.errors;
  });
}

}  // namespace
}  // namespace bastide::services
