// One stage of a Dockerfile while it is executed: configuration, layers, and the root filesystem as a tree.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "delivery/image_dockerfile.h"
#include "delivery/image_layer.h"
#include "delivery/image_tree.h"
#include "delivery/image_words.h"

namespace bastide::delivery {

struct StageState {
  json::Value config = json::object();  // the "config" member of an image configuration
  json::Array history;
  std::vector<Layer> layers;
  std::optional<FileTree> tree;  // read when a step needs it
  std::vector<std::pair<std::string, std::string>> environment;
  std::map<std::string, std::string> arguments;
  std::vector<std::string> shell = {"/bin/sh", "-c"};
  bool has_command = false;  // of this stage, not of its base

  static StageState from_config(const json::Value& image_config);
  Lookup lookup() const;  // environment over arguments
  void set_environment(const std::string& name, const std::string& value);
  std::string working_folder() const;              // absolute
  json::Value image_config(Millis created) const;  // the whole configuration
};

// Does what changes the configuration alone; false: the instruction is another one. Errors without file and
// line.
Result<bool> configure(StageState& stage, const Instruction& instruction, char escape,
                       const std::function<void(std::string)>& warn);

struct CopyPlan {
  std::vector<std::string> sources;
  std::string destination;  // as written
  uint32_t uid = 0, gid = 0;
  std::optional<uint32_t> mode;
};
// Copies from one tree into another; what is new is put into `layer` too, with its parents.
Result<void> copy_files(const FileTree& from, FileTree& to, FileTree& layer, const CopyPlan& plan,
                        const std::string& working_folder);
// Makes a folder and its parents in both, where missing; the real path.
Result<std::string> make_folder(FileTree& to, FileTree& layer, const std::string& path);
// "user", "uid", "user:group", ...: by the image's /etc/passwd and /etc/group.
Result<std::pair<uint32_t, uint32_t>> owner_of(const FileTree& tree, const std::string& text);

}  // namespace bastide::delivery
