// An answer that can be served many times: its head as it was stored, and its body, which may still be
// coming. On the loop's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "net/loop.h"
#include "sys/fd.h"

namespace bastide::edge {

// Bytes that grow at their end while readers follow. In memory, or (large ones) in a file.
class Body {
 public:
  enum class State { growing, complete, broken };
  struct Piece {
    std::unique_ptr<char[]> bytes;
    size_t size = 0, capacity = 0;
    int64_t begin = 0;  // its offset in the body
  };

  Body() = default;                                                    // growing, in memory
  explicit Body(std::string bytes);                                    // complete
  Body(sys::Fd file, int64_t offset, int64_t size);                    // complete
  static std::shared_ptr<Body> in_file(sys::Fd file, int64_t offset);  // growing

  State state() const { return state_; }
  int64_t size() const { return size_; }  // so far
  bool is_file() const { return static_cast<bool>(file_); }
  int file() const { return file_.get(); }
  int64_t file_offset() const { return file_offset_; }

  // In memory: what is there from `offset` on, empty where nothing is yet. Good while `hold` lives.
  std::string_view at(int64_t offset, std::shared_ptr<const Piece>& hold) const;
  // From memory or file, at most `most` bytes into `out`. Waits where it is a file.
  Result<void> read(int64_t offset, size_t most, std::string& out) const;

  void reserve(size_t bytes) { first_capacity_ = bytes; }  // before the first append
  Result<void> append(std::string_view bytes);             // a file: waits
  void forget_before(int64_t offset);                      // whole pieces that nobody will read again
  void finish() { end(State::complete); }
  void break_off() { end(State::broken); }
  net::Event& changed();  // set after each append and at the end

  // Readers say how far they are; in a window only what the slowest still needs is kept.
  struct Reader {
    Reader(std::shared_ptr<Body> body);
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    void reached(int64_t offset);
    const std::shared_ptr<Body> body;
    int64_t offset = 0;
  };
  void keep_window() { window_ = true; }  // the body is kept for its readers alone
  bool in_window() const { return window_; }
  bool from_start() const { return pieces_.empty() ? size_ == 0 || is_file() : pieces_.front()->begin == 0; }
  bool wait_for_room(int64_t most);  // waits; false: nobody reads any more, or they do not go on

 private:
  void end(State state);
  State state_ = State::growing;
  int64_t size_ = 0;
  std::deque<std::shared_ptr<Piece>> pieces_;
  size_t first_capacity_ = 0;
  sys::Fd file_;
  int64_t file_offset_ = 0;
  std::unique_ptr<net::Event> changed_, room_;
  std::vector<const Reader*> readers_;
  bool window_ = false, had_reader_ = false;
};

struct Stored {
  int status = 200;
  std::string fields;   // "Name: value\r\n"..., without those of the connection, without Age
  int64_t length = -1;  // of the body where the origin said it
  std::string etag, content_type, content_encoding;
  std::string origin_etag;  // where compression at the edge made it weak
  Millis last_modified = -1;
  Millis received = 0;                                    // wall clock
  Millis initial_age = 0;                                 // when it was received
  int64_t fresh = 0, while_revalidate = 0, if_error = 0;  // seconds
  std::string why;                                        // it has this lifetime
  std::vector<std::string> vary;                          // lower case, sorted
  std::string uri;                                        // path and query as in the key, for invalidations
  int64_t invalidation = 0;                               // the distribution's latest when it was asked for
  bool not_stored = false;                                // one user's alone: in no cache

  Millis age(Millis now) const { return initial_age + (now > received ? now - received : 0); }
  bool is_fresh(Millis now) const { return age(now) < fresh * kSecond; }
};
json::Value to_json(const Stored&);
Result<Stored> stored(const json::Value&);

struct Object {
  std::string key;
  Stored head;
  std::shared_ptr<Body> body;
  Millis error_until = 0;   // stale, and its origin failed: not asked again before
  bool refreshing = false;  // somebody validates it in the background
};

}  // namespace bastide::edge
