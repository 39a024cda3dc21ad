#include "services/ssm/ssm.h"
#include "store/page.h"

namespace bastide::services {

namespace m = model::ssm;

namespace {

constexpr int32_t kPathPage = 10, kDescribePage = 50;

template <class T>
std::optional<T> unless_empty(const T& value) {
  return value.empty() ? std::nullopt : std::optional<T>(value);
}

// The older way to filter, as the newer one says it.
ssm::Filters modern(const m::DescribeParametersRequest& q) {
  if (!q.filters || q.filters->empty()) return q.parameter_filters;
  ssm::Filters out(std::in_place);
  for (const auto& f : *q.filters) {
    out->push_back({f.key, f.key == "Name" ? "BeginsWith" : "Equals", f.values});
  }
  return out;
}

}  // namespace

// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html
Result<m::GetParametersByPathResult> Ssm::by_path(Call& call, const m::GetParametersByPathRequest& q) {
  std::string path = q.path;
  if (path.starts_with("arn:")) {
    const auto which = TRY(ssm::select_parameter(path));
    path = which.name.starts_with('/') ? which.name : "/" + which.name;
  }
  TRY(ssm::check_path(path));
  TRY(ssm::check_filters(q.parameter_filters, true));
  if (!path.ends_with('/')) path += '/';
  const bool recursive = q.recursive.value_or(false);
  const std::string bound = path + (recursive ? "*" : "");
  const std::string after = TRY(open_token(call, bound, q.next_token));
  const auto size = static_cast<size_t>(q.max_results.value_or(kPathPage));
  std::vector<Parameter> found;
  TRY(scan(call, path == "/" ? "" : path, after, [&](Parameter& p) -> Result<bool> {
    const size_t start = p.name.starts_with('/') ? path.size() : 0;
    if (!recursive && p.name.find('/', start) != std::string::npos) return true;
    if (ssm::matches(q.parameter_filters, p)) found.push_back(std::move(p));
    return found.size() <= size;
  }));
  m::GetParametersByPathResult out;
  if (found.size() > size) {
    found.resize(size);
    out.next_token = store::seal_page(keyring_, scope(call, bound), found.back().name);
  }
  out.parameters.emplace();
  for (const auto& p : found) {
    auto one = TRY(answer(call, p, p.latest, "", q.with_decryption.value_or(false)));
    out.parameters->push_back(std::move(one));
  }
  return out;
}

m::ParameterMetadata Ssm::metadata(const Parameter& p) const {
  const Version& v = p.latest;
  m::ParameterMetadata out;
  out.name = p.name;
  out.arn = p.arn();
  out.type = v.type;
  out.key_id = unless_empty(v.key_id);
  out.last_modified_date = v.modified;
  out.last_modified_user = v.user;
  out.description = unless_empty(v.description);
  out.allowed_pattern = unless_empty(v.pattern);
  out.version = v.number;
  out.tier = v.tier;
  out.policies.emplace();
  out.data_type = v.data_type;
  return out;
}

// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeParameters.html
Result<m::DescribeParametersResult> Ssm::describe(Call& call, const m::DescribeParametersRequest& q) {
  if (q.filters && !q.filters->empty() && q.parameter_filters && !q.parameter_filters->empty()) {
    return fault("ValidationException",
                 "You can use either Filters or ParameterFilters in a single request.");
  }
  m::DescribeParametersResult out;
  out.parameters.emplace();
  if (q.shared.value_or(false)) return out;  // nothing is shared between accounts
  const auto filters = modern(q);
  TRY(ssm::check_filters(filters, false));
  const std::string after = TRY(open_token(call, "", q.next_token));
  const auto size = static_cast<size_t>(q.max_results.value_or(kDescribePage));
  TRY(scan(call, "", after, [&](Parameter& p) -> Result<bool> {
    if (!ssm::matches(filters, p)) return true;
    if (out.parameters->size() == size) {
      out.next_token = store::seal_page(keyring_, scope(call, ""), *out.parameters->back().name);
      return false;
    }
    out.parameters->push_back(metadata(p));
    return true;
  }));
  return out;
}

}  // namespace bastide::services
