#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "aws/body_check.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "net/loop.h"
#include "services/s3/s3.h"

namespace bastide::services {
namespace {

constexpr size_t kPiece = 256u << 10;
constexpr int64_t kMaxObject = int64_t{5} << 30;

std::string header_of(ChecksumKind kind) { return "x-amz-checksum-" + lower(checksum_name(kind)); }

Error too_large(int64_t size) {
  return fault(
      "EntityTooLarge",
      fmt::format("Your proposed upload exceeds the maximum allowed size ({} > {})", size, kMaxObject), 400);
}

}  // namespace

Result<S3::Ingested> S3::ingest(const Source& source, const std::string& object_key,
                                const std::vector<ChecksumKind>& kinds) {
  std::string file_key = random_bytes(store::kDataKeySize);
  Checksum digest(ChecksumKind::md5);
  std::vector<Checksum> sums;
  for (const ChecksumKind kind : kinds) sums.emplace_back(kind);
  std::unique_ptr<store::ObjectData::Writer> writer;
  std::string buffer(kPiece, '\0');
  Result<void> stored;
  int64_t total = 0;
  for (bool last = false; !last && stored;) {
    size_t filled = 0;
    while (filled < buffer.size()) {
      const auto got = source(buffer.data() + filled, buffer.size() - filled);
      if (!got) {
        net::offload([&] { writer.reset(); });
        return got.error();
      }
      if (*got == 0) {
        last = true;
        break;
      }
      filled += *got;
    }
    total += static_cast<int64_t>(filled);
    if (total > kMaxObject) {
      net::offload([&] { writer.reset(); });
      return too_large(total);
    }
    net::offload([&] {
      const std::string_view bytes(buffer.data(), filled);
      digest.update(bytes);
      for (Checksum& sum : sums) sum.update(bytes);
      if (writer == nullptr) {
        auto made = p_.data.create(file_key);
        if (!made) {
          stored = std::move(made).error();
          return;
        }
        writer = std::move(*made);
      }
      stored = writer->append(bytes);
      if (stored && last) stored = writer->finish();
      if (!stored) writer.reset();
    });
  }
  if (!stored) return std::move(stored).error();
  Ingested out;
  out.size = total;
  out.md5 = digest.finish();
  for (Checksum& sum : sums) out.sums[sum.kind()] = sum.finish();
  out.data = json::object(
      {{"id", writer->id()}, {"size", total}, {"key", base64(seal(object_key, file_key, writer->id()))}});
  wipe(file_key);
  return out;
}

void S3::discard(const json::Value& data) {
  for (const auto& one : data.array()) {
    const std::string id = one.get("id");
    net::offload([&] {
      if (const auto removed = p_.data.remove(id); !removed) log::error("s3: {}", removed.error().message);
    });
  }
}

Result<S3::Ingested> S3::ingest_body(const Call& call, const std::optional<std::string>& local_body,
                                     const std::string& object_key, ChecksumKind fallback,
                                     ChecksumKind* chosen) {
  aws::BodySource* body = call.stream == nullptr ? nullptr : call.stream->body;
  if (body == nullptr) {
    if (chosen != nullptr) *chosen = fallback;
    size_t at = 0;
    const std::string_view bytes = local_body ? std::string_view(*local_body) : std::string_view();
    return ingest(
        [&](char* out, size_t size) -> Result<size_t> {
          const size_t count = std::min(size, bytes.size() - at);
          std::memcpy(out, bytes.data() + at, count);
          at += count;
          return count;
        },
        object_key, {fallback});
  }
  const net::Request& request = *call.stream->request;
  if (body->length().value_or(0) > kMaxObject) return too_large(*body->length());
  std::vector<ChecksumKind> kinds;
  const std::string trailer = lower(request.headers.get("x-amz-trailer"));
  for (const ChecksumKind kind : kChecksumKinds) {
    const std::string header = header_of(kind);
    if (request.headers.has(header) || trailer.find(header) != std::string::npos) kinds.push_back(kind);
  }
  if (kinds.size() > 1) {
    return fault("InvalidRequest",
                 "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.", 400);
  }
  const std::string named = request.headers.get("x-amz-sdk-checksum-algorithm");
  if (kinds.empty()) {
    const auto kind = named.empty() ? std::optional(fallback) : checksum_kind(named);
    if (!kind) return fault("NotImplemented", "Checksum algorithm '" + named + "' is not implemented", 501);
    kinds.push_back(*kind);
  }
  if (chosen != nullptr) *chosen = kinds.front();
  const std::string* sent_md5 = request.headers.find("Content-MD5");
  std::string expected_md5;
  if (sent_md5 != nullptr) {
    auto raw = unbase64(*sent_md5);
    if (!raw || raw->size() != 16)
      return fault("InvalidDigest", "The Content-MD5 you specified is not valid.", 400);
    expected_md5 = std::move(*raw);
  }
  auto out =
      TRY(ingest([&](char* buffer, size_t size) { return body->read(buffer, size); }, object_key, kinds));
  const auto refuse = [&](std::string message) -> Error {
    discard(json::array({out.data}));
    return fault("BadDigest", std::move(message), 400);
  };
  if (!expected_md5.empty() && out.md5 != expected_md5)
    return refuse("The Content-MD5 you specified did not match what we received.");
  const std::string header = header_of(kinds.front());
  const std::string* sent = request.headers.find(header);
  if (sent == nullptr) sent = body->trailers().find(header);
  if (sent != nullptr && *sent != base64(out.sums[kinds.front()])) {
    return refuse(fmt::format("The {} you specified did not match the calculated checksum.",
                              checksum_name(kinds.front())));
  }
  return out;
}

}  // namespace bastide::services
