// Bodies that no codec sees: a request's body that the operation reads as it comes, an answer's body that is
// sent as it is made. Lives as long as the call; on the loop, in the connection's fiber.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "net/http.h"

namespace bastide::aws {

// The body of a request, with its coding undone and its signatures checked on the way.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // The next piece; 0 at the end, by when everything that the client signed has been checked. Waits. Faults
  // are meant for the client.
  virtual Result<size_t> read(char* buffer, size_t size) = 0;
  virtual std::optional<int64_t> length() const = 0;  // of the data, where the client announces it
  // What came after a chunked body, such as x-amz-checksum-crc32; complete once read() gave 0.
  virtual const net::Headers& trailers() const = 0;
};

struct Stream {
  using Piece = std::function<Result<void>(std::string_view)>;

  const net::Request* request = nullptr;  // as it came
  BodySource* body = nullptr;             // null where the operation has no streaming body

  // Set by the operation. `send` is called once with a function that sends a piece; it must send
  // `length` bytes in all.
  int status = 0;  // instead of the model's
  int64_t length = 0;
  std::optional<net::FilePart> file;
  std::function<Result<void>(const Piece&)> send;
};

}  // namespace bastide::aws
