#include "store/log_format.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <unordered_map>

#include "base/crypto.h"

namespace bastide::store {
namespace {

constexpr uint32_t kBlockMagic = 0x31424c42;  // "BLB1"
constexpr std::string_view kWalMagic = "BLOGWAL1";
constexpr int kLevel = 1;

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);  // x86-64 and arm64 are little-endian
}
template <class T>
T take(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

uint32_t crc(std::string_view bytes) {
  return static_cast<uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<z_size_t>(bytes.size())));
}

void varint(std::string& out, uint64_t n) {
  while (n >= 0x80) {
    out += static_cast<char>(n | 0x80);
    n >>= 7;
  }
  out += static_cast<char>(n);
}
void zigzag(std::string& out, int64_t n) {
  varint(out, (static_cast<uint64_t>(n) << 1) ^ static_cast<uint64_t>(n >> 63));
}
void text(std::string& out, std::string_view s) {
  varint(out, s.size());
  out += s;
}

// Reads what was written above; everything is checked against the end.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}
  bool bad() const { return bad_; }
  bool at_end() const { return bytes_.empty(); }
  uint64_t number() {
    uint64_t n = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (bytes_.empty()) break;
      const auto byte = static_cast<uint8_t>(bytes_.front());
      bytes_.remove_prefix(1);
      n |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return n;
    }
    bad_ = true;
    return 0;
  }
  int64_t signed_number() {
    const uint64_t n = number();
    return static_cast<int64_t>(n >> 1) ^ -static_cast<int64_t>(n & 1);
  }
  std::string_view text() {
    const uint64_t size = number();
    if (size > bytes_.size()) bad_ = true;
    if (bad_) return {};
    const std::string_view out = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return out;
  }

 private:
  std::string_view bytes_;
  bool bad_ = false;
};

struct Deltas {
  Millis time = 0, ingested = 0;
  int64_t sequence = 0;
  void write(std::string& out, const LogEvent& e) {
    zigzag(out, e.time - time);
    zigzag(out, e.ingested - ingested);
    zigzag(out, e.sequence - sequence);
    text(out, e.message);
    *this = {e.time, e.ingested, e.sequence};
  }
  void read(Cursor& c, LogEvent& e) {
    e.time = time += c.signed_number();
    e.ingested = ingested += c.signed_number();
    e.sequence = sequence += c.signed_number();
    e.message = c.text();
  }
};

Error damaged() { return error("Damaged", "damaged log data"); }

}  // namespace

uint64_t stream_bits(std::string_view stream) {
  const auto hash = static_cast<uint64_t>(crc(stream)) * 0x9E3779B97F4A7C15ull;
  return (1ull << (hash >> 58)) | (1ull << ((hash >> 52) & 63));
}

std::string encode_block(const std::vector<LogEvent>& events) {
  CHECK(!events.empty());
  Block b;
  b.events = static_cast<uint32_t>(events.size());
  b.min_time = b.max_time = events[0].time;
  b.min_sequence = b.max_sequence = events[0].sequence;
  std::unordered_map<std::string_view, uint64_t> numbers;
  std::string names, rows;
  Deltas deltas;
  for (const auto& e : events) {
    const auto [it, fresh] = numbers.try_emplace(e.stream, numbers.size());
    if (fresh) {
      text(names, e.stream);
      b.filter |= stream_bits(e.stream);
    }
    varint(rows, it->second);
    deltas.write(rows, e);
    b.min_time = std::min(b.min_time, e.time);
    b.max_time = std::max(b.max_time, e.time);
    b.min_sequence = std::min(b.min_sequence, e.sequence);
    b.max_sequence = std::max(b.max_sequence, e.sequence);
  }
  std::string raw;
  varint(raw, numbers.size());
  raw += names;
  raw += rows;
  std::string body(ZSTD_compressBound(raw.size()), '\0');
  const size_t packed = ZSTD_compress(body.data(), body.size(), raw.data(), raw.size(), kLevel);
  CHECK(!ZSTD_isError(packed));
  body.resize(packed);

  std::string out;
  out.reserve(kBlockHeader + packed);
  put(out, kBlockMagic);
  put(out, static_cast<uint32_t>(raw.size()));
  put(out, static_cast<uint32_t>(packed));
  put(out, b.events);
  put(out, b.min_time);
  put(out, b.max_time);
  put(out, b.min_sequence);
  put(out, b.max_sequence);
  put(out, b.filter);
  put(out, crc(body));
  put(out, crc(out));
  CHECK(out.size() == kBlockHeader);
  return out + body;
}

Result<Block> decode_header(std::string_view bytes, int64_t offset) {
  if (bytes.size() < kBlockHeader) return damaged();
  bytes = bytes.substr(0, kBlockHeader);
  if (take<uint32_t>(bytes, 0) != kBlockMagic) return damaged();
  if (take<uint32_t>(bytes, kBlockHeader - 4) != crc(bytes.substr(0, kBlockHeader - 4))) return damaged();
  Block b;
  b.offset = offset;
  b.raw = take<uint32_t>(bytes, 4);
  b.packed = take<uint32_t>(bytes, 8);
  b.events = take<uint32_t>(bytes, 12);
  b.min_time = take<int64_t>(bytes, 16);
  b.max_time = take<int64_t>(bytes, 24);
  b.min_sequence = take<int64_t>(bytes, 32);
  b.max_sequence = take<int64_t>(bytes, 40);
  b.filter = take<uint64_t>(bytes, 48);
  b.crc = take<uint32_t>(bytes, 56);
  if (b.raw > kMaxBlockRaw || b.packed > kMaxBlockRaw || b.events > b.raw) return damaged();
  return b;
}

Result<std::vector<LogEvent>> decode_block(const Block& block, std::string_view body) {
  if (body.size() != block.packed || crc(body) != block.crc) return damaged();
  std::string raw(block.raw, '\0');
  const size_t size = ZSTD_decompress(raw.data(), raw.size(), body.data(), body.size());
  if (ZSTD_isError(size) || size != raw.size()) return damaged();
  Cursor c(raw);
  std::vector<std::string_view> names;
  for (uint64_t n = c.number(); n > 0 && !c.bad(); --n) names.push_back(c.text());
  std::vector<LogEvent> out(block.events);
  Deltas deltas;
  for (auto& e : out) {
    const uint64_t name = c.number();
    if (c.bad() || name >= names.size()) return damaged();
    e.stream = names[name];
    deltas.read(c, e);
  }
  if (c.bad() || !c.at_end()) return damaged();
  return out;
}

std::string encode_wal_header(int64_t next_sequence) {
  std::string out(kWalMagic);
  put(out, next_sequence);
  return out;
}

Result<int64_t> decode_wal_header(std::string_view bytes) {
  if (bytes.size() < kWalHeader || !bytes.starts_with(kWalMagic)) return damaged();
  return take<int64_t>(bytes, kWalMagic.size());
}

void encode_record(std::string& out, std::string_view group, std::string_view stream,
                   const std::vector<LogEvent>& events) {
  const size_t at = out.size();
  out.append(kRecordHeader, '\0');
  text(out, group);
  text(out, stream);
  varint(out, events.size());
  Deltas deltas;
  for (const auto& e : events) deltas.write(out, e);
  const std::string_view body = std::string_view(out).substr(at + kRecordHeader);
  const auto size = static_cast<uint32_t>(body.size());
  const uint32_t sum = crc(body);
  std::memcpy(out.data() + at, &size, 4);
  std::memcpy(out.data() + at + 4, &sum, 4);
}

Result<Record> decode_record(std::string_view bytes, size_t* taken) {
  if (bytes.size() < kRecordHeader) return damaged();
  const auto size = take<uint32_t>(bytes, 0);
  if (size > kMaxRecord || bytes.size() - kRecordHeader < size) return damaged();
  const std::string_view body = bytes.substr(kRecordHeader, size);
  if (crc(body) != take<uint32_t>(bytes, 4)) return damaged();
  Cursor c(body);
  Record r;
  r.group = c.text();
  const std::string stream(c.text());
  const uint64_t count = c.number();
  if (c.bad() || count > size) return damaged();
  r.events.resize(count);
  Deltas deltas;
  for (auto& e : r.events) {
    e.stream = stream;
    deltas.read(c, e);
  }
  if (c.bad() || !c.at_end()) return damaged();
  *taken = kRecordHeader + size;
  return r;
}

}  // namespace bastide::store
