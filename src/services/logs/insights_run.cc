#include <algorithm>
#include <cmath>
#include <deque>
#include <unordered_map>
#include <unordered_set>

#include "base/bytes.h"
#include "services/logs/insights_expression.h"

namespace bastide::services::insights {
namespace {

constexpr size_t kMaxQuery = 10'000;
constexpr size_t kMaxRows = 10'000;        // of an answer
constexpr size_t kMaxMemory = 256u << 20;  // of one execution
constexpr size_t kMaxStages = 50;
constexpr size_t kExact = 20'000;  // values of a percentile that are kept as they are

// What one aggregate has seen of one group.
struct Aggregate {
  double count = 0, sum = 0, squares = 0;
  V least, most, first, last;
  Millis first_at = INT64_MAX, last_at = INT64_MIN;
  std::unordered_set<uint64_t> distinct;
  std::vector<double> values;
  std::map<double, double> buckets;  // once there are too many values: rounded to one per cent
  size_t weight() const {
    return sizeof *this + distinct.size() * 32 + values.size() * 8 + buckets.size() * 64;
  }
};

double rounded(double v) {
  if (v == 0) return 0;
  return std::copysign(std::pow(1.01, std::round(std::log(std::fabs(v)) / std::log(1.01))), v);
}

void see(Aggregate& a, const Node& n, const Row& row) {
  if (n.nodes.empty()) {
    a.count += 1;
    return;
  }
  const V v = evaluate(n.nodes[0], row);
  if (v.none()) return;
  a.count += 1;
  if (n.name == "count") return;
  if (n.name == "count_distinct") {
    a.distinct.insert(std::hash<std::string>()(text_of(v)));
    return;
  }
  if (n.name == "earliest" || n.name == "latest") {
    if (row.time < a.first_at) {
      a.first_at = row.time;
      a.first = v;
    }
    if (row.time >= a.last_at) {
      a.last_at = row.time;
      a.last = v;
    }
    return;
  }
  if (n.name == "sortsfirst" || n.name == "sortslast" || n.name == "min" || n.name == "max") {
    if (a.least.none() || compare(v, a.least) < 0) a.least = v;
    if (a.most.none() || compare(v, a.most) > 0) a.most = v;
    return;
  }
  const auto x = number_of(v);
  if (!x) {
    a.count -= 1;
    return;
  }
  a.sum += *x;
  a.squares += *x * *x;
  if (n.name != "pct" && n.name != "percentile" && n.name != "median") return;
  if (a.buckets.empty() && a.values.size() < kExact) {
    a.values.push_back(*x);
    return;
  }
  for (const double kept : a.values) a.buckets[rounded(kept)] += 1;
  a.values.clear();
  a.buckets[rounded(*x)] += 1;
}

V result_of(Aggregate& a, const Node& n) {
  if (n.name == "count") return V::of(a.count);
  if (n.name == "count_distinct") return V::of(static_cast<double>(a.distinct.size()));
  if (a.count == 0) return {};
  if (n.name == "sum") return V::of(a.sum);
  if (n.name == "avg") return V::of(a.sum / a.count);
  if (n.name == "min" || n.name == "sortsfirst") return a.least;
  if (n.name == "max" || n.name == "sortslast") return a.most;
  if (n.name == "earliest") return a.first;
  if (n.name == "latest") return a.last;
  if (n.name == "stddev")
    return V::of(std::sqrt(std::max(0.0, a.squares / a.count - (a.sum / a.count) * (a.sum / a.count))));
  const auto p = n.name == "median" ? std::optional<double>(50) : number_of(n.nodes[1].value);
  const double rank = std::max(1.0, std::ceil(a.count * p.value_or(50) / 100 - 1e-9));
  if (a.buckets.empty()) {
    std::sort(a.values.begin(), a.values.end());
    return V::of(a.values[std::min(a.values.size(), static_cast<size_t>(rank)) - 1]);
  }
  double seen = 0;
  for (const auto& [v, count] : a.buckets) {
    seen += count;
    if (seen >= rank) return V::of(v);
  }
  return V::of(a.buckets.rbegin()->first);
}

void collect(Node& n, std::vector<Node*>& out) {
  if (n.kind == Node::Kind::aggregate) {
    n.slot = out.size();
    out.push_back(&n);
    return;
  }
  for (auto& inner : n.nodes) collect(inner, out);
}

struct Named {
  Node node;
  std::string name;
};

}  // namespace

struct Query::Stage {
  enum class Kind { fields, display, filter, stats, sort, limit, parse, dedup } kind = Kind::fields;
  std::vector<Named> items;       // of fields, display, stats
  std::vector<Named> by;          // of stats
  std::vector<Node*> aggregates;  // inside items
  Node condition;
  std::vector<std::pair<Named, bool>> order;  // descending
  size_t limit = kMaxRows;
  Node source;  // of parse
  std::shared_ptr<const RE2> pattern;
  std::vector<std::string> names;  // that parse makes, or dedup looks at
};

Query::Query() = default;
Query::~Query() = default;
Query::Query(Query&&) noexcept = default;
Query& Query::operator=(Query&&) noexcept = default;

Result<Query> Query::parse(const std::string& text) {
  if (text.size() > kMaxQuery) return malformed("a query has at most 10,000 characters");
  if (!valid_utf8(text)) return malformed("the query is not UTF-8");
  Query q;
  Reader r(text);
  auto named = [&](bool aggregates) -> Result<Named> {
    Named n;
    n.node = TRY(r.expression(aggregates));
    n.name = n.node.kind == Node::Kind::field ? n.node.name : n.node.source;
    if (r.word("as")) n.name = TRY(r.name());
    return n;
  };
  std::vector<std::string> shown;
  bool displayed = false, aggregated = false;
  (void)r.take("|");
  while (!r.end()) {
    auto stage = std::make_unique<Stage>();
    Stage& s = *stage;
    if (q.stages_.size() == kMaxStages) return r.wrong("too many commands");
    if (const bool display = r.word("display"); display || r.word("fields")) {
      s.kind = display ? Stage::Kind::display : Stage::Kind::fields;
      do {
        s.items.push_back(TRY(named(false)));
      } while (r.take(","));
      if (display || !displayed) {
        if (display) shown.clear();
        displayed = displayed || display;
        for (const auto& i : s.items) {
          if (std::find(shown.begin(), shown.end(), i.name) == shown.end()) shown.push_back(i.name);
        }
      }
    } else if (r.word("filter")) {
      s.kind = Stage::Kind::filter;
      s.condition = TRY(r.expression());
    } else if (r.word("stats")) {
      s.kind = Stage::Kind::stats;
      do {
        s.items.push_back(TRY(named(true)));
      } while (r.take(","));
      if (r.word("by")) {
        do {
          s.by.push_back(TRY(named(false)));
        } while (r.take(","));
      }
      for (auto& i : s.items) {
        const size_t before = s.aggregates.size();
        collect(i.node, s.aggregates);
        if (s.aggregates.size() == before) return r.wrong("stats needs a function such as count(*)");
      }
      shown.clear();
      for (const auto& b : s.by) shown.push_back(b.name);
      for (const auto& i : s.items) shown.push_back(i.name);
      displayed = false;
      aggregated = true;
    } else if (r.word("sort") || r.word("order")) {
      s.kind = Stage::Kind::sort;
      (void)r.word("by");
      do {
        Named n = TRY(named(false));
        const bool descending = r.word("desc");
        if (!descending) (void)r.word("asc");
        s.order.emplace_back(std::move(n), descending);
      } while (r.take(","));
    } else if (r.word("limit") || r.word("head")) {
      s.kind = Stage::Kind::limit;
      const auto n = TRY(r.integer());
      if (n < 1 || n > static_cast<int64_t>(kMaxRows)) return r.wrong("limit is a number from 1 to 10000");
      s.limit = static_cast<size_t>(n);
    } else if (r.word("parse")) {
      s.kind = Stage::Kind::parse;
      s.source.kind = Node::Kind::field;
      s.source.name = "@message";
      if (!r.at_quote() && !r.at_regex()) s.source.name = TRY(r.name());
      if (r.at_regex()) {
        s.pattern = TRY(r.regex());
        for (const auto& [index, name] : s.pattern->CapturingGroupNames()) {
          s.names.resize(std::max(s.names.size(), static_cast<size_t>(index)));
          s.names[static_cast<size_t>(index) - 1] = name;
        }
        s.names.resize(static_cast<size_t>(s.pattern->NumberOfCapturingGroups()));
        if (std::all_of(s.names.begin(), s.names.end(), [](const auto& n) { return n.empty(); })) {
          // Groups without names are named by `as`.
          if (!r.word("as")) return r.wrong("parse needs named groups (?<name>...)");
          s.names.clear();
          do {
            s.names.push_back(TRY(r.name()));
          } while (r.take(","));
          if (s.names.size() != static_cast<size_t>(s.pattern->NumberOfCapturingGroups()))
            return r.wrong("parse needs as many names as groups");
        }
      } else {
        const std::string glob = TRY(r.quoted());
        std::string pattern;
        size_t stars = 0;
        for (const auto part : split(glob, '*')) {
          if (stars++ > 0) pattern += stars == split(glob, '*').size() && part.empty() ? "(.*)" : "(.*?)";
          pattern += RE2::QuoteMeta(std::string(part));
        }
        RE2::Options options(RE2::Quiet);
        options.set_dot_nl(true);
        auto re = std::make_shared<RE2>(pattern, options);
        if (!re->ok()) return r.wrong("the pattern is not valid");
        s.pattern = std::move(re);
        if (!r.word("as")) return r.wrong("'as' expected after a pattern");
        do {
          s.names.push_back(TRY(r.name()));
        } while (r.take(","));
        if (s.names.size() + 1 != stars) return r.wrong("parse needs as many names as the pattern has *");
      }
    } else if (r.word("dedup")) {
      s.kind = Stage::Kind::dedup;
      do {
        s.names.push_back(TRY(r.name()));
      } while (r.take(","));
    } else {
      const std::string word = r.peek_word();
      for (const char* known : {"unnest", "lookup", "join", "anomaly", "pattern", "diff", "unmask",
                                "filterIndex", "SOURCE", "fillmissing", "addtotals"}) {
        if (iequals(word, known))
          return malformed("the command " + word + " is not supported here", r.position());
      }
      return r.wrong(word.empty() ? "a command expected" : "unknown command '" + word + "'");
    }
    q.stages_.push_back(std::move(stage));
    if (r.end()) break;
    if (!r.take("|")) return r.wrong("| expected");
  }
  if (shown.empty() && !aggregated) shown = {"@timestamp", "@message"};
  q.columns_ = std::move(shown);
  return q;
}

bool Query::newest_first() const {
  return std::none_of(stages_.begin(), stages_.end(), [](const auto& s) {
    return s->kind == Stage::Kind::sort || s->kind == Stage::Kind::stats;
  });
}

size_t Query::limit() const {
  size_t n = kMaxRows;
  for (const auto& s : stages_) {
    if (s->kind == Stage::Kind::limit) n = std::min(n, s->limit);
  }
  return n;
}

// Each stage takes rows and gives rows; sort and stats give them when their input ends.
struct Query::Run::Impl {
  struct Group {
    std::vector<V> keys;
    std::vector<Aggregate> aggregates;
  };
  struct State {
    size_t given = 0;                                  // of limit
    std::unordered_set<std::string> seen;              // of dedup
    std::vector<std::pair<std::vector<V>, Row>> rows;  // of sort
    std::unordered_map<std::string, Group> groups;     // of stats
    std::vector<std::string> order;                    // of groups
    size_t keep = kMaxRows;                            // of sort
  };

  const Query& query;
  std::vector<State> states;
  std::vector<Row> out;
  size_t memory = 0;
  int64_t matched = 0;
  bool enough = false;

  explicit Impl(const Query& q) : query(q), states(q.stages_.size()) {
    // A sort keeps no more than the limit after it asks for, where nothing in between drops rows.
    for (size_t i = 0; i < q.stages_.size(); ++i) {
      if (q.stages_[i]->kind != Stage::Kind::sort) continue;
      for (size_t k = i + 1; k < q.stages_.size(); ++k) {
        const auto kind = q.stages_[k]->kind;
        if (kind == Stage::Kind::limit) states[i].keep = q.stages_[k]->limit;
        if (kind != Stage::Kind::fields && kind != Stage::Kind::display) break;
      }
    }
  }

  Result<void> spend(size_t bytes) {
    memory += bytes;
    if (memory > kMaxMemory)
      return fault("LimitExceededException",
                   "The query needs more memory than it may take: filter more, or group by less.");
    return {};
  }

  static bool before(const Stage& s, const std::vector<V>& a, const std::vector<V>& b) {
    for (size_t i = 0; i < s.order.size(); ++i) {
      const int c = compare(a[i], b[i]);
      if (c != 0) return s.order[i].second ? c > 0 : c < 0;
    }
    return false;
  }

  void cut(const Stage& s, State& state) {
    auto less = [&](const auto& a, const auto& b) { return before(s, a.first, b.first); };
    std::stable_sort(state.rows.begin(), state.rows.end(), less);
    while (state.rows.size() > state.keep) {
      memory -= std::min(memory, state.rows.back().second.weight());
      state.rows.pop_back();
    }
  }

  Result<void> push(size_t at, Row row) {
    for (; at < states.size(); ++at) {
      const Stage& s = *query.stages_[at];
      State& state = states[at];
      switch (s.kind) {
        case Stage::Kind::fields:
        case Stage::Kind::display:
          for (const auto& i : s.items) {
            if (i.node.kind == Node::Kind::field && i.node.name == i.name) continue;
            row.made[i.name] = evaluate(i.node, row);
          }
          break;
        case Stage::Kind::filter:
          if (!truth(evaluate(s.condition, row))) return {};
          break;
        case Stage::Kind::limit:
          if (state.given >= s.limit) return {};
          if (++state.given == s.limit) {
            bool blocked = false;
            for (size_t i = 0; i < at; ++i)
              blocked |=
                  query.stages_[i]->kind == Stage::Kind::sort || query.stages_[i]->kind == Stage::Kind::stats;
            bool later = false;
            for (size_t i = at + 1; i < states.size(); ++i)
              later |= query.stages_[i]->kind == Stage::Kind::stats;
            enough = enough || (!blocked && !later);
          }
          break;
        case Stage::Kind::parse: {
          const V v = evaluate(s.source, row);
          if (v.none()) break;
          const std::string text = text_of(v);
          std::vector<re2::StringPiece> parts(static_cast<size_t>(s.pattern->NumberOfCapturingGroups()) + 1);
          if (!s.pattern->Match(text, 0, text.size(), RE2::UNANCHORED, parts.data(),
                                static_cast<int>(parts.size())))
            break;
          for (size_t i = 0; i < s.names.size(); ++i) {
            if (!s.names[i].empty() && parts[i + 1].data() != nullptr)
              row.made[s.names[i]] = V::of(std::string(parts[i + 1].data(), parts[i + 1].size()));
          }
          break;
        }
        case Stage::Kind::dedup: {
          std::string key;
          bool all_there = true;
          for (const auto& n : s.names) {
            const V v = row.field(n);
            all_there &= !v.none();
            key += text_of(v) + '\x1f';
          }
          if (!all_there) break;  // AWS keeps rows without the field
          if (!state.seen.insert(key).second) return {};
          TRY(spend(key.size() + 64));
          break;
        }
        case Stage::Kind::sort: {
          std::vector<V> keys;
          for (const auto& [n, descending] : s.order) keys.push_back(evaluate(n.node, row));
          TRY(spend(row.weight() + keys.size() * sizeof(V)));
          state.rows.emplace_back(std::move(keys), std::move(row));
          if (state.rows.size() >= 2 * state.keep + 1000) cut(s, state);
          return {};
        }
        case Stage::Kind::stats: {
          std::string key;
          std::vector<V> keys;
          for (const auto& b : s.by) {
            keys.push_back(evaluate(b.node, row));
            key += keys.back().none() ? std::string("\x1e") : text_of(keys.back());
            key += '\x1f';
          }
          auto it = state.groups.find(key);
          if (it == state.groups.end()) {
            TRY(spend(key.size() * 3 + 256 + s.aggregates.size() * sizeof(Aggregate)));
            it =
                state.groups.emplace(key, Group{std::move(keys), std::vector<Aggregate>(s.aggregates.size())})
                    .first;
            state.order.push_back(key);
          }
          for (size_t i = 0; i < s.aggregates.size(); ++i) {
            auto& a = it->second.aggregates[i];
            const size_t was = a.weight();
            see(a, *s.aggregates[i], row);
            const size_t is = a.weight();
            if (is > was) TRY(spend(is - was));
          }
          return {};
        }
      }
    }
    if (out.size() >= kMaxRows) {
      enough = enough || query.newest_first();
      return {};
    }
    TRY(spend(row.weight()));
    out.push_back(std::move(row));
    return {};
  }

  Result<void> end(size_t at) {
    const Stage& s = *query.stages_[at];
    State& state = states[at];
    if (s.kind == Stage::Kind::sort) {
      cut(s, state);
      auto rows = std::move(state.rows);
      for (auto& [keys, row] : rows) TRY(push(at + 1, std::move(row)));
    } else if (s.kind == Stage::Kind::stats) {
      if (s.by.empty() && state.groups.empty()) {
        state.groups.emplace("", Group{{}, std::vector<Aggregate>(s.aggregates.size())});
        state.order.push_back("");
      }
      for (const auto& key : state.order) {
        Group& g = state.groups.at(key);
        std::vector<V> slots;
        for (size_t i = 0; i < s.aggregates.size(); ++i)
          slots.push_back(result_of(g.aggregates[i], *s.aggregates[i]));
        Row row;
        row.event = false;
        for (size_t i = 0; i < s.by.size(); ++i) row.made[s.by[i].name] = g.keys[i];
        for (const auto& i : s.items) row.made[i.name] = evaluate(i.node, row, &slots);
        TRY(push(at + 1, std::move(row)));
      }
      state.groups.clear();
    }
    return {};
  }
};

Query::Run::Run(const Query& query) : impl_(std::make_unique<Impl>(query)) {}
Query::Run::~Run() = default;
int64_t Query::Run::matched() const { return impl_->matched; }

Result<bool> Query::Run::push(Row row) {
  // The leading filters say what counts as a match.
  size_t at = 0;
  for (; at < impl_->states.size(); ++at) {
    const Stage& s = *impl_->query.stages_[at];
    if (s.kind != Stage::Kind::filter) break;
    if (!truth(evaluate(s.condition, row))) return true;
  }
  ++impl_->matched;
  TRY(impl_->push(at, std::move(row)));
  return !impl_->enough;
}

Result<Output> Query::Run::finish() {
  for (size_t i = 0; i < impl_->states.size(); ++i) TRY(impl_->end(i));
  Output out;
  out.columns = impl_->query.columns_;
  out.rows = std::move(impl_->out);
  return out;
}

}  // namespace bastide::services::insights
