#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>

#include "base/bytes.h"
#include "cli/command.h"
#include "cli/context.h"

namespace bastide::cli {
namespace {

constexpr int kWrongUse = 64;

struct Parsed {
  std::map<std::string, std::vector<std::string>> values;
  std::map<std::string, std::string> single;
  std::map<std::string, bool> flags;
};

CLI::App* subcommand(CLI::App& app, const std::string& name) {
  const auto found = app.get_subcommands([&](const CLI::App* s) { return s->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

void add_option(CLI::App& app, const Option& o, Parsed& parsed) {
  const bool positional = o.kind == Option::Kind::positional || o.kind == Option::Kind::positionals || o.kind == Option::Kind::rest;
  if (o.kind == Option::Kind::flag) {
    app.add_flag(o.name, parsed.flags[o.name], o.help);
    return;
  }
  const std::string name = positional ? lower(o.name) : o.name;
  const bool one = o.kind == Option::Kind::value || o.kind == Option::Kind::positional;
  auto* added = one ? app.add_option(name, parsed.single[o.name], o.help) : app.add_option(name, parsed.values[o.name], o.help);
  if (o.kind == Option::Kind::values) added->allow_extra_args(false);  // one value each time; repeat it
  added->option_text(positional ? "" : o.fallback.empty() ? "TEXT" : "[" + o.fallback + "]");
  if (o.required) added->required();
}

int finish(const Command& command, const std::string& home, const Arguments& arguments) {
  Context context(home);
  const auto outcome = command.run(context, arguments);
  if (outcome) return *outcome;
  const Error& e = outcome.error();
  std::fprintf(stderr, "bastide: %s%s\n", e.fault && !e.code.empty() ? (e.code + ": ").c_str() : "", e.message.c_str());
  return 1;
}

}  // namespace

std::string Arguments::get(const std::string& name) const {
  const auto found = values.find(name);
  return found == values.end() || found->second.empty() ? "" : found->second.back();
}

std::vector<std::string> Arguments::all(const std::string& name) const {
  const auto found = values.find(name);
  return found == values.end() ? std::vector<std::string>{} : found->second;
}

int run_program(int argc, char** argv, std::vector<Command> commands) {
  CLI::App root("Bastide runs a production-grade AWS architecture for real on one machine.", "bastide");
  root.require_subcommand(1);
  root.set_version_flag("--version", "bastide 0.1.0");
  std::string home = default_home();
  root.add_option("--home", home, "The folder of everything Bastide keeps")->option_text("[" + home + "]");
  root.footer("Example: bastide up examples/storefront\nHelp on a command: bastide COMMAND --help");

  // A command that hands the rest of its line on takes it untouched: only --home before it is ours.
  for (const Command& c : commands) {
    const bool passes_on = !c.options.empty() && c.options.back().kind == Option::Kind::rest;
    int at = 1;
    if (argc > 2 && std::string_view(argv[1]) == "--home") at = 3;
    if (!passes_on || at >= argc || c.name != argv[at]) continue;
    if (at == 3) home = argv[2];
    ++at;
    if (at + 1 < argc && std::string_view(argv[at]) == "--home") {
      home = argv[at + 1];
      at += 2;
    }
    if (at < argc && std::string_view(argv[at]) == "--help") break;
    Arguments arguments;
    arguments.values[c.options.back().name].assign(argv + at, argv + argc);
    return finish(c, home, arguments);
  }

  std::vector<Parsed> parsed(commands.size());
  std::vector<CLI::App*> apps;
  for (size_t i = 0; i < commands.size(); ++i) {
    const Command& c = commands[i];
    CLI::App* at = &root;
    const auto words = split(c.name, ' ');
    for (size_t w = 0; w < words.size(); ++w) {
      const std::string word(words[w]);
      CLI::App* next = subcommand(*at, word);
      if (!next) {
        next = at->add_subcommand(word, w + 1 == words.size() ? c.help : "Commands on " + word);
        if (w + 1 < words.size()) next->require_subcommand(1);
      }
      at = next;
    }
    at->add_option("--home", home, "The folder of everything Bastide keeps")->option_text("[" + home + "]");
    if (!c.example.empty()) at->footer("Example: " + c.example);
    if (c.hidden) at->group("");
    for (const Option& o : c.options) {
      add_option(*at, o, parsed[i]);
    }
    apps.push_back(at);
  }
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return root.exit(e);
    std::vector<std::string> names;
    for (const auto& c : commands) {
      if (!c.hidden) names.push_back(c.name.substr(0, c.name.find(' ')));
    }
    const std::string word = argc > 1 ? argv[1] : "";
    const bool known = word.empty() || word[0] == '-' || subcommand(root, word);
    const auto probable = known ? "" : closest(word, names);
    const std::string what = known ? e.what() : "there is no command '" + word + "'";
    std::fprintf(stderr, "bastide: %s%s\nSee 'bastide --help'.\n", what.c_str(),
                 probable.empty() ? "" : ("; did you mean '" + probable + "'?").c_str());
    return kWrongUse;
  }
  for (size_t i = 0; i < commands.size(); ++i) {
    if (!apps[i]->parsed() || !apps[i]->get_subcommands().empty()) continue;
    Arguments arguments;
    for (const Option& o : commands[i].options) {
      auto& values = arguments.values[o.name];
      if (o.kind == Option::Kind::flag) {
        if (parsed[i].flags[o.name]) values.push_back("1");
      } else {
        values = parsed[i].values[o.name];
        if (!parsed[i].single[o.name].empty()) values.push_back(parsed[i].single[o.name]);
        if (values.empty() && !o.fallback.empty()) values.push_back(o.fallback);
      }
    }
    return finish(commands[i], home, arguments);
  }
  return kWrongUse;
}

std::string reference(const std::vector<Command>& commands) {
  std::string out = "# Commands\n\nMade by `bastide reference`; do not edit.\n\nEvery command takes `--home FOLDER` and `--help`.\n";
  for (const Command& c : commands) {
    if (c.hidden) continue;
    out += fmt::format("\n## bastide {}\n\n{}\n", c.name, c.help);
    if (!c.options.empty()) {
      out += "\n| option | meaning |\n|---|---|\n";
      for (const Option& o : c.options) {
        out += fmt::format("| `{}` | {}{} |\n", o.name, o.help, o.fallback.empty() ? "" : " (default " + o.fallback + ")");
      }
    }
    if (!c.example.empty()) out += fmt::format("\n    {}\n", c.example);
  }
  return out;
}

}  // namespace bastide::cli
