// The git repositories of the apps: bare, under the home, touched by git alone (hooks off, no system or user
// configuration). Blocking: call through net::offload.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sys/fd.h"
#include "sys/process.h"

namespace bastide::delivery {

class Repository {
 public:
  // `folder`: <home>/repositories/<app>.git; made where it is missing, with `branch` as its HEAD.
  static Result<Repository> open(const std::string& folder, const std::string& branch);

  const std::string& folder() const { return folder_; }
  // A full sha of a commit; "NotFound" otherwise. `name`: sha, branch or tag (annotated tags are peeled).
  Result<std::string> commit_of(const std::string& name) const;
  Result<std::string> subject(const std::string& commit) const;     // its first line
  Result<int64_t> committed_at(const std::string& commit) const;    // seconds
  Result<sys::Fd> archive(const std::string& commit) const;         // a tar, in an unlinked file, at its start
  Result<std::string> read_file(const std::string& commit, const std::string& path, size_t max_bytes) const;
  // Paths of the regular files below a folder of the commit, as the commit has them.
  Result<std::vector<std::string>> files(const std::string& commit, const std::string& folder) const;

  // The git command with this repository's safe settings.
  sys::Command command(std::vector<std::string> arguments) const;

 private:
  explicit Repository(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
};

}  // namespace bastide::delivery
