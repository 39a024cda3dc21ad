#include "secrets/plaintext.h"

#include <gtest/gtest.h>

namespace bastide::secrets {
namespace {

size_t found(const char* file, std::string_view text) { return find_plaintext(file, text).size(); }

TEST(Plaintext, SecretsInClearAreFound) {
  EXPECT_EQ(found("a.json", "{\n \"db_password\": \"hunter2hunter2\",\n \"port\": 80\n}"), 1u);
  EXPECT_EQ(found(".env", "API_KEY=0123456789abcdef\n"), 1u);
  EXPECT_EQ(found("a.yaml", "client_secret: 'abcdefghij'\n"), 1u);
  EXPECT_EQ(found("a.txt", "key AKIAIOSFODNN7ABCDEFG here"), 1u);
  EXPECT_EQ(found("id", "-----BEGIN OPENSSH PRIVATE KEY-----\n"), 1u);  // secrets:ignore
  EXPECT_EQ(found("main.py", "password = \"hunter2hunter2\"\n"), 1u);
}

TEST(Plaintext, ReferencesAndEncryptedValuesAreNot) {
  for (const char* line : {"password: kmscrypt::QUJDRA==", "password: ${DB_PASSWORD}",
                           "password = os.environ[\"X\"]", "secret_arn: arn:aws:secretsmanager:x",
                           "password: changeme", "password:", "password_file: /run/secrets/password",
                           "token_count: 100000000", "password: \"hunter2hunter2\"  # secrets:ignore"}) {
    EXPECT_EQ(found("a.yaml", line), 0u) << line;
  }
  EXPECT_EQ(found("main.cc", "std::string password = read_password();"), 0u);
}

TEST(Plaintext, WhatItSaysHoldsNoValue) {
  const auto all = find_plaintext("a.env", "DB_PASSWORD=hunter2hunter2");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].what, "a secret in clear (DB_PASSWORD)");
}

}  // namespace
}  // namespace bastide::secrets
