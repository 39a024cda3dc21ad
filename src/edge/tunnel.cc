#include "edge/core.h"

namespace bastide::edge {
namespace {

// One way, until its end, an error, or nothing for `idle` in both ways.
void pump(net::Socket& from, net::Socket& to, Buffer& buffer, Millis idle, Millis& last, Clock& clock,
          int64_t& count) {
  while (true) {
    if (!buffer.empty()) {
      auto bytes = buffer.view();
      if (!to.write(bytes)) return;
      count += static_cast<int64_t>(bytes.size());
      buffer.consume(bytes.size());
    }
    auto n = from.read(buffer.room(), buffer.room_size());
    if (!n) {
      if (n.error().code == "Timeout" && clock.steady() - last < idle) continue;
      return;
    }
    if (*n == 0) return;
    last = clock.steady();
    buffer.added(*n);
  }
}

}  // namespace

void tunnel(net::Socket& client, Buffer& from_client, Upstream& target, Millis idle, int64_t& received,
            int64_t& sent) {
  auto& clock = Clock::system();
  Millis last = clock.steady();
  client.set_timeout(idle);
  target.socket.set_timeout(idle);
  bool done = false;
  net::Event ended;
  net::spawn([&] {
    pump(target.socket, client, target.in, idle, last, clock, sent);
    // Whichever way ends first ends the other: an upgraded protocol closes by its own message before.
    client.abort();
    target.socket.abort();
    done = true;
    ended.set();
  });
  pump(client, target.socket, from_client, idle, last, clock, received);
  client.abort();
  target.socket.abort();
  while (!done) ended.wait();
}

}  // namespace bastide::edge
