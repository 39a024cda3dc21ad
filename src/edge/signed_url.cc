#include "edge/signed_url.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/bytes.h"
#include "base/json.h"
#include "edge/pattern.h"

namespace bastide::edge {
namespace {

constexpr size_t kMaxPolicy = 8u << 10;

struct Parts {
  std::string expires, policy, signature, key_id, hash;
  bool any() const { return !signature.empty() || !key_id.empty() || !policy.empty(); }
};

void take(Parts& parts, std::string_view name, std::string_view value) {
  auto* to = name == "Expires"          ? &parts.expires
             : name == "Policy"         ? &parts.policy
             : name == "Signature"      ? &parts.signature
             : name == "Key-Pair-Id"    ? &parts.key_id
             : name == "Hash-Algorithm" ? &parts.hash
                                        : nullptr;
  if (to != nullptr && value.size() <= kMaxPolicy) *to = value;
}

// Base64 with - for +, _ for =, ~ for /.
Result<std::string> decode(std::string_view text) {
  std::string plain;
  for (char c : text) plain += c == '-' ? '+' : c == '_' ? '=' : c == '~' ? '/' : c;
  return unbase64(plain);
}

bool in_network(std::string_view cidr, std::string_view client) {
  auto slash = cidr.find('/');
  auto bits = slash == std::string_view::npos ? Result<int64_t>(32) : parse_int(cidr.substr(slash + 1));
  in_addr net{}, address{};
  if (!bits || *bits < 0 || *bits > 32 ||
      inet_pton(AF_INET, std::string(cidr.substr(0, slash)).c_str(), &net) != 1)
    return false;
  if (inet_pton(AF_INET, std::string(client).c_str(), &address) != 1) return *bits == 0;
  return *bits == 0 || (ntohl(net.s_addr) ^ ntohl(address.s_addr)) >> (32 - *bits) == 0;
}

int64_t epoch(const json::Value& condition, std::string_view name) {
  const auto* c = condition.find(name);
  return c == nullptr ? -1 : c->get_int("AWS:EpochTime", -1);
}

// A resource's scheme may be left open ("http*://"); without a scheme it begins with any.
bool resource_fits(const std::string& resource, const std::vector<std::string>& urls) {
  for (const auto& url : urls) {
    if (matches(resource, url, false)) return true;
  }
  return false;
}

}  // namespace

struct PublicKeys::Key {
  EVP_PKEY* key = nullptr;
  ~Key() { EVP_PKEY_free(key); }
};

PublicKeys::PublicKeys(const std::vector<internal::EdgeKeyGroup>& groups) {
  for (const auto& group : groups) {
    for (const auto& k : group.keys) {
      BIO* bio = BIO_new_mem_buf(k.pem.data(), static_cast<int>(k.pem.size()));
      auto* key = PEM_read_bio_PUBKEY(bio, nullptr, nullptr, nullptr);
      BIO_free(bio);
      ERR_clear_error();
      if (key == nullptr) continue;
      auto owned = std::make_unique<Key>();
      owned->key = key;
      keys_[{group.id, k.id}] = std::move(owned);
    }
  }
}

PublicKeys::~PublicKeys() = default;

bool PublicKeys::verify(const std::vector<std::string>& groups, const std::string& key_id,
                        std::string_view text, std::string_view signature, bool sha256) const {
  for (const auto& group : groups) {
    auto found = keys_.find({group, key_id});
    if (found == keys_.end()) continue;
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    const bool good =
        EVP_DigestVerifyInit(context, nullptr, sha256 ? EVP_sha256() : EVP_sha1(), nullptr,
                             found->second->key) == 1 &&
        EVP_DigestVerify(context, reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                         reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
  }
  return false;
}

std::string without_signature(std::string_view query) {
  std::string out;
  for (auto part : split(query, '&')) {
    auto name = part.substr(0, part.find('='));
    if (name == "Expires" || name == "Policy" || name == "Signature" || name == "Key-Pair-Id" ||
        name == "Hash-Algorithm")
      continue;
    if (!out.empty()) out += '&';
    out += part;
  }
  return out;
}

const char* refused_by_signature(const SignedRequest& r, const PublicKeys& keys,
                                 const std::vector<std::string>& groups, Millis now) {
  Parts parts;
  for (auto part : split(r.query, '&')) {
    auto equals = part.find('=');
    if (equals != std::string_view::npos) take(parts, part.substr(0, equals), part.substr(equals + 1));
  }
  const bool in_url = parts.any();
  if (!in_url) {
    parts = {};
    for (const auto& f : *r.fields) {
      if (!iequals(f.name, "cookie")) continue;
      for (auto part : split(f.value, ';')) {
        part = trim(part);
        auto equals = part.find('=');
        if (equals != std::string_view::npos && part.starts_with("CloudFront-"))
          take(parts, part.substr(11, equals - 11), part.substr(equals + 1));
      }
    }
  }
  if (parts.key_id.empty()) return "MissingKey: no signed URL or signed cookies";
  auto signature = decode(parts.signature);
  if (parts.signature.empty() || !signature) return "the signature is missing or malformed";

  // The URL as signers may have written it: with the port that the viewer used, or without.
  auto query = in_url ? without_signature(r.query) : std::string(r.query);
  const auto tail = std::string(r.path) + (query.empty() ? "" : "?" + query);
  const auto name = r.host.substr(0, r.host.rfind(':'));
  std::vector<std::string> urls;
  for (auto scheme : {std::string(r.scheme) + "://", std::string()}) {
    urls.push_back(scheme + std::string(r.host) + tail);
    if (name != r.host) urls.push_back(scheme + std::string(name) + tail);
  }
  const bool sha256 = parts.hash == "SHA256";
  if (parts.policy.empty()) {
    auto expires = parse_int(parts.expires);
    if (!expires) return "Expires is missing or malformed";
    if (*expires * kSecond <= now) return "the signature has expired";
    for (const auto& url : urls) {
      auto policy = fmt::format(
          R"({{"Statement":[{{"Resource":"{}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{}}}}}}}]}})",
          url, *expires);
      if (keys.verify(groups, parts.key_id, policy, *signature, sha256)) return nullptr;
    }
    return "the signature does not match, or its key is in no trusted key group";
  }
  auto policy = decode(parts.policy);
  if (!policy) return "the policy is malformed";
  if (!keys.verify(groups, parts.key_id, *policy, *signature, sha256))
    return "the signature does not match, or its key is in no trusted key group";
  auto value = json::parse(*policy);
  if (!value) return "the policy is malformed";
  const auto& statements = value->get_array("Statement");
  if (statements.size() != 1) return "a policy has one statement";
  const auto& statement = statements[0];
  const auto* condition = statement.find("Condition");
  if (condition == nullptr) return "the policy has no condition";
  auto resource = statement.get("Resource", "*");
  if (!resource_fits(resource, urls)) return "the policy is for another resource";
  const auto until = epoch(*condition, "DateLessThan"), from = epoch(*condition, "DateGreaterThan");
  if (until < 0) return "the policy has no DateLessThan";
  if (until * kSecond <= now) return "the policy has expired";
  if (from >= 0 && from * kSecond >= now) return "the policy is not valid yet";
  if (const auto* address = condition->find("IpAddress")) {
    if (!in_network(address->get("AWS:SourceIp"), r.client)) return "the policy is for another IP address";
  }
  return nullptr;
}

}  // namespace bastide::edge
