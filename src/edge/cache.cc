#include "edge/cache.h"

#include "edge/ask.h"

namespace bastide::edge {
namespace {
constexpr size_t kMaxAlone = 20'000;
constexpr int kMarker = 1;  // the status of an object that only says by what its variants vary
}  // namespace

Cache::Cache(const std::string& folder, CacheLimits limits)
    : memory_(limits.memory_bytes), disk_(std::make_shared<DiskCache>(folder, limits.disk_bytes)) {}

Result<void> Cache::start() { return disk_->start(); }
void Cache::stop() { disk_->stop(); }

std::shared_ptr<Object> Cache::look(const std::string& key) {
  if (auto found = memory_.find(key)) return found;
  if (!disk_->may_have(key)) return nullptr;
  auto loaded = disk_->load(key);
  if (!loaded) return nullptr;
  if (auto newer = memory_.find(key)) return newer;  // it came while the disk was read
  memory_.put(loaded);
  return loaded;
}

std::shared_ptr<Object> Cache::find(const std::string& key, const std::vector<Field>& fields) {
  auto found = look(key);
  if (!found || found->head.status != kMarker) return found;
  return look(variant_key(key, found->head.vary, fields));
}

std::string Cache::key_of(const std::string& key, const Stored& head, const std::vector<Field>& fields) {
  return head.vary.empty() ? key : variant_key(key, head.vary, fields);
}

void Cache::mark(const std::string& key, const Stored& head) {
  auto known = memory_.find(key);
  if (known && known->head.status == kMarker && known->head.vary == head.vary) return;
  auto marker = std::make_shared<Object>();
  marker->key = key;
  marker->head.status = kMarker;
  marker->head.vary = head.vary;
  marker->body = std::make_shared<Body>(std::string());
  memory_.put(marker);
  disk_->save(marker);
}

void Cache::put(const std::string& key, const std::shared_ptr<Object>& object,
                const std::vector<Field>& fields) {
  object->key = key_of(key, object->head, fields);
  if (object->key != key) mark(key, object->head);
  memory_.put(object);
  disk_->save(object);
}

void Cache::put_spooled(const std::shared_ptr<Object>& object) { memory_.put(object); }

void Cache::erase(const std::shared_ptr<Object>& object) {
  auto current = memory_.find(object->key);
  if (current && current != object) return;
  memory_.erase(object->key);
  disk_->erase(object->key);
}

void Cache::forget(const std::string& key) {
  memory_.erase(key);
  disk_->erase(key);
}

std::shared_ptr<Fill> Cache::filling(const std::string& key) {
  auto found = fills_.find(key);
  return found == fills_.end() ? nullptr : found->second;
}

bool Cache::goes_alone(const std::string& key, Millis now) {
  auto found = alone_.find(key);
  if (found == alone_.end()) return false;
  if (found->second > now) return true;
  alone_.erase(found);
  return false;
}

void Cache::set_alone(const std::string& key, Millis until) {
  if (alone_.size() >= kMaxAlone) alone_.clear();
  alone_[key] = until;
}

}  // namespace bastide::edge
