// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "services/s3/members.h"

namespace bastide::services {

namespace op = model::s3::op;
namespace objects = store::objects;

namespace {

constexpr int64_t kMinPart = int64_t{5} << 20;
constexpr int32_t kMaxPart = 10'000;

Error no_such_upload() {
  return fault("NoSuchUpload",
               "The specified upload does not exist. The upload ID may be invalid, or the upload may have "
               "been aborted "
               "or completed.",
               404);
}
Error invalid_part() {
  return fault(
      "InvalidPart",
      "One or more of the specified parts could not be found.  The part may not have been uploaded, or the "
      "specified entity tag may not match the part's entity tag.",
      400);
}
Error malformed() {
  return fault("MalformedXML",
               "The XML you provided was not well-formed or did not validate against our published schema",
               400);
}

Result<objects::Upload> find_upload(store::Reader& r, const std::string& bucket, const std::string& key,
                                    const std::string& id) {
  auto found = TRY(objects::upload(r, id));
  if (!found || found->bucket != bucket || found->key != key) return no_such_upload();
  return std::move(*found);
}

ChecksumKind kind_of(const objects::Upload& upload) {
  return checksum_kind(upload.meta.get("sumKind")).value_or(ChecksumKind::crc64nvme);
}

template <class Q>
std::optional<std::string> sent_sum(const Q& q, ChecksumKind kind) {
  switch (kind) {
    case ChecksumKind::crc32:
      return q.checksum_crc32;
    case ChecksumKind::crc32c:
      return q.checksum_crc32_c;
    case ChecksumKind::crc64nvme:
      return q.checksum_crc64_nvme;
    case ChecksumKind::sha1:
      return q.checksum_sha1;
    case ChecksumKind::sha256:
      return q.checksum_sha256;
    case ChecksumKind::sha512:
      return q.checksum_sha512;
    case ChecksumKind::md5:
      return q.checksum_md5;
  }
  return {};
}

// The object's checksum, of its parts'.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
Result<std::string> whole_sum(const std::vector<objects::Part>& parts, ChecksumKind kind, bool composite) {
  std::string joined, crc;
  for (const auto& part : parts) {
    const std::string raw = TRY(unbase64(part.meta.get("sum")));
    joined += raw;
    crc = crc.empty() ? raw : combine_crc(kind, crc, raw, static_cast<uint64_t>(part.size));
  }
  if (!composite) return base64(crc);
  return fmt::format("{}-{}", base64(checksum(kind, joined)), parts.size());
}

}  // namespace

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
S3::Answer<op::CreateMultipartUpload> S3::create_upload(Call& call,
                                                        const op::CreateMultipartUpload::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  TRY(s3::check_write(q));
  objects::Upload upload;
  upload.id = random_text(64, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._");
  upload.bucket = q.bucket;
  upload.key = q.key;
  upload.started = call.now;
  upload.meta = s3::metadata_of(q);
  TRY(s3::check_metadata(upload.meta));
  if (q.tagging) upload.meta["tags"] = TRY(s3::tags_of_header(*q.tagging));
  const std::string name = q.checksum_algorithm.value_or("CRC64NVME");
  const auto kind = checksum_kind(name);
  if (!kind) return fault("NotImplemented", "Checksum algorithm '" + name + "' is not implemented", 501);
  const std::string type =
      q.checksum_type.value_or(*kind == ChecksumKind::crc64nvme ? "FULL_OBJECT" : "COMPOSITE");
  const bool composite = type == "COMPOSITE";
  if (composite == (*kind == ChecksumKind::crc64nvme) || (!composite && !is_crc(*kind))) {
    return fault(
        "InvalidRequest",
        fmt::format("The {} checksum type cannot be used with the {} checksum algorithm.", type, name), 400);
  }
  upload.meta["sumKind"] = name;
  upload.meta["sumType"] = type;
  auto sealing = TRY(seal_new(call, *b, q.key, s3::sse_of<SseRequest>(q)));
  wipe(sealing.plain);
  upload.meta["sealing"] = std::move(sealing.stored);
  upload.meta["initiator"] = call.principal.arn;
  TRY(p_.database.write([&](store::Writer& w) -> Result<void> {
    const auto rows = TRY(w.find(s3::kBucketKind, "name", q.bucket));
    if (rows.empty()) return s3::no_such_bucket();
    return objects::begin_upload(w, upload);
  }));
  op::CreateMultipartUpload::Response out;
  out.bucket = q.bucket;
  out.key = q.key;
  out.upload_id = upload.id;
  if (q.checksum_algorithm) {
    out.checksum_algorithm = name;
    out.checksum_type = type;
  }
  s3::set_sealing(out, upload.meta);
  return out;
}

namespace {

Result<void> check_part_number(int32_t number) {
  if (number >= 1 && number <= kMaxPart) return {};
  return fault("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive", 400);
}

}  // namespace

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
S3::Answer<op::UploadPart> S3::upload_part(Call& call, const op::UploadPart::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  TRY(check_part_number(q.part_number));
  objects::Upload upload;
  TRY(p_.database.read([&](store::Reader& r) -> Result<void> {
    upload = TRY(find_upload(r, q.bucket, q.key, q.upload_id));
    return {};
  }));
  const ChecksumKind wanted = kind_of(upload);
  std::string key = TRY(open_key(call, *b, q.key, upload.meta, s3::sse_of<SseRequest>(q)));
  ChecksumKind kind = wanted;
  auto body = ingest_body(call, q.body, key, wanted, &kind);
  wipe(key);
  if (!body) return std::move(body).error();
  objects::Part part;
  part.number = q.part_number;
  part.size = body->size;
  part.etag = hex(body->md5);
  part.modified = call.now / 1000 * 1000;
  part.data = json::array({body->data});
  const std::string sum = base64(body->sums[kind]);
  Result<void> stored;
  if (kind != wanted) {
    stored = fault(
        "InvalidRequest",
        fmt::format("Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                    lower(checksum_name(wanted)), lower(checksum_name(kind))),
        400);
  } else {
    part.meta = json::object({{"sum", sum}});
    stored = p_.database.write([&](store::Writer& w) -> Result<void> {
      TRY(find_upload(w, q.bucket, q.key, q.upload_id));
      return objects::put_part(w, q.upload_id, part);
    });
  }
  if (!stored) {
    discard(part.data);
    return std::move(stored).error();
  }
  op::UploadPart::Response out;
  out.e_tag = s3::quoted(part.etag);
  s3::set_sums(out, json::object({{"sums", json::object({{checksum_name(kind), sum}})}}));
  s3::set_sealing(out, upload.meta);
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
S3::Answer<op::CompleteMultipartUpload> S3::complete_upload(Call& call,
                                                            const op::CompleteMultipartUpload::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  if (!q.multipart_upload || !q.multipart_upload->parts || q.multipart_upload->parts->empty())
    return malformed();
  const auto& asked = *q.multipart_upload->parts;
  objects::Upload upload;
  std::vector<objects::Part> known;
  TRY(p_.database.read([&](store::Reader& r) -> Result<void> {
    upload = TRY(find_upload(r, q.bucket, q.key, q.upload_id));
    known = TRY(objects::parts(r, q.upload_id, 0, kMaxPart));
    return {};
  }));
  const ChecksumKind kind = kind_of(upload);
  const bool composite = upload.meta.get("sumType") == "COMPOSITE";
  std::vector<objects::Part> chosen;
  std::vector<int32_t> numbers;
  objects::Object object;
  object.key = q.key;
  json::Value sizes = json::array();
  std::string digests;
  for (size_t i = 0; i < asked.size(); ++i) {
    if (!asked[i].part_number || !asked[i].e_tag) return malformed();
    if (i > 0 && *asked[i].part_number <= *asked[i - 1].part_number) {
      return fault(
          "InvalidPartOrder",
          "The list of parts was not in ascending order. The parts list must be specified in order by part "
          "number.",
          400);
    }
  }
  for (size_t i = 0; i < asked.size(); ++i) {
    const int32_t number = *asked[i].part_number;
    const auto found =
        std::find_if(known.begin(), known.end(), [&](const auto& p) { return p.number == number; });
    if (found == known.end() || s3::bare(*asked[i].e_tag) != found->etag) return invalid_part();
    if (const auto sum = sent_sum(asked[i], kind); sum && *sum != found->meta.get("sum"))
      return invalid_part();
    if (i + 1 < asked.size() && found->size < kMinPart) {
      return fault("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", 400);
    }
    numbers.push_back(number);
    digests += TRY(unhex(found->etag));
    sizes.push(found->size);
    object.size += found->size;
    for (const auto& file : found->data.array()) object.data.push(file);
    chosen.push_back(*found);
  }
  if (q.mpu_object_size && *q.mpu_object_size != object.size) {
    return fault("InvalidRequest",
                 "The provided 'x-amz-mp-object-size' header does not match what was computed.", 400);
  }
  const std::string sum = TRY(whole_sum(chosen, kind, composite));
  if (const auto sent = sent_sum(q, kind); sent && *sent != sum && *sent != sum.substr(0, sum.rfind('-')))
    return fault(
        "BadDigest",
        fmt::format("The {} you specified did not match the calculated checksum.", checksum_name(kind)), 400);
  object.etag = fmt::format("{}-{}", hex(md5(digests)), chosen.size());
  object.meta = upload.meta;
  for (const char* own : {"sumKind", "initiator"}) object.meta.remove(own);
  object.meta["parts"] = std::move(sizes);
  object.meta["sums"] = json::object({{checksum_name(kind), sum}});
  const auto stored = TRY(commit(
      call, *b, std::move(object), {q.if_match, q.if_none_match}, [&](store::Writer& w) -> Result<void> {
        TRY(find_upload(w, q.bucket, q.key, q.upload_id));
        const auto now = TRY(objects::parts(w, q.upload_id, 0, kMaxPart));
        // A part that was sent again meanwhile is another part.
        for (const auto& part : chosen) {
          const auto same = std::find_if(now.begin(), now.end(), [&](const auto& p) {
            return p.number == part.number && p.data == part.data;
          });
          if (same == now.end()) return invalid_part();
        }
        return objects::end_upload(w, q.upload_id, numbers);
      }));
  op::CompleteMultipartUpload::Response out;
  out.location = call.endpoint + "/" + q.bucket + "/" + percent_encode(q.key, "/");
  out.bucket = q.bucket;
  out.key = q.key;
  out.e_tag = s3::quoted(stored.etag);
  if (stored.version != "null") out.version_id = stored.version;
  s3::set_sums(out, stored.meta);
  s3::set_sealing(out, stored.meta);
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
S3::Answer<op::AbortMultipartUpload> S3::abort_upload(Call&, const op::AbortMultipartUpload::Request& q) {
  TRY(bucket(q.bucket, q.expected_bucket_owner));
  TRY(p_.database.write([&](store::Writer& w) -> Result<void> {
    TRY(find_upload(w, q.bucket, q.key, q.upload_id));
    return objects::end_upload(w, q.upload_id, {});
  }));
  return op::AbortMultipartUpload::Response{};
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
S3::Answer<op::ListParts> S3::list_parts(Call&, const op::ListParts::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  const int32_t limit = std::clamp(q.max_parts.value_or(1000), 0, 1000),
                after = q.part_number_marker.value_or(0);
  objects::Upload upload;
  std::vector<objects::Part> parts;
  TRY(p_.database.read([&](store::Reader& r) -> Result<void> {
    upload = TRY(find_upload(r, q.bucket, q.key, q.upload_id));
    parts = TRY(objects::parts(r, q.upload_id, after, static_cast<size_t>(limit) + 1));
    return {};
  }));
  op::ListParts::Response out;
  out.bucket = q.bucket;
  out.key = q.key;
  out.upload_id = q.upload_id;
  out.part_number_marker = after;
  out.max_parts = limit;
  out.is_truncated = parts.size() > static_cast<size_t>(limit);
  if (*out.is_truncated) parts.resize(static_cast<size_t>(limit));
  out.next_part_number_marker = parts.empty() ? 0 : parts.back().number;
  out.storage_class = upload.meta.get("class", "STANDARD");
  out.owner.emplace().id = s3::canonical_id(b->account);
  out.initiator.emplace().id = upload.meta.get("initiator");
  out.checksum_algorithm = upload.meta.get("sumKind");
  out.checksum_type = upload.meta.get("sumType");
  for (const auto& part : parts) {
    auto& row = (out.parts ? *out.parts : out.parts.emplace()).emplace_back();
    row.part_number = part.number;
    row.size = part.size;
    row.e_tag = s3::quoted(part.etag);
    row.last_modified = part.modified;
    s3::set_sums(
        row, json::object({{"sums", json::object({{upload.meta.get("sumKind"), part.meta.get("sum")}})}}));
  }
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
S3::Answer<op::ListMultipartUploads> S3::list_uploads(Call&, const op::ListMultipartUploads::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  const bool url = q.encoding_type.value_or("") == "url";
  const int32_t limit = std::clamp(q.max_uploads.value_or(1000), 0, 1000);
  const std::string prefix = q.prefix.value_or(""), delimiter = q.delimiter.value_or("");
  std::string after_key = q.key_marker.value_or(""), after_id = q.upload_id_marker.value_or("");
  op::ListMultipartUploads::Response out;
  out.bucket = q.bucket;
  out.prefix = s3::encode_key(prefix, url);
  out.key_marker = s3::encode_key(after_key, url);
  out.upload_id_marker = after_id;
  if (q.delimiter) out.delimiter = s3::encode_key(delimiter, url);
  out.max_uploads = limit;
  out.encoding_type = q.encoding_type;
  out.is_truncated = false;
  int32_t count = 0;
  std::string last_prefix;
  for (bool more = true; more;) {
    std::vector<objects::Upload> page;
    TRY(p_.database.read([&](store::Reader& r) -> Result<void> {
      page = TRY(objects::uploads(r, q.bucket, prefix, after_key, after_id, 1000));
      return {};
    }));
    more = page.size() == 1000;
    for (const auto& upload : page) {
      const size_t cut = delimiter.empty() ? std::string::npos : upload.key.find(delimiter, prefix.size());
      const std::string common = cut == std::string::npos ? "" : upload.key.substr(0, cut + delimiter.size());
      if (!common.empty() && common == last_prefix) continue;
      if (count == limit) {
        out.is_truncated = limit > 0;
        out.next_key_marker = s3::encode_key(after_key, url);
        out.next_upload_id_marker = after_id;
        return out;
      }
      ++count;
      after_key = upload.key;
      after_id = upload.id;
      if (!common.empty()) {
        last_prefix = common;
        (out.common_prefixes ? *out.common_prefixes : out.common_prefixes.emplace()).emplace_back().prefix =
            s3::encode_key(common, url);
        continue;
      }
      auto& row = (out.uploads ? *out.uploads : out.uploads.emplace()).emplace_back();
      row.upload_id = upload.id;
      row.key = s3::encode_key(upload.key, url);
      row.initiated = upload.started / 1000 * 1000;
      row.storage_class = upload.meta.get("class", "STANDARD");
      row.owner.emplace().id = s3::canonical_id(b->account);
      row.initiator.emplace().id = upload.meta.get("initiator");
      row.checksum_algorithm = upload.meta.get("sumKind");
      row.checksum_type = upload.meta.get("sumType");
    }
    if (!page.empty()) {
      after_key = page.back().key;
      after_id = page.back().id;
    }
  }
  return out;
}

}  // namespace bastide::services
