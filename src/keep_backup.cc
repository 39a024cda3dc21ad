// bastide backup|restore: one file with everything that cannot be made anew, taken while Bastide runs.
//
// The database is copied in one read transaction. What it names lies in files that are only ever added to
// (blobs, log segments, the audit trail) or that git keeps consistent, and is copied after it; so whatever
// the copy of the database names is there. Left out: what roles make anew (layers, snapshots, sockets,
// sessions).
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "base/bytes.h"
#include "base/crypto.h"
#include "cli/context.h"
#include "keep.h"
#include "serve/home.h"
#include "store/keyring.h"
#include "store/master_key.h"
#include "store/schema.h"
#include "store/sqlite.h"
#include "sys/file.h"
#include "sys/process.h"

namespace bastide {
namespace {

using cli::Option;

constexpr Millis kPatience = 6 * kHour;
constexpr const char* kParts[] = {"master.check", "audit", "logs", "blobs", "objects", "repositories", "tls", "work"};

// A folder that goes when this ends.
struct Scratch {
  std::string path;
  ~Scratch() {
    if (const auto gone = sys::remove_tree(path); !gone)
      std::fprintf(stderr, "bastide: %s\n", gone.error().message.c_str());
  }
};

Result<void> tar(std::vector<std::string> words) {
  words.insert(words.begin(), {"tar", "--warning=no-file-changed", "--warning=no-file-removed"});
  const auto done = TRY(sys::run({.argv = words, .timeout = kPatience}));
  // 1: a file changed meanwhile, as log segments do; what was there before is in the archive.
  if (done.status == 0 || (done.status == 1 && words[3] == "--create")) return {};
  return error("tar: " + std::string(trim(done.errors)));
}

Result<std::string> read_pragma(const std::string& database, const std::string& name) {
  sqlite3* db = nullptr;
  std::string out;
  if (sqlite3_open_v2(database.c_str(), &db, SQLITE_OPEN_READONLY, nullptr) != SQLITE_OK) {
    const Error wrong = store::sqlite_error(db, database);
    sqlite3_close(db);
    return wrong;
  }
  sqlite3_stmt* s = nullptr;
  if (sqlite3_prepare_v2(db, ("PRAGMA " + name).c_str(), -1, &s, nullptr) == SQLITE_OK &&
      sqlite3_step(s) == SQLITE_ROW) {
    out = reinterpret_cast<const char*>(sqlite3_column_text(s, 0));
  }
  sqlite3_finalize(s);
  sqlite3_close(db);
  return out;
}

Result<int> run_backup(cli::Context& context, const cli::Arguments& a) {
  const std::string home = context.home(), file = a.get("FILE");
  if (!sys::exists(home + "/metadata.sqlite")) return error("NotFound", home + " is no home of Bastide");
  if (sys::exists(file)) return error("Exists", file + " exists; a backup replaces nothing");
  const auto protection = TRY(store::key_protection(home + "/master.key"));
  std::string pattern = file + ".XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) return sys::system_error(pattern);
  const Scratch scratch{pattern};
  {
    const auto db = TRY(store::Connection::open(home + "/metadata.sqlite", store::Connection::Mode::reader));
    TRY(db->script("PRAGMA query_only=OFF"));  // VACUUM INTO counts as a write
    TRY(store::copy_database(*db, scratch.path + "/metadata.sqlite"));
  }
  std::vector<std::string> words = {"--create",
                                    "--file=" + scratch.path + "/archive",
                                    "--use-compress-program=gzip -1",
                                    "--numeric-owner",
                                    "-C",
                                    scratch.path,
                                    "metadata.sqlite",
                                    "-C",
                                    home,
                                    "--exclude=aws/sessions"};
  const bool key = !a.flag("--without-key");
  if (key) words.push_back("master.key");
  for (const char* part : kParts) {
    if (sys::exists(home + "/" + part)) words.emplace_back(part);
  }
  if (sys::exists(home + "/aws")) words.emplace_back("aws");
  TRY(tar(words));
  if (::chmod((scratch.path + "/archive").c_str(), 0600) != 0 ||
      ::rename((scratch.path + "/archive").c_str(), file.c_str()) != 0) {
    return sys::system_error(file);
  }
  const size_t slash = file.rfind('/');
  TRY(sys::sync_folder(slash == std::string::npos ? "." : file.substr(0, slash + 1)));
  struct stat st {};
  ::stat(file.c_str(), &st);
  std::fprintf(stderr, "bastide: %s, %.1f MiB\n", file.c_str(), static_cast<double>(st.st_size) / (1 << 20));
  if (!key) {
    std::fprintf(stderr,
                 "bastide: without the master key; keep %s/master.key elsewhere, nothing opens without it\n",
                 home.c_str());
  } else if (protection.kind == store::KeyProtection::Kind::clear) {
    std::fprintf(stderr,
                 "bastide: the master key is in it, in clear: keep it as you keep the home, or see 'bastide "
                 "key rotate-master --help'\n");
  }
  return 0;
}

// Everything is looked at in a folder beside the home; only what is whole takes its place.
Result<int> run_restore(cli::Context& context, const cli::Arguments& a) {
  const std::string home = context.home(), file = a.get("FILE");
  if (serve::running(home))
    return error("Exists", "Bastide runs on " + home + "; a backup is restored into a home of its own");
  if (sys::exists(home)) {
    const auto there = TRY(sys::list_folder(home));
    if (!there.empty())
      return error("Exists", home + " is not empty; restore into another --home, or move it away");
  }
  std::string parent = home;
  while (parent.size() > 1 && parent.ends_with('/')) parent.pop_back();
  std::string pattern = parent + ".restore-XXXXXX";
  TRY(sys::make_folders(parent.substr(0, parent.rfind('/') + 1)));
  if (::mkdtemp(pattern.data()) == nullptr) return sys::system_error(pattern);
  const Scratch scratch{pattern};
  TRY(tar({"--extract", "--gzip", "--no-same-owner", "--preserve-permissions", "--file=" + file, "-C",
           scratch.path}));
  const std::string database = scratch.path + "/metadata.sqlite", key = scratch.path + "/master.key";
  const std::string whole = TRY(read_pragma(database, "integrity_check"));
  if (whole != "ok") return error("Invalid", file + ": its database is damaged: " + whole.substr(0, 200));
  const auto schema = parse_int(TRY(read_pragma(database, "user_version")));
  if (!schema || *schema > store::newest_schema())
    return error("NewerSchema", file + " was made by a newer Bastide");
  if (!a.get("--master-key").empty()) {
    std::string text = TRY(sys::read_file(a.get("--master-key"), 64 << 10));
    const auto written = sys::write_file(key, text);
    wipe(text);
    TRY(written);
  }
  if (!sys::exists(key))
    return error("NotFound", file + " was made without the master key; give it with --master-key FILE");
  const sys::Fd unlock = TRY(unlock_home(scratch.path));
  TRY(store::Keyring::open(key, scratch.path + "/master.check"));
  if (sys::exists(home) && ::rmdir(home.c_str()) != 0) return sys::system_error(home);
  if (::rename(scratch.path.c_str(), home.c_str()) != 0) return sys::system_error(home);
  TRY(sys::sync_folder(parent.substr(0, parent.rfind('/') + 1)));
  std::fprintf(stderr, "bastide: restored to %s; start it: bastide serve --home %s\n", home.c_str(),
               home.c_str());
  return 0;
}

}  // namespace

cli::Command backup_command() {
  return {"backup",
          "Copies everything of a home into one file, while it runs",
          "bastide backup /mnt/backup/bastide-2026-11-22.tar.gz",
          {{"FILE", Option::Kind::positional, "The file to make", "", true},
           {"--without-key", Option::Kind::flag, "Leave the master key out"}},
          run_backup};
}
cli::Command restore_command() {
  return {"restore",
          "Makes a home from a backup, on this machine or another",
          "bastide restore --home /var/lib/bastide bastide-2026-11-22.tar.gz",
          {{"FILE", Option::Kind::positional, "The backup", "", true},
           {"--master-key", Option::Kind::value, "The master key, of a backup that was made without it"}},
          run_restore};
}

}  // namespace bastide
