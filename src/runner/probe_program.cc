// The program in the containers of runner's tests. Static; what it does is its first argument.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <initializer_list>

namespace {

sockaddr_in at(const char* address, const char* port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<uint16_t>(atoi(port)));
  inet_pton(AF_INET, address, &out.sin_addr);
  return out;
}

// Prints "reached" and what came, or why not; gives up after a second.
int reach(const char* address, const char* port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const timeval limit{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const auto to = at(address, port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    printf("not reached: %s\n", strerror(errno));
    return 1;
  }
  char text[256] = {};
  [[maybe_unused]] const ssize_t n = read(fd, text, sizeof text - 1);
  printf("reached %s\n", text);
  return 0;
}

int serve(const char* port, const char* greeting) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const auto own = at("0.0.0.0", port);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 || listen(fd, 16) != 0) {
    perror("listen");
    return 1;
  }
  puts("serving");
  fflush(stdout);
  for (;;) {
    const int peer = accept(fd, nullptr, nullptr);
    [[maybe_unused]] const ssize_t n = write(peer, greeting, strlen(greeting));
    close(peer);
  }
}

// Listens without having bound: the kernel would choose every address.
int listen_unbound() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in own{};
  socklen_t size = sizeof own;
  if (listen(fd, 4) != 0 || getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    perror("listen");
    return 1;
  }
  char text[INET_ADDRSTRLEN];
  printf("listening at %s\n", inet_ntop(AF_INET, &own.sin_addr, text, sizeof text));
  return 0;
}

int describe() {
  struct stat st;
  printf("uid %d gid %d pid %d\n", getuid(), getgid(), getpid());
  stat("/", &st);
  printf("root belongs to %d\n", st.st_uid);
  char line[4096];
  for (const char* path : {"/proc/self/status", "/etc/hosts", "/etc/hostname", "/proc/self/uid_map"}) {
    FILE* file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
      if (strcmp(path, "/proc/self/status") != 0 || !strncmp(line, "Cap", 3) || !strncmp(line, "NoNew", 5) ||
          !strncmp(line, "Seccomp:", 8)) {
        fputs(line, stdout);
      }
    }
    if (file) fclose(file);
  }
  printf("mount: %s\n", mount("none", "/tmp", "tmpfs", 0, nullptr) == 0 ? "allowed" : strerror(errno));
  printf("raw socket: %s\n", socket(AF_INET, SOCK_RAW, 1) >= 0 ? "allowed" : strerror(errno));
  printf("write: %s\n", open("/written", O_CREAT | O_WRONLY, 0600) >= 0 ? "allowed" : strerror(errno));
  printf("write /proc/sys: %s\n",
         open("/proc/sys/kernel/hostname", O_WRONLY) >= 0 ? "allowed" : strerror(errno));
  printf("HOME=%s\n", getenv("HOME"));
  return 0;
}

int eat_memory() {
  for (;;) {
    char* block = static_cast<char*>(malloc(1 << 20));
    if (!block) return 3;
    memset(block, 1, 1 << 20);
  }
}

int fork_many() {
  int made = 0;
  while (made < 1000) {
    const pid_t pid = fork();
    if (pid < 0) break;
    if (pid == 0) pause();
    ++made;
  }
  printf("made %d\n", made);
  return 0;
}

void on_term(int) { _exit(42); }

}  // namespace

int main(int count, char** arguments) {
  const char* what = count > 1 ? arguments[1] : "";
  if (!strcmp(what, "say")) {
    for (int i = 2; i < count; ++i) puts(arguments[i]);
    fputs("to stderr\n", stderr);
    return 7;
  }
  if (!strcmp(what, "describe")) return describe();
  if (!strcmp(what, "reach")) return reach(arguments[2], arguments[3]);
  if (!strcmp(what, "serve")) return serve(arguments[2], arguments[3]);
  if (!strcmp(what, "unbound")) return listen_unbound();
  if (!strcmp(what, "eat")) return eat_memory();
  if (!strcmp(what, "fork")) return fork_many();
  if (!strcmp(what, "wait")) {
    puts("waiting");
    fflush(stdout);
    for (;;) pause();
  }
  if (!strcmp(what, "polite")) {
    signal(SIGTERM, on_term);
    puts("waiting");
    fflush(stdout);
    for (;;) pause();
  }
  if (!strcmp(what, "flood")) {
    for (int i = 0; i < atoi(arguments[2]); ++i) printf("line %d of a long output that fills the spool\n", i);
    return 0;
  }
  if (!strcmp(what, "touch")) {
    FILE* file = fopen(arguments[2], "w");
    if (!file) return 1;
    fputs("made inside\n", file);
    fclose(file);
    return 0;
  }
  if (!strcmp(what, "remove")) return unlink(arguments[2]) == 0 ? 0 : 1;
  if (!strcmp(what, "cat")) {
    char line[4096];
    FILE* file = fopen(arguments[2], "r");
    while (file && fgets(line, sizeof line, file)) fputs(line, stdout);
    return file ? 0 : 1;
  }
  return 99;
}
