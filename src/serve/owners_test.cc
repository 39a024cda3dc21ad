#include "serve/owners.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.h"

namespace bastide::serve {
namespace {

class OwnersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: files change their owners";
    char name[] = "/tmp/bastide-owners-XXXXXX";
    folder_ = ::mkdtemp(name);
    ::chmod(folder_.c_str(), 0755);
    home_ = folder_ + "/home";
    ASSERT_TRUE(sys::make_folders(home_));
  }
  void TearDown() override { EXPECT_TRUE(folder_.empty() || sys::remove_tree(folder_)); }
  struct stat look(const std::string& path) {
    struct stat st {};
    EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
    return st;
  }
  std::string folder_, home_;
};

// Made by a version whose control was root: everything must still open, and runner's things stay runner's.
TEST_F(OwnersTest, AnOlderHomeIsGivenToItsRoles) {
  ASSERT_TRUE(sys::make_folders(home_ + "/blobs/ab"));
  ASSERT_TRUE(sys::make_folders(home_ + "/runner/tasks"));
  ASSERT_TRUE(sys::make_folders(home_ + "/edge"));
  ASSERT_TRUE(sys::write_file(home_ + "/master.key", "key"));
  ASSERT_TRUE(sys::write_file(home_ + "/blobs/ab/one", "bytes"));
  ASSERT_TRUE(sys::write_file(home_ + "/edge/snapshot.json", "{}"));
  ASSERT_TRUE(sys::write_file(folder_ + "/outside", "of the host"));
  ASSERT_EQ(::symlink((folder_ + "/outside").c_str(), (home_ + "/blobs/ab/link").c_str()), 0);
  std::string why;
  const auto owners = owners_of(home_, why);
  ASSERT_TRUE(owners) << why;
  EXPECT_NE(owners->control, owners->edge);
  for (int again = 0; again < 2; ++again) {
    const auto given = give_home(home_, *owners);
    ASSERT_TRUE(given) << given.error().message;
    for (const char* path : {"/master.key", "/blobs", "/blobs/ab", "/blobs/ab/one"})
      EXPECT_EQ(look(home_ + path).st_uid, owners->control) << path;
    for (const char* path : {"/edge", "/edge/snapshot.json"})
      EXPECT_EQ(look(home_ + path).st_uid, owners->edge) << path;
    for (const char* path : {"", "/run", "/runner", "/runner/tasks", "/aws", "/work"})
      EXPECT_EQ(look(home_ + path).st_uid, 0u) << path;
    EXPECT_EQ(look(folder_ + "/outside").st_uid, 0u);
  }
  // Control makes files in the home, but cannot take away what is another's; others may only pass.
  EXPECT_EQ(look(home_).st_mode & 07777, 01771u);
  EXPECT_EQ(look(home_).st_gid, owners->control);
  EXPECT_EQ(look(home_ + "/runner").st_mode & 0777, 0700u);
  EXPECT_EQ(look(home_ + "/blobs").st_mode & 0777, 0700u);
}

TEST_F(OwnersTest, WhereOthersCannotPassTheRolesStayAndItIsSaid) {
  ::chmod(folder_.c_str(), 0700);
  std::string why;
  EXPECT_FALSE(owners_of(home_, why));
  EXPECT_NE(why.find(folder_), std::string::npos) << why;
}

TEST_F(OwnersTest, TwoHomesHaveDifferentUsers) {
  ASSERT_TRUE(sys::make_folders(folder_ + "/other"));
  std::string why;
  EXPECT_NE(owners_of(home_, why)->control, owners_of(folder_ + "/other", why)->control);
}

}  // namespace
}  // namespace bastide::serve
