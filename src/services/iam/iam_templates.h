// The bodies of Iam's member templates, for its own files.
#pragma once

#include <algorithm>

#include "base/bytes.h"
#include "services/iam/iam.h"

namespace bastide::services {

inline constexpr int32_t kDefaultItems = 100;

// Markers are sealed: they hold the last item told, for that list of that account alone.
template <class Response, class T, class F>
Result<Response> Iam::page(std::vector<std::pair<std::string, T>> items,
                           const std::optional<std::string>& marker, const std::optional<int32_t>& max_items,
                           const std::string& what, F set) {
  std::sort(items.begin(), items.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  size_t from = 0;
  if (marker) {
    auto bytes = unbase64url(*marker);
    auto last = bytes ? keyring_.unseal("iam.marker", *bytes, what) : Result<std::string>(bytes.error());
    if (!last) return fault("ValidationError", "Invalid Marker.");
    while (from < items.size() && items[from].first <= *last) ++from;
  }
  const size_t count = std::min(items.size() - from, static_cast<size_t>(max_items.value_or(kDefaultItems)));
  Response response;
  std::vector<T> told;
  for (size_t i = from; i < from + count; ++i) told.push_back(std::move(items[i].second));
  response.is_truncated = from + count < items.size();
  if (*response.is_truncated) {
    response.marker = base64url(keyring_.seal("iam.marker", items[from + count - 1].first, what));
  }
  set(response, std::move(told));
  return response;
}

template <class Response, class Request>
Result<Response> Iam::list_inline(Call& call, Kind kind, const std::string& name, const Request& request) {
  const auto body = TRY(entity(call.account, kind, name));
  std::vector<std::pair<std::string, std::string>> items;
  for (const auto& [policy, document] : body.get_object("inline")) items.emplace_back(policy, policy);
  return page<Response>(std::move(items), request.marker, request.max_items, "inline " + call.account,
                        [](Response& r, auto told) { r.policy_names = std::move(told); });
}

template <class Response, class Request>
Result<Response> Iam::list_attached(Call& call, Kind kind, const std::string& name, const Request& request) {
  const auto body = TRY(entity(call.account, kind, name));
  std::vector<std::pair<std::string, model::iam::AttachedPolicy>> items;
  for (const auto& p : body.get_array("attached")) {
    const std::string& arn = p.string();
    const std::string path = arn.substr(arn.find('/'), arn.rfind('/') + 1 - arn.find('/'));
    if (request.path_prefix && !path.starts_with(*request.path_prefix)) continue;
    items.push_back({arn, {iam_rows::name_in_arn(arn), arn}});
  }
  return page<Response>(std::move(items), request.marker, request.max_items, "attached " + call.account,
                        [](Response& r, auto told) { r.attached_policies = std::move(told); });
}

template <class Response, class Request>
Result<Response> Iam::list_tags(Call& call, Kind kind, const std::string& name, const Request& request) {
  const auto body = TRY(entity(call.account, kind, name));
  std::vector<std::pair<std::string, model::iam::Tag>> items;
  for (auto& t : iam_rows::tags_of(body)) items.emplace_back(t.key, t);
  return page<Response>(std::move(items), request.marker, request.max_items, "tags " + call.account,
                        [](Response& r, auto told) { r.tags = std::move(told); });
}

template <class Response, class T, class Request, class Shape>
Result<Response> Iam::list_entities(Call& call, Kind kind, const Request& request,
                                    std::vector<T> Response::*field, Shape shape) {
  std::vector<std::pair<std::string, T>> items;
  for (const auto& row : TRY(db_.list(call.account, "", iam_rows::noun(kind).kind))) {
    if (request.path_prefix && !row.body.get("path").starts_with(*request.path_prefix)) continue;
    items.emplace_back(row.key.id, shape(call.account, row.body));
  }
  return page<Response>(std::move(items), request.marker, request.max_items,
                        std::string(iam_rows::noun(kind).kind) + " " + call.account,
                        [&](Response& r, auto told) { r.*field = std::move(told); });
}

}  // namespace bastide::services
