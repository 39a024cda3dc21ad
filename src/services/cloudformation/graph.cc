#include <map>
#include <memory>

#include "net/loop.h"
#include "services/cloudformation/engine.h"

namespace bastide::services::cfn {
namespace {
constexpr size_t kSideBySide = 24;
}

void run_graph(std::vector<Node> nodes, const std::function<bool(const std::string&)>& f) {
  std::map<std::string, std::set<std::string>> waiting;
  for (auto& n : nodes) waiting[n.id] = std::move(n.after);
  for (auto& [id, after] : waiting) {
    std::erase_if(after, [&](const std::string& a) { return waiting.count(a) == 0 || a == id; });
  }
  bool failed = false;
  auto finish = [&](const std::string& id, bool ok) {
    failed = failed || !ok;
    for (auto& [other, after] : waiting) after.erase(id);
  };
  auto next = [&]() -> std::string {
    for (auto& [id, after] : waiting) {
      if (after.empty()) return id;
    }
    return "";
  };
  if (!net::in_fiber()) {
    for (std::string id; !failed && !(id = next()).empty();) {
      waiting.erase(id);
      finish(id, f(id));
    }
    return;
  }
  // The fibers end before this frame does, so they may hold it by reference.
  size_t running = 0;
  net::Event changed;
  while (true) {
    for (std::string id; !failed && running < kSideBySide && !(id = next()).empty();) {
      waiting.erase(id);
      ++running;
      net::spawn([&, id] {
        const bool ok = f(id);
        finish(id, ok);
        --running;
        changed.set();
      });
    }
    if (running == 0) return;
    changed.wait();
  }
}

}  // namespace bastide::services::cfn
