#include <algorithm>

#include <fmt/format.h>

#include "aws/arn.h"
#include "aws/policy_compiled.h"
#include "aws/principal.h"

namespace bastide::aws {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view value) {
  return !value.empty() && std::find(list.begin(), list.end(), value) != list.end();
}

bool unique_id(std::string_view text) {
  return text.size() >= 16 && text.size() <= 128 && (text.starts_with("AIDA") || text.starts_with("AROA")) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); });
}

Error invalid(std::string_view kind, std::string_view value) {
  return error("Invalid", fmt::format("Invalid principal in policy: \"{}\":\"{}\"", kind, value));
}

Result<void> add_aws(PrincipalSpec& spec, const std::string& value) {
  if (value == "*") {
    spec.everyone = true;
    return {};
  }
  if (valid_account_id(value)) {
    spec.accounts.push_back(value);
    return {};
  }
  if (unique_id(value)) {
    spec.ids.push_back(value);
    return {};
  }
  auto arn = parse_arn(value);
  if (!arn || arn->partition != "aws" || !valid_account_id(arn->account) ||
      arn->resource.find_first_of("*?") != std::string::npos) {
    return invalid("AWS", value);
  }
  if (arn->service == "iam" && arn->resource == "root") {
    spec.accounts.push_back(arn->account);
  } else if ((arn->service == "iam" &&
              (arn->resource.starts_with("user/") || arn->resource.starts_with("role/"))) ||
             (arn->service == "sts" &&
              (arn->resource.starts_with("assumed-role/") || arn->resource.starts_with("federated-user/")))) {
    spec.arns.push_back(value);
  } else {
    return invalid("AWS", value);
  }
  return {};
}

Result<void> add(PrincipalSpec& spec, const std::string& kind, const json::Value& v) {
  if (!v.is_string()) return error("Invalid", "Syntax errors in policy.");
  const std::string& value = v.string();
  if (kind == "AWS") return add_aws(spec, value);
  if (kind == "Service") {
    if (!value.ends_with(".amazonaws.com") || value.find_first_of("*? /:") != std::string::npos) {
      return invalid("SERVICE", value);
    }
    spec.services.push_back(value);
    return {};
  }
  if (kind == "Federated") {
    if (value.empty() || value.size() > 2048) return invalid("FEDERATED", value);
    spec.federated.push_back(value);
    return {};
  }
  return error("Invalid", "Syntax errors in policy.");
}

}  // namespace

Result<PrincipalSpec> compile_principal(const json::Value& element) {
  PrincipalSpec spec;
  if (element.is_string()) {
    if (element.string() != "*") return error("Invalid", "Syntax errors in policy.");
    spec.everyone = true;
    return spec;
  }
  if (!element.is_object() || element.object().empty()) return error("Invalid", "Syntax errors in policy.");
  for (const auto& [kind, value] : element.object()) {
    if (value.is_array()) {
      for (const auto& v : value.array()) TRY(add(spec, kind, v));
    } else {
      TRY(add(spec, kind, value));
    }
  }
  return spec;
}

Named PrincipalSpec::names(const Principal& p) const {
  if (everyone) return Named::direct;
  if (p.kind == Principal::Kind::anonymous) return Named::no;
  if (p.kind == Principal::Kind::service) return contains(services, p.arn) ? Named::direct : Named::no;
  if (p.account.empty()) return contains(federated, p.arn) ? Named::direct : Named::no;
  if (contains(arns, p.arn)) return Named::direct;
  const std::string_view id = std::string_view(p.id).substr(0, p.id.find(':'));
  if (p.kind == Principal::Kind::assumed_role) {
    if (contains(arns, p.role_arn) || contains(ids, id)) return Named::role;
  } else if (contains(ids, id)) {
    return Named::direct;
  }
  return contains(accounts, p.account) ? Named::account : Named::no;
}

bool PrincipalSpec::excepts(const Principal& p) const {
  const Named named = names(p);
  return named == Named::account ? p.kind == Principal::Kind::root : named != Named::no;
}

}  // namespace bastide::aws
