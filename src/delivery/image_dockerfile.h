// A Dockerfile, parsed. Errors say file and line: "Dockerfile:7: unknown instruction COPPY; did you mean
// COPY?" https://docs.docker.com/reference/dockerfile/
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace bastide::delivery {

struct Instruction {
  int line = 0;
  std::string keyword;                                     // upper case
  std::vector<std::pair<std::string, std::string>> flags;  // --from=x: {"from", "x"}
  bool exec_form = false;                                  // a JSON array
  std::vector<std::string> words;                          // of the array, else of the text (quotes kept)
  std::string text;                                        // what follows keyword and flags
  const std::string* flag(std::string_view name) const;
};

struct Stage {
  int line = 0;
  std::string base;  // as written
  std::string name;  // lower case; empty without AS
  std::vector<Instruction> instructions;
};

struct Dockerfile {
  std::string file;  // for messages
  char escape = '\\';
  std::vector<Instruction> globals;  // ARGs before the first FROM
  std::vector<Stage> stages;
  Error at(int line, std::string message) const;  // "file:line: message"
};

inline constexpr size_t kMaxDockerfileBytes = 1u << 20;

Result<Dockerfile> parse_dockerfile(std::string_view text, const std::string& file);

// NAME=value pairs of ENV, LABEL and ARG; also the old "ENV NAME the rest". Values keep quotes for
// substitute().
Result<std::vector<std::pair<std::string, std::string>>> read_pairs(const Instruction& instruction,
                                                                    char escape);

}  // namespace bastide::delivery
