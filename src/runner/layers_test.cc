// Image layers come from anyone: what is unpacked must stay inside, belong to nobody on the host, and be
// bounded.
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "runner/fixture.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide::runner {
namespace {

class LayersTest : public RunnerTest {
 protected:
  // A tar of entries "TYPE NAME TARGET-OR-CONTENT UID" (types as Python's tarfile names them), put as a
  // layer.
  Result<std::string> put(const std::vector<std::string>& entries, const std::string& mode = "w:gz") {
    static constexpr const char* kMaker = R"(
import io, sys, tarfile
out = io.BytesIO()
with tarfile.open(fileobj=out, mode=sys.argv[1], format=tarfile.PAX_FORMAT) as tar:
    for line in sys.argv[2:]:
        kind, name, extra, uid = line.split(' ')
        info = tarfile.TarInfo(name)
        info.type = getattr(tarfile, kind)
        info.uid = info.gid = int(uid)
        info.mode = 0o755 if kind == 'DIRTYPE' else 0o4755
        if kind == 'REGTYPE':
            info.size = len(extra)
        else:
            info.linkname = extra
        info.devmajor, info.devminor = 1, 3
        tar.addfile(info, io.BytesIO(extra.encode()))
sys.stdout.buffer.write(out.getvalue()))";
    sys::Command command{.argv = {"python3", "-c", kMaker, mode}};
    command.argv.insert(command.argv.end(), entries.begin(), entries.end());
    const auto tar = TRY(sys::run_ok(command));
    const auto digest = "sha256:" + sha256_hex(tar);
    TRY(machine_->layers->put(digest, "application/vnd.oci.image.layer.v1.tar+gzip",
                              sys::memory_file("layer", tar, false).value()));
    return machine_->layers->tree(digest);
  }
  struct stat look(const std::string& path) {
    struct stat st {};
    EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
    return st;
  }
  size_t layers_on_disk() { return sys::list_folder(machine_->stage.disk() + "/layers")->size(); }
};

TEST_F(LayersTest, OwnersAreShiftedAndSetuidRootIsNobodyOnTheHost) {
  const auto tree = put({"DIRTYPE bin - 0", "REGTYPE bin/su program 0", "REGTYPE home/app data 1000",
                         "LNKTYPE bin/hard bin/su 0", "SYMTYPE bin/soft /etc/shadow 0"});
  ASSERT_TRUE(tree) << tree.error().message;
  EXPECT_EQ(look(*tree + "/bin/su").st_uid, kFirstUid);
  EXPECT_EQ(look(*tree + "/home/app").st_uid, kFirstUid + 1000);
  EXPECT_EQ(look(*tree + "/bin/hard").st_ino, look(*tree + "/bin/su").st_ino);
  EXPECT_TRUE(S_ISLNK(look(*tree + "/bin/soft").st_mode));
}

TEST_F(LayersTest, NothingIsWrittenOutsideItsFolder) {
  const std::string outside = home_ + "/outside";
  ASSERT_TRUE(sys::make_folders(outside));
  ::chmod(outside.c_str(), 0777);
  for (const std::string& entry :
       {std::string("REGTYPE ../../../escaped x 0"), std::string("REGTYPE a/../../../escaped x 0"),
        std::string("LNKTYPE hard ../../../../etc/passwd 0")}) {
    const auto refused = put({entry});
    ASSERT_FALSE(refused) << entry;
    EXPECT_NE(refused.error().message.find("leads out of the archive"), std::string::npos)
        << refused.error().message;
  }
  EXPECT_FALSE(put({"SYMTYPE way " + outside + " 0", "REGTYPE way/escaped x 0"}).ok() &&
               sys::exists(outside + "/escaped"));
  EXPECT_EQ(sys::list_folder(outside)->size(), 0u);
  const auto absolute = put({"REGTYPE /" + home_ + "/outside/escaped x 0"});
  ASSERT_TRUE(absolute) << absolute.error().message;
  EXPECT_TRUE(sys::exists(*absolute + home_ + "/outside/escaped"));
  EXPECT_EQ(sys::list_folder(outside)->size(), 0u);
}

TEST_F(LayersTest, DevicesAreLeftOutAndForeignOwnersRefused) {
  const auto tree =
      put({"CHRTYPE dev/null - 0", "BLKTYPE dev/disk - 0", "FIFOTYPE pipe - 0", "REGTYPE file x 0"});
  ASSERT_TRUE(tree) << tree.error().message;
  EXPECT_FALSE(sys::exists(*tree + "/dev/null"));
  EXPECT_FALSE(sys::exists(*tree + "/dev/disk"));
  EXPECT_TRUE(S_ISFIFO(look(*tree + "/pipe").st_mode));
  EXPECT_FALSE(put({"REGTYPE file x 70000"}));
}

TEST_F(LayersTest, WhiteoutsBecomeOverlayfss) {
  const auto tree = put({"REGTYPE etc/.wh.gone - 0", "DIRTYPE data - 0", "REGTYPE data/.wh..wh..opq - 0",
                         "REGTYPE data/kept x 0", "REGTYPE .wh.both - 0", "REGTYPE both x 0"});
  ASSERT_TRUE(tree) << tree.error().message;
  const auto gone = look(*tree + "/etc/gone");
  EXPECT_TRUE(S_ISCHR(gone.st_mode));
  EXPECT_EQ(gone.st_rdev, ::makedev(0, 0));
  char value = 0;
  EXPECT_EQ(::getxattr((*tree + "/data").c_str(), "user.overlay.opaque", &value, 1), 1);
  EXPECT_EQ(value, 'y');
  EXPECT_TRUE(sys::exists(*tree + "/data/kept"));
  EXPECT_TRUE(S_ISREG(look(*tree + "/both").st_mode));
}

TEST_F(LayersTest, DamagedAndFalseLayersLeaveNothing) {
  const size_t before = layers_on_disk();
  const std::string rubbish = random_bytes(4096);
  const auto digest = "sha256:" + sha256_hex(rubbish);
  EXPECT_FALSE(machine_->layers->put(digest, "", sys::memory_file("layer", rubbish, false).value()));
  const auto wrong = machine_->layers->put("sha256:" + std::string(64, 'a'), "",
                                           sys::memory_file("layer", rubbish, false).value());
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("not what its digest says"), std::string::npos);
  EXPECT_FALSE(machine_->layers->put("sha256:../../etc", "", sys::memory_file("layer", "", false).value()));
  EXPECT_FALSE(machine_->layers->put(digest, "text/html", sys::memory_file("layer", rubbish, false).value()));
  EXPECT_EQ(layers_on_disk(), before);
}

}  // namespace
}  // namespace bastide::runner
