// A command of the program, as data: the parser, `--help` and docs/CLI.md are made from it. One file a command.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace bastide::cli {

class Context;

struct Option {
  enum class Kind { flag, value, values, positional, positionals, rest };  // rest: everything after it, untouched
  std::string name;      // "--env", or the positional's name: "APP"
  Kind kind = Kind::value;
  std::string help;
  std::string fallback;  // default of a value
  bool required = false;
};

class Arguments {
 public:
  std::string get(const std::string& name) const;
  bool flag(const std::string& name) const { return !get(name).empty(); }
  std::vector<std::string> all(const std::string& name) const;
  std::map<std::string, std::vector<std::string>> values;
};

struct Command {
  std::string name;      // "up", or "secrets encrypt"
  std::string help;      // one line
  std::string example;   // a command line that works
  std::vector<Option> options;
  std::function<Result<int>(Context&, const Arguments&)> run;
  bool hidden = false;   // what serve starts
};

// The whole program: finds the command, parses, runs. Errors are printed as "bastide: ..." on stderr, status 1;
// wrong use is status 64.
int run_program(int argc, char** argv, std::vector<Command> commands);

// docs/CLI.md
std::string reference(const std::vector<Command>& commands);

// The commands that need nothing but this room.
std::vector<Command> client_commands();

}  // namespace bastide::cli
