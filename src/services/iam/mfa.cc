// Virtual MFA devices: time-based one-time passwords.
#include <fmt/format.h>

#include "base/crypto.h"
#include "services/iam/iam_templates.h"
#include "services/iam/secrets.h"

namespace bastide::services {

using namespace iam_rows;
namespace op = model::iam::op;

namespace {

constexpr size_t kMaxDevices = 8;

store::Key device_key(const std::string& account, const std::string& serial) {
  return {account, "", "iam.mfa", serial};
}

Error no_device(const std::string& serial) {
  return fault("NoSuchEntity", fmt::format("VirtualMFADevice with serial number {} doesn't exist.", serial));
}

Error bad_code() {
  return fault("InvalidAuthenticationCode", "Authentication code for device is not valid.", 403);
}

Result<void> put_device(store::Writer& w, const std::string& account, const std::string& serial,
                        const json::Value& body) {
  std::vector<store::Index> indexes;
  if (!body.get("user").empty()) indexes.push_back({"user", account + " " + lower(body.get("user"))});
  return w.put(device_key(account, serial), body, indexes);
}

}  // namespace

Result<json::Value> Iam::device(store::Reader& r, const std::string& account, const std::string& serial) {
  auto row = TRY(r.get(device_key(account, serial)));
  if (!row) return no_device(serial);
  return std::move(row->body);
}

Result<std::string> Iam::seed_of(const json::Value& device) {
  const auto sealed = TRY(unbase64(device.get("seed")));
  return keyring_.unseal("iam.mfa", sealed, device.get("serial"));
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateVirtualMFADevice.html
Result<op::CreateVirtualMFADevice::Response> Iam::create_virtual_mfa_device(
    Call& call, const op::CreateVirtualMFADevice::Request& q) {
  const std::string serial =
      fmt::format("arn:aws:iam::{}:mfa{}{}", call.account, q.path.value_or("/"), q.virtual_mfa_device_name);
  const std::string seed = random_bytes(40);
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto old = TRY(w.get(device_key(call.account, serial)));
    if (old)
      return fault("EntityAlreadyExists", "MFADevice entity at the same path and name already exists.");
    json::Value body = json::object({{"serial", serial},
                                     {"created", call.now},
                                     {"seed", base64(keyring_.seal("iam.mfa", seed, serial))}});
    if (q.tags) TRY(merge_tags(body, *q.tags, "TagsPerResource"));
    return put_device(w, call.account, serial, body);
  }));
  op::CreateVirtualMFADevice::Response out;
  out.virtual_mfa_device.serial_number = serial;
  out.virtual_mfa_device.base32_string_seed = base32(seed);
  return out;
}

Result<op::DeleteVirtualMFADevice::Response> Iam::delete_virtual_mfa_device(
    Call& call, const op::DeleteVirtualMFADevice::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto body = TRY(device(w, call.account, q.serial_number));
    if (!body.get("user").empty())
      return fault("DeleteConflict", "MFA VirtualDevice in use. Must deactivate first.");
    TRY(w.remove(device_key(call.account, q.serial_number)));
    return {};
  }));
  return op::DeleteVirtualMFADevice::Response{};
}

// Two codes in a row. https://docs.aws.amazon.com/IAM/latest/APIReference/API_EnableMFADevice.html
Result<op::EnableMFADevice::Response> Iam::enable_mfa_device(Call& call,
                                                             const op::EnableMFADevice::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    const auto user = TRY(need(w, call.account, Kind::user, q.user_name));
    auto body = TRY(device(w, call.account, q.serial_number));
    if (!body.get("user").empty()) {
      return fault("EntityAlreadyExists", "MFADevice is already in use.");
    }
    const auto others = TRY(w.find("iam.mfa", "user", call.account + " " + lower(q.user_name)));
    if (others.size() >= kMaxDevices) {
      return fault("LimitExceeded",
                   fmt::format("Cannot exceed quota for MFADevicesPerUser: {}", kMaxDevices));
    }
    const auto seed = TRY(seed_of(body));
    const auto first = totp_accept(seed, q.authentication_code1, call.now, 0);
    if (!first || totp(seed, *first + 1) != q.authentication_code2) return bad_code();
    body["user"] = user.get("name");
    body["enabled"] = call.now;
    body["last"] = *first + 1;
    return put_device(w, call.account, q.serial_number, body);
  }));
  return op::EnableMFADevice::Response{};
}

Result<op::ResyncMFADevice::Response> Iam::resync_mfa_device(Call& call,
                                                             const op::ResyncMFADevice::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto body = TRY(device(w, call.account, q.serial_number));
    if (!iequals(body.get("user"), q.user_name)) return no_device(q.serial_number);
    const auto seed = TRY(seed_of(body));
    const auto first = totp_accept(seed, q.authentication_code1, call.now, body.get_int("last"));
    if (!first || totp(seed, *first + 1) != q.authentication_code2) return bad_code();
    body["last"] = *first + 1;
    return put_device(w, call.account, q.serial_number, body);
  }));
  return op::ResyncMFADevice::Response{};
}

Result<op::DeactivateMFADevice::Response> Iam::deactivate_mfa_device(
    Call& call, const op::DeactivateMFADevice::Request& q) {
  const auto name = TRY(user_or_caller(call, q.user_name));
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto body = TRY(device(w, call.account, q.serial_number));
    if (!iequals(body.get("user"), name)) return no_device(q.serial_number);
    body.remove("user");
    body.remove("enabled");
    return put_device(w, call.account, q.serial_number, body);
  }));
  return op::DeactivateMFADevice::Response{};
}

Result<op::GetMFADevice::Response> Iam::get_mfa_device(Call& call, const op::GetMFADevice::Request& q) {
  op::GetMFADevice::Response out;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto body = TRY(device(r, call.account, q.serial_number));
    if (q.user_name && !iequals(body.get("user"), *q.user_name)) return no_device(q.serial_number);
    out.serial_number = q.serial_number;
    if (!body.get("user").empty()) {
      out.user_name = body.get("user");
      out.enable_date = body.get_int("enabled");
    }
    return {};
  }));
  return out;
}

Result<op::ListMFADevices::Response> Iam::list_mfa_devices(Call& call, const op::ListMFADevices::Request& q) {
  const auto name = TRY(user_or_caller(call, q.user_name));
  TRY(entity(call.account, Kind::user, name));
  std::vector<std::pair<std::string, m::MFADevice>> items;
  const auto rows = TRY(db_.find("iam.mfa", "user", call.account + " " + lower(name)));
  for (const auto& row : rows) {
    items.push_back({row.key.id, {row.body.get("user"), row.key.id, row.body.get_int("enabled")}});
  }
  return page<op::ListMFADevices::Response>(
      std::move(items), q.marker, q.max_items, "mfa " + call.account,
      [](op::ListMFADevices::Response& r, auto told) { r.mfa_devices = std::move(told); });
}

Result<op::ListVirtualMFADevices::Response> Iam::list_virtual_mfa_devices(
    Call& call, const op::ListVirtualMFADevices::Request& q) {
  std::vector<std::pair<std::string, m::VirtualMFADevice>> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto rows = TRY(r.list(call.account, "", "iam.mfa"));
    for (const auto& row : rows) {
      const std::string user = row.body.get("user");
      if (q.assignment_status == "Assigned" && user.empty()) continue;
      if (q.assignment_status == "Unassigned" && !user.empty()) continue;
      m::VirtualMFADevice d;
      d.serial_number = row.key.id;
      if (!user.empty()) {
        const auto body = TRY(need(r, call.account, Kind::user, user));
        d.user = user_shape(call.account, body);
        d.enable_date = row.body.get_int("enabled");
      }
      items.emplace_back(row.key.id, std::move(d));
    }
    return {};
  }));
  return page<op::ListVirtualMFADevices::Response>(
      std::move(items), q.marker, q.max_items, "virtual mfa " + call.account,
      [](op::ListVirtualMFADevices::Response& r, auto told) { r.virtual_mfa_devices = std::move(told); });
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagMFADevice.html
Result<op::TagMFADevice::Response> Iam::tag_mfa_device(Call& call, const op::TagMFADevice::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto body = TRY(device(w, call.account, q.serial_number));
    TRY(merge_tags(body, q.tags, "TagsPerResource"));
    return put_device(w, call.account, q.serial_number, body);
  }));
  return op::TagMFADevice::Response{};
}

Result<op::UntagMFADevice::Response> Iam::untag_mfa_device(Call& call, const op::UntagMFADevice::Request& q) {
  TRY(writing([&](store::Writer& w) -> Result<void> {
    auto body = TRY(device(w, call.account, q.serial_number));
    if (auto* tags = body.find("tags")) {
      for (const auto& k : q.tag_keys) tags->remove(k);
    }
    return put_device(w, call.account, q.serial_number, body);
  }));
  return op::UntagMFADevice::Response{};
}

Result<op::ListMFADeviceTags::Response> Iam::list_mfa_device_tags(Call& call,
                                                                  const op::ListMFADeviceTags::Request& q) {
  std::vector<std::pair<std::string, m::Tag>> items;
  TRY(reading([&](store::Reader& r) -> Result<void> {
    const auto body = TRY(device(r, call.account, q.serial_number));
    for (auto& t : tags_of(body)) items.emplace_back(t.key, t);
    return {};
  }));
  return page<op::ListMFADeviceTags::Response>(
      std::move(items), q.marker, q.max_items, "tags " + q.serial_number,
      [](op::ListMFADeviceTags::Response& r, auto told) { r.tags = std::move(told); });
}

Result<bool> Iam::verify_mfa(const std::string& account, const std::string& user, const std::string& serial,
                             const std::string& code) {
  bool right = false;
  TRY(db_.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(device_key(account, serial)));
    if (!row || user.empty() || !iequals(row->body.get("user"), user)) return {};
    const auto seed = TRY(seed_of(row->body));
    const auto step = totp_accept(seed, code, clock_.wall(), row->body.get_int("last"));
    if (!step) return {};
    right = true;
    row->body["last"] = *step;
    return put_device(w, account, serial, row->body);
  }));
  return right;
}

}  // namespace bastide::services
