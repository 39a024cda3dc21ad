// TLS of a Socket: OpenSSL reads and writes the descriptor through a BIO of ours, which never raises SIGPIPE.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>

#include "net/socket_address.h"
#include "net/socket_impl.h"
#include "net/tls.h"

namespace bastide::net {
namespace {

int fd_of(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }

int bio_read(BIO* bio, char* buffer, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = ::recv(fd_of(bio), buffer, static_cast<size_t>(size), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (n == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(n);
}

int bio_write(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = ::send(fd_of(bio), bytes, static_cast<size_t>(size), MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}

long bio_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return 0;
}

int bio_create(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

BIO_METHOD* bio_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without signals");
    CHECK(m != nullptr);
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_ctrl(m, bio_control);
    BIO_meth_set_create(m, bio_create);
    return m;
  }();
  return method;
}

SSL* new_session(TlsContext& context, int fd) {
  SSL* ssl = SSL_new(static_cast<SSL_CTX*>(context.native()));
  CHECK(ssl != nullptr);
  BIO* bio = BIO_new(bio_method());
  CHECK(bio != nullptr);
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(fd)));
  SSL_set_bio(ssl, bio, bio);
  return ssl;
}

// The reason of the last failure on this thread; the queue is empty afterwards.
std::string take_reason(SSL* ssl) {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (const long verify = SSL_get_verify_result(ssl); verify != X509_V_OK) {
    return X509_verify_cert_error_string(verify);
  }
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return reason != nullptr ? reason : "the peer is gone";
}

}  // namespace

void Socket::Impl::free_tls() {
  if (!tls_broken && SSL_is_init_finished(ssl)) {
    ERR_clear_error();
    SSL_shutdown(ssl);  // sends close_notify where the kernel takes it; never waits
  }
  ERR_clear_error();
  SSL_free(ssl);
  ssl = nullptr;
}

bool Socket::Impl::tls_pending() const { return SSL_has_pending(ssl) == 1; }

Result<void> Socket::Impl::handshake(Millis limit) {
  const Millis end = Clock::system().steady() + limit;
  for (;;) {
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl);
    if (done == 1) return {};
    const int what = SSL_get_error(ssl, done);
    const Millis left = end - Clock::system().steady();
    if (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE) {
      auto waited = left > 0 ? wait(what == SSL_ERROR_WANT_READ ? Direction::read : Direction::write, left)
                             : Result<void>(error("Timeout", "the TLS handshake took too long"));
      if (waited) continue;
      tls_broken = true;
      return waited;
    }
    tls_broken = true;
    return error(what == SSL_ERROR_SYSCALL ? "Closed" : "Denied", "TLS: " + take_reason(ssl));
  }
}

Result<size_t> Socket::Impl::read_tls(char* buffer, size_t size) {
  if (!fd || tls_broken) return error("Closed", "the connection was closed");
  if (size == 0) return size_t{0};
  for (;;) {
    ERR_clear_error();
    size_t n = 0;
    const int done = SSL_read_ex(ssl, buffer, size, &n);
    if (done == 1) return n;
    const int what = SSL_get_error(ssl, done);
    if (what == SSL_ERROR_ZERO_RETURN) return size_t{0};
    if (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE) {
      TRY(wait(what == SSL_ERROR_WANT_READ ? Direction::read : Direction::write, timeout));
      continue;
    }
    tls_broken = true;
    return error("Closed", "TLS: " + take_reason(ssl));  // also an end without close_notify: a truncation
  }
}

Result<void> Socket::Impl::write_tls(std::string_view bytes) {
  if (!fd || tls_broken) return error("Closed", "the connection was closed");
  while (!bytes.empty()) {
    ERR_clear_error();
    size_t n = 0;
    const int done = SSL_write_ex(ssl, bytes.data(), bytes.size(), &n);
    if (done == 1) {
      bytes.remove_prefix(n);
      continue;
    }
    const int what = SSL_get_error(ssl, done);
    if (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE) {
      auto waited = wait(what == SSL_ERROR_WANT_READ ? Direction::read : Direction::write, timeout);
      if (waited) continue;
      tls_broken = true;  // a record may be half written
      return waited;
    }
    tls_broken = true;
    return error("Closed", "TLS: " + take_reason(ssl));
  }
  return {};
}

Result<void> Socket::start_tls_server(TlsContext& context, Millis timeout) {
  if (!impl_ || !impl_->fd) return error("Closed", "not connected");
  CHECK(impl_->ssl == nullptr);
  impl_->ssl = new_session(context, impl_->fd.get());
  SSL_set_accept_state(impl_->ssl);
  return impl_->handshake(timeout);
}

Result<void> Socket::start_tls_client(TlsContext& context, const std::string& host, Millis timeout) {
  if (!impl_ || !impl_->fd) return error("Closed", "not connected");
  CHECK(impl_->ssl == nullptr);
  SSL* ssl = impl_->ssl = new_session(context, impl_->fd.get());
  SSL_set_connect_state(ssl);
  std::string name = host;
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') name = name.substr(1, name.size() - 2);
  if (SocketAddress::tcp(name, 0)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str());
  } else if (SSL_set_tlsext_host_name(ssl, name.c_str()) != 1 || SSL_set1_host(ssl, name.c_str()) != 1) {
    ERR_clear_error();
    return error("Invalid", "'" + name + "' is not a server name");
  }
  auto done = impl_->handshake(timeout);
  if (!done) return std::move(done).error().context(host);
  return {};
}

std::string Socket::server_name() const {
  if (!impl_ || impl_->ssl == nullptr) return "";
  const char* name = SSL_get_servername(impl_->ssl, TLSEXT_NAMETYPE_host_name);
  return name != nullptr ? name : "";
}

std::string Socket::alpn() const {
  if (!impl_ || impl_->ssl == nullptr) return "";
  const unsigned char* text = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(impl_->ssl, &text, &size);
  return std::string(reinterpret_cast<const char*>(text), size);
}

}  // namespace bastide::net
