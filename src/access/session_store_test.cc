#include "access/session_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "sys/file.h"

namespace bastide::access {
namespace {

class Store : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bastide-sessions-XXXXXX";
    folder_ = ::mkdtemp(name);
    ::setenv("BASTIDE_KEYRING", "off", 1);
  }
  void TearDown() override { EXPECT_TRUE(sys::remove_tree(folder_)); }
  std::string folder_;
};

TEST_F(Store, KeepsWhatItIsGivenAndNothingInClear) {
  SessionStore store(folder_, "house");
  ASSERT_TRUE(store.put("session", json::object({{"secret", "planted-secret-value"}})));
  EXPECT_EQ(store.get("session")->value().get("secret"), "planted-secret-value");
  const auto files = sys::list_folder(folder_ + "/sessions").value();
  EXPECT_FALSE(files.empty());
  for (const auto& file : files) {
    const std::string path = folder_ + "/sessions/" + file;
    EXPECT_EQ(sys::read_file(path)->find("planted"), std::string::npos);
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
  }
  EXPECT_FALSE(SessionStore(folder_, "another house").get("session")->has_value());
  EXPECT_FALSE(store.get("role")->has_value());
  ASSERT_TRUE(store.remove_all());
  EXPECT_FALSE(store.get("session")->has_value());
}

TEST_F(Store, AKeyThatOthersCanReadIsRefused) {
  SessionStore store(folder_, "house");
  ASSERT_TRUE(store.put("session", json::object({{"a", "b"}})));
  ASSERT_EQ(::chmod((folder_ + "/machine.key").c_str(), 0644), 0);
  EXPECT_FALSE(store.get("session"));
  EXPECT_FALSE(store.put("session", json::object()));
}

TEST_F(Store, ASealedFileThatWasChangedOpensNothing) {
  SessionStore store(folder_, "house");
  ASSERT_TRUE(store.put("session", json::object({{"a", "b"}})));
  const std::string path = folder_ + "/sessions/" + sys::list_folder(folder_ + "/sessions")->front();
  std::string bytes = *sys::read_file(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  ASSERT_TRUE(sys::write_file(path, bytes));
  EXPECT_FALSE(store.get("session")->has_value());
}

}  // namespace
}  // namespace bastide::access
