// What the files of objects.h share.
#pragma once

#include "store/objects.h"
#include "store/rows.h"
#include "store/sqlite.h"

namespace bastide::store::objects {

inline Connection& connection_of(Reader& reader) { return static_cast<Rows&>(reader).connection(); }

// Of the columns bucket, key, version, seq, latest, marker, size, etag, modified, data, meta.
Result<Object> object_of(const Statement& s);
// The data files of a row that came, or went.
Result<void> own_data(Connection& db, const json::Value& data);
Result<void> drop_data(Connection& db, const json::Value& data);
Result<std::vector<std::string>> texts(Statement& s);  // the first column of every row

// The least text that is greater than every text with this prefix; empty: there is none.
inline std::string behind(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<uint8_t>(prefix.back()) + 1);
  return prefix;
}

}  // namespace bastide::store::objects
