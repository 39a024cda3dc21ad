// Structs to and from form parameters, as the query and ec2 protocols carry requests.
// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
// https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/check.h"
#include "model/type.h"

namespace bastide::model {

// Decoded parameters, sorted so that every prefix ("Tags.member.1") is one range. At most 10,000.
class Params {
 public:
  static Result<Params> parse(std::string_view form, std::string_view more = "");
  const std::string* find(std::string_view name) const;

  // The parameters below one name.
  class Node {
   public:
    bool exists() const { return first_ != last_; }
    const std::string* text() const;  // of the parameter of exactly this name
    Node child(std::string_view name) const;
    Node child(size_t index) const;

   private:
    friend class Params;
    Node(const Params* params, size_t first, size_t last, size_t prefix)
        : params_(params), first_(first), last_(last), prefix_(prefix) {}
    const Params* params_;
    size_t first_, last_, prefix_;
  };
  Node root() const { return {this, 0, pairs_.size(), 0}; }

 private:
  struct Pair {
    std::string name;
    std::string value;
  };
  std::vector<Pair> pairs_;
};

Result<void> read_query(const Params& params, const Type& type, void* out, bool ec2, Check* check);
// "&Name=value..." appended.
void write_query(std::string& out, const Type& type, const void* value, bool ec2);

}  // namespace bastide::model
