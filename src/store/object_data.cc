#include "store/object_data.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/crypto.h"
#include "sys/file.h"

namespace bastide::store {
namespace {

constexpr size_t kTag = 16;
constexpr size_t kEntry = 4 + kTag;
constexpr size_t kFooter = 32;
constexpr std::string_view kMagic = "BSTDOBJ1";

Error damaged(std::string_view what) { return error("Damaged", "object data: " + std::string(what)); }

template <class N>
void put_number(std::string& out, N number) {
  for (size_t i = 0; i < sizeof number; ++i) out += static_cast<char>(number >> (8 * i) & 255);
}
template <class N>
N number_at(std::string_view bytes, size_t at) {
  N out = 0;
  for (size_t i = sizeof out; i-- > 0;) out = static_cast<N>(out << 8 | static_cast<uint8_t>(bytes[at + i]));
  return out;
}

EVP_CIPHER_CTX* context(void* p) { return static_cast<EVP_CIPHER_CTX*>(p); }

void set_nonce(uint64_t index, unsigned char (&nonce)[12]) {
  std::memset(nonce, 0, sizeof nonce);
  for (size_t i = 0; i < 8; ++i) nonce[i] = static_cast<unsigned char>(index >> (8 * i) & 255);
}

bool valid_id(std::string_view id) {
  return id.size() == 32 && std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string shard_of(const std::string& folder, std::string_view id) {
  return folder + "/" + std::string(id.substr(0, 2));
}

Result<void> read_exactly(int fd, char* out, size_t size, int64_t offset) {
  while (size > 0) {
    const ssize_t n = ::pread(fd, out, size, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return sys::system_error("object data");
    if (n == 0) return damaged("a file is shorter than it was");
    out += n;
    size -= static_cast<size_t>(n);
    offset += n;
  }
  return {};
}

size_t blocks_of(int64_t size) { return (static_cast<size_t>(size) + kDataBlock - 1) / kDataBlock; }

struct Opened {
  sys::Fd fd;
  std::string table;
  int64_t size = 0;
};

Result<Opened> open_table(const std::string& path) {
  Opened out;
  out.fd = sys::Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!out.fd) return sys::system_error("object data");
  struct stat st;
  if (::fstat(out.fd.get(), &st) != 0) return sys::system_error("object data");
  if (st.st_size < static_cast<int64_t>(kFooter)) return damaged("a file without a footer");
  std::string footer(kFooter, '\0');
  TRY(read_exactly(out.fd.get(), footer.data(), footer.size(), st.st_size - static_cast<int64_t>(kFooter)));
  if (!footer.starts_with(kMagic)) return damaged("a file without a footer");
  out.size = static_cast<int64_t>(number_at<uint64_t>(footer, 8));
  const size_t table = blocks_of(out.size) * kEntry;
  if (out.size < 0 || st.st_size != out.size + static_cast<int64_t>(table + kFooter))
    return damaged("a file of another size than its footer says");
  out.table.resize(table);
  TRY(read_exactly(out.fd.get(), out.table.data(), table, out.size));
  if (crc32c(0, out.table) != number_at<uint32_t>(footer, 16)) return damaged("a broken table of checksums");
  return out;
}

}  // namespace

Result<std::unique_ptr<ObjectData>> ObjectData::open(const std::string& folder) {
  TRY(sys::make_folders(folder));
  for (int i = 0; i < 256; ++i) {
    const char byte = static_cast<char>(i);
    TRY(sys::make_folders(folder + "/" + hex({&byte, 1})));
  }
  TRY(sys::sync_folder(folder));
  auto out = std::make_unique<ObjectData>();
  out->folder_ = folder;
  return out;
}

ObjectData::Writer::~Writer() {
  EVP_CIPHER_CTX_free(context(cipher_));
  if (!finished_ && !path_.empty()) ::unlink(path_.c_str());
}

Result<std::unique_ptr<ObjectData::Writer>> ObjectData::create(std::string_view key) {
  if (key.size() != kDataKeySize) return error("a data key of the wrong size");
  std::unique_ptr<Writer> out(new Writer());
  out->id_ = hex(random_bytes(16));
  out->folder_ = shard_of(folder_, out->id_);
  const std::string path = out->folder_ + "/" + out->id_;
  out->fd_ = sys::Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!out->fd_) return sys::system_error("object data");
  out->path_ = path;
  out->cipher_ = EVP_CIPHER_CTX_new();
  if (out->cipher_ == nullptr ||
      EVP_EncryptInit_ex(context(out->cipher_), EVP_aes_256_gcm(), nullptr,
                         reinterpret_cast<const unsigned char*>(key.data()), nullptr) != 1)
    return error("the cipher cannot start");
  return out;
}

Result<void> ObjectData::Writer::put_block(std::string_view plain) {
  unsigned char nonce[12];
  set_nonce(blocks_++, nonce);
  std::string stored(plain.size(), '\0');
  unsigned char tag[kTag];
  int written = 0;
  const bool sealed = EVP_EncryptInit_ex(context(cipher_), nullptr, nullptr, nullptr, nonce) == 1 &&
                      EVP_EncryptUpdate(context(cipher_), reinterpret_cast<unsigned char*>(stored.data()),
                                        &written, reinterpret_cast<const unsigned char*>(plain.data()),
                                        static_cast<int>(plain.size())) == 1 &&
                      EVP_EncryptFinal_ex(context(cipher_), nullptr, &written) == 1 &&
                      EVP_CIPHER_CTX_ctrl(context(cipher_), EVP_CTRL_GCM_GET_TAG, kTag, tag) == 1;
  if (!sealed) return error("a block cannot be encrypted");
  put_number(table_, crc32c(0, stored));
  table_.append(reinterpret_cast<const char*>(tag), kTag);
  size_ += static_cast<int64_t>(plain.size());
  return sys::write_all(fd_.get(), stored);
}

Result<void> ObjectData::Writer::append(std::string_view bytes) {
  if (!pending_.empty()) {
    const size_t taken = std::min(bytes.size(), kDataBlock - pending_.size());
    pending_ += bytes.substr(0, taken);
    bytes.remove_prefix(taken);
    if (pending_.size() < kDataBlock) return {};
    TRY(put_block(pending_));
    pending_.clear();
  }
  for (; bytes.size() >= kDataBlock; bytes.remove_prefix(kDataBlock))
    TRY(put_block(bytes.substr(0, kDataBlock)));
  pending_ = bytes;
  return {};
}

Result<void> ObjectData::Writer::finish() {
  if (!pending_.empty()) TRY(put_block(pending_));
  pending_.clear();
  std::string tail = std::move(table_);
  const uint32_t crc = crc32c(0, tail);
  tail += kMagic;
  put_number(tail, static_cast<uint64_t>(size_));
  put_number(tail, crc);
  put_number(tail, static_cast<uint32_t>(kDataBlock));
  put_number(tail, uint64_t{0});
  TRY(sys::write_all(fd_.get(), tail));
  if (::fsync(fd_.get()) != 0) return sys::system_error("object data");
  TRY(sys::sync_folder(folder_));
  finished_ = true;
  return {};
}

ObjectData::Reader::~Reader() { EVP_CIPHER_CTX_free(context(cipher_)); }

Result<std::unique_ptr<ObjectData::Reader>> ObjectData::open_read(const std::string& id,
                                                                  std::string_view key) {
  if (!valid_id(id) || key.size() != kDataKeySize) return error("NotFound", "no object data has this id");
  auto opened = TRY(open_table(shard_of(folder_, id) + "/" + id));
  std::unique_ptr<Reader> out(new Reader());
  out->fd_ = std::move(opened.fd);
  out->table_ = std::move(opened.table);
  out->size_ = opened.size;
  out->cipher_ = EVP_CIPHER_CTX_new();
  if (out->cipher_ == nullptr ||
      EVP_DecryptInit_ex(context(out->cipher_), EVP_aes_256_gcm(), nullptr,
                         reinterpret_cast<const unsigned char*>(key.data()), nullptr) != 1)
    return error("the cipher cannot start");
  return out;
}

Result<std::string_view> ObjectData::Reader::block(uint64_t index) {
  if (index == cached_) return std::string_view(plain_);
  const auto offset = static_cast<int64_t>(index * kDataBlock);
  const size_t size = static_cast<size_t>(std::min<int64_t>(kDataBlock, size_ - offset));
  stored_.resize(size);
  plain_.resize(size);
  cached_ = ~uint64_t{0};
  TRY(read_exactly(fd_.get(), stored_.data(), size, offset));
  if (crc32c(0, stored_) != number_at<uint32_t>(table_, index * kEntry))
    return damaged("a block has changed on disk");
  unsigned char nonce[12], tag[kTag];
  set_nonce(index, nonce);
  std::memcpy(tag, table_.data() + index * kEntry + 4, kTag);
  int written = 0;
  const bool opened = EVP_DecryptInit_ex(context(cipher_), nullptr, nullptr, nullptr, nonce) == 1 &&
                      EVP_DecryptUpdate(context(cipher_), reinterpret_cast<unsigned char*>(plain_.data()),
                                        &written, reinterpret_cast<const unsigned char*>(stored_.data()),
                                        static_cast<int>(size)) == 1 &&
                      EVP_CIPHER_CTX_ctrl(context(cipher_), EVP_CTRL_GCM_SET_TAG, kTag, tag) == 1 &&
                      EVP_DecryptFinal_ex(context(cipher_), nullptr, &written) == 1;
  if (!opened) return damaged("a block that this key does not open");
  cached_ = index;
  return std::string_view(plain_);
}

Result<void> ObjectData::Reader::read(int64_t offset, size_t size, std::string& out) {
  while (size > 0 && offset < size_) {
    const auto index = static_cast<uint64_t>(offset) / kDataBlock;
    const std::string_view bytes = TRY(block(index));
    const size_t from = static_cast<size_t>(offset) - index * kDataBlock;
    const size_t taken = std::min(size, bytes.size() - from);
    out += bytes.substr(from, taken);
    offset += static_cast<int64_t>(taken);
    size -= taken;
  }
  return {};
}

Result<void> ObjectData::remove(const std::string& id) {
  if (!valid_id(id)) return {};
  return sys::remove_file(shard_of(folder_, id) + "/" + id);
}

Result<std::vector<std::string>> ObjectData::list(Millis before) {
  std::vector<std::string> out;
  const auto shards = TRY(sys::list_folder(folder_));
  for (const std::string& shard : shards) {
    const auto names = TRY(sys::list_folder(folder_ + "/" + shard));
    for (const std::string& name : names) {
      struct stat st;
      if (!valid_id(name) || ::stat((folder_ + "/" + shard + "/" + name).c_str(), &st) != 0) continue;
      if (static_cast<Millis>(st.st_mtim.tv_sec) * kSecond < before) out.push_back(name);
    }
  }
  return out;
}

Result<void> ObjectData::verify(const std::string& id) {
  if (!valid_id(id)) return error("NotFound", "no object data has this id");
  auto opened = TRY(open_table(shard_of(folder_, id) + "/" + id));
  std::string block;
  for (size_t i = 0; i < blocks_of(opened.size); ++i) {
    const auto offset = static_cast<int64_t>(i * kDataBlock);
    block.resize(static_cast<size_t>(std::min<int64_t>(kDataBlock, opened.size - offset)));
    TRY(read_exactly(opened.fd.get(), block.data(), block.size(), offset));
    if (crc32c(0, block) != number_at<uint32_t>(opened.table, i * kEntry))
      return damaged("a block has changed on disk");
  }
  return {};
}

}  // namespace bastide::store
