#include "services/acm/acm.h"

#include <algorithm>
#include <set>

#include "aws/arn.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "gen/acm.h"
#include "net/local_authority.h"
#include "net/loop.h"
#include "services/acm/x509.h"

namespace bastide::services {
using namespace acm;
namespace op = model::acm::op;

namespace {

constexpr const char* kKind = "acm.certificate";
constexpr const char* kPurpose = "acm.certificate";
constexpr size_t kMaxCertificates = 2'500, kMaxNames = 100, kMaxTags = 50;
constexpr Millis kRenewBefore = 60 * kDay, kRenewEvery = 12 * kHour;

Error not_found(const std::string& arn) {
  return fault("ResourceNotFoundException", "Could not find certificate " + arn + ".");
}

std::string uuid() {
  auto h = hex(random_bytes(16));
  h[12] = '4';
  h[16] = '8';
  return h.substr(0, 8) + "-" + h.substr(8, 4) + "-" + h.substr(12, 4) + "-" + h.substr(16, 4) + "-" +
         h.substr(20);
}

bool domain_name(std::string_view name) {
  if (name.starts_with("*.")) name.remove_prefix(2);
  if (name.empty() || name.size() > 253 || name.front() == '.' || name.back() == '.') return false;
  return std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '.'; });
}

double seconds(Millis t) { return static_cast<double>(t) / 1000; }

void merge_tags(json::Value& body, const json::Array& tags) {
  auto& kept = body["Tags"];
  if (kept.is_null()) kept = json::array();
  for (const auto& t : tags) {
    std::erase_if(kept.array(), [&](const json::Value& old) { return old.get("Key") == t.get("Key"); });
    kept.push(t);
  }
}

// The record that ACM would look for; the local CA needs none.
json::Value validation(const std::string& name, const std::string& method) {
  auto out = json::object({{"DomainName", name},
                           {"ValidationDomain", name},
                           {"ValidationStatus", "SUCCESS"},
                           {"ValidationMethod", method}});
  if (method == "DNS") {
    const auto digest = sha256_hex(name);
    const auto plain = name.starts_with("*.") ? name.substr(2) : name;
    out["ResourceRecord"] = json::object({{"Name", "_" + digest.substr(0, 32) + "." + plain + "."},
                                          {"Type", "CNAME"},
                                          {"Value", "_" + digest.substr(32) + ".acm-validations.aws."}});
  }
  return out;
}

template <class Op>
aws::Rule<Op> on_arn(const char* action) {
  return {action,
          [](const aws::Call& call, const typename Op::Request& request) -> Result<std::vector<aws::Target>> {
            aws::Target target;
            const auto arn = model::request_body<Op>(request).get("CertificateArn");
            target.resource =
                arn.empty() ? "arn:aws:acm:" + call.region + ":" + call.account + ":certificate/*" : arn;
            return std::vector<aws::Target>{std::move(target)};
          }};
}

}  // namespace

Result<store::Resource> Acm::load(store::Reader& reader, const aws::Call& call, const std::string& arn) {
  auto parsed = aws::parse_arn(arn);
  if (!parsed || parsed->service != "acm" || !parsed->resource.starts_with("certificate/"))
    return fault("InvalidArnException", "The ARN '" + arn + "' is not valid.");
  if (parsed->account != call.account || parsed->region != call.region) return not_found(arn);
  auto found = TRY(reader.get({call.account, call.region, kKind, parsed->resource.substr(12)}));
  if (!found) return not_found(arn);
  return std::move(*found);
}

Result<void> Acm::wake(store::Writer& writer, const std::string& key) {
  TRY(writer.emit(p_.topic, key));
  return writer.emit(p_.other_topic, key);
}

Result<void> Acm::issue(Json& body) {
  const auto now = p_.clock.wall();
  auto ca = TRY(net::local_authority(p_.home, now));
  std::vector<std::string> names;
  for (const auto& n : body.get_array("Names")) names.push_back(n.string());
  auto pair = TRY(net::offload_result([&] { return net::issue_certificate(ca, names, now); }));
  auto [certificate, rest] = first_and_rest(pair.certificate_pem);
  body["Certificate"] = certificate;
  body["Chain"] = rest.empty() ? ca.certificate_pem : rest;
  body["SealedKey"] = base64(p_.keyring.seal(kPurpose, pair.key_pem, body.get("CertificateArn")));
  body["IssuedAt"] = now;
  return {};
}

// https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html
Result<json::Value> Acm::request(aws::Call& call, const Json& in) {
  std::vector<std::string> names{lower(in.get("DomainName"))};
  for (const auto& n : in.get_array("SubjectAlternativeNames")) {
    auto name = lower(n.string());
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  for (const auto& name : names) {
    if (!domain_name(name))
      return fault("InvalidDomainValidationOptionsException", "The domain name '" + name + "' is not valid.");
  }
  if (names.size() > kMaxNames)
    return fault("LimitExceededException", "A certificate has at most 100 names.");
  const auto algorithm = in.get("KeyAlgorithm", "RSA_2048");
  if (algorithm != "RSA_2048" && algorithm != "EC_prime256v1")
    return fault("InvalidParameterException", "The local CA issues certificates for P-256 keys only.");
  if (!in.get("CertificateAuthorityArn").empty())
    return fault("InvalidParameterException", "Private certificate authorities are not supported.");
  const auto token = in.get("IdempotencyToken");
  auto body = json::object(
      {{"CertificateArn", "arn:aws:acm:" + call.region + ":" + call.account + ":certificate/" + uuid()},
       {"Names", json::Array(names.begin(), names.end())},
       {"Type", "AMAZON_ISSUED"},
       {"Method", in.get("ValidationMethod", "EMAIL")},
       {"Token", token},
       {"CreatedAt", call.now}});
  merge_tags(body, in.get_array("Tags"));
  TRY(issue(body));
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    const auto all = TRY(writer.list(call.account, call.region, kKind));
    for (const auto& other : all) {
      const bool again = !token.empty() && other.body.get("Token") == token &&
                         other.body.get_int("CreatedAt") > call.now - kHour &&
                         *other.body.find("Names") == *body.find("Names");
      if (again) {
        body = other.body;
        return {};
      }
    }
    if (all.size() >= kMaxCertificates)
      return fault("LimitExceededException", "The limit of certificates is reached.");
    const auto arn = body.get("CertificateArn");
    return writer.put({call.account, call.region, kKind, arn.substr(arn.rfind('/') + 1)}, body);
  }));
  return json::object({{"CertificateArn", body.get("CertificateArn")}});
}

// https://docs.aws.amazon.com/acm/latest/APIReference/API_ImportCertificate.html
Result<json::Value> Acm::import(aws::Call& call, const Json& in) {
  const auto blob = [&](const char* member) -> Result<std::string> { return unbase64(in.get(member)); };
  auto certificate = TRY(blob("Certificate"));
  auto key = TRY(blob("PrivateKey"));
  auto chain = TRY(blob("CertificateChain"));
  auto facts = read_certificate(certificate);
  if (!facts)
    return fault("InvalidParameterException",
                 "The certificate field contains more than one certificate, or one that cannot be read.");
  if (!key_fits(certificate, key))
    return fault("InvalidParameterException",
                 "The private key does not match the certificate, or cannot be read.");
  if (facts->not_after <= call.now) return fault("InvalidParameterException", "The certificate has expired.");
  if (!chain.empty() && !read_certificate(chain))
    return fault("InvalidParameterException", "The certificate chain cannot be read.");
  if (facts->names.empty()) return fault("InvalidParameterException", "The certificate names no domain.");
  Json body;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto arn = in.get("CertificateArn");
    if (arn.empty()) {
      arn = "arn:aws:acm:" + call.region + ":" + call.account + ":certificate/" + uuid();
      body = json::object({{"CertificateArn", arn}, {"Type", "IMPORTED"}, {"CreatedAt", call.now}});
    } else {
      if (!in.get_array("Tags").empty())
        return fault("InvalidTagException", "Tags cannot be given when a certificate is imported again.");
      body = TRY(load(writer, call, arn))
      .body;
      if (body.get("Type") != "IMPORTED")
        return fault("InvalidArnException", "Only imported certificates can be imported again.");
    }
    body["Names"] = json::Array(facts->names.begin(), facts->names.end());
    body["Certificate"] = certificate;
    body["Chain"] = chain;
    body["SealedKey"] = base64(p_.keyring.seal(kPurpose, key, arn));
    body["IssuedAt"] = call.now;
    merge_tags(body, in.get_array("Tags"));
    TRY(writer.put({call.account, call.region, kKind, arn.substr(arn.rfind('/') + 1)}, body));
    return wake(writer, arn);
  }));
  wipe(key);
  return json::object({{"CertificateArn", body.get("CertificateArn")}});
}

Result<json::Value> Acm::describe(aws::Call& call, const Json& in) {
  Json body;
  json::Array users;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    body = TRY(load(reader, call, in.get("CertificateArn")))
    .body;
    for (auto& user : TRY(p_.used_by(reader, body.get("CertificateArn"))))
      users.emplace_back(std::move(user));
    return {};
  }));
  auto facts = TRY(read_certificate(body.get("Certificate")));
  const auto type = body.get("Type");
  const auto& names = body.get_array("Names");
  auto out = json::object(
      {{"CertificateArn", body.get("CertificateArn")},
       {"DomainName", names.front()},
       {"SubjectAlternativeNames", names},
       {"Serial", facts.serial},
       {"Subject", facts.subject},
       {"Issuer", facts.issuer},
       {"CreatedAt", seconds(body.get_int("CreatedAt"))},
       {"Status", facts.not_after > call.now ? "ISSUED" : "EXPIRED"},
       {"NotBefore", seconds(facts.not_before)},
       {"NotAfter", seconds(facts.not_after)},
       {"KeyAlgorithm", facts.key_algorithm},
       {"SignatureAlgorithm", facts.signature_algorithm},
       {"InUseBy", std::move(users)},
       {"Type", type},
       {"RenewalEligibility", type == "IMPORTED" ? "INELIGIBLE" : "ELIGIBLE"},
       {"KeyUsages", json::array({json::object({{"Name", "DIGITAL_SIGNATURE"}})})},
       {"ExtendedKeyUsages", json::array({json::object({{"Name", "TLS_WEB_SERVER_AUTHENTICATION"},
                                                        {"OID", "1.3.6.1.5.5.7.3.1"}})})}});
  if (type == "IMPORTED") {
    out["ImportedAt"] = seconds(body.get_int("IssuedAt"));
  } else {
    out["IssuedAt"] = seconds(body.get_int("IssuedAt"));
    json::Array options;
    for (const auto& n : names) options.push_back(validation(n.string(), body.get("Method")));
    out["DomainValidationOptions"] = std::move(options);
  }
  return json::object({{"Certificate", std::move(out)}});
}

Result<json::Value> Acm::list(aws::Call& call, const Json& in) {
  std::set<std::string> statuses;
  for (const auto& s : in.get_array("CertificateStatuses")) statuses.insert(s.string());
  const auto most = static_cast<size_t>(in.get_int("MaxItems", 1000));
  json::Array out;
  std::string next;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    for (const auto& r : TRY(reader.list(call.account, call.region, kKind, in.get("NextToken")))) {
      if (!statuses.empty() && !statuses.count("ISSUED")) break;
      if (out.size() == most) {
        const auto last = out.back().get("CertificateArn");
        next = last.substr(last.rfind('/') + 1);
        break;
      }
      const auto& names = r.body.get_array("Names");
      out.push_back(json::object({{"CertificateArn", r.body.get("CertificateArn")},
                                  {"DomainName", names.front()},
                                  {"SubjectAlternativeNameSummaries", names},
                                  {"HasAdditionalSubjectAlternativeNames", false},
                                  {"Status", "ISSUED"},
                                  {"Type", r.body.get("Type")},
                                  {"InUse", !TRY(p_.used_by(reader, r.body.get("CertificateArn"))).empty()},
                                  {"CreatedAt", seconds(r.body.get_int("CreatedAt"))},
                                  {"IssuedAt", seconds(r.body.get_int("IssuedAt"))}}));
    }
    return {};
  }));
  auto answer = json::object({{"CertificateSummaryList", std::move(out)}});
  if (!next.empty()) answer["NextToken"] = next;
  return answer;
}

Result<json::Value> Acm::get(aws::Call& call, const Json& in) {
  Json body;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    body = TRY(load(reader, call, in.get("CertificateArn")))
    .body;
    return {};
  }));
  return json::object({{"Certificate", body.get("Certificate")}, {"CertificateChain", body.get("Chain")}});
}

Result<json::Value> Acm::remove(aws::Call& call, const Json& in) {
  const auto arn = in.get("CertificateArn");
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    const auto found = TRY(load(writer, call, arn));
    if (!TRY(p_.used_by(writer, arn)).empty())
      return fault("ResourceInUseException", "Certificate " + arn + " in use.");
    TRY(writer.remove(found.key));
    return {};
  }));
  return json::object();
}

Result<json::Value> Acm::add_tags(aws::Call& call, const Json& in) {
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto found = TRY(load(writer, call, in.get("CertificateArn")));
    merge_tags(found.body, in.get_array("Tags"));
    if (found.body.get_array("Tags").size() > kMaxTags)
      return fault("TooManyTagsException", "A certificate has at most 50 tags.");
    return writer.put(found.key, found.body);
  }));
  return json::object();
}

Result<json::Value> Acm::remove_tags(aws::Call& call, const Json& in) {
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    auto found = TRY(load(writer, call, in.get("CertificateArn")));
    for (const auto& t : in.get_array("Tags")) {
      std::erase_if(found.body["Tags"].array(), [&](const Json& old) {
        return old.get("Key") == t.get("Key") && (!t.has("Value") || old.get("Value") == t.get("Value"));
      });
    }
    return writer.put(found.key, found.body);
  }));
  return json::object();
}

Result<json::Value> Acm::list_tags(aws::Call& call, const Json& in) {
  json::Array tags;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    tags = TRY(load(reader, call, in.get("CertificateArn")))
    .body.get_array("Tags");
    return {};
  }));
  return json::object({{"Tags", std::move(tags)}});
}

Result<json::Value> Acm::renew(aws::Call& call, const Json& in) {
  const auto arn = in.get("CertificateArn");
  Json body;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    body = TRY(load(reader, call, arn))
    .body;
    return {};
  }));
  if (body.get("Type") == "IMPORTED")
    return fault("RequestInProgressException", "An imported certificate is renewed by importing it again.");
  TRY(issue(body));
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    const auto found = TRY(load(writer, call, arn));
    body["Tags"] = json::Value(found.body.get_array("Tags"));
    TRY(writer.put(found.key, body));
    return wake(writer, arn);
  }));
  return json::object();
}

Result<internal::EdgeCertificate> Acm::certificate(const std::string& arn) {
  auto parsed = TRY(aws::parse_arn(arn));
  if (parsed.service != "acm" || !parsed.resource.starts_with("certificate/"))
    return error("NotFound", "not a certificate of ACM");
  auto found = TRY(db_.get({parsed.account, parsed.region, kKind, parsed.resource.substr(12)}));
  if (!found) return error("NotFound", "no certificate " + arn);
  auto sealed = TRY(unbase64(found->body.get("SealedKey")));
  internal::EdgeCertificate out;
  for (const auto& n : found->body.get_array("Names")) out.names.push_back(n.string());
  out.chain_pem = found->body.get("Certificate");
  if (!out.chain_pem.ends_with('\n')) out.chain_pem += '\n';
  out.chain_pem += found->body.get("Chain");
  out.key_pem = TRY(p_.keyring.unseal(kPurpose, sealed, arn));
  return out;
}

Result<void> Acm::renew_due() {
  for (auto& r : TRY(db_.list("*", "*", kKind))) {
    if (r.body.get("Type") == "IMPORTED") continue;
    auto facts = read_certificate(r.body.get("Certificate"));
    if (facts && facts->not_after > p_.clock.wall() + kRenewBefore) continue;
    TRY(issue(r.body));
    TRY(db_.write([&](store::Writer& writer) -> Result<void> {
      const auto fresh = TRY(writer.get(r.key));
      if (!fresh || fresh->version != r.version) return {};
      TRY(writer.put(r.key, r.body));
      return wake(writer, r.body.get("CertificateArn"));
    }));
    log::info("acm: renewed {}", r.body.get("CertificateArn"));
  }
  return {};
}

void Acm::start() {
  net::spawn([this] {
    while (true) {
      if (auto done = renew_due(); !done) log::warn("acm: renewal: {}", done.error().message);
      net::sleep_for(kRenewEvery);
    }
  });
}

#define OFFER(Op, f, ...) registry.add<op::Op>(this, &Acm::run<op::Op, &Acm::f>, __VA_ARGS__)
#define NAMED(Op, f) OFFER(Op, f, on_arn<op::Op>("acm:" #Op))

void Acm::offer(aws::Registry& registry) {
  OFFER(RequestCertificate, request, {"acm:RequestCertificate", {}});
  OFFER(ListCertificates, list, {"acm:ListCertificates", {}});
  NAMED(ImportCertificate, import);
  NAMED(DescribeCertificate, describe);
  NAMED(GetCertificate, get);
  NAMED(DeleteCertificate, remove);
  NAMED(AddTagsToCertificate, add_tags);
  NAMED(RemoveTagsFromCertificate, remove_tags);
  NAMED(ListTagsForCertificate, list_tags);
  NAMED(RenewCertificate, renew);
}

}  // namespace bastide::services
