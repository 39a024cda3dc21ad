#include "edge/object.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace bastide::edge {
namespace {
constexpr size_t kPiece = 64u << 10;
constexpr Millis kReaderPatience = 2 * kMinute;
}  // namespace

Body::Body(std::string bytes) : state_(State::complete), size_(static_cast<int64_t>(bytes.size())) {
  if (bytes.empty()) return;
  auto piece = std::make_shared<Piece>();
  piece->size = piece->capacity = bytes.size();
  piece->bytes.reset(new char[bytes.size()]);
  std::memcpy(piece->bytes.get(), bytes.data(), bytes.size());
  pieces_.push_back(std::move(piece));
}

Body::Body(sys::Fd file, int64_t offset, int64_t size)
    : state_(State::complete), size_(size), file_(std::move(file)), file_offset_(offset) {}

std::shared_ptr<Body> Body::in_file(sys::Fd file, int64_t offset) {
  auto out = std::make_shared<Body>(std::move(file), offset, 0);
  out->state_ = State::growing;
  return out;
}

std::string_view Body::at(int64_t offset, std::shared_ptr<const Piece>& hold) const {
  if (pieces_.empty() || offset >= size_ || offset < pieces_.front()->begin) return {};
  auto found = std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                [](int64_t at, const auto& piece) { return at < piece->begin; });
  const auto& piece = *std::prev(found);
  hold = piece;
  const auto skip = static_cast<size_t>(offset - piece->begin);
  return {piece->bytes.get() + skip, piece->size - skip};
}

Result<void> Body::read(int64_t offset, size_t most, std::string& out) const {
  out.clear();
  if (!is_file()) {
    std::shared_ptr<const Piece> hold;
    out = at(offset, hold).substr(0, most);
    return {};
  }
  most = static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(most), size_ - offset));
  out.resize(most);
  return net::offload_result([&]() -> Result<void> {
    size_t got = 0;
    while (got < most) {
      const auto n = ::pread(file_.get(), out.data() + got, most - got,
                             static_cast<off_t>(file_offset_ + offset + static_cast<int64_t>(got)));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return sys::system_error("read of a cached body");
      if (n == 0) return error("Invalid", "a cached body is shorter than it was");
      got += static_cast<size_t>(n);
    }
    return {};
  });
}

Result<void> Body::append(std::string_view bytes) {
  if (is_file()) {
    const auto at = file_offset_ + size_;
    TRY(net::offload_result([&]() -> Result<void> {
      size_t put = 0;
      while (put < bytes.size()) {
        const auto n = ::pwrite(file_.get(), bytes.data() + put, bytes.size() - put,
                                static_cast<off_t>(at + static_cast<int64_t>(put)));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return sys::system_error("write of a cached body");
        put += static_cast<size_t>(n);
      }
      return {};
    }));
    size_ += static_cast<int64_t>(bytes.size());
  } else {
    while (!bytes.empty()) {
      if (pieces_.empty() || pieces_.back()->size == pieces_.back()->capacity) {
        auto piece = std::make_shared<Piece>();
        piece->capacity = pieces_.empty() && size_ == 0 && first_capacity_ > 0 ? first_capacity_ : kPiece;
        piece->bytes.reset(new char[piece->capacity]);
        piece->begin = size_;
        pieces_.push_back(std::move(piece));
      }
      auto& piece = *pieces_.back();
      const auto n = std::min(bytes.size(), piece.capacity - piece.size);
      std::memcpy(piece.bytes.get() + piece.size, bytes.data(), n);
      piece.size += n;
      size_ += static_cast<int64_t>(n);
      bytes.remove_prefix(n);
    }
  }
  if (changed_) changed_->set();
  return {};
}

void Body::forget_before(int64_t offset) {
  while (!pieces_.empty()) {
    const auto& piece = *pieces_.front();
    if (piece.size < piece.capacity || piece.begin + static_cast<int64_t>(piece.size) > offset) return;
    pieces_.pop_front();
  }
}

void Body::end(State state) {
  if (state_ != State::growing) return;
  state_ = state;
  if (changed_) changed_->set();
}

net::Event& Body::changed() {
  if (!changed_) changed_ = std::make_unique<net::Event>();
  return *changed_;
}

Body::Reader::Reader(std::shared_ptr<Body> b) : body(std::move(b)) {
  body->readers_.push_back(this);
  body->had_reader_ = true;
}

Body::Reader::~Reader() {
  std::erase(body->readers_, this);
  if (body->room_) body->room_->set();
}

void Body::Reader::reached(int64_t at) {
  offset = at;
  if (body->window_ && body->room_) body->room_->set();
}

bool Body::wait_for_room(int64_t most) {
  if (!window_) return true;
  const Millis deadline = Clock::system().steady() + kReaderPatience;
  while (true) {
    if (readers_.empty() && had_reader_) return false;
    int64_t slowest = had_reader_ ? size_ : 0;
    for (const auto* r : readers_) slowest = std::min(slowest, r->offset);
    forget_before(slowest);
    if (size_ - slowest < most) return true;
    if (Clock::system().steady() >= deadline) return false;
    if (!room_) room_ = std::make_unique<net::Event>();
    room_->wait_for(kSecond);
  }
}

json::Value to_json(const Stored& s) {
  json::Array vary(s.vary.begin(), s.vary.end());
  return json::object({{"status", s.status},
                       {"fields", s.fields},
                       {"length", s.length},
                       {"etag", s.etag},
                       {"origin_etag", s.origin_etag},
                       {"content_type", s.content_type},
                       {"content_encoding", s.content_encoding},
                       {"last_modified", s.last_modified},
                       {"received", s.received},
                       {"initial_age", s.initial_age},
                       {"fresh", s.fresh},
                       {"while_revalidate", s.while_revalidate},
                       {"if_error", s.if_error},
                       {"why", s.why},
                       {"vary", std::move(vary)},
                       {"uri", s.uri},
                       {"invalidation", s.invalidation}});
}

Result<Stored> stored(const json::Value& v) {
  Stored s;
  s.status = static_cast<int>(v.get_int("status"));
  if (s.status < 1 || s.status > 599) return error("Invalid", "a stored head without a status");
  s.fields = v.get("fields");
  s.length = v.get_int("length", -1);
  s.etag = v.get("etag");
  s.origin_etag = v.get("origin_etag");
  s.content_type = v.get("content_type");
  s.content_encoding = v.get("content_encoding");
  s.last_modified = v.get_int("last_modified", -1);
  s.received = v.get_int("received");
  s.initial_age = v.get_int("initial_age");
  s.fresh = v.get_int("fresh");
  s.while_revalidate = v.get_int("while_revalidate");
  s.if_error = v.get_int("if_error");
  s.why = v.get("why");
  for (const auto& name : v.get_array("vary")) {
    if (name.is_string()) s.vary.push_back(name.string());
  }
  s.uri = v.get("uri");
  s.invalidation = v.get_int("invalidation");
  return s;
}

}  // namespace bastide::edge
