#include "architecture/static_files.h"

#include <gtest/gtest.h>

namespace bastide::architecture {
namespace {

const Upload* find(const Publication& p, const std::string& key) {
  for (const auto& u : p.uploads) {
    if (u.key == key) return &u;
  }
  return nullptr;
}

json::Value manifest_of(const Publication& p) { return *json::parse(p.uploads.back().body); }

TEST(StaticFilesTest, HashedCopiesStayForEverAndPagesAreShort) {
  auto p = plan_publication({{"css/a.css", "a"}, {"index.html", "<p>"}, {"app.3f2a9c1e77aa.js", "j"}}, {});
  const auto hashed = hashed_name("css/a.css", "a");
  EXPECT_TRUE(hashed.starts_with("css/a.") && hashed.ends_with(".css"));
  EXPECT_NE(find(p, hashed)->cache_control.find("immutable"), std::string::npos);
  EXPECT_EQ(find(p, "css/a.css")->cache_control.find("immutable"), std::string::npos);
  EXPECT_NE(find(p, "app.3f2a9c1e77aa.js")->cache_control.find("immutable"), std::string::npos);
  EXPECT_NE(find(p, "index.html")->cache_control.find("must-revalidate"), std::string::npos);
  EXPECT_EQ(find(p, "index.html")->content_type, "text/html; charset=utf-8");
  EXPECT_EQ(p.uploads.back().key, kManifestKey);
  EXPECT_TRUE(p.invalidate.empty());
  EXPECT_EQ(p.uploads.size(), 5u);
}

TEST(StaticFilesTest, OnlyWhatChangedIsSentAndForgotten) {
  auto first = plan_publication({{"a.css", "a"}, {"b.css", "b"}, {"index.html", "1"}}, {});
  auto same = plan_publication({{"a.css", "a"}, {"b.css", "b"}, {"index.html", "1"}}, manifest_of(first));
  EXPECT_TRUE(same.uploads.empty() && same.invalidate.empty());
  EXPECT_EQ(same.unchanged, 3u);
  auto next = plan_publication({{"a.css", "A"}, {"index.html", "2"}}, manifest_of(first));
  EXPECT_EQ(next.removed, std::vector<std::string>{"b.css"});
  EXPECT_EQ(next.invalidate,
            (std::vector<std::string>{"/a.css", "/index.html", "/", "/b.css", "/.bastide/manifest.json"}));
  EXPECT_EQ(find(next, "b.css"), nullptr);
  EXPECT_NE(manifest_of(next).find("files")->find("a.css")->get("name"),
            manifest_of(first).find("files")->find("a.css")->get("name"));
}

}  // namespace
}  // namespace bastide::architecture
