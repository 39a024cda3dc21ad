#include <functional>
#include <list>
#include <mutex>
#include <unordered_map>

#include "aws/policy.h"
#include "aws/policy_compiled.h"

namespace bastide::aws {
namespace {

constexpr size_t kMemoEntries = 4096;

void mix(size_t& h, size_t v) { h ^= v + 0x9E3779B97F4A7C15ULL + (h << 6) + (h >> 2); }

// The same for values that compare equal.
size_t hash_of(const json::Value& v) {
  if (v.is_string()) return std::hash<std::string>{}(v.string());
  if (v.is_bool()) return v.boolean() ? 3 : 5;
  if (v.is_number()) return std::hash<double>{}(v.number());
  size_t h = 7;
  if (v.is_array()) {
    for (const auto& e : v.array()) mix(h, hash_of(e));
  } else if (v.is_object()) {
    for (const auto& [name, value] : v.object()) {
      size_t member = std::hash<std::string>{}(name);
      mix(member, hash_of(value));
      h += member;
    }
  }
  return h;
}

// Compiled documents by content. The content is compared too: a document made to collide gets its own
// meaning.
class Memo {
 public:
  std::shared_ptr<const Policy> get(const json::Value& document) {
    const size_t hash = hash_of(document);
    {
      std::lock_guard lock(mutex_);
      const auto it = by_hash_.find(hash);
      if (it != by_hash_.end() && it->second->document == document) {
        entries_.splice(entries_.begin(), entries_, it->second);
        return it->second->policy;
      }
    }
    auto compiled = compile_policy(document);
    auto policy = std::make_shared<Policy>();
    if (compiled) {
      *policy = std::move(compiled).value();
    } else {
      policy->error = compiled.error().message;
    }
    policy->source = document;
    std::lock_guard lock(mutex_);
    const auto it = by_hash_.find(hash);
    if (it != by_hash_.end()) {
      entries_.erase(it->second);
      by_hash_.erase(it);
    }
    entries_.push_front({hash, document, policy});
    by_hash_[hash] = entries_.begin();
    if (entries_.size() > kMemoEntries) {
      by_hash_.erase(entries_.back().hash);
      entries_.pop_back();
    }
    return policy;
  }

 private:
  struct Entry {
    size_t hash;
    json::Value document;
    std::shared_ptr<const Policy> policy;
  };
  std::mutex mutex_;
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<size_t, std::list<Entry>::iterator> by_hash_;
};

Memo& memo() {
  static Memo instance;
  return instance;
}

}  // namespace

json::Value PolicyDocument::source() const { return policy_ ? policy_->source : json::Value(); }

PolicyDocument::PolicyDocument(const json::Value& document) : policy_(memo().get(document)) {}

PolicyDocument::PolicyDocument(const std::optional<json::Value>& document) {
  if (document) policy_ = memo().get(*document);
}

PolicyDocument PolicyDocument::of_text(std::string_view text) {
  auto document = json::parse(text);
  return PolicyDocument(document ? *document : json::Value());
}

}  // namespace bastide::aws
