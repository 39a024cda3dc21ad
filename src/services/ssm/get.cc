#include <algorithm>
#include <set>

#include "services/ssm/ssm.h"
#include "store/page.h"

namespace bastide::services {

namespace m = model::ssm;

namespace {

constexpr int32_t kHistoryPage = 50;

template <class T>
std::optional<T> unless_empty(const T& value) {
  return value.empty() ? std::nullopt : std::optional<T>(value);
}

}  // namespace

Result<m::Parameter> Ssm::answer(const Call& call, const Parameter& p, const Version& v,
                                 const std::string& selector, bool decrypt) {
  m::Parameter out;
  out.value = TRY(reveal(call, p, v, decrypt));
  out.name = p.name;
  out.type = v.type;
  out.version = v.number;
  out.selector = unless_empty(selector);
  out.last_modified_date = v.modified;
  out.arn = p.arn();
  out.data_type = v.data_type;
  return out;
}

// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
Result<m::GetParameterResult> Ssm::get_parameter(Call& call, const m::GetParameterRequest& q) {
  const auto which = TRY(ssm::select_parameter(q.name));
  const auto p = TRY(find(call, which));
  const auto v = TRY(version_of(p, which));
  m::GetParameterResult out;
  out.parameter = TRY(answer(call, p, v, which.selector, q.with_decryption.value_or(false)));
  return out;
}

// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
Result<m::GetParametersResult> Ssm::get_parameters(Call& call, const m::GetParametersRequest& q) {
  std::set<std::string> names(q.names.begin(), q.names.end());
  if (names.size() != q.names.size()) {
    return fault("ValidationException", "Duplicate parameter names are not allowed in one request.");
  }
  m::GetParametersResult out;
  out.parameters.emplace();
  out.invalid_parameters.emplace();
  for (const auto& text : q.names) {
    const auto which = TRY(ssm::select_parameter(text));
    auto p = TRY(load(call, which));
    if (!p) {
      out.invalid_parameters->push_back(text);
      continue;
    }
    auto v = version_of(*p, which);
    if (!v) {
      if (!v.error().fault) return std::move(v).error();
      out.invalid_parameters->push_back(text);
      continue;
    }
    auto one = TRY(answer(call, *p, *v, which.selector, q.with_decryption.value_or(false)));
    out.parameters->push_back(std::move(one));
  }
  return out;
}

// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameterHistory.html
Result<m::GetParameterHistoryResult> Ssm::history(Call& call, const m::GetParameterHistoryRequest& q) {
  const auto which = TRY(ssm::select_parameter(q.name));
  const auto p = TRY(find(call, which));
  const std::string after = TRY(open_token(call, p.name, q.next_token));
  const auto size = static_cast<size_t>(q.max_results.value_or(kHistoryPage));
  std::vector<store::Resource> rows;
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    rows = TRY(r.list(p.account, p.region, ssm::kVersionKind, after, size + 1, p.name + ":"));
    return {};
  }));
  m::GetParameterHistoryResult out;
  if (rows.size() > size) {
    rows.resize(size);
    out.next_token = store::seal_page(keyring_, scope(call, p.name), rows.back().key.id);
  }
  out.parameters.emplace();
  for (const auto& row : rows) {
    const auto v = ssm::version_from_json(row.body);
    m::ParameterHistory h;
    h.value = TRY(reveal(call, p, v, q.with_decryption.value_or(false)));
    h.name = p.name;
    h.type = v.type;
    h.key_id = unless_empty(v.key_id);
    h.last_modified_date = v.modified;
    h.last_modified_user = v.user;
    h.description = unless_empty(v.description);
    h.allowed_pattern = unless_empty(v.pattern);
    h.version = v.number;
    h.tier = v.tier;
    h.data_type = v.data_type;
    h.labels.emplace();
    for (const auto& [label, number] : p.labels) {
      if (number == v.number) h.labels->push_back(label);
    }
    h.policies.emplace();
    out.parameters->push_back(std::move(h));
  }
  return out;
}

// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameter.html
Result<bool> Ssm::remove(const Call& call, const std::string& text) {
  const auto which = TRY(ssm::select_parameter(text));
  const auto found = TRY(load(call, which));
  if (!found || !which.selector.empty()) return false;
  bool removed = false;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const auto p = TRY(reread(w, call.account, call.region, found->name));
    removed = p.has_value();
    if (!p) return {};
    const auto versions = TRY(w.list(p->account, p->region, ssm::kVersionKind, "", 1000, p->name + ":"));
    for (const auto& v : versions) TRY(w.remove(v.key));
    TRY(w.remove({p->account, p->region, ssm::kParameterKind, p->name}));
    return ssm::count(w, *p, p->latest.tier, "");
  }));
  return removed;
}

Result<m::DeleteParameterResult> Ssm::delete_parameter(Call& call, const m::DeleteParameterRequest& q) {
  const bool removed = TRY(remove(call, q.name));
  if (!removed) return ssm::not_found();
  return m::DeleteParameterResult{};
}

Result<m::DeleteParametersResult> Ssm::delete_parameters(Call& call, const m::DeleteParametersRequest& q) {
  m::DeleteParametersResult out;
  out.deleted_parameters.emplace();
  out.invalid_parameters.emplace();
  for (const auto& name : std::set<std::string>(q.names.begin(), q.names.end())) {
    const bool removed = TRY(remove(call, name));
    (removed ? out.deleted_parameters : out.invalid_parameters)->push_back(name);
  }
  return out;
}

}  // namespace bastide::services
