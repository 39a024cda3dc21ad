#include "cli/live.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/table.h"

namespace bastide::cli {
namespace {

std::string mark(const std::string& state) {
  if (state == "done") return green("+");
  if (state == "unchanged") return dim("=");
  if (state == "failed") return red("x");
  if (state == "deleted") return green("-");
  return yellow(".");
}

}  // namespace

LiveTree::LiveTree(std::string region) : region_(std::move(region)), terminal_(colours(1)) {}

void LiveTree::step(const std::string& account, const std::string& what, const std::string& state, const std::string& reason) {
  auto found = std::find_if(accounts_.begin(), accounts_.end(), [&](const auto& a) { return a.first == account; });
  if (found == accounts_.end()) found = accounts_.insert(accounts_.end(), {account, {}});
  auto& items = found->second;
  auto item = std::find_if(items.begin(), items.end(), [&](const Item& i) { return i.what == what; });
  const Millis now = Clock::system().steady();
  if (item == items.end()) item = items.insert(items.end(), Item{what, "", "", now, 0});
  if (item->state == state && item->reason == reason) return;
  item->state = state;
  item->reason = reason;
  item->took = now - item->since;
  changed_ |= state == "done";
  if (terminal_) {
    draw();
  } else if (state != "making") {
    std::printf("%-16s %-10s %-44s %s%s%s\n", account.c_str(), region_.c_str(), what.c_str(), state.c_str(),
                item->took >= 100 ? (" " + human_duration(item->took)).c_str() : "", reason.empty() ? "" : (": " + reason).c_str());
    std::fflush(stdout);
  }
}

void LiveTree::tick() {
  if (!terminal_ || Clock::system().steady() < drawn_ + 500) return;
  for (auto& [account, items] : accounts_) {
    for (Item& i : items) {
      if (i.state == "making" || i.state == "deleting") i.took = Clock::system().steady() - i.since;
    }
  }
  draw();
}

void LiveTree::draw() {
  drawn_ = Clock::system().steady();
  winsize size{};
  const size_t rows = ::ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_row > 4 ? size.ws_row - 2u : 40u;
  std::vector<std::string> lines;
  for (const auto& [account, items] : accounts_) {
    lines.push_back(bold(account) + dim("  " + region_));
    for (const Item& i : items) {
      lines.push_back(fmt::format("  {} {}{}{}", mark(i.state), i.what, i.took >= 100 ? dim("  " + human_duration(i.took)) : "",
                                  i.reason.empty() ? "" : red("  " + i.reason)));
    }
  }
  if (lines.size() > rows) lines.erase(lines.begin(), lines.end() - static_cast<ptrdiff_t>(rows));
  std::string out = lines_drawn_ ? fmt::format("\033[{}A", lines_drawn_) : "";
  for (const auto& line : lines) out += "\033[2K" + line + "\n";
  lines_drawn_ = std::max(lines_drawn_, lines.size());
  for (size_t i = lines.size(); i < lines_drawn_; ++i) out += "\033[2K\n";
  std::fputs(out.c_str(), stdout);
  std::fflush(stdout);
}

void LiveTree::finish() {
  if (terminal_) draw();
  std::printf("\n");
}

}  // namespace bastide::cli
