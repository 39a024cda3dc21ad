#include "store/metrics_format.h"

#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "sys/fd.h"

namespace bastide::store::metrics {
namespace {

constexpr size_t kBlock = 64u << 10;
constexpr uint64_t kFooterMagic = 0x3153544d44545342;  // "BSTDMTS1"
constexpr size_t kFooter = 32;
constexpr size_t kBlockHead = 12;
constexpr int kLevel = 3;

void put32(std::string& out, uint32_t v) { out.append(reinterpret_cast<const char*>(&v), sizeof v); }
void put64(std::string& out, uint64_t v) { out.append(reinterpret_cast<const char*>(&v), sizeof v); }
template <class T>
T get(std::string_view in, size_t at) {
  T v;
  std::memcpy(&v, in.data() + at, sizeof v);
  return v;
}
uint32_t crc_of(std::string_view bytes) {
  return static_cast<uint32_t>(
      ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}
Error damaged() { return error("Invalid", "a damaged file of metrics"); }

// Runs of equal numbers.
template <class F>
void put_runs(std::string& out, size_t n, F number) {
  for (size_t i = 0; i < n;) {
    size_t k = i + 1;
    while (k < n && number(k) == number(i)) ++k;
    put_varint(out, zigzag(number(i)));
    put_varint(out, k - i);
    i = k;
  }
}
template <class F>
bool take_runs(std::string_view& in, size_t n, F each) {
  for (size_t i = 0; i < n;) {
    uint64_t v = 0, run = 0;
    if (!take_varint(in, v) || !take_varint(in, run) || run == 0 || run > n - i) return false;
    for (uint64_t k = 0; k < run; ++k) each(i++, unzigzag(v));
  }
  return true;
}

constexpr double kScales[] = {1, 10, 100, 1000, 10000};
constexpr double kExact = 9007199254740992.0;  // 2^53

// The smallest scale at which every number is an integer; -1: none.
int scale_of(const std::vector<double>& numbers) {
  int scale = 0;
  for (size_t i = 0; i < numbers.size();) {
    const double v = numbers[i], scaled = v * kScales[scale];
    const bool fits = std::fabs(scaled) < kExact && std::round(scaled) / kScales[scale] == v &&
                      !(v == 0 && std::signbit(v));
    if (fits) {
      ++i;
    } else if (++scale == 5) {
      return -1;
    } else {
      i = 0;
    }
  }
  return scale;
}

void put_numbers(std::string& out, const std::vector<double>& numbers) {
  if (numbers.empty()) return;
  const int scale = scale_of(numbers);
  out += static_cast<char>(scale + 1);
  if (scale >= 0) {
    int64_t before = 0;
    for (const double v : numbers) {
      const auto n = static_cast<int64_t>(std::llround(v * kScales[scale]));
      put_varint(out, zigzag(n - before));
      before = n;
    }
    return;
  }
  uint64_t before = 0;
  for (const double v : numbers) {
    const auto bits = std::bit_cast<uint64_t>(v);
    uint64_t x = bits ^ before;
    before = bits;
    const int low = x == 0 ? 8 : std::countr_zero(x) / 8, high = x == 0 ? 0 : std::countl_zero(x) / 8;
    const int bytes = x == 0 ? 0 : 8 - low - high;
    out += static_cast<char>(low << 4 | bytes);
    x = low == 8 ? 0 : x >> (low * 8);
    for (int i = 0; i < bytes; ++i, x >>= 8) out += static_cast<char>(x & 0xff);
  }
}

bool take_numbers(std::string_view& in, size_t n, std::vector<double>& out) {
  out.clear();
  if (n == 0) return true;
  if (in.empty()) return false;
  const int scale = in[0] - 1;
  in.remove_prefix(1);
  if (scale > 4 || scale < -1) return false;
  if (n > in.size()) return false;  // a number takes a byte at least
  out.reserve(n);
  if (scale >= 0) {
    uint64_t before = 0;
    for (size_t i = 0; i < n; ++i) {
      uint64_t v = 0;
      if (!take_varint(in, v)) return false;
      before += static_cast<uint64_t>(unzigzag(v));
      out.push_back(static_cast<double>(static_cast<int64_t>(before)) / kScales[scale]);
    }
    return true;
  }
  uint64_t before = 0;
  for (size_t i = 0; i < n; ++i) {
    if (in.empty()) return false;
    const auto head = static_cast<uint8_t>(in[0]);
    const int low = head >> 4, bytes = head & 15;
    in.remove_prefix(1);
    if (low + bytes > 8 || in.size() < static_cast<size_t>(bytes)) return false;
    uint64_t x = 0;
    for (int k = 0; k < bytes; ++k)
      x |= static_cast<uint64_t>(static_cast<uint8_t>(in[static_cast<size_t>(k)])) << (8 * k);
    in.remove_prefix(static_cast<size_t>(bytes));
    if (bytes > 0) before ^= x << (8 * low);
    out.push_back(std::bit_cast<double>(before));
  }
  return true;
}

enum Kind : int64_t { kSingle = 0, kValues = 1, kStatistics = 2, kRepeated = 3 };

int64_t kind_of(const MetricCell& c) {
  if (!c.raw) return kStatistics;
  if (!c.values.empty()) return kValues;
  return c.count == 1 ? kSingle : kRepeated;
}

}  // namespace

void put_varint(std::string& out, uint64_t v) {
  while (v >= 0x80) {
    out += static_cast<char>(v | 0x80);
    v >>= 7;
  }
  out += static_cast<char>(v);
}

bool take_varint(std::string_view& in, uint64_t& v) {
  v = 0;
  for (int shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const auto b = static_cast<uint8_t>(in[0]);
    in.remove_prefix(1);
    v |= static_cast<uint64_t>(b & 0x7f) << shift;
    if (b < 0x80) return true;
  }
  return false;
}

std::string encode_cells(const std::vector<MetricCell>& cells) {
  std::string out;
  const size_t n = cells.size();
  put_varint(out, n);
  if (n == 0) return out;
  put_varint(out, zigzag(cells[0].time));
  put_runs(out, n - 1, [&](size_t i) { return cells[i + 1].time - cells[i].time; });
  put_runs(out, n, [&](size_t i) { return int64_t{cells[i].resolution}; });
  put_runs(out, n, [&](size_t i) { return kind_of(cells[i]); });
  std::vector<double> singles, counts, sums, mins, maxs, values, often;
  for (const auto& c : cells) {
    const auto kind = kind_of(c);
    if (kind == kSingle) {
      singles.push_back(c.sum);
      continue;
    }
    counts.push_back(c.count);
    sums.push_back(c.sum);
    mins.push_back(c.min);
    maxs.push_back(c.max);
    if (kind != kValues) continue;
    put_varint(out, c.values.size());
    for (const auto& [v, k] : c.values) {
      values.push_back(v);
      often.push_back(k);
    }
  }
  for (const auto* column : {&singles, &counts, &sums, &mins, &maxs, &values, &often})
    put_numbers(out, *column);
  return out;
}

Result<std::vector<MetricCell>> decode_cells(std::string_view in) {
  uint64_t n = 0, first = 0;
  if (!take_varint(in, n) || n > kMaxChunk) return damaged();
  std::vector<MetricCell> cells(n);
  if (n == 0) return cells;
  if (!take_varint(in, first)) return damaged();
  cells[0].time = unzigzag(first);
  auto step = [&](size_t i, int64_t d) {
    cells[i + 1].time = static_cast<int64_t>(static_cast<uint64_t>(cells[i].time) + static_cast<uint64_t>(d));
  };
  if (!take_runs(in, n - 1, step)) return damaged();
  if (!take_runs(in, n, [&](size_t i, int64_t r) { cells[i].resolution = static_cast<int32_t>(r); }))
    return damaged();
  std::vector<uint8_t> kinds(n);
  if (!take_runs(in, n, [&](size_t i, int64_t k) { kinds[i] = static_cast<uint8_t>(k); })) return damaged();
  size_t singles = 0, others = 0, all = 0;
  for (size_t i = 0; i < n; ++i) {
    if (kinds[i] > kRepeated || cells[i].resolution < 1) return damaged();
    (kinds[i] == kSingle ? singles : others) += 1;
    if (kinds[i] != kValues) continue;
    uint64_t count = 0;
    if (!take_varint(in, count) || count == 0 || count > in.size()) return damaged();
    cells[i].values.resize(count);
    all += count;
  }
  std::vector<double> single, counts, sums, mins, maxs, values, often;
  if (!take_numbers(in, singles, single) || !take_numbers(in, others, counts) ||
      !take_numbers(in, others, sums) || !take_numbers(in, others, mins) || !take_numbers(in, others, maxs) ||
      !take_numbers(in, all, values) || !take_numbers(in, all, often)) {
    return damaged();
  }
  size_t s = 0, o = 0, v = 0;
  for (size_t i = 0; i < n; ++i) {
    MetricCell& c = cells[i];
    if (kinds[i] == kSingle) {
      c.count = 1;
      c.sum = c.min = c.max = single[s++];
      continue;
    }
    c.count = counts[o];
    c.sum = sums[o];
    c.min = mins[o];
    c.max = maxs[o++];
    c.raw = kinds[i] != kStatistics;
    for (auto& [value, count] : c.values) {
      value = values[v];
      count = often[v++];
    }
  }
  return cells;
}

void put_frame(std::string& out, std::string_view body) {
  put32(out, static_cast<uint32_t>(body.size()));
  put32(out, crc_of(body));
  out += body;
}

bool take_frame(std::string_view& bytes, std::string_view& body) {
  if (bytes.size() < 8) return false;
  const auto length = get<uint32_t>(bytes, 0), crc = get<uint32_t>(bytes, 4);
  if (length > bytes.size() - 8) return false;
  body = bytes.substr(8, length);
  if (crc_of(body) != crc) return false;
  bytes.remove_prefix(8 + length);
  return true;
}

void SegmentWriter::add(uint64_t series, const std::vector<MetricCell>& cells) {
  if (cells.empty()) return;
  const std::string chunk = encode_cells(cells);
  Entry e;
  e.series = series;
  e.offset = static_cast<uint32_t>(block_.size());
  e.length = static_cast<uint32_t>(chunk.size());
  e.cells = static_cast<uint32_t>(cells.size());
  e.min_time = cells.front().time;
  e.max_time = cells.back().time;
  info_.entries.push_back(e);
  block_ += chunk;
  if (block_.size() >= kBlock) end_block();
}

void SegmentWriter::end_block() {
  if (block_.empty()) return;
  std::string packed(ZSTD_compressBound(block_.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), block_.data(), block_.size(), kLevel));
  for (size_t i = first_of_block_; i < info_.entries.size(); ++i) info_.entries[i].block = out_.size();
  first_of_block_ = info_.entries.size();
  put32(out_, static_cast<uint32_t>(block_.size()));
  put32(out_, static_cast<uint32_t>(packed.size()));
  put32(out_, crc_of(packed));
  out_ += packed;
  block_.clear();
}

std::string SegmentWriter::finish(int32_t resolution, std::vector<uint64_t> replaces) {
  end_block();
  std::string directory;
  put_varint(directory, static_cast<uint64_t>(resolution));
  put_varint(directory, replaces.size());
  for (const auto r : replaces) put_varint(directory, r);
  put_varint(directory, info_.entries.size());
  uint64_t series = 0;
  for (const auto& e : info_.entries) {
    put_varint(directory, e.series - series);
    series = e.series;
    put_varint(directory, e.block);
    put_varint(directory, e.offset);
    put_varint(directory, e.length);
    put_varint(directory, e.cells);
    put_varint(directory, zigzag(e.min_time));
    put_varint(directory, static_cast<uint64_t>(e.max_time - e.min_time));
  }
  std::string packed(ZSTD_compressBound(directory.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), directory.data(), directory.size(), kLevel));
  const uint64_t at = out_.size();
  out_ += packed;
  put64(out_, at);
  put32(out_, static_cast<uint32_t>(packed.size()));
  put32(out_, static_cast<uint32_t>(directory.size()));
  put32(out_, crc_of(packed));
  put32(out_, 0);
  put64(out_, kFooterMagic);
  return std::move(out_);
}

namespace {
Result<std::string> read_at(int fd, uint64_t offset, size_t bytes) {
  std::string out(bytes, '\0');
  size_t done = 0;
  while (done < bytes) {
    const ssize_t n = ::pread(fd, out.data() + done, bytes - done, static_cast<off_t>(offset + done));
    if (n < 0) {
      if (errno == EINTR) continue;
      return sys::system_error("reading metrics");
    }
    if (n == 0) return damaged();
    done += static_cast<size_t>(n);
  }
  return out;
}
Result<std::string> unpack(std::string_view packed, size_t raw, uint32_t crc) {
  if (raw > kMaxSegment || crc_of(packed) != crc) return damaged();
  std::string out(raw, '\0');
  const size_t n = ZSTD_decompress(out.data(), raw, packed.data(), packed.size());
  if (ZSTD_isError(n) || n != raw) return damaged();
  return out;
}
}  // namespace

Result<SegmentInfo> read_directory(int fd) {
  const off_t size = ::lseek(fd, 0, SEEK_END);
  if (size < static_cast<off_t>(kFooter)) return damaged();
  const auto foot = TRY(read_at(fd, static_cast<uint64_t>(size) - kFooter, kFooter));
  const auto at = get<uint64_t>(foot, 0);
  const auto packed = get<uint32_t>(foot, 8), raw = get<uint32_t>(foot, 12), crc = get<uint32_t>(foot, 16);
  if (get<uint64_t>(foot, 24) != kFooterMagic || at + packed + kFooter != static_cast<uint64_t>(size))
    return damaged();
  const auto bytes = TRY(read_at(fd, at, packed));
  const auto directory = TRY(unpack(bytes, raw, crc));
  std::string_view in = directory;
  SegmentInfo info;
  uint64_t resolution = 0, n = 0;
  if (!take_varint(in, resolution) || !take_varint(in, n) || n > in.size()) return damaged();
  info.resolution = static_cast<int32_t>(resolution);
  info.replaces.resize(n);
  for (auto& r : info.replaces) {
    if (!take_varint(in, r)) return damaged();
  }
  if (!take_varint(in, n) || n > in.size()) return damaged();
  info.entries.resize(n);
  uint64_t series = 0;
  for (auto& e : info.entries) {
    uint64_t d = 0, offset = 0, length = 0, cells = 0, min = 0, span = 0;
    for (auto* v : {&d, &e.block, &offset, &length, &cells, &min, &span}) {
      if (!take_varint(in, *v)) return damaged();
    }
    series += d;
    e.series = series;
    e.offset = static_cast<uint32_t>(offset);
    e.length = static_cast<uint32_t>(length);
    e.cells = static_cast<uint32_t>(cells);
    e.min_time = unzigzag(min);
    e.max_time = e.min_time + static_cast<int64_t>(span);
  }
  return info;
}

Result<std::string> read_block(int fd, uint64_t offset) {
  const auto head = TRY(read_at(fd, offset, kBlockHead));
  const auto raw = get<uint32_t>(head, 0), packed = get<uint32_t>(head, 4), crc = get<uint32_t>(head, 8);
  if (packed > kMaxSegment) return damaged();
  const auto bytes = TRY(read_at(fd, offset + kBlockHead, packed));
  return unpack(bytes, raw, crc);
}

}  // namespace bastide::store::metrics
