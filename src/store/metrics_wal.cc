#include "store/metrics_wal.h"

namespace bastide::store::metrics {
namespace {

void put_double(std::string& out, double v) { out.append(reinterpret_cast<const char*>(&v), sizeof v); }
bool take_double(std::string_view& in, double& v) {
  if (in.size() < sizeof v) return false;
  std::memcpy(&v, in.data(), sizeof v);
  in.remove_prefix(sizeof v);
  return true;
}
constexpr uint64_t kMaxValues = 1u << 20;

void put_fixed(std::string& out, uint64_t v) { out.append(reinterpret_cast<const char*>(&v), sizeof v); }
bool take_fixed(std::string_view& in, uint64_t& v) {
  if (in.size() < sizeof v) return false;
  std::memcpy(&v, in.data(), sizeof v);
  in.remove_prefix(sizeof v);
  return true;
}

}  // namespace

void WalRecord::define(uint64_t id, std::string_view key) {
  put_varint(definitions_, id);
  put_varint(definitions_, key.size());
  definitions_ += key;
  ++defined_;
}

void WalRecord::add(uint64_t id, const MetricCell& c) {
  put_varint(samples_, id);
  put_varint(samples_, zigzag(c.time - time_));
  time_ = c.time;
  const bool single = c.raw && c.values.empty() && c.count == 1;
  put_varint(samples_, static_cast<uint64_t>(c.resolution) << 2 | (c.raw ? 2u : 0u) | (single ? 1u : 0u));
  ++added_;
  put_double(samples_, c.min);
  if (single) return;
  put_double(samples_, c.max);
  put_double(samples_, c.sum);
  put_double(samples_, c.count);
  put_varint(samples_, c.values.size());
  for (const auto& [v, n] : c.values) {
    put_double(samples_, v);
    put_double(samples_, n);
  }
}

void WalRecord::write_to(std::string& out) const {
  put_fixed(out, defined_);
  put_fixed(out, added_);
  out += definitions_;
  out += samples_;
}

bool decode_wal(std::string_view body, const std::function<void(uint64_t id, std::string_view key)>& define,
                const std::function<void(uint64_t id, MetricCell cell)>& add) {
  while (!body.empty()) {
    uint64_t ignored_size = 0, defined = 0, added = 0;
    if (!take_varint(body, ignored_size) || !take_fixed(body, defined) || !take_fixed(body, added))
      return false;
    for (; defined > 0; --defined) {
      uint64_t id = 0, length = 0;
      if (!take_varint(body, id) || !take_varint(body, length) || length > body.size()) return false;
      define(id, body.substr(0, length));
      body.remove_prefix(length);
    }
    Millis time = 0;
    for (; added > 0; --added) {
      uint64_t id = 0, step = 0, flags = 0, values = 0;
      MetricCell c;
      if (!take_varint(body, id) || !take_varint(body, step) || !take_varint(body, flags) ||
          !take_double(body, c.min))
        return false;
      time += unzigzag(step);
      c.time = time;
      c.resolution = static_cast<int32_t>(flags >> 2);
      c.raw = (flags & 2) != 0;
      if ((flags & 1) != 0) {
        c.count = 1;
        c.max = c.sum = c.min;
      } else {
        if (!take_double(body, c.max) || !take_double(body, c.sum) || !take_double(body, c.count) ||
            !take_varint(body, values) || values > kMaxValues || values * 16 > body.size()) {
          return false;
        }
        c.values.resize(values);
        for (auto& [v, n] : c.values) {
          if (!take_double(body, v) || !take_double(body, n)) return false;
        }
      }
      if (c.resolution < 1) return false;
      add(id, std::move(c));
    }
  }
  return true;
}

}  // namespace bastide::store::metrics
