#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.h"
#include "sys/process.h"

namespace bastide::sys {
namespace {

class Folder : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bastide-sys-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(path_)); }
  std::string path_;
};

TEST_F(Folder, FilesAreWrittenWholeAndPrivate) {
  ASSERT_TRUE(write_file(path_ + "/a", "one"));
  ASSERT_TRUE(write_file(path_ + "/a", "two"));
  EXPECT_EQ(*read_file(path_ + "/a"), "two");
  struct stat st;
  ASSERT_EQ(::stat((path_ + "/a").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  EXPECT_EQ(list_folder(path_)->size(), 1u);
  EXPECT_EQ(read_file(path_ + "/none").error().code, "NotFound");
  EXPECT_EQ(read_file(path_ + "/a", 2).error().code, "TooLarge");
}

TEST_F(Folder, RemovingATreeLeavesWhatItsLinksPointAt) {
  ASSERT_TRUE(make_folders(path_ + "/keep/deep"));
  ASSERT_TRUE(make_folders(path_ + "/gone"));
  ASSERT_EQ(::symlink((path_ + "/keep").c_str(), (path_ + "/gone/link").c_str()), 0);
  ASSERT_TRUE(remove_tree(path_ + "/gone"));
  EXPECT_TRUE(exists(path_ + "/keep/deep"));
}

TEST(Process, GivesOutputStatusAndErrors) {
  auto done = run({.argv = {"sh", "-c", "cat; echo oops >&2; exit 3"}, .input = std::string(200'000, 'x')});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->status, 3);
  EXPECT_EQ(done->output.size(), 200'000u);
  EXPECT_EQ(done->errors, "oops\n");
  EXPECT_EQ(run({.argv = {"/nonexistent"}}).error().code, "NotFound");
}

TEST(Process, ATimeOutEndsItsChildrenToo) {
  auto done = run({.argv = {"sh", "-c", "sleep 60 & sleep 60"}, .timeout = 100});
  ASSERT_TRUE(done);
  EXPECT_TRUE(done->timed_out);
}

}  // namespace
}  // namespace bastide::sys
