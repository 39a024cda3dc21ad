#include "edge/memory_cache.h"

#include <algorithm>

namespace bastide::edge {
namespace {
constexpr int64_t kItemOverhead = 512;
constexpr int64_t kOpenFile = 512 << 10;  // a descriptor is dear too
int64_t cost_of(const Object& o) {
  return kItemOverhead + static_cast<int64_t>(o.key.size() * 2 + o.head.fields.size()) +
         (!o.body             ? 0
          : o.body->is_file() ? kOpenFile
                              : o.body->size());
}
}  // namespace

std::shared_ptr<Object> MemoryCache::find(std::string_view key) {
  auto found = items_.find(key);
  if (found == items_.end()) return nullptr;
  auto& item = *found->second;
  item.asked = static_cast<uint8_t>(std::min(3, item.asked + 1));
  return item.object;
}

void MemoryCache::put(std::shared_ptr<Object> object) {
  const auto cost = cost_of(*object);
  auto found = items_.find(object->key);
  if (found != items_.end()) {
    auto& item = *found->second;
    (item.main ? main_bytes_ : small_bytes_) += cost - item.cost;
    item.cost = cost;
    item.object = std::move(object);
    make_room();
    return;
  }
  if (cost > max_bytes_ / 8) return;  // one thing must not push out everything
  const auto hash = Hash()(object->key);
  Item item;
  item.cost = cost;
  item.main = ghosts_.erase(hash) > 0;
  item.object = std::move(object);
  auto& queue = item.main ? main_ : small_;
  (item.main ? main_bytes_ : small_bytes_) += cost;
  queue.push_back(std::move(item));
  items_.emplace(queue.back().object->key, std::prev(queue.end()));
  make_room();
}

void MemoryCache::erase(std::string_view key) {
  auto found = items_.find(key);
  if (found == items_.end()) return;
  auto at = found->second;
  items_.erase(found);
  (at->main ? main_bytes_ : small_bytes_) -= at->cost;
  (at->main ? main_ : small_).erase(at);
}

void MemoryCache::make_room() {
  while (bytes() > max_bytes_ && !items_.empty()) {
    if (!small_.empty() && (small_bytes_ > max_bytes_ / 10 || main_.empty()))
      evict_small();
    else
      evict_main();
  }
}

void MemoryCache::evict_small() {
  auto at = small_.begin();
  small_bytes_ -= at->cost;
  if (at->asked > 0) {  // asked for again: it stays
    at->asked = 0;
    at->main = true;
    main_bytes_ += at->cost;
    main_.splice(main_.end(), small_, at);
    return;
  }
  remember(Hash()(at->object->key));
  items_.erase(items_.find(std::string_view(at->object->key)));
  small_.erase(at);
  ++evicted_;
}

void MemoryCache::evict_main() {
  auto at = main_.begin();
  if (at->asked > 0) {
    --at->asked;
    main_.splice(main_.end(), main_, at);
    return;
  }
  main_bytes_ -= at->cost;
  items_.erase(items_.find(std::string_view(at->object->key)));
  main_.erase(at);
  ++evicted_;
}

void MemoryCache::remember(size_t hash) {
  if (!ghosts_.insert(hash).second) return;
  ghost_order_.push_back(hash);
  while (ghost_order_.size() > std::max<size_t>(1024, items_.size())) {
    ghosts_.erase(ghost_order_.front());
    ghost_order_.pop_front();
  }
}

}  // namespace bastide::edge
