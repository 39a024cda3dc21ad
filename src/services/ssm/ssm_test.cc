#include <gtest/gtest.h>

#include "services/ssm/name.h"
#include "services/ssm/ssm.h"

namespace bastide::services::ssm {
namespace {

TEST(SsmName, AnArnTellsTheSameAsTheName) {
  const auto path = select_parameter("arn:aws:ssm:eu-west-1:111122223333:parameter/app/url:3");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->name, "/app/url");
  EXPECT_EQ(path->version, 3);
  EXPECT_EQ(path->region, "eu-west-1");
  EXPECT_EQ(select_parameter("arn:aws:ssm:eu-west-1:111122223333:parameter/url")->name, "url");
  EXPECT_EQ(select_parameter("url:live")->label, "live");
  EXPECT_FALSE(select_parameter("url:live:2"));
  EXPECT_FALSE(select_parameter("arn:aws:s3:::bucket"));
}

TEST(SsmName, ReservedAndMisshapenNamesAreRefused) {
  for (const char* good : {"a", "/a/b", "A.b-c_1", "/my/aws"}) EXPECT_TRUE(check_name(good)) << good;
  for (const char* bad : {"aws.x", "/ssm/x", "SSMx", "a b", "a/b", "/a//b", "/a/", "/", "a:b"}) {
    EXPECT_FALSE(check_name(bad)) << bad;
  }
  std::string deep;
  for (int i = 0; i < 15; ++i) deep += "/x";
  EXPECT_TRUE(check_name(deep));
  EXPECT_EQ(check_name(deep + "/x").error().code, "HierarchyLevelLimitExceededException");
}

TEST(SsmFilter, APathIsOneLevelUnlessRecursive) {
  Parameter p;
  p.name = "/app/stage/url";
  auto one = [&](const char* path, const char* option) {
    return matches(Filters({{"Path", option, std::vector<std::string>{path}}}), p);
  };
  EXPECT_TRUE(one("/app", "Recursive"));
  EXPECT_FALSE(one("/app", "OneLevel"));
  EXPECT_TRUE(one("/app/stage", "OneLevel"));
  EXPECT_FALSE(one("/ap", "Recursive"));
}

}  // namespace
}  // namespace bastide::services::ssm
