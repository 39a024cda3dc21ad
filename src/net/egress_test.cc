#include "net/egress.h"

#include <gtest/gtest.h>

namespace bastide::net {
namespace {

TEST(Egress, OnlyPublicAddressesAreReached) {
  for (const char* address : {"8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111",
                              "::ffff:8.8.8.8", "64:ff9b::808:808"}) {
    EXPECT_TRUE(refuse_private(address)) << address;
  }
  for (const char* address : {"127.0.0.1",
                              "127.9.9.9",
                              "0.0.0.0",
                              "10.1.2.3",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.168.1.1",
                              "169.254.169.254",
                              "100.64.0.1",
                              "224.0.0.1",
                              "255.255.255.255",
                              "::1",
                              "::",
                              "[::1]",
                              "fe80::1",
                              "fe80::1%eth0",
                              "fd00::1",
                              "::ffff:127.0.0.1",
                              "::ffff:10.0.0.1",
                              "64:ff9b::a00:1",
                              "2002:7f00:1::",
                              "2001:db8::1",
                              "2001::1",
                              "ff02::1",
                              "",
                              "example.com",
                              "0x7f.1"}) {
    EXPECT_FALSE(refuse_private(address)) << address;
  }
}

}  // namespace
}  // namespace bastide::net
