// YAML 1.2 as configuration and templates use it: a tree whose every node knows its line and column.
// Bounded: size, depth, nodes; anchors and aliases are refused (so nothing can multiply); a repeated key is
// an error. Blocking for large texts: parse through net::offload from a fiber. No state.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace bastide::yaml {

struct Mark {
  int line = 0, column = 0;  // from 1; 0: unknown
  std::string text() const;  // "line 3, column 5"
};

struct Member;

struct Node {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  std::string text;   // of a scalar
  std::string tag;    // "!Ref"; empty where none was written
  bool plain = true;  // a scalar without quotes: may be a number or a boolean
  Mark mark;
  std::vector<Node> items;
  std::vector<Member> members;

  const Node* find(std::string_view key) const;  // the value of a member
  const Member* member(std::string_view key) const;
};

struct Member {
  std::string key;
  Mark mark;  // of the key
  Node value;
};

struct Limits {
  size_t bytes = 1u << 20;
  size_t depth = 60;
  size_t nodes = 200'000;
};

// Errors have the code "Invalid" and name line and column. An empty document is a null node.
Result<Node> parse(std::string_view text, const Limits& limits = {});

// What a tagged node means; the value was converted as if it had no tag.
using TagMeaning = std::function<Result<json::Value>(const Node& node, json::Value value)>;

// Plain scalars become null, booleans (true, false), integers without leading zeros, and floats; everything
// else is a string. A tag other than !!str, !!int, !!float, !!bool needs `meaning`.
Result<json::Value> to_json(const Node& node, const TagMeaning& meaning = {});
json::Value plain_value(const Node& scalar);

// Block style, two spaces, deterministic. CloudFormation's Ref, Fn::GetAtt and Fn::Sub are written short.
std::string print(const json::Value& value);

}  // namespace bastide::yaml
