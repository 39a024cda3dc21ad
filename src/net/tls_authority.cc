// The local certificate authority (RFC 5280).
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/bytes.h"
#include "base/free.h"
#include "net/socket_address.h"
#include "net/tls.h"

namespace bastide::net {
namespace {

constexpr Millis kAuthorityLife = 3650 * kDay;
constexpr Millis kLeafLife = 397 * kDay;
constexpr Millis kBackdated = kHour;  // for peers whose clock is behind

using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using X = std::unique_ptr<X509, Free<X509_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;

Error failed(const char* what) {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return error("Invalid", reason != nullptr ? std::string(what) + ": " + reason : std::string(what));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

Result<X> new_certificate(EVP_PKEY* key, const std::string& common_name, Millis from, Millis until) {
  X cert(X509_new());
  CHECK(cert != nullptr);
  unsigned char serial[16];
  if (RAND_bytes(serial, sizeof serial) != 1) return failed("random bytes");
  serial[0] &= 0x7F;  // positive (section 4.1.2.2)
  BIGNUM* number = BN_bin2bn(serial, sizeof serial, nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert.get()));
  BN_free(number);
  X509_set_version(cert.get(), X509_VERSION_3);
  ASN1_TIME_set(X509_getm_notBefore(cert.get()), from / kSecond);
  ASN1_TIME_set(X509_getm_notAfter(cert.get()), until / kSecond);
  const auto add = [&](const char* field, const std::string& value) {
    return X509_NAME_add_entry_by_txt(X509_get_subject_name(cert.get()), field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(value.data()),
                                      static_cast<int>(value.size()), -1, 0) == 1;
  };
  if (!add("O", "Bastide") || !add("CN", common_name)) return failed("a certificate's name");
  if (X509_set_pubkey(cert.get(), key) != 1) return failed("a certificate's key");
  return cert;
}

Result<void> extend(X509* cert, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  if (!extension || X509_add_ext(cert, extension.get(), -1) != 1) return failed("a certificate's extension");
  return {};
}

Result<KeyPair> signed_pair(X509* cert, EVP_PKEY* key, EVP_PKEY* signer) {
  if (X509_sign(cert, signer, EVP_sha256()) == 0) return failed("the signature of a certificate");
  const Bio cert_text(BIO_new(BIO_s_mem())), key_text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(cert_text.get(), cert) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(key_text.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return failed("writing a certificate");
  }
  return KeyPair{text_of(cert_text.get()), text_of(key_text.get())};
}

// What may stand in the extension's text: it would otherwise be read as syntax there.
bool plain_name(const std::string& name) {
  if (name.empty() || name.size() > 253) return false;
  const size_t start = name.starts_with("*.") ? 2 : 0;
  return start < name.size() &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._", start) ==
             std::string::npos;
}

}  // namespace

Result<KeyPair> make_authority(const std::string& common_name, Millis now) {
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return failed("a key of the authority");
  const X cert = TRY(new_certificate(key.get(), common_name, now - kBackdated, now + kAuthorityLife));
  X509_set_issuer_name(cert.get(), X509_get_subject_name(cert.get()));
  TRY(extend(cert.get(), cert.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  TRY(extend(cert.get(), cert.get(), NID_key_usage, "critical,keyCertSign,cRLSign"));
  TRY(extend(cert.get(), cert.get(), NID_subject_key_identifier, "hash"));
  return signed_pair(cert.get(), key.get(), key.get());
}

Result<KeyPair> issue_certificate(const KeyPair& authority, const std::vector<std::string>& names,
                                  Millis now) {
  if (names.empty()) return error("Invalid", "a certificate needs a name");
  const Bio ca_text(
      BIO_new_mem_buf(authority.certificate_pem.data(), static_cast<int>(authority.certificate_pem.size())));
  const Bio ca_key_text(
      BIO_new_mem_buf(authority.key_pem.data(), static_cast<int>(authority.key_pem.size())));
  const X ca(PEM_read_bio_X509(ca_text.get(), nullptr, nullptr, nullptr));
  const Key ca_key(PEM_read_bio_PrivateKey(ca_key_text.get(), nullptr, nullptr, nullptr));
  if (!ca || !ca_key) return failed("the authority's certificate and key");

  std::string alternatives;
  for (const auto& name : names) {
    std::string plain = name;
    if (plain.size() > 2 && plain.front() == '[') plain = plain.substr(1, plain.size() - 2);
    const bool address = SocketAddress::tcp(plain, 0).ok();
    if (!address && !plain_name(plain))
      return error("Invalid", "'" + name + "' is neither a host name nor an IP address");
    alternatives += (alternatives.empty() ? "" : ",") + std::string(address ? "IP:" : "DNS:") + plain;
  }
  constexpr size_t kMaxCommonName = 64;
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return failed("a key of a certificate");
  const X cert = TRY(new_certificate(key.get(), names[0].substr(0, kMaxCommonName), now - kBackdated,
                                     now - kBackdated + kLeafLife));
  X509_set_issuer_name(cert.get(), X509_get_subject_name(ca.get()));
  TRY(extend(cert.get(), ca.get(), NID_basic_constraints, "critical,CA:FALSE"));
  TRY(extend(cert.get(), ca.get(), NID_key_usage, "critical,digitalSignature"));
  TRY(extend(cert.get(), ca.get(), NID_ext_key_usage, "serverAuth,clientAuth"));
  TRY(extend(cert.get(), ca.get(), NID_subject_alt_name, alternatives));
  TRY(extend(cert.get(), ca.get(), NID_subject_key_identifier, "hash"));
  TRY(extend(cert.get(), ca.get(), NID_authority_key_identifier, "keyid:always"));
  return signed_pair(cert.get(), key.get(), ca_key.get());
}

}  // namespace bastide::net
