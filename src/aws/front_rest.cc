#include <fmt/format.h>

#include "aws/body_check.h"
#include "aws/front.h"
#include "aws/payload.h"
#include "aws/stream.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "model/rest_codec.h"
#include "net/loop.h"

namespace bastide::aws {
namespace {

constexpr size_t kHashOffLoop = 128u << 10;

Result<std::string> read_all(BodySource& source, size_t limit) {
  std::string out;
  char piece[16u << 10];
  for (;;) {
    const size_t got = TRY(source.read(piece, sizeof piece));
    if (got == 0) return out;
    if (out.size() + got > limit) {
      return fault("MaxMessageLengthExceeded", fmt::format("Your request was too big: over {} bytes.", limit),
                   400);
    }
    out.append(piece, got);
  }
}

Result<std::string> read_plain(net::Exchange& exchange, size_t limit) {
  auto body = exchange.read_body(limit);
  if (body) return body;
  if (body.error().code == "TooLarge") {
    return fault("RequestEntityTooLarge", fmt::format("The request's body is larger than {} bytes", limit),
                 413);
  }
  return fault("IncompleteBody", body.error().message, 400);
}

Error no_such_operation(const Route& route, bool s3) {
  if (s3) {
    return fault("MethodNotAllowed", "The specified method is not allowed against this resource.", 405);
  }
  return fault("InvalidAction",
               fmt::format("Could not find operation {} for version {}", route.operation_name,
                           route.service->api_version),
               400);
}

// Sends what the operation left to be sent; an answer whose body breaks off ends its connection.
std::optional<net::Response> finish(net::Exchange& exchange, Stream& stream, net::Response response) {
  if (stream.status != 0) response.status = stream.status;
  if (stream.file) {
    response.file = std::move(stream.file);
    return response;
  }
  if (!stream.send || exchange.request().method == "HEAD") return response;
  response.headers.set("Content-Length", std::to_string(stream.length));
  auto sent = exchange.begin(response.status, std::move(response.headers));
  if (sent) sent = stream.send([&](std::string_view piece) { return exchange.write(piece); });
  if (sent) sent = exchange.finish();
  if (!sent && sent.error().code != "Closed" && sent.error().code != "Timeout")
    log::error("{} {}: {}", exchange.request().method, exchange.request().raw_path(), sent.error().message);
  return std::nullopt;
}

}  // namespace

Result<std::optional<net::Response>> Front::serve_rest(net::Exchange& exchange,
                                                       const std::optional<Signature>& signature, Call& call,
                                                       Route& route) {
  const net::Request& request = exchange.request();
  const auto refuse = [&](Error error) { return this->refuse(call, std::move(error)); };
  const model::Service& service = *route.service;
  const size_t limit = limit_of(&service);
  Door* door = door_of(&service);
  const bool s3 = std::string_view(service.name) == "s3";
  if (door != nullptr && door->intercept(exchange, call)) return std::optional<net::Response>();

  auto found = aws::route(request, &service, "");
  if (!found) return refuse(std::move(found).error());
  route = std::move(found).value();
  call.operation = route.operation_name.substr(0, 128);
  const Entry* entry =
      route.operation == nullptr ? nullptr : dispatch_.registry().find(call.service, call.operation);
  if (!signature && door == nullptr)
    return refuse(fault("MissingAuthenticationToken", "Request is missing Authentication Token", 403));

  std::string body, announced;
  if (s3) {
    auto payload = announced_payload(request, !signature || signature->presigned || signature->v2);
    if (!payload) return refuse(std::move(payload).error());
    announced = std::move(payload).value();
  } else {
    auto read = read_plain(exchange, limit);
    if (!read) return refuse(std::move(read).error());
    body = std::move(read).value();
    if (body.size() < kHashOffLoop)
      announced = sha256_hex(body);
    else
      net::offload([&] { announced = sha256_hex(body); });
  }
  std::optional<SigningKey> key;
  if (signature) {
    if (auto admitted = admit(*signature, request, announced, service, call); !admitted)
      return refuse(std::move(admitted).error());
    // Chunks that are signed need the key beside.
    if (announced.starts_with("STREAMING-AWS4-") && !signature->v2) {
      auto identity = credentials_.identify(signature->access_key_id, signature->session_token);
      if (!identity) return refuse(std::move(identity).error());
      key = keys_.get(signature->access_key_id, identity->secret_access_key, signature->scope);
      wipe(identity->secret_access_key);
    }
  }
  if (route.operation == nullptr) return refuse(no_such_operation(route, s3));
  if (entry == nullptr) {
    return refuse(
        fault("NotImplemented", fmt::format("{}.{} is not implemented", call.service, call.operation), 501));
  }
  std::unique_ptr<BodySource> source;
  Stream stream;
  stream.request = &request;
  if (s3) {
    source = open_payload(exchange, announced, signature ? &*signature : nullptr, key ? &*key : nullptr);
    if (model::streams(*entry->operation->input)) {
      stream.body = source.get();
    } else {
      auto read = read_all(*source, limit);
      if (!read) return refuse(std::move(read).error());
      body = std::move(read).value();
      if (auto checked = check_body(request, source->trailers(), body, entry->operation->checksum_required);
          !checked)
        return refuse(std::move(checked).error());
    }
  }
  const std::shared_ptr<void> input = entry->make_request(), output = entry->make_response();
  if (auto decoded = decode(route, *entry->operation, request, body, input.get()); !decoded)
    return refuse(std::move(decoded).error());
  call.stream = &stream;
  auto done = dispatch_.perform(*entry, call, input.get(), output.get());
  call.stream = nullptr;
  TRY(std::move(done));
  auto response = encode(route, *entry->operation, output.get(), call.request_id);
  if (door != nullptr && request.headers.has("Origin") && stream.send)
    door->decorate(request, route.path, response.headers);
  return finish(exchange, stream, std::move(response));
}

}  // namespace bastide::aws
