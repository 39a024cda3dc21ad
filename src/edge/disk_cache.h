// The disk layer: a file an object, named by the hash of its key, written beside and renamed, so that a crash
// leaves whole files or none. A checksum covers head and body (bodies up to kWhole), and is checked when the
// file is read; what fails is removed. The index is rebuilt from the folder at start. On the loop's thread;
// files are touched on worker threads.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "edge/object.h"

namespace bastide::edge {

class DiskCache : public std::enable_shared_from_this<DiskCache> {
 public:
  static constexpr int64_t kWhole = 4 << 20;  // bodies up to this are read into memory as a whole

  DiskCache(std::string folder, int64_t max_bytes) : folder_(std::move(folder)), max_bytes_(max_bytes) {}
  Result<void> start();  // waits: reads the folder, begins the fiber that writes
  void stop();

  bool may_have(const std::string& key) const;
  std::shared_ptr<Object> load(const std::string& key);  // waits; nothing where it is not there, or damaged
  void save(std::shared_ptr<Object> object);             // soon; dropped where too much waits already
  void erase(const std::string& key);
  void flush();  // waits until what was saved is in files

  // For a body that is too large for memory: a nameless start of its file, with the head in it.
  struct Spool {
    sys::Fd file;
    std::string path;
    int64_t body_offset = 0;
  };
  Result<Spool> spool(const std::string& key, const Stored& head);              // waits
  Result<void> keep(const Spool& spool, const std::string& key, int64_t size);  // waits: the body is complete
  void drop(const Spool& spool);                                                // waits

  int64_t bytes() const { return bytes_; }
  size_t count() const { return index_.size(); }
  int64_t max_bytes() const { return max_bytes_; }

 private:
  struct Item {
    std::string name;
    int64_t size = 0;
    bool asked = false;
  };
  using Queue = std::list<Item>;
  std::string path_of(const std::string& name) const;
  void add(const std::string& name, int64_t size);
  void forget(const std::string& name);
  void make_room();
  void write_all();

  const std::string folder_;
  const int64_t max_bytes_;
  int64_t bytes_ = 0, waiting_bytes_ = 0, temporary_ = 0;
  Queue order_;  // the oldest is at the front
  std::unordered_map<std::string, Queue::iterator> index_;
  std::deque<std::shared_ptr<Object>> waiting_;
  net::Event wake_, written_;
  bool stopped_ = false, writing_ = false, running_ = false;
};

}  // namespace bastide::edge
