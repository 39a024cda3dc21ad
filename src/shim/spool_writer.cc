#include "shim/spool_writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim/files.h"

namespace bastide::shim {

void SpoolWriter::append(int stream, const char* bytes, unsigned size) {
  Line& line = lines_[stream - 1];
  while (size > 0) {
    const char* end = static_cast<const char*>(::memchr(bytes, '\n', size));
    unsigned take = end ? static_cast<unsigned>(end - bytes) : size;
    const bool full = take > kMaxRecord - line.length;
    if (full) take = kMaxRecord - line.length;
    ::memcpy(line.text + line.length, bytes, take);
    line.length += take;
    bytes += take;
    size -= take;
    if (full) {
      flush(stream, true);
    } else if (end) {
      write_record(stream, line.text, line.length, false);
      line.length = 0;
      ++bytes;
      --size;
    }
  }
}

void SpoolWriter::flush(int stream, bool partial) {
  Line& line = lines_[stream - 1];
  if (line.length == 0) return;
  write_record(stream, line.text, line.length, partial);
  line.length = 0;
}

void SpoolWriter::finish() {
  flush(1, false);
  flush(2, false);
  if (segment_ >= 0) ::fdatasync(segment_);
}

bool SpoolWriter::next_segment() {
  char name[20];
  if (segments_ == kMaxSegments) {
    ::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(starts_[0]));
    ::unlinkat(folder_, name, 0);
    ::memmove(starts_, starts_ + 1, sizeof(starts_[0]) * (kMaxSegments - 1));
    --segments_;
  }
  ::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(offset_));
  const int fd = ::openat(folder_, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  if (segment_ >= 0) ::close(segment_);
  segment_ = fd;
  segment_size_ = 0;
  starts_[segments_++] = offset_;
  return true;
}

void SpoolWriter::write_record(int stream, const char* text, unsigned length, bool partial) {
  Record header{};
  header.length = length;
  header.stream = static_cast<uint8_t>(stream);
  header.partial = partial;
  header.time = now_millis();
  header.sequence = ++sequence_;
  const uint64_t size = sizeof header + length;
  if (segment_ < 0 || segment_size_ + size > kSegmentBytes) {
    if (!next_segment()) return;
  }
  iovec parts[] = {{&header, sizeof header}, {const_cast<char*>(text), length}};
  const ssize_t written = ::writev(segment_, parts, 2);
  if (written == static_cast<ssize_t>(size)) {
    segment_size_ += size;
    offset_ += size;
  } else if (written > 0) {
    [[maybe_unused]] const int cut = ::ftruncate(segment_, static_cast<off_t>(segment_size_));
  }
}

}  // namespace bastide::shim
