#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <set>
#include <sstream>

#include "base/bytes.h"
#include "yaml/yaml.h"

namespace bastide::yaml {
namespace {

struct Refused {
  Mark mark;
  std::string why;
};

Mark mark_of(const YAML::Mark& m) { return {m.line + 1, m.column + 1}; }

// Builds the tree from the parser's events. Throws Refused, which parse() below catches.
class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(const Limits& limits) : limits_(limits) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnAnchor(const YAML::Mark& mark, const std::string&) override { refuse_anchor(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark); }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (anchor != 0) refuse_anchor(mark);
    add(make(Node::Kind::null, mark, ""));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (anchor != 0) refuse_anchor(mark);
    Node n = make(Node::Kind::scalar, mark, tag);
    n.text = value;
    n.plain = tag == "?" || tag.empty();
    add(std::move(n));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    if (anchor != 0) refuse_anchor(mark);
    open(make(Node::Kind::list, mark, tag));
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    if (anchor != 0) refuse_anchor(mark);
    open(make(Node::Kind::map, mark, tag));
  }
  void OnMapEnd() override { close(); }

  Node root;

 private:
  struct Open {
    Node node;
    bool has_key = false;
    std::string key;
    Mark key_mark;
    std::set<std::string> keys;
  };

  [[noreturn]] static void refuse_anchor(const YAML::Mark& mark) {
    throw Refused{mark_of(mark), "YAML anchors and aliases are not allowed"};
  }
  Node make(Node::Kind kind, const YAML::Mark& mark, const std::string& tag) {
    if (++nodes_ > limits_.nodes)
      throw Refused{mark_of(mark), fmt::format("more than {} values", limits_.nodes)};
    Node n;
    n.kind = kind;
    n.mark = mark_of(mark);
    if (tag != "?" && tag != "!") n.tag = tag;
    return n;
  }
  void open(Node n) {
    if (open_.size() >= limits_.depth) {
      throw Refused{n.mark, fmt::format("nested deeper than {} levels", limits_.depth)};
    }
    Open o;
    o.node = std::move(n);
    open_.push_back(std::move(o));
  }
  void close() {
    Node done = std::move(open_.back().node);
    open_.pop_back();
    add(std::move(done));
  }
  void add(Node n) {
    if (open_.empty()) {
      root = std::move(n);
      return;
    }
    Open& top = open_.back();
    if (top.node.kind == Node::Kind::list) {
      top.node.items.push_back(std::move(n));
    } else if (!top.has_key) {
      if (n.kind != Node::Kind::scalar || !n.tag.empty()) throw Refused{n.mark, "a key must be a plain word"};
      if (!top.keys.insert(n.text).second) throw Refused{n.mark, "repeated key \"" + n.text + "\""};
      top.has_key = true;
      top.key = std::move(n.text);
      top.key_mark = n.mark;
    } else {
      top.has_key = false;
      top.node.members.push_back({std::move(top.key), top.key_mark, std::move(n)});
    }
  }

  const Limits& limits_;
  std::vector<Open> open_;
  size_t nodes_ = 0;
};

Error at(const Mark& mark, const std::string& why) { return error("Invalid", mark.text() + ": " + why); }

}  // namespace

std::string Mark::text() const { return fmt::format("line {}, column {}", line, column); }

const Member* Node::member(std::string_view key) const {
  for (const auto& m : members) {
    if (m.key == key) return &m;
  }
  return nullptr;
}

const Node* Node::find(std::string_view key) const {
  const Member* m = member(key);
  return m == nullptr ? nullptr : &m->value;
}

Result<Node> parse(std::string_view text, const Limits& limits) {
  if (text.size() > limits.bytes) return error("TooLarge", fmt::format("more than {} bytes", limits.bytes));
  if (!valid_utf8(text)) return error("Invalid", "line 1, column 1: not UTF-8");
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder(limits);
    if (!parser.HandleNextDocument(builder)) return Node{};
    Builder rest(limits);
    if (parser.HandleNextDocument(rest) && rest.root.kind != Node::Kind::null) {
      return at(rest.root.mark, "only one document is allowed");
    }
    return std::move(builder.root);
  } catch (const Refused& refused) {
    return at(refused.mark, refused.why);
  } catch (const YAML::Exception& e) {
    return at(mark_of(e.mark), e.msg);
  } catch (const std::exception& e) {
    return error("Invalid", std::string("line 1, column 1: ") + e.what());
  }
}

}  // namespace bastide::yaml
