// Reads maps of a YAML tree key by key, and tells every mistake with file, line, column, what was expected,
// and the key that was probably meant. Collects up to 20 mistakes.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "yaml/yaml.h"

namespace bastide::architecture {

class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  using Keys = std::vector<std::pair<std::string, std::function<void(const yaml::Node&)>>>;
  // A map with these keys; each is handed its value.
  void map(const yaml::Node& node, const std::string& what, const Keys& keys,
           const std::vector<std::string>& required = {});
  // A map of names that the file chooses.
  void names(const yaml::Node& node, const std::string& what,
             const std::function<void(const std::string& name, const yaml::Mark& mark,
                                      const yaml::Node& value)>& each);
  std::function<void(const yaml::Node&)> text(std::string& out, const std::string& what);
  std::function<void(const yaml::Node&)> flag(bool& out, const std::string& what);
  std::function<void(const yaml::Node&)> number(int& out, const std::string& what, int low, int high);
  std::vector<std::string> texts(const yaml::Node& node, const std::string& what);

  void wrong(const yaml::Mark& mark, const std::string& what);
  Result<void> result() const;  // all mistakes, a line each

 private:
  std::string file_;
  std::vector<std::string> mistakes_;
};

}  // namespace bastide::architecture
