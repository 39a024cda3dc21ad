#include "delivery/records.h"

#include <fmt/format.h>

#include <algorithm>

namespace bastide::delivery {
namespace {

store::Key key(const std::string& kind, const std::string& id) { return {"", "", kind, id}; }

constexpr const char* kRun = "delivery.run";
constexpr const char* kRelease = "delivery.release";
constexpr const char* kDeployment = "delivery.deployment";
constexpr const char* kArchitecture = "delivery.architecture";

}  // namespace

std::string release_id(const std::string& app, const std::string& commit) { return app + "/" + commit; }

Result<json::Value> Records::get(const std::string& kind, const std::string& id, const std::string& what) {
  auto found = TRY(db_.get(key(kind, id)));
  if (!found) return fault("ResourceNotFoundException", what + " '" + id + "' does not exist");
  return std::move(found->body);
}

Result<std::vector<json::Value>> Records::all(const std::string& kind, const std::string& prefix) {
  std::vector<json::Value> out;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    for (auto& resource : TRY(reader.list("", "", kind, "", 10'000, prefix))) out.push_back(std::move(resource.body));
    return {};
  }));
  return out;
}

Result<void> Records::change(const std::string& kind, const std::string& id, bool make,
                             const std::function<Result<void>(json::Value&)>& f) {
  return db_.write([=](store::Writer& writer) -> Result<void> {
    auto found = TRY(writer.get(key(kind, id)));
    if (!found && !make) return fault("ResourceNotFoundException", "'" + id + "' does not exist");
    json::Value body = found ? std::move(found->body) : json::object();
    TRY(f(body));
    return writer.put(key(kind, id), body);
  });
}

Result<json::Value> Records::architecture() { return get(kArchitecture, "current", "architecture"); }

Result<Plan> Records::plan() {
  auto found = TRY(db_.get(key(kArchitecture, "current")));
  if (!found) return fault("ResourceNotFoundException", "no architecture has been applied; run 'bastide up' first");
  const auto document = TRY(json::parse(found->body.get("architecture")));
  return internal::plan_from_json(document);
}

Result<Records::Stored> Records::put_architecture(const std::string& text, const std::string& principal, Millis now,
                                                  const std::optional<std::string>& expected) {
  Stored stored;
  TRY(db_.write([&stored, text, principal, now, expected](store::Writer& writer) -> Result<void> {
    const auto found = TRY(writer.get(key(kArchitecture, "current")));
    const std::string before = found ? found->body.get("version") : "0";
    if (expected && *expected != before) {
      return fault("ConflictException", fmt::format("the architecture is at version {}, not {}", before, *expected));
    }
    stored = {before, false};
    if (found && found->body.get("architecture") == text) return {};
    stored = {std::to_string(TRY(writer.next("delivery.architecture"))), true};
    return writer.put(key(kArchitecture, "current"), json::object({{"architecture", text},
                                                                   {"version", stored.version},
                                                                   {"createdAt", static_cast<double>(now) / 1000},
                                                                   {"createdBy", principal}}));
  }));
  return stored;
}

Result<std::string> Records::make_run(json::Value body) {
  std::string id;
  TRY(db_.write([&id, body](store::Writer& writer) -> Result<void> {
    json::Value run = body;
    const std::string app = run.get("app");
    id = fmt::format("{}/{}", app, TRY(writer.next("delivery.run/" + app)));
    run["runId"] = id;
    TRY(writer.put(key(kRun, id), run));
    return writer.enqueue(kRun, id, json::object(), 0);
  }));
  return id;
}

Result<json::Value> Records::run(const std::string& id) { return get(kRun, id, "pipeline run"); }

Result<std::vector<json::Value>> Records::runs(const std::string& app) {
  auto out = TRY(all(kRun, app.empty() ? "" : app + "/"));
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    const auto at = [](const json::Value& v) {
      const json::Value* t = v.find("startedAt");
      return t && t->is_number() ? t->number() : 0.0;
    };
    return at(a) > at(b);
  });
  return out;
}

Result<void> Records::change_run(const std::string& id, const std::function<void(json::Value&)>& f) {
  return change(kRun, id, false, [f](json::Value& v) -> Result<void> {
    f(v);
    return {};
  });
}

Result<json::Value> Records::release(const std::string& id) { return get(kRelease, id, "release"); }

Result<std::vector<json::Value>> Records::releases(const std::string& app) {
  return all(kRelease, app.empty() ? "" : app + "/");
}

Result<void> Records::put_release(const json::Value& body) {
  return change(kRelease, body.get("releaseId"), true, [body](json::Value& v) -> Result<void> {
    if (v.object().empty()) v = body;  // a release is recorded once; a second run of the commit finds it
    return {};
  });
}

Result<void> Records::change_release(const std::string& id, const std::function<Result<void>(json::Value&)>& f) {
  return change(kRelease, id, false, f);
}

Result<json::Value> Records::deployment(const std::string& app, const std::string& environment) {
  auto found = TRY(db_.get(key(kDeployment, app + "/" + environment)));
  return found ? std::move(found->body) : json::object();
}

Result<void> Records::change_deployment(const std::string& app, const std::string& environment,
                                        const std::function<void(json::Value&)>& f) {
  return change(kDeployment, app + "/" + environment, true, [=](json::Value& v) -> Result<void> {
    v["app"] = app;
    v["environment"] = environment;
    f(v);
    return {};
  });
}

}  // namespace bastide::delivery
