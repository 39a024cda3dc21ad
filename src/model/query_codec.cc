#include "model/query_codec.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "model/scalar.h"

namespace bastide::model {
namespace {

constexpr size_t kMaxParams = 10'000;
constexpr int kMaxDepth = 64;

// '.' sorts before everything else: the parameters below a name stand together, right after it.
int rank(char c) { return c == '.' ? 0 : static_cast<uint8_t>(c) + 1; }
int compare(std::string_view a, std::string_view b) {
  const size_t common = std::min(a.size(), b.size());
  for (size_t i = 0; i < common; ++i) {
    if (a[i] != b[i]) return rank(a[i]) - rank(b[i]);
  }
  return a.size() == b.size() ? 0 : a.size() < b.size() ? -1 : 1;
}
bool below(std::string_view text, std::string_view name) {
  return text.starts_with(name) && (text.size() == name.size() || text[name.size()] == '.');
}

Error malformed(std::string message) { return error(std::string(kMalformed), std::move(message)); }

}  // namespace

Result<Params> Params::parse(std::string_view form, std::string_view more) {
  Params out;
  for (std::string_view text : {form, more}) {
    while (!text.empty()) {
      const size_t end = text.find('&');
      const std::string_view pair = text.substr(0, end);
      text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
      if (pair.empty()) continue;
      if (out.pairs_.size() == kMaxParams) return malformed("too many parameters");
      const size_t equals = pair.find('=');
      auto name = percent_decode(pair.substr(0, equals), true);
      auto value = percent_decode(
          equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true);
      if (!name || !value || !valid_utf8(*name) || !valid_utf8(*value))
        return malformed("a parameter that is not well encoded");
      out.pairs_.push_back({std::move(name).value(), std::move(value).value()});
    }
  }
  std::sort(out.pairs_.begin(), out.pairs_.end(),
            [](const Pair& a, const Pair& b) { return compare(a.name, b.name) < 0; });
  for (size_t i = 1; i < out.pairs_.size(); ++i) {
    if (out.pairs_[i].name == out.pairs_[i - 1].name)
      return malformed("repeated parameter " + out.pairs_[i].name);
  }
  return out;
}

const std::string* Params::find(std::string_view name) const { return root().child(name).text(); }

const std::string* Params::Node::text() const {
  if (first_ == last_) return nullptr;
  const Pair& pair = params_->pairs_[first_];
  return pair.name.size() + 1 == prefix_ ? &pair.value : nullptr;
}

Params::Node Params::Node::child(std::string_view name) const {
  const auto rest = [&](const Pair& pair) {
    return prefix_ <= pair.name.size() ? std::string_view(pair.name).substr(prefix_) : std::string_view();
  };
  const auto begin = params_->pairs_.begin() + static_cast<ptrdiff_t>(first_);
  const auto end = params_->pairs_.begin() + static_cast<ptrdiff_t>(last_);
  const auto from =
      std::partition_point(begin, end, [&](const Pair& p) { return compare(rest(p), name) < 0; });
  const auto to = std::partition_point(from, end, [&](const Pair& p) { return below(rest(p), name); });
  return {params_, static_cast<size_t>(from - params_->pairs_.begin()),
          static_cast<size_t>(to - params_->pairs_.begin()), prefix_ + name.size() + 1};
}

Params::Node Params::Node::child(size_t index) const {
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, index).ptr;
  return child(std::string_view(buffer, static_cast<size_t>(end - buffer)));
}

namespace {

class Reader {
 public:
  Reader(bool ec2, Check* check) : ec2_(ec2), check_(check) {}

  Result<void> structure(Params::Node node, const Type& type, void* out) {
    if (++depth_ > kMaxDepth) return malformed("nested too deeply");
    for (uint16_t i = 0; i < type.field_count; ++i) {
      const Field& field = type.fields[i];
      const Params::Node child = node.child(field.query_wire);
      if (!child.exists()) {
        if (field.required && check_ != nullptr) check_->missing(field);
        continue;
      }
      if (check_ != nullptr) check_->enter(field);
      auto read = value(child, *field.type, make_member(field, out), field.flattened, field.time);
      if (check_ != nullptr) check_->leave();
      TRY(std::move(read));
    }
    --depth_;
    return {};
  }

 private:
  Result<void> value(Params::Node node, const Type& type, void* out, bool flattened, TimeFormat time) {
    switch (type.kind) {
      case Kind::structure:
        return structure(node, type, out);
      case Kind::list:
        return list(node, type, out, flattened || type.flattened || ec2_);
      case Kind::map:
        return map(node, type, out, flattened || type.flattened);
      default:
        break;
    }
    const std::string* text = node.text();
    if (text == nullptr) return malformed("a simple value was expected");
    auto read = read_scalar(*text, type, out, time);
    if (read || !ec2_ || check_ == nullptr) return read;
    return error("InvalidParameterValue", read.error().message);
  }

  Result<void> list(Params::Node node, const Type& type, void* out, bool flattened) {
    const auto& access = *static_cast<const ListAccess*>(type.container);
    Params::Node elements = node;
    if (!flattened) {
      elements = node.child(type.element_name);
      if (!elements.exists()) elements = node.child("member");
    }
    for (size_t index = 1;; ++index) {
      const Params::Node element = elements.child(index);
      if (!element.exists()) return {};
      if (check_ != nullptr) check_->enter(index);
      auto read = value(element, *type.element, access.push(out), false, TimeFormat::by_protocol);
      if (check_ != nullptr) check_->leave();
      TRY(std::move(read));
    }
  }

  Result<void> map(Params::Node node, const Type& type, void* out, bool flattened) {
    const auto& access = *static_cast<const MapAccess*>(type.container);
    const Params::Node entries = flattened ? node : node.child("entry");
    for (size_t index = 1;; ++index) {
      const Params::Node entry = entries.child(index);
      if (!entry.exists()) return {};
      const std::string* key = entry.child(type.key_name).text();
      const Params::Node element = entry.child(type.element_name);
      if (key == nullptr || !element.exists()) return malformed("a map's entry without key or value");
      if (check_ != nullptr) check_->enter(std::string_view(*key));
      auto read = value(element, *type.element, access.put(out, *key), false, TimeFormat::by_protocol);
      if (check_ != nullptr) check_->leave();
      TRY(std::move(read));
    }
  }

  bool ec2_;
  Check* check_;
  int depth_ = 0;
};

class Writer {
 public:
  Writer(std::string& out, bool ec2) : out_(out), ec2_(ec2) {}

  void structure(const std::string& prefix, const Type& type, const void* v) {
    for (uint16_t i = 0; i < type.field_count; ++i) {
      const Field& field = type.fields[i];
      const void* member = member_of(field, v);
      if (member != nullptr)
        value(prefix + field.query_wire, *field.type, member, field.flattened, field.time);
    }
  }

 private:
  void pair(const std::string& name, std::string_view text) {
    out_ += '&';
    out_ += name;
    out_ += '=';
    out_ += percent_encode(text);
  }

  void value(const std::string& name, const Type& type, const void* v, bool flattened, TimeFormat time) {
    flattened = flattened || type.flattened;
    if (type.kind == Kind::structure) return structure(name + ".", type, v);
    if (type.kind == Kind::list) {
      const auto& access = *static_cast<const ListAccess*>(type.container);
      const size_t size = access.size(v);
      if (size == 0 && !ec2_) return pair(name, "");
      const std::string base = name + (flattened || ec2_ ? "." : std::string(".") + type.element_name + ".");
      for (size_t i = 0; i < size; ++i) {
        value(base + std::to_string(i + 1), *type.element, access.at(v, i), false, TimeFormat::by_protocol);
      }
      return;
    }
    if (type.kind == Kind::map) {
      struct Context {
        Writer& writer;
        std::string base;
        const Type& type;
        size_t index;
      };
      Context context{*this, name + (flattened ? "." : ".entry."), type, 0};
      static_cast<const MapAccess*>(type.container)
          ->each(v, &context, [](void* p, const std::string& key, const void* e) {
            auto& c = *static_cast<Context*>(p);
            const std::string entry = c.base + std::to_string(++c.index) + ".";
            c.writer.pair(entry + c.type.key_name, key);
            c.writer.value(entry + c.type.element_name, *c.type.element, e, false, TimeFormat::by_protocol);
          });
      return;
    }
    std::string text;
    append_scalar(text, type, v, time);
    pair(name, text);
  }

  std::string& out_;
  bool ec2_;
};

}  // namespace

Result<void> read_query(const Params& params, const Type& type, void* out, bool ec2, Check* check) {
  return Reader(ec2, check).structure(params.root(), type, out);
}

void write_query(std::string& out, const Type& type, const void* value, bool ec2) {
  Writer(out, ec2).structure("", type, value);
}

}  // namespace bastide::model
