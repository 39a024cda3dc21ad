// The keys of objects.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html
#include "base/bytes.h"
#include "base/crypto.h"
#include "services/s3/s3.h"

namespace bastide::services {
namespace {

constexpr const char* kPurpose = "s3.object";
constexpr const char* kManagedKey = "alias/aws/s3";

// SSE-C: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
Result<std::string> customer_key(const std::string& algorithm, const std::string& key,
                                 const std::string& digest) {
  if (algorithm != "AES256")
    return fault("InvalidEncryptionAlgorithmError",
                 "The Encryption request you specified is not valid. Supported value: AES256.", 400);
  auto raw = unbase64(key);
  if (!raw || raw->size() != store::kDataKeySize)
    return fault("InvalidArgument", "The secret key was invalid for the specified algorithm.", 400);
  if (base64(md5(*raw)) != digest) {
    return fault("InvalidArgument",
                 "The calculated MD5 hash of the key did not match the hash that was provided.", 400);
  }
  return raw;
}

std::string bound_to(const std::string& bucket, const std::string& key) { return bucket + "/" + key; }

Error of_kms(Error e) {
  if (!e.fault) return e;
  if (e.code.starts_with("AccessDenied")) return fault("AccessDenied", std::move(e.message), 403);
  return fault(e.code.starts_with("KMS.") ? e.code : "KMS." + e.code, std::move(e.message), 400);
}

}  // namespace

Result<S3::Sealing> S3::seal_new(const Call& call, const s3::Bucket& bucket, const std::string& key,
                                 const SseRequest& sse) {
  Sealing out;
  std::string kind = sse.sse, kms_key = sse.kms_key;
  bool bucket_key = sse.bucket_key;
  if (!sse.customer_key.empty() || !sse.customer_algorithm.empty()) {
    if (!kind.empty()) {
      return fault("InvalidArgument",
                   "Server Side Encryption with Customer provided key is incompatible with the encryption "
                   "method specified",
                   400);
    }
    const std::string given = TRY(customer_key(sse.customer_algorithm, sse.customer_key, sse.customer_md5));
    out.plain = random_bytes(store::kDataKeySize);
    out.stored = json::object({{"sse", "C"},
                               {"md5", sse.customer_md5},
                               {"key", base64(seal(given, out.plain, bound_to(bucket.name, key)))}});
    return out;
  }
  if (kind.empty()) {
    kind = "AES256";
    const json::Value* configured = bucket.configuration("encryption");
    if (configured != nullptr) {
      for (const auto& rule : configured->get_array("Rules")) {
        const json::Value* by_default = rule.find("ApplyServerSideEncryptionByDefault");
        if (by_default == nullptr) continue;
        kind = by_default->get("SSEAlgorithm", "AES256");
        kms_key = by_default->get("KMSMasterKeyID");
        bucket_key = rule.get_bool("BucketKeyEnabled");
      }
    }
  }
  if (kind == "AES256") {
    if (!kms_key.empty()) {
      return fault("InvalidArgument",
                   "Server Side Encryption with AWS KMS managed key requires HTTP header "
                   "x-amz-server-side-encryption : aws:kms",
                   400);
    }
    out.plain = random_bytes(store::kDataKeySize);
    out.stored = json::object(
        {{"sse", kind}, {"key", base64(p_.keyring.seal(kPurpose, out.plain, bound_to(bucket.name, key)))}});
    return out;
  }
  if (kind != "aws:kms")
    return fault("NotImplemented", "Encryption '" + kind + "' is not implemented; aws:kms and AES256 are",
                 501);
  const json::Value context = json::object({{"aws:s3:arn", bucket_key ? bucket.arn() : bucket.arn(key)}});
  auto made = p_.client.call(call.principal, bucket.account, bucket.region, "kms", "GenerateDataKey",
                             json::object({{"KeyId", kms_key.empty() ? kManagedKey : kms_key},
                                           {"KeySpec", "AES_256"},
                                           {"EncryptionContext", context}}));
  if (!made) return of_kms(std::move(made).error());
  out.plain = TRY(unbase64(made->get("Plaintext")));
  out.stored = json::object({{"sse", kind},
                             {"kmsKey", made->get("KeyId")},
                             {"bucketKey", bucket_key},
                             {"context", context},
                             {"key", made->get("CiphertextBlob")}});
  return out;
}

Result<std::string> S3::open_key(const Call& call, const s3::Bucket& bucket, const std::string& key,
                                 const json::Value& meta, const SseRequest& sse) {
  const json::Value* sealed = meta.find("sealing");
  if (sealed == nullptr) return error("object " + bound_to(bucket.name, key) + " without a key");
  const std::string kind = sealed->get("sse");
  if ((kind == "C") != !sse.customer_key.empty()) {
    return kind == "C"
               ? fault("InvalidRequest",
                       "The object was stored using a form of Server Side Encryption. The correct "
                       "parameters must be provided to retrieve the object.",
                       400)
               : fault("InvalidRequest", "The encryption parameters are not applicable to this object.", 400);
  }
  if (kind == "aws:kms") {
    auto opened = p_.client.call(call.principal, bucket.account, bucket.region, "kms", "Decrypt",
                                 json::object({{"CiphertextBlob", sealed->get("key")},
                                               {"EncryptionContext", *sealed->find("context")}}));
    if (!opened) return of_kms(std::move(opened).error());
    return unbase64(opened->get("Plaintext"));
  }
  const std::string wrapped = TRY(unbase64(sealed->get("key")));
  if (kind == "AES256") return p_.keyring.unseal(kPurpose, wrapped, bound_to(bucket.name, key));
  const std::string given = TRY(customer_key(sse.customer_algorithm, sse.customer_key, sse.customer_md5));
  auto plain = unseal(given, wrapped, bound_to(bucket.name, key));
  if (!plain) return s3::access_denied();
  return plain;
}

}  // namespace bastide::services
