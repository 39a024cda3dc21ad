#include "services/acm/x509.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>

#include "base/bytes.h"

namespace bastide::services::acm {
namespace {

struct Free {
  void operator()(BIO* p) const { BIO_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

Owned<X509> parse(const std::string& pem) {
  Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Owned<X509> out(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  return out;
}

Millis time_of(const ASN1_TIME* t) {
  struct tm parts {};
  if (ASN1_TIME_to_tm(t, &parts) != 1) return 0;
  return static_cast<Millis>(::timegm(&parts)) * kSecond;
}

std::string name_of(X509_NAME* name) {
  Owned<BIO> bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ);
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

Result<X509Facts> read_certificate(const std::string& pem) {
  auto cert = parse(pem);
  if (!cert) return error("Invalid", "not a certificate");
  X509Facts out;
  if (auto* names =
          static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(cert.get(), NID_subject_alt_name, nullptr, nullptr))) {
    for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
      const auto* n = sk_GENERAL_NAME_value(names, i);
      if (n->type != GEN_DNS) continue;
      out.names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(n->d.dNSName)),
                             static_cast<size_t>(ASN1_STRING_length(n->d.dNSName)));
    }
    GENERAL_NAMES_free(names);
  }
  if (out.names.empty()) {
    char common[256] = {};
    if (X509_NAME_get_text_by_NID(X509_get_subject_name(cert.get()), NID_commonName, common, sizeof common) >
        0)
      out.names.emplace_back(common);
  }
  BIGNUM* serial = ASN1_INTEGER_to_BN(X509_get_serialNumber(cert.get()), nullptr);
  char* digits = BN_bn2hex(serial);
  const std::string text = lower(digits);
  for (size_t i = 0; i < text.size(); i += 2) out.serial += (i == 0 ? "" : ":") + text.substr(i, 2);
  OPENSSL_free(digits);
  BN_free(serial);
  out.subject = name_of(X509_get_subject_name(cert.get()));
  out.issuer = name_of(X509_get_issuer_name(cert.get()));
  out.not_before = time_of(X509_get0_notBefore(cert.get()));
  out.not_after = time_of(X509_get0_notAfter(cert.get()));
  const auto* key = X509_get0_pubkey(cert.get());
  if (key != nullptr && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
    out.key_algorithm = "RSA_" + std::to_string(EVP_PKEY_get_bits(key));
  else
    out.key_algorithm = key != nullptr && EVP_PKEY_get_bits(key) == 384 ? "EC_secp384r1" : "EC_prime256v1";
  const bool rsa = X509_get_signature_nid(cert.get()) == NID_sha256WithRSAEncryption;
  out.signature_algorithm = rsa ? "SHA256WITHRSA" : "SHA256WITHECDSA";
  ERR_clear_error();
  return out;
}

bool key_fits(const std::string& certificate_pem, const std::string& key_pem) {
  auto cert = parse(certificate_pem);
  Owned<BIO> bio(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(
      bio.get(), nullptr, [](char*, int, int, void*) { return 0; }, nullptr));
  const bool fits = cert && key && X509_check_private_key(cert.get(), key.get()) == 1;
  ERR_clear_error();
  return fits;
}

std::pair<std::string, std::string> first_and_rest(const std::string& chain) {
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
  auto at = chain.find(kEnd);
  if (at == std::string::npos) return {chain, ""};
  at += kEnd.size();
  while (at < chain.size() && (chain[at] == '\r' || chain[at] == '\n')) ++at;
  return {chain.substr(0, at), chain.substr(at)};
}

}  // namespace bastide::services::acm
