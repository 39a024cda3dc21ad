// The repository a team works in: made from an app's source folder by `up`, with its remote and credential helper.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"

namespace bastide::cli {

struct WorkRepository {
  std::string path;
  bool made = false;       // now, from the source folder
  std::string head;        // commit
};

// `source` itself where it is a repository of its own; else a copy of it in `folder` with a first commit, in which every
// "encrypt-at-up::VALUE" of a file config/ENV.json has become what `encrypt(ENV, VALUE)` gives.
Result<WorkRepository> prepare_work_repository(
    const std::string& source, const std::string& folder, const std::string& branch, const std::string& remote,
    const std::string& helper, const std::function<Result<std::string>(const std::string& env, const std::string& value)>& encrypt);

}  // namespace bastide::cli
