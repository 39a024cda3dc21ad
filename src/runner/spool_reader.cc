#include "runner/spool_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "shim/spool.h"
#include "sys/file.h"

namespace bastide::runner {
namespace {

struct Segment {
  uint64_t start = 0;
  std::string path;
};

Result<std::vector<Segment>> segments(const std::string& folder) {
  auto names = sys::list_folder(folder);
  std::vector<Segment> out;
  if (!names) {
    if (names.error().code == "NotFound") return out;
    return std::move(names).error();
  }
  for (const auto& name : *names) {
    if (name.size() != 16) continue;
    char* end = nullptr;
    const uint64_t start = std::strtoull(name.c_str(), &end, 16);
    if (*end == 0) out.push_back({start, folder + "/" + name});
  }
  return out;
}

bool read_exactly(int fd, void* into, size_t size, uint64_t at) {
  ssize_t n = 0;
  do n = ::pread(fd, into, size, static_cast<off_t>(at));
  while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(size);
}

// What a text needs at most inside a JSON message, its neighbours included.
size_t json_size(std::string_view text) {
  size_t size = 64;
  for (const char c : text)
    size += static_cast<unsigned char>(c) < 0x20 ? 6 : (c == '"' || c == '\\') ? 2 : 1;
  return size;
}

constexpr size_t kMaxLineJson = 40 * 1024;  // a message between roles has 64 KiB

std::string without_controls(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20)
      out += '?';
    else
      out += c;
  }
  return out;
}

}  // namespace

std::string make_utf8(std::string_view bytes) {
  if (valid_utf8(bytes)) return std::string(bytes);
  std::string out;
  while (!bytes.empty()) {
    size_t length = 1;
    while (length <= 4 && length <= bytes.size() && !valid_utf8(bytes.substr(0, length))) ++length;
    if (length > 4 || length > bytes.size()) {
      out += "\xef\xbf\xbd";
      length = 1;
    } else {
      out += bytes.substr(0, length);
    }
    bytes.remove_prefix(length);
  }
  return out;
}

Result<SpoolReader::Batch> SpoolReader::read(size_t max_bytes) {
  Batch batch{.end = place_};
  const auto all = TRY(segments(folder_));
  size_t used = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    const bool last = i + 1 == all.size();
    if (!last && all[i + 1].start <= batch.end.offset) continue;
    if (all[i].start > batch.end.offset) batch.end.offset = all[i].start;  // what was before it was dropped
    const sys::Fd fd(::open(all[i].path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
      if (errno == ENOENT) continue;
      return sys::system_error(all[i].path);
    }
    for (;;) {
      shim::Record header;
      const uint64_t at = batch.end.offset - all[i].start;
      if (!read_exactly(fd.get(), &header, sizeof header, at)) break;
      if (header.length > shim::kMaxRecord || header.sequence <= batch.end.sequence)
        return error("Invalid", "the output's spool is damaged");
      std::string text(header.length, 0);
      if (header.length > 0 && !read_exactly(fd.get(), text.data(), text.size(), at + sizeof header)) break;
      text = make_utf8(text);
      if (json_size(text) > kMaxLineJson) text = without_controls(text);
      const size_t size = json_size(text);
      if (used > 0 && (used + size > max_bytes || header.sequence != batch.end.sequence + 1)) return batch;
      used += size;
      batch.dropped += header.sequence - batch.end.sequence - 1;
      batch.end.offset += sizeof header + header.length;
      batch.end.sequence = header.sequence;
      batch.lines.push_back(
          {header.time, header.sequence, header.stream, header.partial != 0, std::move(text)});
    }
  }
  return batch;
}

}  // namespace bastide::runner
