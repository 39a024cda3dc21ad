// The program as an image runs it, against a small server that plays the credential endpoint and KMS: its
// "encryption" is reversal.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/bytes.h"
#include "base/json.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide {
namespace {

std::string reversed(std::string_view s) { return std::string(s.rbegin(), s.rend()); }
std::string token(std::string_view plaintext) { return "kmscrypt::" + base64(reversed(plaintext)); }

class Server {
 public:
  Server() {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof a;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&a), size), 0);
    EXPECT_EQ(::listen(fd_, 16), 0);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&a), &size);
    url = "http://127.0.0.1:" + std::to_string(ntohs(a.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    stop_ = true;
    thread_.join();
    ::close(fd_);
  }
  std::string url;
  std::string seen;  // the last request for KMS
  std::atomic<bool> deny = false;

 private:
  void serve() {
    while (!stop_) {
      pollfd p{fd_, POLLIN, 0};
      if (::poll(&p, 1, 50) <= 0) continue;
      const int c = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      std::string text;
      char buffer[4096];
      size_t body = std::string::npos;
      while (body == std::string::npos || text.size() < body + length(text)) {
        const ssize_t n = ::read(c, buffer, sizeof buffer);
        if (n <= 0) break;
        text.append(buffer, static_cast<size_t>(n));
        const auto end = text.find("\r\n\r\n");
        if (end != std::string::npos) body = end + 4;
      }
      std::string answer, status = "200 OK";
      if (text.starts_with("GET /creds ")) {
        answer = R"({"AccessKeyId":"ASIATEST","SecretAccessKey":"shh-secret","Token":"the-token"})";
      } else {
        seen = text;
        const auto input = json::parse(text.substr(body));
        const auto blob = unbase64(input ? input->get("CiphertextBlob") : "");
        answer = json::print(json::object({{"Plaintext", base64(reversed(blob ? *blob : ""))}}));
        if (deny) {
          status = "400 Bad Request";
          answer = R"({"__type":"com.amazon#AccessDeniedException","message":"not authorized"})";
        }
      }
      const std::string chunk = fmt_hex(answer.size()) + "\r\n" + answer + "\r\n0\r\n\r\n";
      const std::string out = "HTTP/1.1 " + status + "\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk;
      EXPECT_EQ(::write(c, out.data(), out.size()), static_cast<ssize_t>(out.size()));
      ::close(c);
    }
  }
  static std::string fmt_hex(size_t n) {
    char text[20];
    std::snprintf(text, sizeof text, "%zx", n);
    return text;
  }
  static size_t length(const std::string& text) {
    const auto at = text.find("Content-Length: ");
    return at == std::string::npos ? 0 : std::strtoul(text.c_str() + at + 16, nullptr, 10);
  }
  int fd_ = -1;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class Kmscrypt : public ::testing::Test {
 protected:
  sys::Outcome run(std::vector<std::string> arguments, const std::string& input = "",
                   std::vector<std::string> more = {}) {
    sys::Command c;
    c.argv = {KMSCRYPT};
    c.argv.insert(c.argv.end(), arguments.begin(), arguments.end());
    c.inherit_env = false;
    c.env = {"AWS_REGION=eu-central-1", "AWS_ENDPOINT_URL=" + server_.url,
             "AWS_CONTAINER_CREDENTIALS_FULL_URI=" + server_.url + "/creds", "PATH=/usr/bin:/bin"};
    c.env.insert(c.env.end(), more.begin(), more.end());
    c.input = input;
    auto out = sys::run(c);
    EXPECT_TRUE(out) << out.error().message;
    return std::move(*out);
  }
  Server server_;
};

TEST_F(Kmscrypt, DecryptsATextWithTheTasksCredentials) {
  const auto r = run({"decrypt"}, "{\"a\": \"" + token("x\"y") + "\", \"b\": 1.0}\n");
  EXPECT_EQ(r.status, 0) << r.errors;
  EXPECT_EQ(r.output, "{\"a\": \"x\\\"y\", \"b\": 1.0}\n");
  EXPECT_NE(server_.seen.find("x-amz-security-token: the-token"), std::string::npos) << server_.seen;
  EXPECT_NE(server_.seen.find("Credential=ASIATEST/"), std::string::npos);
  EXPECT_NE(server_.seen.find("/eu-central-1/kms/aws4_request, SignedHeaders=content-type;host;x-amz-date;"
                              "x-amz-security-token;x-amz-target, Signature="),
            std::string::npos);
  EXPECT_EQ(server_.seen.find("shh-secret"), std::string::npos);
}

TEST_F(Kmscrypt, WithoutTokensNothingIsAsked) {
  const auto r = run({"decrypt"}, "plain\n", {"AWS_ENDPOINT_URL=http://127.0.0.1:1"});
  EXPECT_EQ(r.status, 0);
  EXPECT_EQ(r.output, "plain\n");
}

TEST_F(Kmscrypt, ExecGivesFileAndVariablesToTheProgram) {
  char name[] = "/tmp/bastide-kmscrypt-XXXXXX";
  const std::string folder = ::mkdtemp(name);
  ASSERT_TRUE(sys::write_file(folder + "/stage.json", "{\"k\":\"" + token("v") + "\"}"));
  auto r = run({"exec", "--file", folder + "/$ENVIRONMENT.json", "--env", "CONFIG", "--", "sh", "-c",
                "echo \"$CONFIG $PASSWORD $1\"; exit 7", "sh", "two words"},
               "", {"ENVIRONMENT=stage", "PASSWORD=" + token("pw")});
  EXPECT_EQ(r.status, 7) << r.errors;
  EXPECT_EQ(r.output, "{\"k\":\"v\"} pw two words\n");
  r = run({"exec", "--file", folder + "/stage.json", "--", "sh", "-c", "cat $KMSCRYPT_FILE"});
  EXPECT_EQ(r.output, "{\"k\":\"v\"}") << r.errors;
  r = run({"exec", "--file", folder + "/${MISSING}.json", "--", "true"});
  EXPECT_EQ(r.status, 1);
  EXPECT_NE(r.errors.find("MISSING"), std::string::npos);
  EXPECT_TRUE(sys::remove_tree(folder));
}

TEST_F(Kmscrypt, ADenialStartsNothingAndTellsWhere) {
  server_.deny = true;
  const auto r = run({"exec", "--", "sh", "-c", "echo started"}, "", {"SECRET=" + token("hidden")});
  EXPECT_EQ(r.status, 1);
  EXPECT_EQ(r.output, "");
  EXPECT_NE(r.errors.find("variable SECRET: line 1, column 1: KMS: AccessDeniedException: not authorized"),
            std::string::npos)
      << r.errors;
}

TEST_F(Kmscrypt, PlainHttpLeavesTheMachineNever) {
  const auto r =
      run({"decrypt"}, token("x"),
          {"AWS_ENDPOINT_URL_KMS=http://192.0.2.1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"});
  EXPECT_EQ(r.status, 1);
  EXPECT_NE(r.errors.find("plain HTTP"), std::string::npos) << r.errors;
}

TEST_F(Kmscrypt, IsOneSmallStaticFileThatExplainsItself) {
  struct stat st;
  ASSERT_EQ(::stat(KMSCRYPT, &st), 0);
  EXPECT_LT(st.st_size, 8 << 20);
  const auto bytes = sys::read_file(KMSCRYPT);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->find("/lib64/ld-linux"), std::string::npos);
  const auto help = run({"--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_NE(help.output.find("kmscrypt exec"), std::string::npos);
  EXPECT_EQ(run({"decrypt", "--nonsense", "x"}).status, 1);
}

}  // namespace
}  // namespace bastide
