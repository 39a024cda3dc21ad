// The cache of an edge: memory over disk, the answers that are being fetched (so that many who ask wait for
// one request), and what must go to the origin without a queue. On the loop's thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "edge/disk_cache.h"
#include "edge/head.h"
#include "edge/memory_cache.h"

namespace bastide::edge {

// An answer that somebody is fetching. Its object comes with the head; the body may follow.
struct Fill {
  net::Event ready;  // object or failure is there, or a later state of it
  std::shared_ptr<Object> object;
  bool done = false;   // object, or failed: nothing more will be decided
  bool alone = false;  // the answer is for one reader
  std::string failed;  // why there is no object
  int failed_status = 502;
  const char* failed_layer = "origin";
  bool validated = false;  // the object was there before, and the origin said that it still holds
  bool stale = false;      // the object stands in for an origin that failed
};

struct CacheLimits {
  int64_t memory_bytes = 128 << 20;
  int64_t disk_bytes = 4LL << 30;
};

class Cache {
 public:
  Cache(const std::string& folder, CacheLimits limits);
  Result<void> start();  // waits
  void stop();

  // The variant that this request selects, wherever it lies. Waits where it is on disk.
  std::shared_ptr<Object> find(const std::string& key, const std::vector<Field>& fields);
  // Complete, in memory. `key` is the request's; the object's own becomes the variant's.
  void put(const std::string& key, const std::shared_ptr<Object>& object, const std::vector<Field>& fields);
  std::string key_of(const std::string& key, const Stored& head, const std::vector<Field>& fields);
  void put_spooled(const std::shared_ptr<Object>& object);  // its file was kept
  void erase(const std::shared_ptr<Object>& object);
  void forget(const std::string& key);  // every variant

  std::shared_ptr<Fill> filling(const std::string& key);
  void begin(const std::string& key, std::shared_ptr<Fill> fill) { fills_[key] = std::move(fill); }
  void end(const std::string& key) { fills_.erase(key); }
  bool goes_alone(const std::string& key, Millis now);  // its last answer was nobody else's
  void set_alone(const std::string& key, Millis until);

  MemoryCache& memory() { return memory_; }
  DiskCache& disk() { return *disk_; }

 private:
  std::shared_ptr<Object> look(const std::string& key);
  void mark(const std::string& key, const Stored& head);
  MemoryCache memory_;
  std::shared_ptr<DiskCache> disk_;
  std::unordered_map<std::string, std::shared_ptr<Fill>> fills_;
  std::unordered_map<std::string, Millis> alone_;
};

}  // namespace bastide::edge
