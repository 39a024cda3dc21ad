#include <gtest/gtest.h>
#include <unistd.h>

#include "delivery/pkt_line.h"
#include "delivery/repository.h"
#include "sys/file.h"

namespace bastide::delivery {
namespace {

TEST(PktLine, APushNamesItsRefsAndCapabilities) {
  const std::string zeros(40, '0'), a(40, 'a');
  const std::string request = pkt_line(zeros + " " + a + " refs/heads/main" + std::string(1, '\0') + " report-status side-band-64k agent=x") +
                              pkt_line(a + " " + zeros + " refs/tags/v1") + std::string(kFlush) + "PACK...";
  const auto push = *parse_push(request);
  ASSERT_EQ(push.updates.size(), 2u);
  EXPECT_TRUE(push.side_band_64k);
  EXPECT_EQ(push.updates[0].ref, "refs/heads/main");
  EXPECT_TRUE(push.updates[1].deletes());
  EXPECT_FALSE(parse_push("zzzz"));
  EXPECT_FALSE(parse_push("00ffshort"));
  EXPECT_FALSE(parse_push(""));
}

TEST(PktLine, AcceptedRefsAreReadFromTheReport) {
  const std::string report = pkt_line("unpack ok\n") + pkt_line("ok refs/heads/main\n") + pkt_line("ng refs/heads/x no\n") + std::string(kFlush);
  EXPECT_EQ(accepted_refs(report, false), std::vector<std::string>{"refs/heads/main"});
  EXPECT_EQ(accepted_refs(side_band(1, report) + std::string(kFlush), true), std::vector<std::string>{"refs/heads/main"});
}

TEST(Repository, ResolvesAndArchivesCommits) {
  char name[] = "/tmp/bastide-git-XXXXXX";
  const std::string folder = ::mkdtemp(name);
  const auto repository = Repository::open(folder + "/web.git", "main");
  ASSERT_TRUE(repository) << repository.error().message;
  EXPECT_EQ(repository->commit_of("main").error().code, "NotFound");
  const std::string script =
      "git init -q -b main w && cd w && echo hi > f && git add . && git -c user.name=a -c user.email=a@b commit -qm 'the subject' && git push -q ../web.git main";
  ASSERT_TRUE(sys::run_ok({.argv = {"sh", "-c", script}, .folder = folder}));
  const std::string commit = *repository->commit_of("main");
  EXPECT_EQ(*repository->subject(commit), "the subject");
  EXPECT_EQ(*repository->read_file(commit, "f", 100), "hi\n");
  EXPECT_EQ(repository->read_file(commit, "../f", 100).error().code, "NotFound");
  auto tar = repository->archive(commit);
  ASSERT_TRUE(tar);
  EXPECT_NE(sys::read_all(tar->get(), 1 << 20)->find("hi\n"), std::string::npos);
  EXPECT_TRUE(sys::remove_tree(folder));
}

}  // namespace
}  // namespace bastide::delivery
