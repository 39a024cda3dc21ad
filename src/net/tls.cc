#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <map>
#include <mutex>

#include "base/bytes.h"
#include "base/check.h"

namespace bastide::net {
namespace {

struct FreeContext {
  void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
};
using Context = std::unique_ptr<SSL_CTX, FreeContext>;
struct FreeBio {
  void operator()(BIO* b) const { BIO_free(b); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;
struct FreeX509 {
  void operator()(X509* x) const { X509_free(x); }
};
using Certificate509 = std::unique_ptr<X509, FreeX509>;

Bio memory(const std::string& text) {
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  CHECK(bio != nullptr);
  return bio;
}

Error tls_error(const std::string& what) {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return error("Invalid", reason != nullptr ? what + ": " + reason : what);
}

Context new_context(const SSL_METHOD* method) {
  Context ctx(SSL_CTX_new(method));
  CHECK(ctx != nullptr);
  SSL_CTX_set_min_proto_version(ctx.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(ctx.get(),
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(ctx.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_read_ahead(ctx.get(), 1);  // one system call a record
  // Forward secrecy and authenticated encryption only (TLS 1.3 has nothing else).
  CHECK(SSL_CTX_set_cipher_list(ctx.get(), "ECDHE+AESGCM:ECDHE+CHACHA20") == 1);
  return ctx;
}

Result<void> use_certificate(SSL_CTX* ctx, const TlsContext::Certificate& from) {
  const Bio chain = memory(from.chain_pem);
  const Certificate509 leaf(PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
  if (!leaf) return tls_error("a certificate that cannot be read");
  if (SSL_CTX_use_certificate(ctx, leaf.get()) != 1) return tls_error("a certificate that cannot be used");
  while (X509* next = PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr)) {
    const Certificate509 owned(next);
    if (SSL_CTX_add1_chain_cert(ctx, next) != 1) return tls_error("a certificate chain that cannot be used");
  }
  ERR_clear_error();  // the end of the text
  const Bio text = memory(from.key_pem);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(text.get(), nullptr, nullptr, nullptr);
  if (key == nullptr) return tls_error("a private key that cannot be read");
  const int used = SSL_CTX_use_PrivateKey(ctx, key);
  EVP_PKEY_free(key);
  if (used != 1 || SSL_CTX_check_private_key(ctx) != 1)
    return tls_error("a private key that is not its certificate's");
  return {};
}

}  // namespace

struct TlsContext::Names {
  std::vector<Context> contexts;
  std::map<std::string, SSL_CTX*, std::less<>> by_name;
  std::string alpn;  // in wire format

  SSL_CTX* find(const std::string& name) const {
    if (const auto exact = by_name.find(name); exact != by_name.end()) return exact->second;
    const size_t dot = name.find('.');
    if (dot == std::string::npos) return nullptr;
    const auto wild = by_name.find("*" + name.substr(dot));
    return wild != by_name.end() ? wild->second : nullptr;
  }

  // https://www.rfc-editor.org/rfc/rfc6066#section-3; unknown names get the first certificate.
  static int on_name(SSL* ssl, int*, void* argument) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
    if (SSL_CTX* found = static_cast<Names*>(argument)->find(lower(name)); found != nullptr)
      SSL_set_SSL_CTX(ssl, found);
    return SSL_TLSEXT_ERR_OK;
  }

  // https://www.rfc-editor.org/rfc/rfc7301; a client that shares no protocol is served without one.
  static int on_alpn(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* theirs,
                     unsigned their_size, void* argument) {
    const auto& ours = static_cast<Names*>(argument)->alpn;
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, size, reinterpret_cast<const unsigned char*>(ours.data()),
                              static_cast<unsigned>(ours.size()), theirs,
                              their_size) != OPENSSL_NPN_NEGOTIATED) {
      return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
  }
};

TlsContext::~TlsContext() { SSL_CTX_free(static_cast<SSL_CTX*>(ctx_)); }

Result<std::shared_ptr<TlsContext>> TlsContext::server(const std::vector<Certificate>& certificates,
                                                       const std::vector<std::string>& alpn) {
  if (certificates.empty()) return error("Invalid", "a TLS server needs a certificate");
  std::shared_ptr<TlsContext> out(new TlsContext);
  out->names_ = std::make_unique<Names>();
  Names& names = *out->names_;
  for (const auto& protocol : alpn) {
    if (protocol.empty() || protocol.size() > 255) return error("Invalid", "not an ALPN protocol name");
    names.alpn += static_cast<char>(protocol.size());
    names.alpn += protocol;
  }
  for (const auto& certificate : certificates) {
    Context ctx = new_context(TLS_server_method());
    TRY(use_certificate(ctx.get(), certificate));
    // Sessions are resumed by tickets alone: nothing is kept here for a client.
    SSL_CTX_set_session_cache_mode(ctx.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx.get(), 1);
    static constexpr unsigned char kSession[] = "bastide";
    SSL_CTX_set_session_id_context(ctx.get(), kSession, sizeof kSession - 1);
    if (!names.alpn.empty()) SSL_CTX_set_alpn_select_cb(ctx.get(), Names::on_alpn, &names);
    for (const auto& name : certificate.names) names.by_name.emplace(lower(name), ctx.get());
    names.contexts.push_back(std::move(ctx));
  }
  SSL_CTX* first = names.contexts.front().get();
  SSL_CTX_up_ref(first);
  out->ctx_ = first;
  SSL_CTX_set_tlsext_servername_callback(first, Names::on_name);
  SSL_CTX_set_tlsext_servername_arg(first, &names);
  return out;
}

Result<std::shared_ptr<TlsContext>> TlsContext::client(const std::string& ca_pem) {
  std::shared_ptr<TlsContext> out(new TlsContext);
  Context ctx = new_context(TLS_client_method());
  SSL_CTX_set_verify(ctx.get(), SSL_VERIFY_PEER, nullptr);
  if (ca_pem.empty()) {
    if (SSL_CTX_set_default_verify_paths(ctx.get()) != 1)
      return tls_error("the system's certificate authorities");
  } else {
    X509_STORE* store = SSL_CTX_get_cert_store(ctx.get());
    const Bio text = memory(ca_pem);
    size_t count = 0;
    while (X509* next = PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr)) {
      const Certificate509 owned(next);
      if (X509_STORE_add_cert(store, next) != 1)
        return tls_error("a certificate authority that cannot be used");
      ++count;
    }
    ERR_clear_error();
    if (count == 0) return error("Invalid", "no certificate authority in the text given");
  }
  out->ctx_ = ctx.release();
  return out;
}

}  // namespace bastide::net
