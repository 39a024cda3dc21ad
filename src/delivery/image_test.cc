// Dockerfiles as teams write them: what is understood, what is refused and where, and what image comes out.
#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>

#include "base/bytes.h"
#include "base/crypto.h"
#include "delivery/image_build.h"
#include "delivery/image_dockerfile.h"
#include "delivery/image_ignore.h"
#include "delivery/image_tree.h"
#include "delivery/image_words.h"
#include "gen/ecr.h"
#include "net/test_loop.h"
#include "sys/file.h"

namespace bastide::delivery {
namespace {

namespace m = model::ecr;

struct File {
  std::string path, content;
  int mode = 0644;
  std::string link;
};

sys::Fd tar_of(const std::vector<File>& files) {
  sys::Fd fd = sys::memory_file("tar", "", false).value();
  archive* out = archive_write_new();
  archive_write_set_format_pax_restricted(out);
  archive_write_open_fd(out, fd.get());
  for (const auto& f : files) {
    archive_entry* e = archive_entry_new();
    archive_entry_set_pathname(e, f.path.c_str());
    archive_entry_set_perm(e, static_cast<mode_t>(f.mode));
    if (!f.link.empty()) {
      archive_entry_set_filetype(e, AE_IFLNK);
      archive_entry_set_symlink(e, f.link.c_str());
    } else if (f.path.ends_with('/')) {
      archive_entry_set_filetype(e, AE_IFDIR);
    } else {
      archive_entry_set_filetype(e, AE_IFREG);
      archive_entry_set_size(e, static_cast<la_int64_t>(f.content.size()));
    }
    archive_entry_set_mtime(e, 12345, 0);
    archive_write_header(out, e);
    archive_write_data(out, f.content.data(), f.content.size());
    archive_entry_free(e);
  }
  archive_write_free(out);
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

std::string parse_error(const std::string& text) {
  auto parsed = parse_dockerfile(text, "Dockerfile");
  return parsed ? "" : parsed.error().message;
}

TEST(Dockerfile, ErrorsSayFileAndLine) {
  EXPECT_EQ(parse_error("FROM scratch\n\nCOPPY a b\n"),
            "Dockerfile:3: unknown instruction COPPY; did you mean COPY?");
  EXPECT_EQ(parse_error("# nothing\n"), "Dockerfile:1: there is no FROM");
  EXPECT_EQ(parse_error("RUN x\nFROM scratch"),
            "Dockerfile:1: RUN before the first FROM: only ARG may stand there");
  EXPECT_EQ(parse_error("FROM scratch\nCOPY --frm=a b c"),
            "Dockerfile:2: COPY has no flag --frm; did you mean --from?");
  EXPECT_EQ(parse_error("FROM a AS x\nFROM b AS X"),
            "Dockerfile:2: the stage x is already defined in line 1");
  EXPECT_EQ(parse_error("FROM scratch\nRUN <<EOF\nls\nEOF"),
            "Dockerfile:2: here-documents are not supported; use && and line continuations");
}

TEST(Dockerfile, LinesGoOnOverCommentsAndEmptyLines) {
  auto d = parse_dockerfile("FROM a AS Build\nRUN one && \\\n  # why\n\n  two\nCMD [\"x\", \"y z\"]\n", "f")
               .value();
  ASSERT_EQ(d.stages[0].instructions.size(), 2u);
  EXPECT_EQ(d.stages[0].name, "build");
  EXPECT_EQ(d.stages[0].instructions[0].text, "one &&   two");
  EXPECT_EQ(d.stages[0].instructions[0].line, 2);
  EXPECT_TRUE(d.stages[0].instructions[1].exec_form);
  EXPECT_EQ(d.stages[0].instructions[1].words[1], "y z");
  auto windows = parse_dockerfile("# escape=`\nFROM a\nRUN x `\n  y\n", "f").value();
  EXPECT_EQ(windows.stages[0].instructions[0].text, "x   y");
}

TEST(Words, VariablesAreReplacedAsTheShellDoes) {
  const Lookup lookup = [](const std::string& n) -> std::optional<std::string> {
    if (n == "x") return "value";
    if (n == "empty") return "";
    return std::nullopt;
  };
  const auto get = [&](const char* text) { return substitute(text, '\\', lookup).value(); };
  EXPECT_EQ(get("$x/${x}/$none."), "value/value/.");
  EXPECT_EQ(get("${none:-a}${empty:-b}${empty-c}${x:-d}"), "abvalue");
  EXPECT_EQ(get("${x:+yes}${empty:+no}${none:-${x}}"), "yesvalue");
  EXPECT_EQ(get("\\$x '$x' \"$x \\\"q\\\"\""), "$x $x value \"q\"");
  EXPECT_FALSE(substitute("${x", '\\', lookup));
  EXPECT_FALSE(substitute("${x:?no}", '\\', lookup));
  EXPECT_FALSE(substitute("'open", '\\', lookup));
}

TEST(Ignore, LastRuleThatMatchesDecides) {
  const Ignore ignore("# comment\n*.log\n**/node_modules\nbuild/*\n!build/keep\n/secret\n");
  EXPECT_TRUE(ignore.ignores("a.log"));
  EXPECT_FALSE(ignore.ignores("sub/a.log"));
  EXPECT_TRUE(ignore.ignores("x/y/node_modules/z"));
  EXPECT_TRUE(ignore.ignores("build/other"));
  EXPECT_FALSE(ignore.ignores("build/keep"));
  EXPECT_TRUE(ignore.ignores("secret/key"));
  EXPECT_FALSE(ignore.ignores("src/main.cc"));
}

// ECR as far as builds ask it, over real blobs.
struct FakeEcr : aws::LocalClient {
  store::Blobs& blobs;
  std::map<std::string, std::string> images;  // "repository:tag": manifest
  std::map<std::string, std::string> uploads;
  std::set<std::string> layers;
  explicit FakeEcr(store::Blobs& b) : blobs(b) {}

  Result<json::Value> call(const aws::Principal&, const std::string&, const std::string&, const std::string&,
                           const std::string& operation, const json::Value&) override {
    return fault("NotExpected", operation);
  }
  Result<void> call_typed(const aws::Principal&, const std::string&, const std::string&, const std::string&,
                          const std::string& operation, const void* in, void* out) override {
    if (operation == "BatchCheckLayerAvailability") {
      const auto& digest = static_cast<const m::BatchCheckLayerAvailabilityRequest*>(in)->layer_digests[0];
      auto& l = static_cast<m::BatchCheckLayerAvailabilityResponse*>(out)->layers.emplace().emplace_back();
      l.layer_availability = layers.count(digest) ? "AVAILABLE" : "UNAVAILABLE";
    } else if (operation == "InitiateLayerUpload") {
      static_cast<m::InitiateLayerUploadResponse*>(out)->upload_id = std::to_string(uploads.size());
      uploads[std::to_string(uploads.size())];
    } else if (operation == "UploadLayerPart") {
      const auto& r = *static_cast<const m::UploadLayerPartRequest*>(in);
      EXPECT_EQ(static_cast<size_t>(r.part_first_byte), uploads[r.upload_id].size());
      uploads[r.upload_id] += r.layer_part_blob;
    } else if (operation == "CompleteLayerUpload") {
      const auto& r = *static_cast<const m::CompleteLayerUploadRequest*>(in);
      EXPECT_EQ(blobs.put(uploads[r.upload_id]).value(), r.layer_digests[0]);
      layers.insert(r.layer_digests[0]);
    } else if (operation == "PutImage") {
      const auto& r = *static_cast<const m::PutImageRequest*>(in);
      images[r.repository_name + ":" + *r.image_tag] = r.image_manifest;
    } else if (operation == "BatchGetImage") {
      const auto& r = *static_cast<const m::BatchGetImageRequest*>(in);
      auto& response = *static_cast<m::BatchGetImageResponse*>(out);
      const auto it = images.find(r.repository_name + ":" + r.image_ids[0].image_tag.value_or(""));
      auto& list = response.images.emplace();
      if (it != images.end()) list.emplace_back().image_manifest = it->second;
    } else if (operation == "DescribeRepositories") {
      auto& response = *static_cast<m::DescribeRepositoriesResponse*>(out);
      response.repositories.emplace().emplace_back().repository_uri = "127.0.0.1:4566/111122223333/app";
    } else {
      return fault("NotExpected", operation);
    }
    return {};
  }
};

struct FakeSandboxes : Sandboxes {
  std::vector<internal::SandboxExec> ran;
  std::vector<size_t> layers;
  std::function<sys::Fd()> changes;
  int status = 0;
  Result<void> open(const internal::SandboxSpec& spec, sys::Fd) override {
    layers.push_back(spec.layers.size());
    return {};
  }
  Result<Exit> exec(const internal::SandboxExec& step, const Output& output) override {
    ran.push_back(step);
    output("building\n");
    return Exit{status, false};
  }
  Result<sys::Fd> export_tar(const std::string&, const std::string& what) override {
    EXPECT_EQ(what, "changes");
    return changes ? changes() : tar_of({});
  }
  Result<void> close(const std::string&) override { return {}; }
};

struct ImageTest : testing::Test {
  std::string folder = "/tmp/bastide-image-" + std::to_string(::getpid());
  net::TestLoop loop;
  std::unique_ptr<store::Blobs> blobs;
  std::unique_ptr<FakeEcr> registry;
  FakeSandboxes sandboxes;
  std::string log;

  void SetUp() override {
    (void)sys::remove_tree(folder);
    ASSERT_TRUE(sys::make_folders(folder));
    blobs = store::Blobs::open(folder + "/blobs").value();
    registry = std::make_unique<FakeEcr>(*blobs);
  }
  void TearDown() override { (void)sys::remove_tree(folder); }

  Result<ImageResult> build(const std::string& dockerfile, std::vector<File> files,
                            const std::string& tag = "sha",
                            std::vector<std::pair<std::string, std::string>> arguments = {}) {
    files.push_back({"Dockerfile", dockerfile});
    DockerfileBuilder builder(*registry, *blobs, sandboxes, folder);
    ImageRequest request;
    request.account = "111122223333";
    request.region = "eu-west-1";
    request.repository = "app";
    request.tag = tag;
    request.workspace = tar_of(files);
    request.arguments = std::move(arguments);
    request.created = 1'700'000'000;
    std::optional<Result<ImageResult>> out;
    loop.run([&] {
      out.emplace(builder.build(std::move(request), [&](std::string line) { log += line + "\n"; }));
    });
    return std::move(*out);
  }
  json::Value manifest(const std::string& tag = "sha") {
    return json::parse(registry->images["app:" + tag]).value();
  }
  json::Value config(const std::string& tag = "sha") {
    return json::parse(blobs->read(manifest(tag).find("config")->get("digest"), 1 << 20).value()).value();
  }
  FileTree root(const std::string& tag = "sha") {
    FileTree tree(Spool::open(folder).value());
    const json::Value whole = manifest(tag);
    for (const auto& l : whole.get_array("layers")) {
      const sys::Fd fd = blobs->open_read(l.get("digest")).value();
      EXPECT_TRUE(tree.apply_layer(fd.get(), true));
    }
    return tree;
  }
  std::string content(const FileTree& tree, const std::string& path) {
    const TreeEntry* e = tree.find(path);
    return e ? tree.read(*e, 1 << 20).value() : "(none)";
  }
};

TEST_F(ImageTest, SameCommitGivesTheSameDigest) {
  const std::string dockerfile =
      "ARG name=web\nFROM scratch\nARG name\nARG COMMIT=none\nENV A=1 B=\"two words\" C=$name-$COMMIT\nCOPY "
      "bin/app "
      "/app\nCOPY static/ /srv/static/\nWORKDIR /srv\nUSER 1000:1000\nEXPOSE 8080\nLABEL "
      "commit=${COMMIT}\nENTRYPOINT "
      "[\"/app\"]\nCMD [\"--serve\"]\n";
  const std::vector<File> files = {
      {"bin/app", "program", 0755}, {"static/a.txt", "A"}, {"static/sub/b.txt", "B"}};
  auto one = build(dockerfile, files, "sha", {{"COMMIT", "abc"}});
  ASSERT_TRUE(one) << one.error().message;
  std::vector<File> shuffled = {files[2], files[0], files[1]};
  auto two = build(dockerfile, shuffled, "other", {{"COMMIT", "abc"}});
  EXPECT_EQ(one.value().digest, two.value().digest);
  EXPECT_EQ(one.value().uri, "127.0.0.1:4566/111122223333/app@" + one.value().digest);
  const json::Value c = config();
  const json::Value& run = *c.find("config");
  EXPECT_EQ(run.get_array("Env"), (json::Array{"A=1", "B=two words", "C=web-abc"}));
  EXPECT_EQ(run.get("WorkingDir"), "/srv");
  EXPECT_EQ(run.get("User"), "1000:1000");
  EXPECT_TRUE(run.find("ExposedPorts")->has("8080/tcp"));
  EXPECT_EQ(run.find("Labels")->get("commit"), "abc");
  EXPECT_EQ(c.get("created"), "2023-11-14T22:13:20Z");
  const FileTree tree = root();
  EXPECT_EQ(content(tree, "app"), "program");
  EXPECT_EQ(tree.find("app")->mode, 0755u);
  EXPECT_EQ(content(tree, "srv/static/sub/b.txt"), "B");
  EXPECT_EQ(manifest().get_array("layers").size(), c.find("rootfs")->get_array("diff_ids").size());
}

TEST_F(ImageTest, StagesHandFilesOnAndIgnoredFilesStayOut) {
  auto built = build(
      "FROM scratch AS build\nCOPY . /src\nFROM scratch\nCOPY --from=build --chown=7:8 --chmod=0500 "
      "/src/main "
      "/bin/tool\nCOPY --from=0 /src /all/\n",
      {{"main", "m"}, {"secret.key", "k"}, {".dockerignore", "*.key\n"}});
  ASSERT_TRUE(built) << built.error().message;
  const FileTree tree = root();
  EXPECT_EQ(content(tree, "bin/tool"), "m");
  EXPECT_EQ(tree.find("bin/tool")->uid, 7u);
  EXPECT_EQ(tree.find("bin/tool")->mode, 0500u);
  EXPECT_EQ(content(tree, "all/main"), "m");
  EXPECT_EQ(tree.find("all/secret.key"), nullptr);
}

TEST_F(ImageTest, RunStandsOnWhatWasCopiedAndItsChangesAreKept) {
  sandboxes.changes = [] { return tar_of({{"etc/", "", 0755}, {"etc/made", "by run"}, {".wh.gone", ""}}); };
  auto built = build(
      "FROM scratch\nCOPY gone /gone\nENV PATH=/bin X=1\nARG Y=2\nWORKDIR /work\nUSER app\nRUN make all\nRUN "
      "[\"/bin/x\", \"y\"]\n",
      {{"gone", "soon"}});
  ASSERT_TRUE(built) << built.error().message;
  ASSERT_EQ(sandboxes.ran.size(), 2u);
  EXPECT_EQ(sandboxes.ran[0].argv, (std::vector<std::string>{"/bin/sh", "-c", "make all"}));
  EXPECT_EQ(sandboxes.ran[0].environment, (std::vector<std::string>{"Y=2", "PATH=/bin", "X=1"}));
  EXPECT_EQ(sandboxes.ran[0].folder, "/work");
  EXPECT_EQ(sandboxes.ran[0].user, "app");
  EXPECT_EQ(sandboxes.ran[1].argv, (std::vector<std::string>{"/bin/x", "y"}));
  EXPECT_EQ(sandboxes.layers[0], 1u);
  const FileTree tree = root();
  EXPECT_EQ(content(tree, "etc/made"), "by run");
  EXPECT_EQ(tree.find("gone"), nullptr);
  EXPECT_NE(log.find("building"), std::string::npos);
}

TEST_F(ImageTest, FailuresNameTheLine) {
  EXPECT_EQ(build("FROM scratch\nCOPY nothing /x\n", {}).error().message,
            "Dockerfile:2: COPY: nothing is not in the workspace (or .dockerignore leaves it out)");
  sandboxes.status = 2;
  EXPECT_EQ(build("FROM scratch\n\nRUN false\n", {}).error().message,
            "Dockerfile:3: RUN ended with status 2");
  const std::string missing = build("FROM debian:12\n", {}).error().message;
  EXPECT_TRUE(missing.starts_with("Dockerfile:1: the image debian:12 is not in this registry")) << missing;
  EXPECT_NE(missing.find("bastide image import ROOTFS.tar debian:12"), std::string::npos);
  EXPECT_EQ(build("FROM scratch\nADD a b\n", {}).error().message,
            "Dockerfile:2: ADD is not supported; COPY files, and unpack archives with RUN");
  EXPECT_TRUE(registry->images.empty());
}

TEST_F(ImageTest, ImportedRootIsABaseWhoseLinksAreFollowed) {
  ImportRequest request;
  request.account = "111122223333";
  request.region = "eu-west-1";
  request.repository = "debian";
  request.tag = "12";
  request.rootfs =
      tar_of({{"./usr/bin/", "", 0755}, {"./bin", "", 0777, "usr/bin"}, {"./usr/bin/sh", "shell", 0755}});
  loop.run([&] {
    auto imported = import_rootfs(*registry, *blobs, folder, std::move(request));
    ASSERT_TRUE(imported) << imported.error().message;
  });
  auto built = build("FROM 127.0.0.1:4566/debian:12\nCOPY tool /bin/\n", {{"tool", "t", 0755}});
  ASSERT_TRUE(built) << built.error().message;
  const FileTree tree = root();
  EXPECT_EQ(content(tree, "usr/bin/tool"), "t");
  EXPECT_EQ(tree.find("bin")->type, TreeEntry::Type::symlink)
      << "a link of the base is not replaced by a folder";
  EXPECT_EQ(content(tree, "usr/bin/sh"), "shell");
}

TEST(Tree, PathsOfAnArchiveCannotLeaveIt) {
  EXPECT_EQ(clean_path("../../etc/passwd"), "etc/passwd");
  EXPECT_EQ(clean_path("/a//./b/../c/"), "a/c");
  FileTree tree(Spool::open("/tmp").value());
  const sys::Fd fd = tar_of({{"a", "", 0777, "/b/../../c"}, {"loop", "", 0777, "loop"}});
  ASSERT_TRUE(tree.read_archive(fd.get(), true));
  EXPECT_EQ(tree.resolve("a/x").value(), "c/x");
  EXPECT_FALSE(tree.resolve("loop/x"));
}

}  // namespace
}  // namespace bastide::delivery
