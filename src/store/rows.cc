#include "store/rows.h"

#include <algorithm>

namespace bastide::store {
namespace {

// Columns: kind, account, region, id, version, body.
Result<Resource> row(const Statement& s) {
  Resource r{{s.text(1), s.text(2), s.text(0), s.text(3)}, s.number(4), {}};
  auto body = json::parse(s.view(5));
  if (!body) return std::move(body).error().context(r.key.kind + " " + r.key.id);
  r.body = std::move(*body);
  return r;
}

#define COLUMNS "SELECT r.kind, r.account, r.region, r.id, r.version, r.body FROM resource r "

}  // namespace

Result<std::optional<Resource>> Rows::get(const Key& key) {
  auto s = TRY(db_.prepare(COLUMNS "WHERE kind=? AND account=? AND region=? AND id=?"));
  s.bind(key.kind).bind(key.account).bind(key.region).bind(key.id);
  const bool found = TRY(s.step());
  if (!found) return std::optional<Resource>{};
  auto r = TRY(row(s));
  return std::optional<Resource>(std::move(r));
}

Result<std::vector<Resource>> Rows::list(const std::string& account, const std::string& region,
                                         const std::string& kind, const std::string& after, size_t limit,
                                         const std::string& id_prefix) {
  std::vector<Resource> out;
  if (limit == 0) return out;
  const bool any_account = account == "*", any_region = region == "*";
  const char* sql = COLUMNS "WHERE kind=? AND account=? AND region=? AND id>=? ORDER BY id";
  if (any_account && any_region) {
    sql = COLUMNS "WHERE kind=? AND id>=? ORDER BY id, account, region";
  } else if (any_account) {
    sql = COLUMNS "WHERE kind=? AND region=? AND id>=? ORDER BY id, account";
  } else if (any_region) {
    sql = COLUMNS "WHERE kind=? AND account=? AND id>=? ORDER BY id, region";
  }
  std::string from = id_prefix;
  if (!after.empty()) from = std::max(from, after + '\0');  // the first text after `after`
  auto s = TRY(db_.prepare(sql));
  s.bind(kind);
  if (!any_account) s.bind(account);
  if (!any_region) s.bind(region);
  s.bind(from);
  while (out.size() < limit) {
    const bool more = TRY(s.step());
    if (!more || !s.view(3).starts_with(id_prefix)) break;
    auto r = TRY(row(s));
    out.push_back(std::move(r));
  }
  return out;
}

Result<std::vector<Resource>> Rows::find(const std::string& kind, const std::string& index,
                                         const std::string& value) {
  std::vector<Resource> out;
  auto s = TRY(db_.prepare(COLUMNS
                           "JOIN resource_index i ON i.rid=r.rid "
                           "WHERE i.kind=? AND i.name=? AND i.value=? ORDER BY r.id, r.account, r.region"));
  s.bind(kind).bind(index).bind(value);
  while (true) {
    const bool more = TRY(s.step());
    if (!more) return out;
    auto r = TRY(row(s));
    out.push_back(std::move(r));
  }
}

Result<void> Rows::put(const Key& key, const json::Value& body, const std::vector<Index>& indexes) {
  const std::string text = json::print(body);
  int64_t rid = 0;
  {
    auto s =
        TRY(db_.prepare("INSERT INTO resource(kind, account, region, id, version, body) VALUES(?,?,?,?,1,?) "
                        "ON CONFLICT(kind, account, region, id) DO UPDATE SET version=version+1, "
                        "body=excluded.body RETURNING rid, version"));
    s.bind(key.kind).bind(key.account).bind(key.region).bind(key.id).bind(text);
    const bool got = TRY(s.step());
    CHECK(got);
    rid = s.number(0);
    const int64_t version = s.number(1);
    TRY(s.run());
    if (version > 1) {
      auto clear = TRY(db_.prepare("DELETE FROM resource_index WHERE rid=?"));
      TRY(clear.bind(rid).run());
    }
  }
  for (const auto& index : indexes) {
    auto s = TRY(db_.prepare("INSERT OR IGNORE INTO resource_index(kind, name, value, rid) VALUES(?,?,?,?)"));
    TRY(s.bind(key.kind).bind(index.name).bind(index.value).bind(rid).run());
  }
  wakes_.changed_kinds.insert(key.kind);
  return {};
}

Result<bool> Rows::remove(const Key& key) {
  auto s = TRY(db_.prepare("DELETE FROM resource WHERE kind=? AND account=? AND region=? AND id=?"));
  TRY(s.bind(key.kind).bind(key.account).bind(key.region).bind(key.id).run());
  if (db_.changes() == 0) return false;
  wakes_.changed_kinds.insert(key.kind);
  return true;
}

Result<void> Rows::emit(const std::string& topic, const std::string& key) {
  wakes_.topics.emplace_back(topic, key);
  return {};
}

Result<void> Rows::enqueue(const std::string& kind, const std::string& key, const json::Value& state,
                           Millis run_at) {
  const std::string text = json::print(state);
  auto s =
      TRY(db_.prepare("INSERT INTO job(kind, key, state, run_at) VALUES(?,?,?,?) "
                      "ON CONFLICT(kind, key) DO UPDATE SET run_at=min(run_at, excluded.run_at), "
                      "wakes=wakes+1, wake_state=excluded.state"));
  TRY(s.bind(kind).bind(key).bind(text).bind(run_at).run());
  wakes_.job_kinds.insert(kind);
  return {};
}

Result<int64_t> Rows::next(const std::string& counter) {
  auto s =
      TRY(db_.prepare("INSERT INTO counter(name, value) VALUES(?,1) "
                      "ON CONFLICT(name) DO UPDATE SET value=value+1 RETURNING value"));
  s.bind(counter);
  const bool got = TRY(s.step());
  CHECK(got);
  const int64_t value = s.number(0);
  TRY(s.run());
  return value;
}

}  // namespace bastide::store
