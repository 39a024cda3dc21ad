// What a task without namespaces may ask the kernel: everything but what reaches around its supervisor, other
// processes or the kernel's insides.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/jail.h"

namespace bastide::shim {
namespace {

#if defined(__x86_64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "bastide-jail knows x86-64 and arm64"
#endif

constexpr unsigned kX32 = 0x40000000;
constexpr unsigned kFastOpen = 0x20000000;  // MSG_FASTOPEN: a connect inside of a send
constexpr unsigned kNewNamespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC |
                                    CLONE_NEWUTS | CLONE_NEWCGROUP | 0x80 /* CLONE_NEWTIME */;

// Refused with EPERM.
constexpr int kForbidden[] = {SYS_ptrace,
                              SYS_process_vm_readv,
                              SYS_process_vm_writev,
                              SYS_kcmp,
                              SYS_pidfd_getfd,
                              SYS_mount,
                              SYS_umount2,
                              SYS_pivot_root,
                              SYS_move_mount,
                              SYS_open_tree,
                              SYS_fsopen,
                              SYS_fsconfig,
                              SYS_fsmount,
                              SYS_fspick,
                              SYS_mount_setattr,
                              SYS_unshare,
                              SYS_setns,
                              SYS_chroot,
                              SYS_bpf,
                              SYS_perf_event_open,
                              SYS_keyctl,
                              SYS_add_key,
                              SYS_request_key,
                              SYS_kexec_load,
                              SYS_kexec_file_load,
                              SYS_init_module,
                              SYS_finit_module,
                              SYS_delete_module,
                              SYS_open_by_handle_at,
                              SYS_name_to_handle_at,
                              SYS_userfaultfd,
                              SYS_reboot,
                              SYS_swapon,
                              SYS_swapoff,
                              SYS_acct,
                              SYS_quotactl,
                              SYS_syslog,
                              SYS_settimeofday,
                              SYS_clock_settime,
                              SYS_adjtimex,
                              SYS_clock_adjtime,
                              SYS_sethostname,
                              SYS_setdomainname,
                              SYS_vhangup,
                              SYS_fanotify_init,
                              SYS_lookup_dcookie};
// Refused as if this kernel had none: libraries have another way.
constexpr int kMissing[] = {SYS_clone3, SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register};

class Program {
 public:
  void add(sock_filter instruction) { code_[size_++] = instruction; }
  void load(size_t offset) { add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(offset))); }
  void argument(int index) {
    load(offsetof(seccomp_data, args) + 8 * static_cast<size_t>(index));
  }  // its low half
  void answer(unsigned what) { add(BPF_STMT(BPF_RET | BPF_K, what)); }
  void refuse(int reason) { answer(SECCOMP_RET_ERRNO | static_cast<unsigned>(reason)); }
  // Skips `count` instructions unless the value is `k`.
  void unless_equal(unsigned k, uint8_t count) { add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, count)); }
  void unless_bits(unsigned k, uint8_t count) { add(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, k, 0, count)); }
  void masked(unsigned k) { add(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, k)); }
  void on(int call, unsigned what) {
    unless_equal(static_cast<unsigned>(call), 1);
    answer(what);
  }
  void on_flags(int call, int index, unsigned bits, int reason) {
    unless_equal(static_cast<unsigned>(call), 4);
    argument(index);
    unless_bits(bits, 1);
    refuse(reason);
    answer(SECCOMP_RET_ALLOW);
  }
  sock_fprog finished() { return {size_, code_}; }

 private:
  sock_filter code_[256];
  unsigned short size_ = 0;
};

// Only pairs and TCP are of use: connects of unix sockets are refused later.
void pick(Program& p, unsigned k, uint8_t equal, uint8_t other) {
  p.add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, equal, other));
}

// Streams of unix sockets: a datagram socket could send to any name.
void unix_streams(Program& p) {  // 6 instructions
  p.argument(1);
  p.masked(0xf);
  pick(p, SOCK_STREAM, 2, 0);
  pick(p, SOCK_SEQPACKET, 1, 0);
  p.refuse(EPROTONOSUPPORT);
  p.answer(SECCOMP_RET_ALLOW);
}

void sockets(Program& p) {
  p.unless_equal(SYS_socket, 19);
  p.argument(0);
  pick(p, AF_INET, 3, 0);
  pick(p, AF_INET6, 2, 0);
  pick(p, AF_UNIX, 9, 0);
  p.refuse(EAFNOSUPPORT);
  p.argument(1);  // internet
  p.masked(0xf);
  pick(p, SOCK_STREAM, 0, 3);
  p.argument(2);
  pick(p, 0, 2, 0);
  pick(p, IPPROTO_TCP, 1, 0);
  p.refuse(EPROTONOSUPPORT);
  p.answer(SECCOMP_RET_ALLOW);
  unix_streams(p);
}

}  // namespace

int filter_calls(bool opens) {
  static Program p;
  p.load(offsetof(seccomp_data, arch));
  p.unless_equal(kArchitecture, 1);
  p.add(BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0));
  p.answer(SECCOMP_RET_KILL_PROCESS);
  p.load(offsetof(seccomp_data, nr));
  p.add(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32, 0, 1));
  p.refuse(ENOSYS);
  p.on(SYS_connect, SECCOMP_RET_USER_NOTIF);
  p.on(SYS_bind, SECCOMP_RET_USER_NOTIF);
  p.on(SYS_listen, SECCOMP_RET_USER_NOTIF);
  if (opens) {
    p.on(SYS_openat, SECCOMP_RET_USER_NOTIF);
#ifdef SYS_open
    p.on(SYS_open, SECCOMP_RET_USER_NOTIF);
#endif
  }
  for (const int call : kForbidden) p.on(call, SECCOMP_RET_ERRNO | EPERM);
  for (const int call : kMissing) p.on(call, SECCOMP_RET_ERRNO | ENOSYS);
  p.on_flags(SYS_clone, 0, kNewNamespaces, EPERM);
  p.on_flags(SYS_sendto, 3, kFastOpen, EOPNOTSUPP);
  p.on_flags(SYS_sendmsg, 2, kFastOpen, EOPNOTSUPP);
  p.on_flags(SYS_sendmmsg, 3, kFastOpen, EOPNOTSUPP);
  // A task that hides from debuggers would hide from its supervisor. Nothing in here can trace or read it
  // anyway, nor dump its core, so that it is told what is so: nobody looks.
  p.unless_equal(SYS_prctl, 4);
  p.argument(0);
  p.unless_equal(PR_SET_DUMPABLE, 1);
  p.refuse(0);
  p.answer(SECCOMP_RET_ALLOW);
  p.unless_equal(SYS_socketpair, 6);
  unix_streams(p);
  sockets(p);
  p.answer(SECCOMP_RET_ALLOW);
  const sock_fprog program = p.finished();
  return static_cast<int>(
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

}  // namespace bastide::shim
