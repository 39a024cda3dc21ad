// multipart/form-data (RFC 7578) with one file, which is the last part that counts and is read as it comes.
#pragma once

#include <map>
#include <string>

#include "aws/stream.h"
#include "net/http_server.h"

namespace bastide::services::s3 {

class Form final : public aws::BodySource {
 public:
  explicit Form(net::Exchange& exchange) : exchange_(exchange) {}
  // Everything before the file. Faults in S3's words.
  Result<void> read_fields();
  const std::map<std::string, std::string>& fields() const { return fields_; }  // names in lower case
  const std::string& file_name() const { return file_name_; }
  void limit(int64_t min, int64_t max) {
    min_ = min;
    max_ = max;
  }

  // The file.
  Result<size_t> read(char* buffer, size_t size) override;
  std::optional<int64_t> length() const override { return std::nullopt; }
  const net::Headers& trailers() const override { return none_; }

 private:
  Result<bool> fill();  // false: nothing more comes
  Result<std::string> until(std::string_view mark, size_t max);

  net::Exchange& exchange_;
  std::string boundary_;  // "\r\n--" and the boundary
  std::string buffer_;
  std::map<std::string, std::string> fields_;
  std::string file_name_;
  int64_t total_ = 0, min_ = 0, max_ = int64_t{5} << 30;
  bool done_ = false;
  net::Headers none_;
};

}  // namespace bastide::services::s3
