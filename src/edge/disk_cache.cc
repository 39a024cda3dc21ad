#include "edge/disk_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "sys/file.h"

namespace bastide::edge {
namespace {

// magic, length of the head, checksum of the head, checksum of the body (0: not kept); then head, then body.
constexpr std::string_view kMagic = "BCDN0001";
constexpr size_t kPrefix = 8 + 4 + 4 + 4;
constexpr size_t kMaxHead = 256u << 10;
constexpr int64_t kMaxWaiting = 64 << 20;

std::string name_of(const std::string& key) { return sha256_hex(key).substr(0, 32); }

uint32_t checksum(std::string_view bytes, uint32_t before = 0) {
  return static_cast<uint32_t>(
      ::crc32(before, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

void put32(std::string& out, uint32_t n) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(n >> (8 * i));
}
uint32_t get32(const char* p) {
  uint32_t n = 0;
  for (int i = 3; i >= 0; --i) n = n << 8 | static_cast<unsigned char>(p[i]);
  return n;
}

std::string prefix_of(const std::string& key, const Stored& head, uint32_t body_checksum) {
  auto text = json::print(json::object({{"key", key}, {"head", to_json(head)}}));
  std::string out(kMagic);
  put32(out, static_cast<uint32_t>(text.size()));
  put32(out, checksum(text));
  put32(out, body_checksum);
  out += text;
  return out;
}

Result<std::shared_ptr<Object>> read_object(const std::string& path, const std::string& key) {
  auto fd = TRY(sys::open_read(path));
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return sys::system_error("stat of a cached file");
  char prefix[kPrefix];
  if (::pread(fd.get(), prefix, kPrefix, 0) != static_cast<ssize_t>(kPrefix) ||
      std::string_view(prefix, 8) != kMagic)
    return error("Invalid", "not a cached file");
  const size_t head_size = get32(prefix + 8);
  if (head_size > kMaxHead) return error("Invalid", "a cached head that is too large");
  std::string text(head_size, '\0');
  if (::pread(fd.get(), text.data(), head_size, kPrefix) != static_cast<ssize_t>(head_size) ||
      checksum(text) != get32(prefix + 12))
    return error("Invalid", "a damaged head");
  auto value = TRY(json::parse(text));
  const auto* head = value.find("head");
  if (head == nullptr || value.get("key") != key) return error("Invalid", "the file of another key");
  auto out = std::make_shared<Object>();
  out->key = key;
  out->head = TRY(stored(*head));
  const auto offset = static_cast<int64_t>(kPrefix + head_size);
  const int64_t size = st.st_size - offset;
  if (size < 0 || (out->head.length >= 0 && out->head.length != size))
    return error("Invalid", "a body that is not whole");
  if (size > DiskCache::kWhole) {
    out->body = std::make_shared<Body>(std::move(fd), offset, size);
    return out;
  }
  std::string body(static_cast<size_t>(size), '\0');
  size_t got = 0;
  while (got < body.size()) {
    const auto n = ::pread(fd.get(), body.data() + got, body.size() - got,
                           static_cast<off_t>(offset + static_cast<int64_t>(got)));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return error("Invalid", "a body that cannot be read");
    got += static_cast<size_t>(n);
  }
  if (checksum(body) != get32(prefix + 16)) return error("Invalid", "a damaged body");
  out->body = std::make_shared<Body>(std::move(body));
  return out;
}

struct Found {
  std::string name;
  int64_t size;
  int64_t at;
};

std::vector<Found> scan(const std::string& folder) {
  std::vector<Found> out;
  for (int i = 0; i < 256; ++i) {
    const auto sub = folder + "/" + hex(std::string(1, static_cast<char>(i)));
    auto names = sys::list_folder(sub);
    if (!names) continue;
    for (const auto& name : *names) {
      const auto path = sub + "/" + name;
      struct stat st {};
      if (name.size() != 32 || ::lstat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) {
        ::unlink(path.c_str());  // the beginning of a file whose writer was killed
        continue;
      }
      out.push_back({name, st.st_size, st.st_mtime});
    }
  }
  std::sort(out.begin(), out.end(), [](const Found& a, const Found& b) { return a.at < b.at; });
  return out;
}

}  // namespace

std::string DiskCache::path_of(const std::string& name) const {
  return folder_ + "/" + name.substr(0, 2) + "/" + name;
}

Result<void> DiskCache::start() {
  auto found = TRY(net::offload_result([&]() -> Result<std::vector<Found>> {
    TRY(sys::make_folders(folder_));
    return scan(folder_);
  }));
  for (const auto& f : found) add(f.name, f.size);
  make_room();
  running_ = true;
  net::spawn([self = shared_from_this()] {
    while (!self->stopped_) {
      self->write_all();
      self->wake_.wait();
    }
  });
  return {};
}

void DiskCache::stop() {
  stopped_ = true;
  wake_.set();
}

bool DiskCache::may_have(const std::string& key) const { return index_.count(name_of(key)) > 0; }

std::shared_ptr<Object> DiskCache::load(const std::string& key) {
  const auto name = name_of(key);
  auto found = index_.find(name);
  if (found == index_.end()) return nullptr;
  found->second->asked = true;
  auto object = net::offload_result([path = path_of(name), &key] { return read_object(path, key); });
  if (object) return std::move(*object);
  log::debug("edge: the cached file {} is dropped: {}", name, object.error().message);
  erase(key);
  return nullptr;
}

void DiskCache::save(std::shared_ptr<Object> object) {
  if (!running_ || object->body->is_file() || waiting_bytes_ + object->body->size() > kMaxWaiting) return;
  if (object->body->size() > kWhole) return;
  waiting_bytes_ += object->body->size();
  waiting_.push_back(std::move(object));
  wake_.set();
}

void DiskCache::write_all() {
  while (!waiting_.empty() && !stopped_) {
    writing_ = true;
    auto object = std::move(waiting_.front());
    waiting_.pop_front();
    waiting_bytes_ -= object->body->size();
    std::string body;
    body.reserve(static_cast<size_t>(object->body->size()));
    std::shared_ptr<const Body::Piece> hold;
    while (static_cast<int64_t>(body.size()) < object->body->size())
      body += object->body->at(static_cast<int64_t>(body.size()), hold);
    const auto name = name_of(object->key);
    const auto path = path_of(name);
    auto written = net::offload_result([&]() -> Result<int64_t> {
      auto bytes = prefix_of(object->key, object->head, checksum(body));
      bytes += body;
      TRY(sys::make_folders(path.substr(0, path.rfind('/'))));
      TRY(sys::write_file(path, bytes));
      return static_cast<int64_t>(bytes.size());
    });
    writing_ = false;
    if (written) {
      add(name, *written);
      make_room();
    } else {
      log::warn("edge: the cache's folder: {}", written.error().message);
    }
    written_.set();
  }
}

void DiskCache::flush() {
  while ((!waiting_.empty() || writing_) && !stopped_) written_.wait_for(kSecond);
}

void DiskCache::add(const std::string& name, int64_t size) {
  forget(name);
  order_.push_back({name, size, false});
  index_[name] = std::prev(order_.end());
  bytes_ += size;
}

void DiskCache::forget(const std::string& name) {
  auto found = index_.find(name);
  if (found == index_.end()) return;
  bytes_ -= found->second->size;
  order_.erase(found->second);
  index_.erase(found);
}

void DiskCache::erase(const std::string& key) {
  const auto name = name_of(key);
  std::erase_if(waiting_, [&](const auto& object) {
    if (object->key != key) return false;
    waiting_bytes_ -= object->body->size();
    return true;
  });
  if (!index_.count(name)) return;
  forget(name);
  ::unlink(path_of(name).c_str());
}

// A second chance for what was asked for since it was written.
void DiskCache::make_room() {
  while (bytes_ > max_bytes_ && !order_.empty()) {
    auto at = order_.begin();
    if (at->asked) {
      at->asked = false;
      order_.splice(order_.end(), order_, at);
      continue;
    }
    const auto path = path_of(at->name);
    forget(std::string(at->name));
    ::unlink(path.c_str());
  }
}

Result<DiskCache::Spool> DiskCache::spool(const std::string& key, const Stored& head) {
  if (!running_) return error("Closed", "the cache has no folder");
  Spool out;
  out.path = path_of(name_of(key)) + ".part" + std::to_string(++temporary_);
  const auto prefix = prefix_of(key, head, 0);
  TRY(net::offload_result([&]() -> Result<void> {
    TRY(sys::make_folders(out.path.substr(0, out.path.rfind('/'))));
    out.file = sys::Fd(::open(out.path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!out.file) return sys::system_error("a cached file");
    return sys::write_all(out.file.get(), prefix);
  }));
  out.body_offset = static_cast<int64_t>(prefix.size());
  return out;
}

Result<void> DiskCache::keep(const Spool& spool, const std::string& key, int64_t size) {
  const auto name = name_of(key);
  const auto path = path_of(name);
  TRY(net::offload_result([&]() -> Result<void> {
    auto fd = TRY(sys::open_read(spool.path));
    if (::fdatasync(fd.get()) != 0) return sys::system_error("a cached file");
    if (::rename(spool.path.c_str(), path.c_str()) != 0) return sys::system_error("a cached file");
    return {};
  }));
  add(name, spool.body_offset + size);
  make_room();
  return {};
}

void DiskCache::drop(const Spool& spool) {
  net::offload([&] { ::unlink(spool.path.c_str()); });
}

}  // namespace bastide::edge
