// COPY and WORKDIR on trees.
#include <fmt/format.h>

#include "base/bytes.h"
#include "delivery/image_ignore.h"
#include "delivery/image_stage.h"

namespace bastide::delivery {
namespace {

constexpr size_t kMaxPasswd = 1u << 20;

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}
std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

bool has_wildcard(const std::string& text) { return text.find_first_of("*?[") != std::string::npos; }

void expand_into(const FileTree& from, const std::string& at, const std::vector<std::string>& parts, size_t i,
                 std::vector<std::string>& out) {
  if (i == parts.size()) {
    out.push_back(at);
    return;
  }
  if (!has_wildcard(parts[i])) {
    const std::string next = join_path(at, parts[i]);
    auto real = from.resolve(next);
    if (real && (from.find(next) || from.is_folder(next))) expand_into(from, next, parts, i + 1, out);
    return;
  }
  if (!from.is_folder(at)) return;
  auto real = from.resolve(at);
  if (!real) return;
  for (const auto& name : from.children(real.value())) {
    if (matches_component(parts[i], name)) expand_into(from, join_path(at, name), parts, i + 1, out);
  }
}

// A hard link becomes the file that it names.
TreeEntry as_file(const FileTree& from, const TreeEntry& entry) {
  if (entry.type != TreeEntry::Type::hard_link) return entry;
  const TreeEntry* target = from.find(entry.link);
  return target != nullptr && target->type == TreeEntry::Type::file ? *target : entry;
}

void place(FileTree& to, FileTree& layer, const std::string& path, TreeEntry entry, const CopyPlan& plan) {
  entry.uid = plan.uid;
  entry.gid = plan.gid;
  if (plan.mode && entry.type != TreeEntry::Type::symlink) entry.mode = *plan.mode;
  to.put(path, entry);
  layer.put(path, std::move(entry));
}

Result<void> copy_folder(const FileTree& from, const std::string& source, FileTree& to, FileTree& layer,
                         const std::string& target, const CopyPlan& plan) {
  const std::string base = TRY(make_folder(to, layer, target));
  const std::string prefix = source.empty() ? "" : source + "/";
  for (auto it = from.entries().lower_bound(prefix);
       it != from.entries().end() && it->first.starts_with(prefix); ++it) {
    const std::string path = join_path(base, it->first.substr(prefix.size()));
    TreeEntry entry = as_file(from, it->second);
    if (entry.type == TreeEntry::Type::folder && to.is_folder(path)) continue;
    TRY(make_folder(to, layer, parent_of(path)));
    place(to, layer, path, std::move(entry), plan);
  }
  return {};
}

// A number or a name, looked up in the third field of a file such as /etc/passwd.
Result<uint32_t> id_of(const FileTree& tree, const char* file, const std::string& text) {
  auto number = parse_int(text);
  if (number && number.value() >= 0 && number.value() <= UINT32_MAX)
    return static_cast<uint32_t>(number.value());
  const std::string path = TRY(tree.resolve(file));
  if (const TreeEntry* entry = tree.find(path)) {
    const std::string content = TRY(tree.read(*entry, kMaxPasswd));
    for (std::string_view line : split(content, '\n')) {
      const auto fields = split(line, ':');
      if (fields.size() > 2 && fields[0] == text) {
        auto id = parse_int(fields[2]);
        if (id && id.value() >= 0 && id.value() <= UINT32_MAX) return static_cast<uint32_t>(id.value());
      }
    }
  }
  return error(fmt::format("there is no {} in the image's /{}", text.substr(0, 60), file));
}

}  // namespace

Result<std::string> make_folder(FileTree& to, FileTree& layer, const std::string& path) {
  std::string at;
  for (std::string_view part : split(path, '/')) {
    if (part.empty()) continue;
    const std::string next = TRY(to.resolve(join_path(at, std::string(part))));
    if (next.empty()) {
      at = next;
      continue;
    }
    const TreeEntry* existing = to.find(next);
    TreeEntry folder;
    folder.type = TreeEntry::Type::folder;
    folder.mode = 0755;
    if (existing != nullptr) {
      if (existing->type != TreeEntry::Type::folder) {
        return error(fmt::format("/{} is not a folder in the image", next));
      }
      folder = *existing;
    }
    // A symlink may lead to a place whose own parents are missing.
    if (parent_of(next) != at && to.find(next) == nullptr) TRY(make_folder(to, layer, parent_of(next)));
    if (existing == nullptr) to.put(next, folder);
    if (layer.find(next) == nullptr) {
      // Parents keep their own owner and mode in the new layer.
      for (size_t slash = next.find('/'); slash != std::string::npos; slash = next.find('/', slash + 1)) {
        const std::string above = next.substr(0, slash);
        const TreeEntry* entry = to.find(above);
        if (layer.find(above) == nullptr && entry != nullptr) layer.put(above, *entry);
      }
      layer.put(next, folder);
    }
    at = next;
  }
  return at;
}

// https://docs.docker.com/reference/dockerfile/#copy
Result<void> copy_files(const FileTree& from, FileTree& to, FileTree& layer, const CopyPlan& plan,
                        const std::string& working_folder) {
  std::vector<std::string> sources;
  for (const auto& source : plan.sources) {
    const std::string clean = clean_path(source);
    std::vector<std::string> parts;
    for (std::string_view part : split(clean, '/')) {
      if (!part.empty()) parts.emplace_back(part);
    }
    const size_t before = sources.size();
    expand_into(from, "", parts, 0, sources);
    if (sources.size() == before) return error("NotFound", source.substr(0, 200));
  }
  const std::string& written = plan.destination;
  const bool into = written.ends_with('/') || written == "." || written.ends_with("/.");
  if (sources.size() > 1 && !into) {
    return error("with more than one source the destination must be a folder and end with /");
  }
  const std::string whole = written.starts_with('/') ? written : working_folder + "/" + written;
  const std::string destination = clean_path(whole);
  for (const auto& source : sources) {
    const std::string real = TRY(from.resolve(source));
    if (from.is_folder(real)) {
      TRY(copy_folder(from, real, to, layer, destination, plan));
      continue;
    }
    const TreeEntry* found = from.find(real);
    if (found == nullptr) return error("NotFound", source);
    const TreeEntry entry = as_file(from, *found);
    const bool inside = into || destination.empty() || to.is_folder(destination);
    const std::string folder = TRY(make_folder(to, layer, inside ? destination : parent_of(destination)));
    const std::string path = join_path(folder, inside ? name_of(source) : name_of(destination));
    place(to, layer, path, entry, plan);
  }
  return {};
}

Result<std::pair<uint32_t, uint32_t>> owner_of(const FileTree& tree, const std::string& text) {
  const size_t colon = text.find(':');
  const std::string user = text.substr(0, colon);
  const uint32_t uid = TRY(id_of(tree, "etc/passwd", user));
  if (colon == std::string::npos) return std::make_pair(uid, uid);  // as Docker does
  const uint32_t gid = TRY(id_of(tree, "etc/group", text.substr(colon + 1)));
  return std::make_pair(uid, gid);
}

}  // namespace bastide::delivery
