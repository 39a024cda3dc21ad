#include "delivery/image_build.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/crypto.h"
#include "delivery/image_ignore.h"
#include "delivery/image_stage.h"
#include "net/loop.h"

namespace bastide::delivery {
namespace {

constexpr Millis kRunTimeout = 30 * kMinute;
constexpr std::string_view kDefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

class Build {
 public:
  Build(ImageRegistry& registry, Sandboxes& sandboxes, const std::string& work_folder,
        const ImageRequest& request, const std::function<void(std::string)>& say)
      : registry_(registry),
        sandboxes_(sandboxes),
        work_folder_(work_folder),
        request_(request),
        say_(say),
        who_{request.principal, request.account, request.region},
        time_(request.created * 1000) {}

  Result<std::string> run() {  // the manifest's digest
    TRY(net::offload_result([&] { return read_context(); }));
    for (const size_t i : needed_) TRY(run_stage(i));
    StageState& last = states_[needed_.back()];
    for (const auto& layer : last.layers) {
      const sys::Fd fd = TRY(registry_.open_layer(layer.digest));
      TRY(registry_.push_blob(who_, request_.repository, layer.digest, fd.get(), layer.size));
    }
    for (const auto& [name, value] : request_.arguments) {
      if (!used_arguments_.count(name))
        say_(fmt::format("build argument {} is declared nowhere in {}", name, file_.file));
    }
    return push_image(registry_, who_, request_.repository, request_.tag, last.image_config(time_),
                      last.layers);
  }

 private:
  Result<void> read_context() {
    spool_ = TRY(Spool::open(work_folder_));
    const std::string path = clean_path(request_.dockerfile.empty() ? "Dockerfile" : request_.dockerfile);
    FileTree files(spool_);
    const std::set<std::string> wanted = {path, path + ".dockerignore", ".dockerignore"};
    TRY(files.read_archive(request_.workspace.get(), true,
                           [&](const std::string& p) { return !wanted.count(p); }));
    const TreeEntry* dockerfile = files.find(path);
    if (dockerfile == nullptr || dockerfile->type != TreeEntry::Type::file) {
      return error("Dockerfile", fmt::format("there is no {} in the workspace", path));
    }
    const std::string text = TRY(files.read(*dockerfile, kMaxDockerfileBytes));
    file_ = TRY(parse_dockerfile(text, path));
    Ignore ignore;
    for (const auto& name : {path + ".dockerignore", std::string(".dockerignore")}) {
      if (const TreeEntry* entry = files.find(name)) {
        const std::string rules = TRY(files.read(*entry, kMaxDockerfileBytes));
        ignore = Ignore(rules);
        break;
      }
    }
    plan();
    context_.emplace(spool_);
    if (!uses_context_) return {};
    return context_->read_archive(request_.workspace.get(), true,
                                  [&](const std::string& p) { return ignore.ignores(p); });
  }

  std::optional<size_t> stage_index(const std::string& name, size_t before) const {
    for (size_t i = 0; i < before; ++i) {
      if (!file_.stages[i].name.empty() && file_.stages[i].name == lower(name)) return i;
    }
    auto number = parse_int(name);
    if (number && number.value() >= 0 && static_cast<size_t>(number.value()) < before) {
      return static_cast<size_t>(number.value());
    }
    return std::nullopt;
  }

  // Which stages the last one stands on, and whether contents of images are needed.
  void plan() {
    std::set<size_t> wanted = {file_.stages.size() - 1};
    for (size_t i = file_.stages.size(); i-- > 0;) {
      if (!wanted.count(i)) continue;
      if (auto base = stage_index(file_.stages[i].base, i)) wanted.insert(*base);
      for (const auto& in : file_.stages[i].instructions) {
        if (in.keyword != "COPY") continue;
        const std::string* from = in.flag("from");
        if (from == nullptr) uses_context_ = true;
        if (from != nullptr) {
          contents_ = true;
          if (auto source = stage_index(*from, i)) wanted.insert(*source);
        }
        if (const std::string* owner = in.flag("chown")) {
          contents_ = contents_ || owner->find_first_not_of("0123456789:") != std::string::npos;
        }
      }
    }
    needed_.assign(wanted.begin(), wanted.end());
    states_.resize(file_.stages.size());
  }

  Lookup global_lookup() {
    return [this](const std::string& name) -> std::optional<std::string> {
      const auto it = globals_.find(name);
      if (it == globals_.end()) return std::nullopt;
      return it->second;
    };
  }

  std::optional<std::string> given(const std::string& name) const {
    for (const auto& [key, value] : request_.arguments) {
      if (key == name) return value;
    }
    return std::nullopt;
  }

  Result<void> read_globals() {
    if (globals_read_) return {};
    globals_read_ = true;
    for (const auto& in : file_.globals) {
      auto pairs = read_pairs(in, file_.escape);
      if (!pairs) return file_.at(in.line, pairs.error().message);
      for (size_t i = 0; i < pairs.value().size(); ++i) {
        const auto& [name, text] = pairs.value()[i];
        used_arguments_.insert(name);
        if (const auto value = given(name)) {
          globals_[name] = *value;
        } else if (in.words[i].find('=') != std::string::npos) {
          auto value_text = substitute(text, file_.escape, global_lookup());
          if (!value_text) return file_.at(in.line, value_text.error().message);
          globals_[name] = std::move(value_text).value();
        }
      }
    }
    return {};
  }

  Result<void> start_stage(size_t i) {
    const Stage& stage = file_.stages[i];
    auto base = substitute(stage.base, file_.escape, global_lookup());
    if (!base) return file_.at(stage.line, base.error().message);
    say_(fmt::format("FROM {}{}", base.value(), stage.name.empty() ? "" : " AS " + stage.name));
    if (base.value().empty())
      return file_.at(stage.line, fmt::format("the base image {} is empty", stage.base));
    if (base.value() == "scratch") {
      states_[i].tree.emplace(spool_);
      return {};
    }
    if (auto earlier = stage_index(base.value(), i)) {
      states_[i] = states_[*earlier];
      states_[i].arguments.clear();
      states_[i].has_command = false;
      return {};
    }
    auto image = pull(base.value(), stage.line);
    if (!image) return std::move(image).error();
    states_[i] = StageState::from_config(image.value().config);
    states_[i].layers = image.value().layers;
    return {};
  }

  Result<PulledImage> pull(const std::string& text, int line) {
    auto name = parse_image_name(text);
    if (!name) return file_.at(line, name.error().message);
    auto image = registry_.pull(who_, name.value());
    if (image) return image;
    if (image.error().code != "NotFound") return file_.at(line, text + ": " + image.error().message);
    return file_.at(line, missing_image(text, name.value()));
  }

  Result<void> load_tree(StageState& state) {
    if (state.tree) return {};
    FileTree tree(spool_);
    for (const auto& layer : state.layers) {
      const sys::Fd fd = TRY(registry_.open_layer(layer.digest));
      TRY(net::offload_result([&] { return tree.apply_layer(fd.get(), contents_); }));
    }
    state.tree = std::move(tree);
    return {};
  }

  Result<void> run_stage(size_t i) {
    TRY(read_globals());
    TRY(start_stage(i));
    StageState& state = states_[i];
    pending_.emplace(spool_);
    for (const auto& in : file_.stages[i].instructions) {
      auto done = step(i, state, in);
      if (!done) {
        if (done.error().code == "Dockerfile") return done;
        return file_.at(in.line, done.error().message);
      }
    }
    return flush(state);
  }

  Result<void> step(size_t i, StageState& state, const Instruction& in) {
    std::string shown = in.keyword;
    for (const auto& [name, value] : in.flags) shown += fmt::format(" --{}={}", name, value);
    shown += " " + in.text;
    say_(shown.substr(0, 300));
    if (in.keyword == "ARG") TRY(declare(state, in));
    const auto warn = [&](std::string text) {
      say_(fmt::format("{}:{}: warning: {}", file_.file, in.line, text));
    };
    const bool configured = TRY(configure(state, in, file_.escape, warn));
    if (!configured) {
      if (in.keyword == "WORKDIR") {
        TRY(work_folder(state, in));
      } else if (in.keyword == "COPY") {
        TRY(copy(i, state, in));
      } else if (in.keyword == "RUN") {
        TRY(run_command(state, in));
      } else if (in.keyword == "ADD") {
        return error("ADD is not supported; COPY files, and unpack archives with RUN");
      } else {
        return error(in.keyword + " is not supported");
      }
    }
    const bool empty = in.keyword != "COPY" && in.keyword != "RUN" && in.keyword != "WORKDIR";
    json::Value entry = json::object({{"created", iso8601(time_)}, {"created_by", shown.substr(0, 4000)}});
    // COPY and WORKDIR share a layer until a RUN comes: the last of them carries it.
    if (empty || !layer_made_) entry["empty_layer"] = true;
    layer_made_ = false;
    state.history.push_back(std::move(entry));
    return {};
  }

  // What is given from outside, or as a global default, comes before the default of the ARG itself.
  Result<void> declare(StageState& state, const Instruction& in) {
    for (const auto& word : in.words) {
      const size_t equals = word.find('=');
      const std::string name = word.substr(0, equals);
      used_arguments_.insert(name);
      state.arguments.erase(name);
      if (const auto value = given(name)) {
        state.arguments[name] = *value;
      } else if (const auto it = globals_.find(name); it != globals_.end() && equals == std::string::npos) {
        state.arguments[name] = it->second;
      }
    }
    return {};
  }

  Result<void> work_folder(StageState& state, const Instruction& in) {
    const std::string text = TRY(substitute(in.text, file_.escape, state.lookup()));
    const std::string path = clean_path(text.starts_with('/') ? text : state.working_folder() + "/" + text);
    state.config["WorkingDir"] = "/" + path;
    TRY(load_tree(state));
    if (state.tree->is_folder(path)) return {};
    TRY(make_folder(*state.tree, *pending_, path));
    return {};
  }

  Result<void> copy(size_t i, StageState& state, const Instruction& in) {
    if (in.flag("parents")) return error("COPY --parents is not supported");
    if (in.words.size() < 2) return error("COPY is written COPY source... destination");
    TRY(load_tree(state));
    CopyPlan plan;
    for (const auto& word : in.words) {
      plan.sources.push_back(TRY(substitute(word, file_.escape, state.lookup())));
    }
    plan.destination = plan.sources.back();
    plan.sources.pop_back();
    if (const std::string* flag = in.flag("chown")) {
      const std::string owner = TRY(substitute(*flag, file_.escape, state.lookup()));
      const auto ids = TRY(owner_of(*state.tree, owner));
      plan.uid = ids.first;
      plan.gid = ids.second;
    }
    if (const std::string* flag = in.flag("chmod")) {
      const std::string mode = TRY(substitute(*flag, file_.escape, state.lookup()));
      if (mode.empty() || mode.size() > 5 || mode.find_first_not_of("01234567") != std::string::npos) {
        return error(fmt::format("--chmod takes octal digits such as 755, not {}", mode.substr(0, 40)));
      }
      plan.mode = static_cast<uint32_t>(std::stoul(mode, nullptr, 8)) & 07777;
    }
    const FileTree* from = &*context_;
    std::string place = "the workspace (or .dockerignore leaves it out)";
    std::optional<FileTree> image_tree;
    if (const std::string* flag = in.flag("from")) {
      const std::string name = TRY(substitute(*flag, file_.escape, global_lookup()));
      place = name;
      if (auto stage = stage_index(name, i)) {
        TRY(load_tree(states_[*stage]));
        from = &*states_[*stage].tree;
      } else {
        const PulledImage image = TRY(pull(name, in.line));
        StageState other;
        other.layers = image.layers;
        TRY(load_tree(other));
        image_tree = std::move(other.tree);
        from = &*image_tree;
      }
    }
    auto copied = net::offload_result(
        [&] { return copy_files(*from, *state.tree, *pending_, plan, state.working_folder()); });
    if (!copied && copied.error().code == "NotFound") {
      return error(fmt::format("COPY: {} is not in {}", copied.error().message, place));
    }
    return copied;
  }

  Result<void> run_command(StageState& state, const Instruction& in) {
    if (in.flag("mount")) return error("RUN --mount is not supported");
    if (in.flag("security")) return error("RUN --security is not supported");
    const std::string* network = in.flag("network");
    if (network && *network != "none" && *network != "default" && *network != "host") {
      return error("--network is none or default");
    }
    TRY(flush(state));
    layer_made_ = false;
    internal::SandboxSpec spec;
    spec.id = random_text(32, "0123456789abcdef");
    spec.account = request_.account;
    spec.workspace.clear();
    spec.network = request_.network && (!network || *network != "none");
    for (const auto& layer : state.layers) spec.layers.push_back(layer.digest);
    internal::SandboxExec exec;
    exec.id = spec.id;
    if (in.exec_form) {
      exec.argv = in.words;
    } else {
      exec.argv = state.shell;
      exec.argv.push_back(in.text);
    }
    bool has_path = false;
    for (const auto& [name, value] : state.arguments) {
      const auto shadowed = std::any_of(state.environment.begin(), state.environment.end(),
                                        [&](const auto& e) { return e.first == name; });
      if (!shadowed) exec.environment.push_back(name + "=" + value);
    }
    for (const auto& [name, value] : state.environment) {
      has_path = has_path || name == "PATH";
      exec.environment.push_back(name + "=" + value);
    }
    if (!has_path) exec.environment.emplace_back(kDefaultPath);
    exec.folder = state.working_folder();
    exec.user = state.config.get("User");
    exec.timeout = kRunTimeout;

    TRY(sandboxes_.open(spec, sys::Fd()));
    const auto inside = [&]() -> Result<sys::Fd> {
      const auto exit = TRY(sandboxes_.exec(exec, [&](std::string_view text) { say_(std::string(text)); }));
      if (exit.timed_out) return error(fmt::format("RUN did not end within {}", human_duration(kRunTimeout)));
      if (exit.status != 0) return error(fmt::format("RUN ended with status {}", exit.status));
      return sandboxes_.export_tar(spec.id, "changes");
    };
    auto changes = inside();
    TRY(sandboxes_.close(spec.id));
    if (!changes) return std::move(changes).error();
    FileTree layer(spool_);
    TRY(net::offload_result([&] { return layer.read_archive(changes.value().get(), true); }));
    if (layer.entries().empty()) return {};
    if (state.tree) TRY(net::offload_result([&] { return state.tree->apply(layer); }));
    return add_layer(state, layer);
  }

  Result<void> add_layer(StageState& state, const FileTree& tree) {
    auto written = TRY(net::offload_result([&] { return write_layer(tree, time_, work_folder_); }));
    // RUN's sandboxes and later stages read layers from the blobs.
    TRY(registry_.push_blob(who_, request_.repository, written.layer.digest, written.file.get(),
                            written.layer.size));
    state.layers.push_back(written.layer);
    layer_made_ = true;
    return {};
  }

  Result<void> flush(StageState& state) {
    if (pending_->entries().empty()) return {};
    TRY(add_layer(state, *pending_));
    pending_.emplace(spool_);
    if (!state.history.empty()) {
      for (size_t i = state.history.size(); i-- > 0;) {
        const std::string by = state.history[i].get("created_by");
        if (by.starts_with("COPY") || by.starts_with("WORKDIR")) {
          state.history[i].remove("empty_layer");
          break;
        }
      }
    }
    return {};
  }

  ImageRegistry& registry_;
  Sandboxes& sandboxes_;
  const std::string& work_folder_;
  const ImageRequest& request_;
  const std::function<void(std::string)>& say_;
  ImageRegistry::Who who_;
  Millis time_;

  std::shared_ptr<Spool> spool_;
  Dockerfile file_;
  std::optional<FileTree> context_;
  bool uses_context_ = false;
  bool contents_ = false;
  bool globals_read_ = false;
  bool layer_made_ = false;
  std::map<std::string, std::string> globals_;
  std::set<std::string> used_arguments_;
  std::vector<size_t> needed_;
  std::vector<StageState> states_;
  std::optional<FileTree> pending_;  // what COPY and WORKDIR added since the last layer
};

}  // namespace

Result<ImageResult> DockerfileBuilder::build(ImageRequest request,
                                             const std::function<void(std::string line)>& say) {
  Build build(registry_, sandboxes_, work_folder_, request, say);
  ImageResult out;
  out.digest = TRY(build.run());
  const ImageRegistry::Who who{request.principal, request.account, request.region};
  out.uri = TRY(image_uri(client_, who, request.repository, out.digest));
  return out;
}

}  // namespace bastide::delivery
