#include "cli/secrets_kms.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>

#include "base/bytes.h"
#include "base/crypto.h"
#include "sys/file.h"

namespace bastide::cli {
namespace {

constexpr size_t kMaxText = 16u << 20;
constexpr size_t kThreads = 4;
constexpr const char* kDefaultAlias = "alias/bastide-default";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string first_of(std::initializer_list<std::string> texts) {
  for (const auto& text : texts) {
    if (!text.empty()) return text;
  }
  return "";
}

// Accounts that are no environment.
bool environment(const Profile& p) {
  return !p.role_arn.empty() && !p.name.starts_with("up-") && p.name != "management" &&
         p.name != "security" && p.name != "shared-services" && p.name != "logs";
}

// stage before all others: whoever says nothing does not mean production.
Result<std::vector<std::string>> environments(const Context& context) {
  std::vector<std::string> out;
  const auto all = TRY(context.profiles());
  for (const auto& p : all) {
    if (!environment(p)) continue;
    if (p.name == "stage") {
      out.insert(out.begin(), p.name);
    } else {
      out.push_back(p.name);
    }
  }
  return out;
}

Result<json::Value> encryption_context(const std::vector<std::string>& pairs) {
  json::Value context = json::object();
  for (const auto& pair : pairs) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0)
      return error("Invalid", "--context wants KEY=VALUE, not '" + pair + "'");
    context[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return context;
}

Result<aws::Credentials> assume(aws::ClientConfig config, const std::string& role) {
  config.endpoint = first_of({config.endpoint, variable("AWS_ENDPOINT_URL_STS")});
  aws::Client sts(std::move(config));
  const auto answer = TRY(sts.call(
      "sts", "AssumeRole", json::object({{"RoleArn", role}, {"RoleSessionName", "bastide-secrets"}})));
  const json::Value* got = answer.find("Credentials");
  if (!got) return error("STS answered no credentials");
  return aws::Credentials{got->get("AccessKeyId"), got->get("SecretAccessKey"), got->get("SessionToken"), 0};
}

}  // namespace

std::vector<Option> secrets_options(const std::string& prefix) {
  const auto name = [&](const char* option) { return "--" + prefix + option; };
  return {
      {name("env"), Option::Kind::value, "The environment whose key it is"},
      {name("profile"), Option::Kind::value, "Whose credentials; the environment's own by default"},
      {name("key-id"), Option::Kind::value, "Another key: id, ARN or alias (alias/bastide-ENV by default)"},
      {name("aws-region"), Option::Kind::value, "The key's region (AWS_REGION, else us-east-1)"},
      {name("role-arn"), Option::Kind::value, "A role to assume first"},
      {name("context"), Option::Kind::values, "Encryption context, KEY=VALUE; repeat it"}};
}

Result<std::unique_ptr<SecretsKms>> SecretsKms::open(Context& context, const Arguments& a,
                                                     const std::string& prefix) {
  ::prctl(PR_SET_DUMPABLE, 0);  // no core dump with plaintext in it
  const auto option = [&](const char* name) { return a.get("--" + prefix + name); };
  std::unique_ptr<SecretsKms> kms(new SecretsKms);
  kms->bound_ = TRY(encryption_context(a.all("--" + prefix + "context")));
  aws::ClientConfig config;
  config.region = first_of(
      {option("aws-region"), variable("AWS_REGION"), variable("AWS_DEFAULT_REGION"), context.region()});
  const std::string env = first_of({option("env"), option("profile").empty() ? variable("BASTIDE_ENV") : ""});
  const bool own = env.empty() && option("profile").empty() && !variable("AWS_ACCESS_KEY_ID").empty();
  kms->key_ = first_of(
      {option("key-id"), variable("BASTIDE_SECRETS_KEY"), env.empty() ? "" : "alias/bastide-" + env});
  std::vector<std::string> profiles;
  kms->own_ = own;
  if (own) {
    config.credentials = {variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"),
                          variable("AWS_SESSION_TOKEN"), 0};
    config.endpoint = first_of(
        {variable("AWS_ENDPOINT_URL_KMS"), variable("AWS_ENDPOINT_URL"), variable("BASTIDE_ENDPOINT")});
    if (const auto bundle = variable("AWS_CA_BUNDLE"); !bundle.empty())
      config.ca_pem = TRY(sys::read_file(bundle, 4u << 20));
    kms->places_.push_back({"the credentials of AWS_ACCESS_KEY_ID", config, nullptr});
  } else if (!env.empty() || !option("profile").empty()) {
    profiles.push_back(first_of({option("profile"), env}));
  } else {
    profiles = TRY(environments(context));
    if (kms->key_.empty()) kms->key_ = profiles.empty() ? kDefaultAlias : "alias/bastide-" + profiles.front();
    kms->may_make_key_ = profiles.empty() && kms->key_ == kDefaultAlias;
    profiles.emplace_back("operator");
  }
  for (const auto& name : profiles) {
    config.endpoint = TRY(context.endpoint());
    auto credentials = context.credentials(name);
    if (!credentials) {
      if (profiles.size() == 1) return std::move(credentials).error();
      continue;
    }
    config.credentials = *credentials;
    kms->places_.push_back({name, config, nullptr});
  }
  if (kms->places_.empty())
    return error("NotFound", "no credentials that can use a key; name the environment with --env");
  if (const auto role = option("role-arn"); !role.empty()) {
    auto assumed = kms->places_.front().config;
    assumed.credentials = TRY(assume(assumed, role));
    kms->places_.clear();
    kms->places_.push_back({role, std::move(assumed), nullptr});
  }
  return kms;
}

SecretsKms::~SecretsKms() {
  for (auto& [ciphertext, plaintext] : known_) wipe(plaintext);
}

std::string SecretsKms::key_text() const { return key_ + " of " + places_.front().name; }

Result<json::Value> SecretsKms::call(Place& place, const std::string& operation, json::Value input) const {
  if (!place.client) place.client = std::make_unique<aws::Client>(place.config);
  return place.client->call("kms", operation, input);
}

Result<void> SecretsKms::make_default_key() {
  Place& place = places_.front();
  const auto made = TRY(call(
      place, "CreateKey", json::object({{"Description", "bastide secrets: where no environment is named"}})));
  const json::Value* metadata = made.find("KeyMetadata");
  TRY(call(
      place, "CreateAlias",
      json::object({{"AliasName", kDefaultAlias}, {"TargetKeyId", metadata ? metadata->get("KeyId") : ""}})));
  std::fprintf(stderr, "bastide: made the key %s, since no environment exists yet\n", kDefaultAlias);
  return {};
}

Result<json::Value> SecretsKms::with_key(const std::string& operation, json::Value input) {
  if (key_.empty())
    return error("Invalid", "name the key: --key-id alias/NAME, or the environment: --env stage");
  input["KeyId"] = key_;
  if (!bound_.object().empty()) input["EncryptionContext"] = bound_;
  auto answer = call(places_.front(), operation, input);
  if (!answer && may_make_key_ && answer.error().code == "NotFoundException") {
    TRY(make_default_key());
    return call(places_.front(), operation, std::move(input));
  }
  return answer;
}

Result<std::string> SecretsKms::encrypt(std::string_view plaintext) {
  if (plaintext.empty()) return error("Invalid", "nothing to encrypt");
  if (plaintext.size() <= secrets::kMaxDirect) {
    const auto answer = TRY(with_key("Encrypt", json::object({{"Plaintext", base64(plaintext)}})));
    const std::string ciphertext = TRY(unbase64(answer.get("CiphertextBlob")));
    return secrets::make_token(ciphertext);
  }
  const auto answer = TRY(with_key("GenerateDataKey", json::object({{"KeySpec", "AES_256"}})));
  const std::string ciphertext = TRY(unbase64(answer.get("CiphertextBlob")));
  std::string key = TRY(unbase64(answer.get("Plaintext")));
  std::string token = secrets::make_envelope(key, ciphertext, plaintext);
  wipe(key);
  return token;
}

Result<std::string> SecretsKms::decrypt_at(std::vector<Place>& places, std::string_view ciphertext) const {
  json::Value request = json::object({{"CiphertextBlob", base64(ciphertext)}});
  if (!bound_.object().empty()) request["EncryptionContext"] = bound_;
  Error first;
  for (size_t i = 0; i < places.size(); ++i) {
    auto answer = call(places[i], "Decrypt", request);
    if (answer) {
      std::swap(places[0], places[i]);  // the next value is probably of the same account
      return unbase64(answer->get("Plaintext"));
    }
    if (i == 0) first = answer.error();
    if (answer.error().code == "InvalidCiphertextException") {
      return error("Invalid",
                   "KMS cannot decrypt it: it is damaged, or was encrypted with another --context");
    }
    if (!answer.error().fault) return answer.error();
  }
  return error(first.code, first.code + ": " + first.message);
}

Result<std::string> SecretsKms::decrypt(std::string_view ciphertext) {
  if (const auto it = known_.find(ciphertext); it != known_.end()) return it->second;
  std::vector<Place> places;
  for (const auto& place : places_) places.push_back({place.name, place.config, nullptr});
  return known_[std::string(ciphertext)] = TRY(decrypt_at(places, ciphertext));
}

Result<std::string> SecretsKms::fetch(const std::string& id) {
  Error first;
  for (size_t i = 0; i < places_.size(); ++i) {
    auto config = places_[i].config;
    if (own_) {
      config.endpoint = first_of({variable("AWS_ENDPOINT_URL_SECRETS_MANAGER"), variable("AWS_ENDPOINT_URL"),
                                  variable("BASTIDE_ENDPOINT")});
    }
    aws::Client client(std::move(config));
    auto answer = client.call("secretsmanager", "GetSecretValue", json::object({{"SecretId", id}}));
    if (answer) {
      if (answer->has("SecretBinary")) return unbase64(answer->get("SecretBinary"));
      return answer->get("SecretString");
    }
    if (i == 0) first = answer.error();
    if (!answer.error().fault) return answer.error();
  }
  return error(first.code, first.code + ": " + first.message);
}

void SecretsKms::prefetch(const std::vector<secrets::Token>& tokens) {
  std::set<std::string> wanted;
  for (const auto& token : tokens) {
    if (!known_.contains(token.ciphertext)) wanted.insert(token.ciphertext);
  }
  const std::vector<std::string> work(wanted.begin(), wanted.end());
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  const auto run = [&] {
    std::vector<Place> places;
    for (const auto& place : places_) places.push_back({place.name, place.config, nullptr});
    for (size_t i = next++; i < work.size(); i = next++) {
      auto plain = decrypt_at(places, work[i]);
      if (!plain) continue;
      const std::lock_guard lock(mutex);
      known_[work[i]] = std::move(*plain);
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(kThreads, work.size()); ++i) threads.emplace_back(run);
  run();
  for (auto& thread : threads) thread.join();
}

// https://docs.aws.amazon.com/kms/latest/APIReference/API_ReEncrypt.html
Result<std::string> SecretsKms::renew(const secrets::Token& token, bool force) {
  json::Value look = json::object({{"CiphertextBlob", base64(token.ciphertext)}});
  if (!bound_.object().empty()) look["EncryptionContext"] = bound_;
  Error last = error("no credentials");
  for (auto& place : places_) {
    const auto opened = call(place, "Decrypt", look);
    if (!opened) {
      last = error(opened.error().code, opened.error().code + ": " + opened.error().message);
      continue;
    }
    json::Value request = json::object(
        {{"CiphertextBlob", base64(token.ciphertext)}, {"DestinationKeyId", opened->get("KeyId")}});
    if (!bound_.object().empty())
      request["SourceEncryptionContext"] = request["DestinationEncryptionContext"] = bound_;
    const auto answer = TRY(call(place, "ReEncrypt", request));
    const std::string from = answer.get("SourceKeyMaterialId"), to = answer.get("DestinationKeyMaterialId");
    if (!force && !from.empty() && from == to) return token.text;
    if (!token.envelope()) {
      const std::string fresh = TRY(unbase64(answer.get("CiphertextBlob")));
      return secrets::make_token(fresh);
    }
    // An envelope gets a new data key, so that nothing that was known before opens it.
    std::string plaintext =
        TRY(secrets::open_token(token, [&](std::string_view) { return unbase64(opened->get("Plaintext")); }));
    json::Value wish = json::object({{"KeyId", opened->get("KeyId")}, {"KeySpec", "AES_256"}});
    if (!bound_.object().empty()) wish["EncryptionContext"] = bound_;
    const auto made = TRY(call(place, "GenerateDataKey", wish));
    const std::string ciphertext = TRY(unbase64(made.get("CiphertextBlob")));
    std::string key = TRY(unbase64(made.get("Plaintext")));
    std::string out = secrets::make_envelope(key, ciphertext, plaintext);
    wipe(key);
    wipe(plaintext);
    return out;
  }
  return last;
}

Result<std::string> secrets_input(const std::string& file) {
  if (!file.empty() && file != "-") return sys::read_file(file, kMaxText);
  if (::isatty(0)) std::fprintf(stderr, "bastide: reading from the terminal; end with Ctrl-D\n");
  return sys::read_all(0, kMaxText);
}

Result<std::vector<std::string>> secrets_files(const std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  std::vector<std::string> out;
  for (const auto& path : paths) {
    std::error_code wrong;
    const auto status = fs::status(path, wrong);
    if (!fs::exists(status)) return error("NotFound", path + " does not exist");
    if (!fs::is_directory(status)) {
      out.push_back(path);
      continue;
    }
    for (auto it = fs::recursive_directory_iterator(path, wrong);
         !wrong && it != fs::recursive_directory_iterator(); it.increment(wrong)) {
      const auto name = it->path().filename().string();
      if (it->is_directory(wrong) && (name == ".git" || name == "node_modules" || name == "build")) {
        it.disable_recursion_pending();
        continue;
      }
      if (it->is_symlink(wrong) || !it->is_regular_file(wrong) || it->file_size(wrong) > kMaxText) continue;
      out.push_back(it->path().string());
    }
    if (wrong) return error(path + ": " + wrong.message());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace bastide::cli
