#include "aws/payload.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::aws {
namespace {

constexpr std::string_view kSignedChunks = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
constexpr std::string_view kSignedTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
constexpr std::string_view kUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
constexpr size_t kMaxLine = 4u << 10;
constexpr size_t kMaxTrailers = 16;
constexpr size_t kBuffer = 64u << 10;

Error incomplete(std::string message) { return fault("IncompleteBody", std::move(message), 400); }
Error unreadable(const Error& e) {
  return e.code == "Timeout"
             ? fault(
                   "RequestTimeout",
                   "Your socket connection to the server was not read from or written to within the timeout "
                   "period. Idle connections will be closed.",
                   400)
             : incomplete("The request body terminated unexpectedly");
}
Error wrong_signature() {
  return fault(
      "SignatureDoesNotMatch",
      "The request signature we calculated does not match the signature you provided. Check your key "
      "and signing method.",
      403);
}

std::optional<int64_t> decoded_length(const net::Request& request) {
  const auto length = parse_int(request.headers.get("x-amz-decoded-content-length"));
  if (!length || *length < 0) return std::nullopt;
  return *length;
}

class Plain final : public BodySource {
 public:
  Plain(net::Exchange& exchange, std::string hash) : exchange_(exchange), hash_(std::move(hash)) {}

  Result<size_t> read(char* buffer, size_t size) override {
    auto got = exchange_.read_some(buffer, size);
    if (!got) return unreadable(got.error());
    if (hash_.empty()) return got;
    if (*got > 0) {
      sha_.update({buffer, *got});
    } else if (!checked_) {
      checked_ = true;
      if (hex(sha_.finish()) != hash_) {
        return fault("XAmzContentSHA256Mismatch",
                     "The provided 'x-amz-content-sha256' header does not match what was computed.", 400);
      }
    }
    return got;
  }
  std::optional<int64_t> length() const override { return exchange_.content_length(); }
  const net::Headers& trailers() const override { return none_; }

 private:
  net::Exchange& exchange_;
  std::string hash_;  // empty: not signed
  Sha256 sha_;
  bool checked_ = false;
  net::Headers none_;
};

class Chunked final : public BodySource {
 public:
  Chunked(net::Exchange& exchange, bool trailer, const Signature* signature, const SigningKey* key)
      : exchange_(exchange), has_trailer_(trailer), declared_(decoded_length(exchange.request())) {
    if (signature != nullptr && key != nullptr) signatures_.emplace(*signature, *key);
  }

  Result<size_t> read(char* buffer, size_t size) override {
    while (left_ == 0) {
      if (ended_) return size_t{0};
      TRY(next_chunk());
    }
    if (at_ == buffer_.size()) TRY(fill());
    const size_t count = std::min({size, buffer_.size() - at_, static_cast<size_t>(left_)});
    std::memcpy(buffer, buffer_.data() + at_, count);
    at_ += count;
    left_ -= static_cast<int64_t>(count);
    total_ += static_cast<int64_t>(count);
    if (declared_ && total_ > *declared_) return too_long();
    if (signatures_) sha_->update({buffer, count});
    if (left_ == 0) TRY(end_chunk());
    return count;
  }
  std::optional<int64_t> length() const override { return declared_; }
  const net::Headers& trailers() const override { return trailers_; }

 private:
  static Error too_long() {
    return incomplete("The request body is longer than x-amz-decoded-content-length says");
  }

  Result<void> fill() {
    if (at_ == buffer_.size()) {
      buffer_.clear();
      at_ = 0;
    }
    const size_t before = buffer_.size();
    buffer_.resize(before + kBuffer);
    const auto got = exchange_.read_some(buffer_.data() + before, kBuffer);
    buffer_.resize(before + (got ? *got : 0));
    if (!got) return unreadable(got.error());
    if (*got == 0) return incomplete("The request body terminated unexpectedly");
    return {};
  }

  Result<std::string> line() {
    for (size_t from = at_;;) {
      const size_t end = buffer_.find('\n', from);
      if (end != std::string::npos) {
        std::string out = buffer_.substr(at_, end - at_);
        at_ = end + 1;
        if (out.ends_with('\r')) out.pop_back();
        return out;
      }
      if (buffer_.size() - at_ > kMaxLine) return incomplete("A chunk's head is too long");
      from = buffer_.size();
      if (at_ == buffer_.size()) from = 0;
      TRY(fill());
    }
  }

  Result<void> next_chunk() {
    const std::string head = TRY(line());
    const size_t semicolon = head.find(';');
    const std::string_view digits = trim(std::string_view(head).substr(0, semicolon));
    int64_t size = 0;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
    if (ec != std::errc{} || end != digits.data() + digits.size() || size < 0)
      return incomplete("A chunk without a size");
    signature_.clear();
    constexpr std::string_view kExtension = "chunk-signature=";
    if (const size_t at = head.find(kExtension); at != std::string::npos)
      signature_ = head.substr(at + kExtension.size());
    if (signatures_) sha_.emplace();
    left_ = size;
    if (size > 0) return {};
    ended_ = true;
    if (signatures_) TRY(check_chunk());
    if (declared_ && total_ != *declared_)
      return incomplete(
          "You did not provide the number of bytes specified by the Content-Length HTTP header");
    if (has_trailer_) return read_trailers();
    return drain();
  }

  Result<void> check_chunk() {
    if (!signatures_->check(hex(sha_->finish()), signature_)) return wrong_signature();
    return {};
  }

  Result<void> end_chunk() {
    if (signatures_) TRY(check_chunk());
    const std::string blank = TRY(line());
    if (!blank.empty()) return incomplete("A chunk that is longer than its size");
    return {};
  }

  Result<void> read_trailers() {
    std::string canonical, signature;
    for (;;) {
      if (at_ == buffer_.size()) {
        // Some clients leave out the last empty line.
        buffer_.resize(kBuffer);
        const auto got = exchange_.read_some(buffer_.data(), kBuffer);
        buffer_.resize(got ? *got : 0);
        at_ = 0;
        if (!got) return unreadable(got.error());
        if (*got == 0) break;
      }
      const std::string text = TRY(line());
      if (text.empty()) break;
      if (trailers_.size() == kMaxTrailers) return incomplete("Too many trailers");
      const size_t colon = text.find(':');
      if (colon == std::string::npos) return incomplete("A trailer without a value");
      std::string name = lower(trim(std::string_view(text).substr(0, colon)));
      std::string value(trim(std::string_view(text).substr(colon + 1)));
      if (name == "x-amz-trailer-signature") {
        signature = value;
        continue;
      }
      canonical += name + ":" + value + "\n";
      trailers_.add(std::move(name), std::move(value));
    }
    if (signatures_ && !signatures_->check_trailer(sha256_hex(canonical), signature))
      return wrong_signature();
    return drain();
  }

  Result<void> drain() {
    char rest[256];
    for (size_t dropped = 0; dropped < kMaxLine;) {
      const auto got = exchange_.read_some(rest, sizeof rest);
      if (!got) return unreadable(got.error());
      if (*got == 0) return {};
      dropped += *got;
    }
    return incomplete("Something follows the last chunk");
  }

  net::Exchange& exchange_;
  const bool has_trailer_;
  const std::optional<int64_t> declared_;
  std::optional<ChunkSignatures> signatures_;
  std::optional<Sha256> sha_;
  std::string buffer_;
  size_t at_ = 0;
  int64_t left_ = 0, total_ = 0;
  bool ended_ = false;
  std::string signature_;
  net::Headers trailers_;
};

}  // namespace

Result<std::string> announced_payload(const net::Request& request, bool presigned) {
  const std::string* header = request.headers.find("x-amz-content-sha256");
  if (header == nullptr) {
    if (presigned) return std::string(kUnsignedPayload);
    return fault("InvalidRequest", "Missing required header for this request: x-amz-content-sha256", 400);
  }
  if (*header == kUnsignedPayload || *header == kSignedChunks || *header == kSignedTrailer ||
      *header == kUnsignedTrailer)
    return *header;
  const bool hash = header->size() == 64 && std::all_of(header->begin(), header->end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                    });
  if (!hash) {
    return fault("InvalidArgument",
                 "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
                 "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid "
                 "sha256 value.",
                 400);
  }
  return *header;
}

std::unique_ptr<BodySource> open_payload(net::Exchange& exchange, std::string announced,
                                         const Signature* signature, const SigningKey* key) {
  if (announced == kUnsignedTrailer) return std::make_unique<Chunked>(exchange, true, nullptr, nullptr);
  if (announced == kSignedChunks || announced == kSignedTrailer)
    return std::make_unique<Chunked>(exchange, announced == kSignedTrailer, signature, key);
  if (announced == kUnsignedPayload) announced.clear();
  return std::make_unique<Plain>(exchange, std::move(announced));
}

}  // namespace bastide::aws
