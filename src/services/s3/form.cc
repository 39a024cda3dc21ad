#include "services/s3/form.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace bastide::services::s3 {
namespace {

constexpr size_t kMaxFields = 20'000;  // bytes of all fields but the file
constexpr size_t kPiece = 64u << 10;

Error malformed(const char* why) {
  return fault("MalformedPOSTRequest",
               std::string("The body of your POST request is not well-formed multipart/form-data: ") + why,
               400);
}

// The value of a parameter of a header: form-data; name="key"; filename="a.txt".
std::string parameter(std::string_view header, std::string_view name) {
  for (size_t at = header.find(';'); at != std::string_view::npos; at = header.find(';', at + 1)) {
    std::string_view part = trim(header.substr(at + 1));
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos || !iequals(trim(part.substr(0, equals)), name)) continue;
    part.remove_prefix(equals + 1);
    if (part.starts_with('"')) {
      const size_t end = part.find('"', 1);
      return std::string(part.substr(1, end == std::string_view::npos ? end : end - 1));
    }
    return std::string(trim(part.substr(0, part.find(';'))));
  }
  return {};
}

}  // namespace

Result<bool> Form::fill() {
  const size_t before = buffer_.size();
  buffer_.resize(before + kPiece);
  const auto got = exchange_.read_some(buffer_.data() + before, kPiece);
  buffer_.resize(before + (got ? *got : 0));
  if (!got) return fault("IncompleteBody", "The request body terminated unexpectedly", 400);
  return *got > 0;
}

Result<std::string> Form::until(std::string_view mark, size_t max) {
  for (;;) {
    const size_t end = buffer_.find(mark);
    if (end != std::string::npos && end <= max) {
      std::string out = buffer_.substr(0, end);
      buffer_.erase(0, end + mark.size());
      return out;
    }
    if (buffer_.size() > max) {
      return fault("MaxPostPreDataLengthExceededError",
                   "Your POST request fields preceding the upload file was too large.", 400);
    }
    const bool more = TRY(fill());
    if (!more) return malformed("it ends early");
  }
}

Result<void> Form::read_fields() {
  const std::string boundary = parameter(exchange_.request().headers.get("Content-Type"), "boundary");
  if (boundary.empty() || boundary.size() > 200) return malformed("it has no boundary");
  boundary_ = "\r\n--" + boundary;
  buffer_ = "\r\n";
  TRY(until(boundary_, kMaxFields));
  size_t total = 0;
  for (;;) {
    const std::string line = TRY(until("\r\n", 200));
    if (line == "--")
      return fault("InvalidArgument", "POST requires exactly one file upload per request.", 400);
    const std::string head = "\r\n" + TRY(until("\r\n\r\n", 8192));
    std::string disposition, type;
    for (std::string_view one : split(head, '\n')) {
      const size_t colon = one.find(':');
      if (colon == std::string_view::npos) continue;
      if (iequals(trim(one.substr(0, colon)), "content-disposition"))
        disposition = trim(one.substr(colon + 1));
      if (iequals(trim(one.substr(0, colon)), "content-type")) type = trim(one.substr(colon + 1));
    }
    const std::string name = lower(parameter(disposition, "name"));
    if (name.empty()) return malformed("a part without a name");
    if (name == "file") {
      file_name_ = parameter(disposition, "filename");
      if (const size_t slash = file_name_.find_last_of("/\\"); slash != std::string::npos)
        file_name_.erase(0, slash + 1);
      return {};
    }
    std::string value = TRY(until(boundary_, kMaxFields));
    total += name.size() + value.size();
    if (total > kMaxFields) {
      return fault("MaxPostPreDataLengthExceededError",
                   "Your POST request fields preceding the upload file was too large.", 400);
    }
    if (!valid_utf8(value) || !valid_utf8(name)) return malformed("a field that is not UTF-8");
    fields_[name] = std::move(value);
  }
}

Result<size_t> Form::read(char* buffer, size_t size) {
  if (done_) return size_t{0};
  for (;;) {
    const size_t end = buffer_.find(boundary_);
    // What may be the beginning of a boundary stays.
    const size_t safe = end != std::string::npos            ? end
                        : buffer_.size() < boundary_.size() ? 0
                                                            : buffer_.size() - boundary_.size() + 1;
    if (safe > 0) {
      const size_t count = std::min(size, safe);
      std::memcpy(buffer, buffer_.data(), count);
      buffer_.erase(0, count);
      total_ += static_cast<int64_t>(count);
      if (total_ > max_)
        return fault("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", 400);
      return count;
    }
    if (end == 0) break;
    const bool more = TRY(fill());
    if (!more) return fault("IncompleteBody", "The request body terminated unexpectedly", 400);
  }
  done_ = true;
  // What follows the file is read and ignored, up to a bound.
  for (size_t dropped = 0; dropped < kMaxFields;) {
    buffer_.clear();
    const bool more = TRY(fill());
    if (!more) break;
    dropped += buffer_.size();
  }
  if (total_ < min_)
    return fault("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", 400);
  return size_t{0};
}

}  // namespace bastide::services::s3
