#include "services/ssm/ssm.h"
#include "store/page.h"

namespace bastide::services {

using ssm::kParameterKind;
using ssm::kVersionKind;

namespace {
constexpr size_t kScanRows = 200;
}

namespace ssm {
Error not_found() { return fault("ParameterNotFound", ""); }
}  // namespace ssm

Ssm::Maybe<Ssm::Parameter> Ssm::reread(store::Reader& r, const std::string& account,
                                       const std::string& region, const std::string& name) {
  const auto row = TRY(r.get({account, region, kParameterKind, name}));
  if (!row) return std::optional<Parameter>{};
  return std::optional(ssm::parameter_from_json(account, region, name, row->body));
}

Ssm::Maybe<Ssm::Parameter> Ssm::load(const Call& call, const ssm::Selected& which) {
  if (which.by_arn && (which.account != call.account || which.region != call.region))
    return std::optional<Parameter>{};
  std::optional<Parameter> found;
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    found = TRY(reread(r, call.account, call.region, which.name));
    if (!found && which.by_arn && !which.name.starts_with('/')) {
      found = TRY(reread(r, call.account, call.region, "/" + which.name));
    }
    return {};
  }));
  return found;
}

Result<Ssm::Parameter> Ssm::find(const Call& call, const ssm::Selected& which) {
  auto found = TRY(load(call, which));
  if (!found) return ssm::not_found();
  return std::move(*found);
}

Result<void> Ssm::put(store::Writer& w, const Parameter& p) {
  return w.put({p.account, p.region, kParameterKind, p.name}, to_json(p));
}

Result<Ssm::Version> Ssm::version_of(const Parameter& p, const ssm::Selected& which) {
  int64_t number = p.latest.number;
  if (!which.label.empty()) {
    const auto it = p.labels.find(which.label);
    if (it == p.labels.end()) {
      return fault("ParameterVersionNotFound", "Systems Manager could not find label " + which.label +
                                                   " for parameter " + p.name +
                                                   ". Verify the label and try again.");
    }
    number = it->second;
  } else if (which.version) {
    number = *which.version;
  }
  if (number == p.latest.number) return p.latest;
  const auto row = TRY(database_.get({p.account, p.region, kVersionKind, ssm::version_row(p.name, number)}));
  if (!row) {
    return fault("ParameterVersionNotFound", "Systems Manager could not find version " +
                                                 std::to_string(number) + " of " + p.name +
                                                 ". Verify the version and try again.");
  }
  return ssm::version_from_json(row->body);
}

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
aws::Target Ssm::target(const Call& call, const std::string& text, const char* action) {
  aws::Target t;
  t.action = action;
  const auto which = ssm::select_parameter(text);
  if (!which) return t;
  const std::string account = which->account.empty() ? call.account : which->account;
  t.resource = ssm::parameter_arn(which->region.empty() ? call.region : which->region, account, which->name);
  t.owner = account;
  if (const auto found = load(call, *which); found && *found) {
    for (const auto& [key, value] : (*found)->tags) {
      t.context.emplace_back("aws:ResourceTag/" + key, value);
      t.context.emplace_back("ssm:resourceTag/" + key, value);
    }
  }
  return t;
}

Result<void> Ssm::scan(const Call& call, const std::string& prefix, std::string after,
                       const std::function<Result<bool>(Parameter&)>& visit) {
  return database_.read([&](store::Reader& r) -> Result<void> {
    for (;;) {
      const auto rows = TRY(r.list(call.account, call.region, kParameterKind, after, kScanRows, prefix));
      for (const auto& row : rows) {
        auto p = ssm::parameter_from_json(call.account, call.region, row.key.id, row.body);
        const bool more = TRY(visit(p));
        if (!more) return {};
      }
      if (rows.size() < kScanRows) return {};
      after = rows.back().key.id;
    }
  });
}

std::string Ssm::scope(const Call& call, const std::string& more) const {
  return call.operation + "/" + call.account + "/" + call.region + "/" + more;
}

Result<std::string> Ssm::open_token(const Call& call, const std::string& more,
                                    const std::optional<std::string>& token) {
  if (!token || token->empty()) return std::string();
  auto last = store::open_page(keyring_, scope(call, more), *token);
  if (!last) return fault("InvalidNextToken", "The specified token is not valid.");
  return last;
}

}  // namespace bastide::services
