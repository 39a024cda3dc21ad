#include "runner/seccomp.h"

#include <sched.h>

#include <cerrno>
#include <string_view>

#include "base/bytes.h"

namespace bastide::runner {
namespace {

// What programs need; not there: mounting, namespaces, modules, tracing, clocks, keys, bpf, io_uring, raw
// memory across processes, reboot, swap, quota, handles of files.
constexpr std::string_view kAllowed =
    "accept accept4 access adjtimex alarm arch_prctl bind brk capget capset chdir chmod chown clock_getres "
    "clock_gettime clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3 "
    "epoll_create "
    "epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit "
    "exit_group "
    "faccessat faccessat2 fadvise64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchownat "
    "fcntl "
    "fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs fsync ftruncate futex "
    "futex_waitv "
    "futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid geteuid getgid "
    "getgroups "
    "getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid "
    "getrlimit "
    "getrusage getsid getsockname getsockopt gettid gettimeofday getuid getxattr inotify_add_watch "
    "inotify_init "
    "inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_setup io_submit ioctl ioprio_get "
    "ioprio_set "
    "kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lgetxattr link linkat "
    "listen "
    "listxattr llistxattr lremovexattr lseek lsetxattr lstat madvise map_shadow_stack membarrier "
    "memfd_create "
    "mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mprotect mq_getsetattr mq_notify mq_open "
    "mq_timedreceive mq_timedsend mq_unlink mremap msgctl msgget msgrcv msgsnd msync munlock munlockall "
    "munmap "
    "name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe "
    "pipe2 pkey_alloc "
    "pkey_free pkey_mprotect poll ppoll prctl pread64 preadv preadv2 prlimit64 process_mrelease pselect6 "
    "pwrite64 "
    "pwritev pwritev2 read readahead readlink readlinkat readv recvfrom recvmmsg recvmsg remap_file_pages "
    "removexattr "
    "rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask "
    "rt_sigqueueinfo "
    "rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max "
    "sched_get_priority_min "
    "sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval "
    "sched_setaffinity "
    "sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop "
    "semtimedop "
    "sendfile sendmmsg sendmsg sendto set_mempolicy set_robust_list set_thread_area set_tid_address setfsgid "
    "setfsuid "
    "setgid setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid "
    "setsockopt "
    "setuid setxattr shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 socketpair splice "
    "stat statfs statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create "
    "timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime "
    "timerfd_settime times "
    "tkill truncate umask uname unlink unlinkat utime utimensat utimes vfork vmsplice wait4 waitid waitpid "
    "write writev "
    "get_mempolicy mbind chroot";

constexpr int64_t kNamespaces =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
constexpr int64_t kVsock = 40;

json::Value rule(std::string_view names, json::Value extra) {
  json::Array list;
  for (const auto name : split(names, ' ')) {
    if (!name.empty()) list.emplace_back(name);
  }
  auto out = json::object({{"names", list}, {"action", "SCMP_ACT_ALLOW"}});
  for (const auto& [key, value] : extra.object()) out[key] = value;
  return out;
}

json::Value argument(int index, int64_t value, std::string_view op, int64_t other = 0) {
  return json::array({json::object({{"index", index}, {"value", value}, {"valueTwo", other}, {"op", op}})});
}

}  // namespace

json::Value seccomp_profile() {
  auto rules = json::array({rule(kAllowed, json::object())});
  // New processes and threads, but no namespaces. clone3 hides its flags behind a pointer: libraries fall
  // back.
  rules.push(rule("clone", json::object({{"args", argument(0, kNamespaces, "SCMP_CMP_MASKED_EQ", 0)}})));
  rules.push(rule("clone3", json::object({{"action", "SCMP_ACT_ERRNO"}, {"errnoRet", ENOSYS}})));
  rules.push(rule("socket", json::object({{"args", argument(0, kVsock, "SCMP_CMP_NE")}})));
  for (const int64_t personality :
       {int64_t{0}, int64_t{0x8}, int64_t{0x20000}, int64_t{0x20008}, int64_t{0xffffffff}}) {
    rules.push(rule("personality", json::object({{"args", argument(0, personality, "SCMP_CMP_EQ")}})));
  }
#if defined(__x86_64__)
  auto architectures = json::array({"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"});
#elif defined(__aarch64__)
  auto architectures = json::array({"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"});
#else
  auto architectures = json::array({});
#endif
  return json::object({{"defaultAction", "SCMP_ACT_ERRNO"},
                       {"defaultErrnoRet", EPERM},
                       {"architectures", architectures},
                       {"syscalls", rules}});
}

}  // namespace bastide::runner
