// The memory layer: S3-FIFO (a small queue for newcomers, a main one, and a memory of keys that left the
// small one), so that a scan over many things once does not push out what is asked for again and again.
// On the loop's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "edge/object.h"

namespace bastide::edge {

class MemoryCache {
 public:
  explicit MemoryCache(int64_t max_bytes) : max_bytes_(max_bytes) {}
  std::shared_ptr<Object> find(std::string_view key);
  void put(std::shared_ptr<Object> object);  // under its key; replaces
  void erase(std::string_view key);
  int64_t bytes() const { return small_bytes_ + main_bytes_; }
  size_t count() const { return items_.size(); }
  int64_t evicted() const { return evicted_; }

 private:
  struct Item {
    std::shared_ptr<Object> object;
    int64_t cost = 0;
    uint8_t asked = 0;  // at most 3
    bool main = false;
  };
  using Queue = std::list<Item>;
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  void make_room();
  void evict_small();
  void evict_main();
  void remember(size_t hash);

  const int64_t max_bytes_;
  Queue small_, main_;  // the oldest is at the front
  int64_t small_bytes_ = 0, main_bytes_ = 0, evicted_ = 0;
  std::unordered_map<std::string, Queue::iterator, Hash, std::equal_to<>> items_;
  std::unordered_set<size_t> ghosts_;
  std::deque<size_t> ghost_order_;
};

}  // namespace bastide::edge
