#include "cli/preview_text.h"

#include <fmt/format.h>

#include <map>

#include "base/bytes.h"
#include "cli/table.h"

namespace bastide::cli {
namespace {

constexpr size_t kMaxValue = 200;  // bytes of a property's value that are shown

std::string cut(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text.size() > kMaxValue ? text.substr(0, kMaxValue) + "..." : text;
}

std::string line_of(const architecture::PlannedChange& c) {
  std::string what = c.type + " " + c.logical;
  std::string why = join(c.why, ", ");
  if (c.action == "add") return "  " + green("+ add     " + what);
  if (c.action == "import")
    return "  " + green("< import  " + what) + (c.physical.empty() ? "" : dim("  " + c.physical));
  if (c.action == "delete") {
    return "  " +
           (c.kept ? yellow("- forget  " + what) + "  it is retained: what stands stays"
                   : red("- delete  " + what)) +
           (c.physical.empty() ? "" : dim("  " + c.physical));
  }
  if (c.action == "replace") {
    return "  " + red(fmt::format("! REPLACE {}{}", what, c.perhaps ? " (perhaps)" : "")) + "  " +
           red(why.empty() ? "its type changes" : why) + (c.physical.empty() ? "" : dim("  " + c.physical));
  }
  return "  " + yellow("~ change  " + what) + (why.empty() ? "" : "  " + why);
}

}  // namespace

std::string text_of(const std::vector<architecture::DriftedResource>& drift) {
  std::string out, last;
  for (const auto& d : drift) {
    const std::string stack = d.account + "/" + d.stack;
    if (stack != last) out += bold(stack) + "\n";
    last = stack;
    out += "  " + red((d.status == "DELETED" ? "x gone    " : "~ drifted ") + d.type + " " + d.logical) +
           (d.physical.empty() ? "" : dim("  " + d.physical)) + "\n";
    for (const auto& p : d.properties) {
      if (p.kind == "ADD") {
        out +=
            fmt::format("      {} is there, and the template does not have it: {}\n", p.path, cut(p.actual));
      } else if (p.kind == "REMOVE") {
        out += fmt::format("      {} is missing: {}\n", p.path, cut(p.expected));
      } else {
        out += fmt::format("      {}: is {}, should be {}\n", p.path, cut(p.actual), cut(p.expected));
      }
    }
  }
  return out;
}

std::string text_of(const architecture::Preview& p) {
  std::string out;
  for (const auto& name : p.new_accounts) out += green("+ account " + name) + "\n";
  for (const auto& name : p.left_accounts)
    out +=
        yellow(fmt::format("  account {} is not in the file any more: it stays with what it holds, until "
                           "'bastide destroy --account {}'\n",
                           name, name));
  std::map<std::string, int> counts;
  size_t same = 0;
  for (const auto& s : p.stacks) {
    if (s.action == "none") {
      ++same;
      continue;
    }
    out += bold(s.account + "/" + s.name) +
           (s.action == "create"   ? green("  new")
            : s.action == "delete" ? red("  delete")
                                   : "") +
           (s.reason.empty() ? "" : "  " + yellow(cut(s.reason))) + "\n";
    for (const auto& c : s.changes) {
      ++counts[c.action];
      out += line_of(c) + "\n";
    }
  }
  if (!p.drift.empty())
    out += "\n" + bold("Drift") + ": these were changed beside their templates\n" + text_of(p.drift);
  if (p.clean())
    return out + fmt::format("No changes: {} stacks are as the file says, and nothing has drifted.\n", same);
  std::vector<std::string> parts;
  for (const auto& [action, word] : {std::pair{"add", "to add"},
                                     {"change", "to change"},
                                     {"replace", "to REPLACE"},
                                     {"delete", "to delete"},
                                     {"import", "to import"}}) {
    if (counts[action] > 0) parts.push_back(fmt::format("{} {}", counts[action], word));
  }
  if (!p.drift.empty()) parts.push_back(fmt::format("{} drifted", p.drift.size()));
  if (same > 0) parts.push_back(fmt::format("{} stacks unchanged", same));
  return out + "\n" + (parts.empty() ? "Only outputs or states of stacks change" : join(parts, ", ")) + ".\n";
}

}  // namespace bastide::cli
