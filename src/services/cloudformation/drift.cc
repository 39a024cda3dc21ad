#include "services/cloudformation/drift.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/cloudformation/evaluate.h"

namespace bastide::services::cfn {
namespace {

constexpr size_t kMaxDifferences = 200;  // of one resource
constexpr int kMaxDepth = 64;

bool scalar(const json::Value& v) { return v.is_string() || v.is_number() || v.is_bool(); }

// The object that a text holds, where it holds one: policies are kept as texts by some services.
json::Value opened(const json::Value& v) {
  if (!v.is_string() || v.string().empty() || v.string()[0] != '{') return v;
  auto parsed = json::parse(v.string());
  return parsed ? std::move(*parsed) : v;
}

std::string shown(const json::Value& v) { return scalar(v) ? scalar_text(v) : json::print(v); }

class Comparison {
 public:
  std::vector<PropertyDrift> out;

  void value(const json::Value& given, const json::Value& found, const std::string& path, int depth) {
    if (out.size() >= kMaxDifferences || depth > kMaxDepth) return;
    const json::Value expected = opened(given), actual = opened(found);
    if (expected.is_array() != actual.is_array()) {  // {"Action": "x"} and {"Action": ["x"]} are the same
      const json::Value& list = expected.is_array() ? expected : actual;
      const json::Value& one = expected.is_array() ? actual : expected;
      if (list.array().size() == 1 && same(list.array()[0], one, depth)) return;
      add(path, &given, &found);
    } else if (expected.is_object() && actual.is_object()) {
      for (const auto& [key, v] : expected.object()) {
        const json::Value* there = actual.find(key);
        if (there != nullptr) {
          value(v, *there, path + "/" + key, depth + 1);
        } else if (!empty(v)) {
          add(path + "/" + key, &v, nullptr);
        }
      }
    } else if (expected.is_array()) {
      list(expected.array(), actual.array(), path, depth);
    } else if (scalar(expected) && scalar(actual)) {
      if (scalar_text(expected) != scalar_text(actual)) add(path, &given, &found);
    } else if (!(expected == actual)) {
      add(path, &given, &found);
    }
  }

 private:
  static bool empty(const json::Value& v) {
    return v.is_null() || (v.is_array() && v.array().empty()) || (v.is_object() && v.object().empty()) ||
           (v.is_bool() && !v.boolean()) || (v.is_string() && v.string().empty());
  }

  static bool same(const json::Value& expected, const json::Value& actual, int depth) {
    Comparison c;
    c.value(expected, actual, "", depth + 1);
    return c.out.empty();
  }

  void list(const json::Array& expected, const json::Array& actual, const std::string& path, int depth) {
    std::vector<bool> taken(actual.size(), false);
    std::vector<size_t> missing;
    for (size_t i = 0; i < expected.size(); ++i) {
      bool found = false;
      for (size_t j = 0; j < actual.size() && !found; ++j) {
        if (taken[j] || !same(expected[i], actual[j], depth)) continue;
        taken[j] = true;
        found = true;
      }
      if (!found) missing.push_back(i);
    }
    size_t next = 0;
    for (const size_t i : missing) {
      while (next < actual.size() && taken[next]) ++next;
      const std::string at = fmt::format("{}/{}", path, i);
      if (next == actual.size()) {
        add(at, &expected[i], nullptr);
      } else {
        taken[next] = true;
        value(expected[i], actual[next], at, depth + 1);
      }
    }
    for (size_t j = 0; j < actual.size(); ++j) {
      if (!taken[j]) add(fmt::format("{}/{}", path, j), nullptr, &actual[j]);
    }
  }

  void add(const std::string& path, const json::Value* expected, const json::Value* actual) {
    if (out.size() >= kMaxDifferences) return;
    out.push_back({path, expected == nullptr ? "null" : shown(*expected),
                   actual == nullptr ? "null" : shown(*actual),
                   expected == nullptr ? "ADD"
                   : actual == nullptr ? "REMOVE"
                                       : "NOT_EQUAL"});
  }
};

bool holds(const json::Value& list, const std::string& text) {
  if (!list.is_array()) return false;
  return std::any_of(list.array().begin(), list.array().end(),
                     [&](const json::Value& v) { return v.is_string() && v.string() == text; });
}

bool made_by(const ResourceRow& sibling, const ResourceRow& row, const PropertyDrift& d) {
  const json::Value& p = sibling.properties;
  auto actual = json::parse(d.actual);
  const json::Value value = actual ? *actual : json::Value(d.actual);
  const std::string noun = row.type.substr(row.type.rfind(':') + 1);
  if (sibling.type == "AWS::EC2::SecurityGroupIngress" || sibling.type == "AWS::EC2::SecurityGroupEgress") {
    if (p.get("GroupId") != row.physical || !value.is_object()) return false;
    const bool ingress = sibling.type.ends_with("Ingress");
    if (!d.path.starts_with(ingress ? "/SecurityGroupIngress/" : "/SecurityGroupEgress/")) return false;
    json::Value rule = p;
    rule.remove("GroupId");
    return property_drift(rule, value).empty();
  }
  if (sibling.type == "AWS::IAM::Policy" && d.path.starts_with("/Policies/")) {
    const json::Value* list = p.find(noun + "s");
    return list != nullptr && holds(*list, row.physical) && value.get("PolicyName") == p.get("PolicyName");
  }
  if (sibling.type == "AWS::IAM::ManagedPolicy" && d.path.starts_with("/ManagedPolicyArns/")) {
    return d.actual == sibling.physical;
  }
  if (sibling.type == "AWS::IAM::UserToGroupAddition" && d.path.starts_with("/Groups/")) {
    const json::Value* users = p.find("Users");
    return users != nullptr && holds(*users, row.physical) && d.actual == p.get("GroupName");
  }
  return false;
}

}  // namespace

std::vector<PropertyDrift> property_drift(const json::Value& expected, const json::Value& actual) {
  Comparison c;
  c.value(expected, actual, "", 0);
  return std::move(c.out);
}

void spare_siblings(const ResourceRow& row, const std::map<std::string, ResourceRow>& rows,
                    ResourceDrift& d) {
  std::erase_if(d.differences, [&](const PropertyDrift& one) {
    if (one.kind != "ADD") return false;
    return std::any_of(rows.begin(), rows.end(), [&](const auto& r) {
      return r.second.made() && r.first != row.logical && made_by(r.second, row, one);
    });
  });
}

json::Value to_json(const ResourceDrift& d) {
  json::Value differences = json::array();
  for (const auto& p : d.differences) differences.push(json::array({p.path, p.expected, p.actual, p.kind}));
  return json::object({{"logical", d.logical},
                       {"physical", d.physical},
                       {"type", d.type},
                       {"status", d.status},
                       {"reason", d.reason},
                       {"expected", d.expected},
                       {"actual", d.actual},
                       {"differences", std::move(differences)},
                       {"at", d.at}});
}

ResourceDrift resource_drift_of(const json::Value& v) {
  ResourceDrift d;
  d.logical = v.get("logical");
  d.physical = v.get("physical");
  d.type = v.get("type");
  d.status = v.get("status");
  d.reason = v.get("reason");
  if (const json::Value* e = v.find("expected")) d.expected = *e;
  if (const json::Value* a = v.find("actual")) d.actual = *a;
  for (const auto& p : v.get_array("differences")) {
    if (!p.is_array() || p.array().size() != 4) continue;
    const auto& a = p.array();
    d.differences.push_back({a[0].string(), a[1].string(), a[2].string(), a[3].string()});
  }
  d.at = v.get_int("at");
  return d;
}

}  // namespace bastide::services::cfn
