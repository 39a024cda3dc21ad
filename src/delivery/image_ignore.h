// .dockerignore: which files of the workspace are not part of the context.
// https://docs.docker.com/build/concepts/context/#dockerignore-files
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bastide::delivery {

class Ignore {
 public:
  Ignore() = default;
  explicit Ignore(std::string_view text);
  bool ignores(std::string_view path) const;  // relative, without a leading slash

 private:
  struct Rule {
    std::vector<std::string> parts;
    bool keep = false;
  };
  std::vector<Rule> rules_;
};

// One path component against *, ? and [a-z]; used by COPY too.
bool matches_component(std::string_view pattern, std::string_view text);

}  // namespace bastide::delivery
