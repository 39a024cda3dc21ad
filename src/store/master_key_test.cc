#include "store/master_key.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "store/keyring.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

using Kind = KeyProtection::Kind;

class MasterKeyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bastide-key-XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = folder_ + "/master.key";
    keys_.add_generation();
  }
  void TearDown() override { EXPECT_TRUE(sys::remove_tree(folder_)); }
  std::string folder_, path_;
  MasterKeys keys_;
};

TEST_F(MasterKeyTest, APassphraseOpensItAndNoOtherDoes) {
  ASSERT_TRUE(save_master_keys(path_, keys_, {Kind::passphrase, ""}, "correct horse"));
  const std::string text = *sys::read_file(path_);
  EXPECT_EQ(text.find(keys_.all()[0]), std::string::npos);
  EXPECT_EQ(key_protection(path_)->kind, Kind::passphrase);
  EXPECT_EQ(open_master_keys(path_, "correct horse")->all(), keys_.all());
  EXPECT_EQ(open_master_keys(path_, "correct horsf").error().code, "WrongKey");
  EXPECT_EQ(open_master_keys(path_, "").error().code, "Locked");
  EXPECT_EQ(*sys::read_file(path_), text);
  EXPECT_FALSE(save_master_keys(path_, keys_, {Kind::passphrase, ""}, "short"));
  EXPECT_EQ(*sys::read_file(path_), text);
}

TEST_F(MasterKeyTest, AKeyFileElsewhereOpensIt) {
  const std::string file = folder_ + "/usb";
  ASSERT_TRUE(save_master_keys(path_, keys_, {Kind::file, file}, ""));
  struct stat st {};
  ASSERT_EQ(::stat(file.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  EXPECT_EQ(open_master_keys(path_, "")->all(), keys_.all());
  const std::string right = *sys::read_file(file);
  ASSERT_TRUE(sys::write_file(file, std::string(64, 'x')));
  EXPECT_EQ(open_master_keys(path_, "").error().code, "WrongKey");
  ASSERT_TRUE(sys::write_file(file, right));
  EXPECT_TRUE(open_master_keys(path_, ""));
  ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
  EXPECT_EQ(open_master_keys(path_, "").error().code, "Denied");
}

TEST_F(MasterKeyTest, ANewGenerationSealsAndOldOnesStillOpen) {
  const std::string check = folder_ + "/master.check";
  ASSERT_TRUE(save_master_keys(path_, keys_, {}, ""));
  const std::string first = (*Keyring::open(path_, check))->seal("kms", "one", "c");
  keys_.add_generation();
  ASSERT_TRUE(save_master_keys(path_, keys_, {}, ""));
  auto ring = Keyring::open(path_, check);
  ASSERT_TRUE(ring) << ring.error().message;
  const std::string second = (*ring)->seal("kms", "two", "c");
  EXPECT_EQ(*(*ring)->unseal("kms", first, "c"), "one");
  EXPECT_EQ(*(*ring)->unseal("kms", second, "c"), "two");
  EXPECT_FALSE((*ring)->unseal("kms", second, "d"));
  // Whoever has the first generation alone cannot read what came later.
  MasterKeys old(std::vector<std::string>{keys_.all()[0]});
  ASSERT_TRUE(save_master_keys(path_, old, {}, ""));
  EXPECT_EQ((*Keyring::open(path_, check))->unseal("kms", second, "c").error().code, "WrongKey");
}

TEST_F(MasterKeyTest, WhatIsNoKeyIsRefused) {
  for (const char* text : {"", "hello", "bastide-master-key-1 AAAA", "{\"format\":\"bastide-master-key-2\"}",
                           "{\"format\":\"bastide-master-key-2\",\"protection\":\"passphrase\",\"salt\":\"\","
                           "\"n\":9999999999,\"r\":8,\"p\":1}"}) {
    ASSERT_TRUE(sys::write_file(path_, text));
    EXPECT_FALSE(open_master_keys(path_, "some passphrase")) << text;
  }
}

}  // namespace
}  // namespace bastide::store
