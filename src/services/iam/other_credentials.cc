// Kinds of credentials that cannot be made here (their Create and Upload operations answer NotImplemented):
// nobody has any, and the lists say so. Tools that delete a user ask for each.
#include "services/iam/iam_templates.h"

namespace bastide::services {

using namespace iam_rows;
namespace op = model::iam::op;

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListServerCertificates.html
Result<op::ListServerCertificates::Response> Iam::list_server_certificates(
    Call&, const op::ListServerCertificates::Request&) {
  op::ListServerCertificates::Response out;
  out.is_truncated = false;
  return out;
}

Result<op::ListSigningCertificates::Response> Iam::list_signing_certificates(
    Call& call, const op::ListSigningCertificates::Request& q) {
  const auto name = TRY(user_or_caller(call, q.user_name));
  TRY(entity(call.account, Kind::user, name));
  op::ListSigningCertificates::Response out;
  out.is_truncated = false;
  return out;
}

Result<op::ListSSHPublicKeys::Response> Iam::list_ssh_public_keys(Call& call,
                                                                  const op::ListSSHPublicKeys::Request& q) {
  const auto name = TRY(user_or_caller(call, q.user_name));
  TRY(entity(call.account, Kind::user, name));
  op::ListSSHPublicKeys::Response out;
  out.ssh_public_keys.emplace();
  out.is_truncated = false;
  return out;
}

Result<op::ListServiceSpecificCredentials::Response> Iam::list_service_specific_credentials(
    Call& call, const op::ListServiceSpecificCredentials::Request& q) {
  if (!q.all_users.value_or(false)) {
    const auto name = TRY(user_or_caller(call, q.user_name));
    TRY(entity(call.account, Kind::user, name));
  }
  op::ListServiceSpecificCredentials::Response out;
  out.service_specific_credentials.emplace();
  out.is_truncated = false;
  return out;
}

Result<op::ListSAMLProviders::Response> Iam::list_saml_providers(Call&,
                                                                 const op::ListSAMLProviders::Request&) {
  op::ListSAMLProviders::Response out;
  out.saml_provider_list.emplace();
  return out;
}

}  // namespace bastide::services
