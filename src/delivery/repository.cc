#include "delivery/repository.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/bytes.h"
#include "sys/file.h"

namespace bastide::delivery {

Result<Repository> Repository::open(const std::string& folder, const std::string& branch) {
  Repository repository(folder);
  if (!sys::exists(folder + "/HEAD")) {
    TRY(sys::make_folders(folder));
    auto init = repository.command({"init", "--quiet", "--bare", "--initial-branch", branch, folder});
    TRY(sys::run_ok(init));
  }
  return repository;
}

sys::Command Repository::command(std::vector<std::string> arguments) const {
  sys::Command c;
  c.argv = {"git",
            "-c", "core.hooksPath=/dev/null",
            "-c", "safe.directory=*",
            "-c", "receive.fsckObjects=true",
            "-c", "receive.maxInputSize=2g",
            "-c", "receive.autogc=false",
            "-c", "protocol.allow=never",
            "-c", "uploadpack.allowFilter=true"};
  c.argv.insert(c.argv.end(), arguments.begin(), arguments.end());
  c.inherit_env = false;
  c.env = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1",
           "GIT_DIR=" + folder_,                "LC_ALL=C.UTF-8",    "GIT_TERMINAL_PROMPT=0"};
  return c;
}

Result<std::string> Repository::commit_of(const std::string& name) const {
  auto found = sys::run(command({"rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}"}));
  if (!found) return std::move(found).error();
  const std::string sha(trim(found->output));
  if (found->status != 0 || sha.size() != 40) return error("NotFound", "no commit '" + name + "' in this repository");
  return sha;
}

Result<std::string> Repository::subject(const std::string& commit) const {
  return std::string(trim(TRY(sys::run_ok(command({"log", "-1", "--format=%s", commit})))));
}

Result<int64_t> Repository::committed_at(const std::string& commit) const {
  const std::string text = TRY(sys::run_ok(command({"log", "-1", "--format=%ct", commit})));
  return parse_int(trim(text));
}

Result<sys::Fd> Repository::archive(const std::string& commit) const {
  sys::Fd file(::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) return sys::system_error("temporary file in " + folder_);
  auto c = command({"archive", "--format=tar", commit});
  c.output_fd = file.get();
  TRY(sys::run_ok(c));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return sys::system_error("lseek");
  return file;
}

Result<std::string> Repository::read_file(const std::string& commit, const std::string& path, size_t max_bytes) const {
  auto c = command({"cat-file", "blob", commit + ":" + path});
  c.max_output = max_bytes + 1;
  auto content = TRY(sys::run(c));
  if (content.status != 0) return error("NotFound", path + " is not in commit " + commit.substr(0, 12));
  if (content.output.size() > max_bytes) return error("TooLarge", path + " is too large");
  return std::move(content.output);
}

Result<std::vector<std::string>> Repository::files(const std::string& commit, const std::string& folder) const {
  auto c = command({"ls-tree", "-r", "-z", commit, "--", folder + "/"});
  auto listed = TRY(sys::run(c));
  if (listed.status != 0) return error("NotFound", folder + " is not in commit " + commit.substr(0, 12));
  std::vector<std::string> out;
  for (const auto line : split(listed.output, '\0')) {
    const auto tab = line.find('\t');
    if (tab != std::string_view::npos && line.starts_with("100")) out.emplace_back(line.substr(tab + 1));
  }
  return out;
}

}  // namespace bastide::delivery
