#include "runner/validate.h"

#include <gtest/gtest.h>

namespace bastide::runner {
namespace {

internal::TaskSpec good() {
  internal::TaskSpec spec;
  spec.id = std::string(32, 'a');
  spec.account = "123456789012";
  spec.vpc = "vpc-0123abcd";
  spec.address = "10.0.0.9";
  spec.image.command = {"/app"};
  return spec;
}

TEST(Validate, AcceptsWhatControlMeansAndNothingElse) {
  EXPECT_TRUE(check(good()));
  const auto refused = [](auto change) {
    auto spec = good();
    change(spec);
    return !check(spec);
  };
  EXPECT_TRUE(refused([](auto& s) { s.id = "../" + std::string(29, 'a'); }));
  EXPECT_TRUE(refused([](auto& s) { s.account = "12345678901a"; }));
  EXPECT_TRUE(refused([](auto& s) { s.vpc = "vpc-../../x"; }));
  EXPECT_TRUE(refused([](auto& s) { s.address = "10.0.0"; }));
  EXPECT_TRUE(refused([](auto& s) { s.layers = {"sha256:short"}; }));
  EXPECT_TRUE(refused([](auto& s) { s.image.command.clear(); }));
  EXPECT_TRUE(refused([](auto& s) { s.image.environment = {"NOVALUE"}; }));
  EXPECT_TRUE(refused([](auto& s) { s.image.environment = {std::string("A=b\0c", 5)}; }));
  EXPECT_TRUE(refused([](auto& s) { s.image.user = "root\nroot"; }));
  EXPECT_TRUE(refused([](auto& s) { s.image.working_folder = "/a/../../b"; }));
  EXPECT_TRUE(refused([](auto& s) { s.hostname = "a\tb"; }));
  EXPECT_TRUE(refused([](auto& s) { s.memory_mib = -1; }));
  EXPECT_TRUE(refused([](auto& s) { s.processes = int64_t{1} << 40; }));
}

TEST(Validate, CidrBlocksAreThoseOfVpcs) {
  const auto cidr = parse_cidr("10.20.0.0/16");
  ASSERT_TRUE(cidr);
  EXPECT_EQ(address_text(cidr->bridge()), "10.20.0.1");
  EXPECT_EQ(address_text(cidr->edge()), "10.20.0.3");
  EXPECT_TRUE(cidr->overlaps(*parse_cidr("10.20.128.0/20")));
  EXPECT_FALSE(cidr->overlaps(*parse_cidr("10.21.0.0/16")));
  for (const char* bad : {"10.20.0.0", "10.20.0.1/16", "10.0.0.0/8", "10.20.0.0/29", "127.0.0.0/16",
                          "169.254.0.0/16", "224.0.0.0/16", "x/16"}) {
    EXPECT_FALSE(parse_cidr(bad)) << bad;
  }
}

}  // namespace
}  // namespace bastide::runner
