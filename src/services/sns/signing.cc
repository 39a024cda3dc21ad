#include "services/sns/signing.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/free.h"
#include "net/loop.h"

namespace bastide::services::sns {
namespace {

constexpr const char* kKind = "sns.signing";
constexpr long kYears = 10L * 365 * 24 * 3600;

using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Digest = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long n = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(n));
}

struct Pair {
  std::string key_pem, certificate_pem;
};

Result<Pair> make_pair() {
  const Key key(EVP_RSA_gen(2048));
  const Certificate x(X509_new());
  if (!key || !x) return error("OpenSSL: cannot make a key");
  unsigned char serial[8];
  RAND_bytes(serial, sizeof serial);
  serial[0] &= 0x7f;
  const std::unique_ptr<BIGNUM, Free<BN_free>> number(BN_bin2bn(serial, sizeof serial, nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x.get()));
  X509_set_version(x.get(), 2);
  X509_gmtime_adj(X509_getm_notBefore(x.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x.get()), kYears);
  X509_NAME* name = X509_get_subject_name(x.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("sns.amazonaws.com"), -1, -1, 0);
  X509_set_issuer_name(x.get(), name);
  X509_set_pubkey(x.get(), key.get());
  if (X509_sign(x.get(), key.get(), EVP_sha256()) == 0) return error("OpenSSL: cannot sign a certificate");
  const Bio k(BIO_new(BIO_s_mem())), c(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(k.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      PEM_write_bio_X509(c.get(), x.get()) != 1) {
    return error("OpenSSL: cannot write a key");
  }
  return Pair{text_of(k.get()), text_of(c.get())};
}

}  // namespace

std::string canonical_text(const json::Value& m) {
  std::string out;
  const bool notification = m.get("Type") == "Notification";
  for (const char* key :
       {"Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}) {
    const std::string_view k = key;
    if (notification ? k == "SubscribeURL" || k == "Token" : k == "Subject") continue;
    if (!m.has(key)) continue;
    out += key;
    out += '\n';
    out += m.get(key);
    out += '\n';
  }
  return out;
}

Result<void> Signing::load() {
  if (!key_pem_.empty()) return {};
  const store::Key row{"", "", kKind, "key"};
  auto there = TRY(database_.get(row));
  if (!there) {
    auto made = net::offload_result([] { return make_pair(); });
    if (!made) return std::move(made).error();
    const std::string sealed = base64(keyring_.seal(kKind, made->key_pem, "key"));
    TRY(database_.write([&](store::Writer& w) -> Result<void> {
      const auto meanwhile = TRY(w.get(row));
      if (meanwhile) return {};
      return w.put(
          row, json::object(
                   {{"certificate", made->certificate_pem}, {"key", sealed}, {"created", clock_.wall()}}));
    }));
    there = TRY(database_.get(row));
  }
  const auto sealed = TRY(unbase64(there->body.get("key")));
  key_pem_ = TRY(keyring_.unseal(kKind, sealed, "key"));
  certificate_pem_ = there->body.get("certificate");
  return {};
}

Result<std::string> Signing::certificate() {
  TRY(load());
  return certificate_pem_;
}

Result<std::string> Signing::path() {
  TRY(load());
  return "/sns/SimpleNotificationService-" + sha256_hex(certificate_pem_).substr(0, 32) + ".pem";
}

Result<std::string> Signing::sign(const json::Value& message, const std::string& version) {
  TRY(load());
  const std::string text = canonical_text(message);
  return net::offload_result([&]() -> Result<std::string> {
    const Bio bio(BIO_new_mem_buf(key_pem_.data(), static_cast<int>(key_pem_.size())));
    const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
    const Digest ctx(EVP_MD_CTX_new());
    size_t size = 0;
    const EVP_MD* md = version == "2" ? EVP_sha256() : EVP_sha1();
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    if (!key || !ctx || EVP_DigestSignInit(ctx.get(), nullptr, md, nullptr, key.get()) != 1 ||
        EVP_DigestSign(ctx.get(), nullptr, &size, bytes, text.size()) != 1) {
      return error("OpenSSL: cannot sign");
    }
    std::string out(size, '\0');
    if (EVP_DigestSign(ctx.get(), reinterpret_cast<unsigned char*>(out.data()), &size, bytes, text.size()) !=
        1)
      return error("OpenSSL: cannot sign");
    out.resize(size);
    return base64(out);
  });
}

}  // namespace bastide::services::sns
