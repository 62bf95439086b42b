/*
 * The first process of every container of the platform, and of every command beside one. It needs nothing of the image:
 * no shell, no library, no file.
 *
 *   init i TOKEN COMMAND…  an instance, as process 1      init o TOKEN COMMAND…  a one-off, as process 1
 *   init e TOKEN COMMAND…  a command beside an instance   init k TOKEN           ends the command TOKEN ("*": all)
 *
 * It collects what ends, passes signals on to all processes, and tells the truth about the command's end, of which an
 * engine keeps only eight bits. It speaks in lines on standard error, the last of which is also the last on standard output
 * unless it is an instance's:
 *
 *   [dinp TOKEN] started              (instances only) the command runs
 *   [dinp TOKEN] failed ERRNO         the command cannot be executed
 *   [dinp TOKEN] ended code N         or `ended signal N`; ` asked` follows when SIGUSR1 or SIGUSR2 had come, then
 *                                     ` both` where standard output ends with this line, too
 *
 * Whoever ends loses what an engine has not read about 2 s later, however slow its reader is. So a command stays until all
 * that it wrote is in the engine's own memory: see `endOutput`.
 *
 * SIGUSR1 asks all processes to end (SIGTERM), SIGUSR2 ends them (SIGKILL). Nothing of the command is left when the last
 * line is written.
 */
#include <asm/errno.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <linux/signalfd.h>
#include <linux/time_types.h>
#include <linux/wait.h>
#include <stddef.h>

typedef unsigned long Word;

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call begin\n");
static long call(long n, Word a, Word b, Word c, Word d) {
  long result;
  register Word r10 __asm__("r10") = d;
  register Word r8 __asm__("r8") = 0;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n mov x29,#0\n mov x0,sp\n bl begin\n");
static long call(long n, Word a, Word b, Word c, Word d) {
  register long x8 __asm__("x8") = n;
  register Word x0 __asm__("x0") = a;
  register Word x1 __asm__("x1") = b;
  register Word x2 __asm__("x2") = c;
  register Word x3 __asm__("x3") = d;
  register Word x4 __asm__("x4") = 0;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return (long)x0;
}
#else
#error "There is no init for this processor."
#endif

/* The compiler may call these. */
void *memset(void *to, int value, size_t size) {
  for (volatile char *at = to; size > 0; size--) *at++ = (char)value;
  return to;
}
void *memcpy(void *to, const void *from, size_t size) {
  volatile char *at = to;
  for (const char *source = from; size > 0; size--) *at++ = *source++;
  return to;
}

static char **environment;

static void leave(int code) {
  for (;;) call(__NR_exit_group, (Word)code, 0, 0, 0);
}

static void nap(void) {
  struct __kernel_timespec time = {0, 2000000};
  call(__NR_nanosleep, (Word)&time, 0, 0, 0);
}

static size_t lengthOf(const char *text) {
  size_t length = 0;
  while (text[length] != 0) length++;
  return length;
}

static int isSame(const char *a, const char *b) {
  while (*a != 0 && *a == *b) a++, b++;
  return *a == *b;
}

static char line[256];
static size_t lineLength;

static void put(const char *text) {
  while (*text != 0 && lineLength < sizeof line - 1) line[lineLength++] = *text++;
}

static void putNumber(long number) {
  char digits[24];
  size_t at = sizeof digits - 1;
  digits[at] = 0;
  do digits[--at] = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  put(digits + at);
}

static void beginLine(const char *token) {
  lineLength = 0;
  put("[dinp ");
  put(token);
  put("] ");
}

static void endLine(void) {
  line[lineLength++] = '\n';
}

static void sendLine(void) {
  endLine();
  for (size_t sent = 0; sent < lineLength;) {
    long count = call(__NR_write, 2, (Word)(line + sent), lineLength - sent, 0);
    if (count == -EINTR || count == -EAGAIN) continue;
    if (count <= 0) return;
    sent += (size_t)count;
  }
}

static char searchPath[4096];

/* Becomes the program; gives the error number when it cannot. */
static long become(char **command) {
  const char *name = command[0];
  if (name == NULL || *name == 0) return ENOENT;
  for (const char *at = name; *at != 0; at++)
    if (*at == '/') return -call(__NR_execve, (Word)name, (Word)command, (Word)environment, 0);
  const char *path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (char **variable = environment; *variable != NULL; variable++) {
    const char *v = *variable;
    if (v[0] == 'P' && v[1] == 'A' && v[2] == 'T' && v[3] == 'H' && v[4] == '=') path = v + 5;
  }
  long found = ENOENT;
  while (*path != 0) {
    size_t length = 0;
    while (*path != 0 && *path != ':') {
      if (length < sizeof searchPath - 1) searchPath[length++] = *path;
      path++;
    }
    if (*path == ':') path++;
    if (length == 0 || length + lengthOf(name) + 2 > sizeof searchPath) continue;
    searchPath[length++] = '/';
    memcpy(searchPath + length, name, lengthOf(name) + 1);
    long error = -call(__NR_execve, (Word)searchPath, (Word)command, (Word)environment, 0);
    if (error == EACCES) found = EACCES;
    else if (error != ENOENT && error != ENOTDIR) return error;
  }
  return found;
}

static Word bit(int signal) {
  return 1UL << (signal - 1);
}

static char buffer[32768];
static char small[512];

/* Reads a file of a process; gives its length, 0 when there is none. */
static size_t readOf(const char *pid, const char *name, char *into, size_t size) {
  char path[64] = "/proc/";
  size_t at = 6;
  for (const char *p = pid; *p != 0 && at < 40; p++) path[at++] = *p;
  path[at++] = '/';
  memcpy(path + at, name, lengthOf(name) + 1);
  long file = call(__NR_openat, (Word)AT_FDCWD, (Word)path, O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) return 0;
  long count = call(__NR_read, (Word)file, (Word)into, size - 1, 0);
  call(__NR_close, (Word)file, 0, 0, 0);
  if (count <= 0) return 0;
  into[count] = 0;
  return (size_t)count;
}

static long numberOf(const char *text) {
  long number = 0;
  while (*text >= '0' && *text <= '9') number = number * 10 + (*text++ - '0');
  return number;
}

/* Sends the signal to each process that is wanted; gives their number. */
static int signalEach(int signal, int (*isWanted)(const char *pid, const void *what), const void *what) {
  int count = 0;
  long folder = call(__NR_openat, (Word)AT_FDCWD, (Word)"/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (folder < 0) return 0;
  for (;;) {
    long size = call(__NR_getdents64, (Word)folder, (Word)buffer, sizeof buffer, 0);
    if (size <= 0) break;
    for (long at = 0; at < size;) {
      struct { unsigned long ino; long off; unsigned short length; unsigned char type; char name[]; } *entry;
      entry = (void *)(buffer + at);
      at += entry->length;
      if (entry->name[0] < '1' || entry->name[0] > '9' || !isWanted(entry->name, what)) continue;
      call(__NR_kill, (Word)numberOf(entry->name), (Word)signal, 0, 0);
      count++;
    }
  }
  call(__NR_close, (Word)folder, 0, 0, 0);
  return count;
}

static int isChildOf(const char *pid, const void *parent) {
  if (readOf(pid, "stat", small, sizeof small) == 0) return 0;
  char *after = small;
  for (char *at = small; *at != 0; at++)
    if (*at == ')') after = at;
  return after[0] == ')' && after[1] == ' ' && after[2] != 0 && after[3] == ' ' &&
         numberOf(after + 4) == *(const long *)parent;
}

/* Whether it is an `init e TOKEN …`, of this token or of any. */
static int isCommand(const char *pid, const void *token) {
  size_t length = readOf(pid, "cmdline", small, sizeof small);
  const char *mode = small + lengthOf(small) + 1;
  if (length == 0 || mode + 2 >= small + length || !isSame(small, "/.dinp/init") || !isSame(mode, "e")) return 0;
  return isSame(token, "*") || isSame(token, mode + 2);
}

/* Ends commands; gives 1 when some do not end in time. */
static int endCommands(const char *token) {
  for (int round = 0; round < 2500; round++) {
    if (signalEach(round < 1000 ? SIGUSR2 : SIGKILL, isCommand, token) == 0) return 0;
    nap();
  }
  return 1;
}

static int first;      /* The command's process. */
static int hasEnded;
static int status;
static int isAlone;    /* No child is left. */

static void collect(void) {
  for (;;) {
    int ended = 0;
    long pid = call(__NR_wait4, (Word)-1, (Word)&ended, WNOHANG, 0);
    if (pid == -EINTR) continue;
    isAlone = pid == -ECHILD;
    if (pid <= 0) return;
    if (pid == first) hasEnded = 1, status = ended;
  }
}

/* Ends all processes below this one. */
static void endAll(int isFirst) {
  long self = call(__NR_getpid, 0, 0, 0, 0);
  /* What may not be ended (another user's) ends with process 1, or is left to it. */
  for (int round = 0; round < 2500; round++) {
    collect();
    if (isAlone) return;
    if (isFirst) call(__NR_kill, (Word)-1, SIGKILL, 0, 0);
    else signalEach(SIGKILL, isChildOf, &self);
    nap();
  }
}

/* What a shim and an engine hold between their pipes and their own memory, 32 KiB each, and half as much again. */
#define COPIED_BYTES (96 * 1024)
#define PIPE_BYTES (64 * 1024)
/* For so long nothing may be taken before the rest is given up. */
#define PATIENCE_S 600

#define GIVEN_UP 124
#define ENDED 137

static char filler[4096];

/*
 * Ends an output with the line and as much filler as there is room between here and the memory of the engine: this pipe,
 * the shim's hands, the pipe to the engine, the engine's hands. When all of it is taken, the line is past them, and so is what
 * came before. Gives 0 then, and also when nobody reads any more.
 */
static int endOutput(int output, long signals) {
  long room = call(__NR_fcntl, (Word)output, F_GETPIPE_SZ, 0, 0);
  size_t size = lineLength;
  if (room > 0) size += (size_t)room + (size_t)(room > PIPE_BYTES ? room : PIPE_BYTES) + COPIED_BYTES;
  call(__NR_fcntl, (Word)output, F_SETFL, O_NONBLOCK, 0);
  struct __kernel_timespec left = {PATIENCE_S, 0};
  for (size_t sent = 0; sent < size;) {
    const char *from = sent < lineLength ? line + sent : filler;
    size_t wanted = sent < lineLength ? lineLength - sent : size - sent;
    if (from == filler && wanted > sizeof filler) wanted = sizeof filler;
    long count = call(__NR_write, (Word)output, (Word)from, wanted, 0);
    if (count > 0) {
      sent += (size_t)count;
      left.tv_sec = PATIENCE_S;
      continue;
    }
    if (count != -EAGAIN && count != -EINTR) return 0;
    struct pollfd awaited[2] = {{output, POLLOUT, 0}, {(int)signals, POLLIN, 0}};
    /* It takes the time that it waited off `left`. */
    if (call(__NR_ppoll, (Word)awaited, 2, (Word)&left, 0) == 0) return GIVEN_UP;
    struct signalfd_siginfo info;
    if ((awaited[1].revents & POLLIN) == 0) continue;
    if (call(__NR_read, (Word)signals, (Word)&info, sizeof info, 0) == sizeof info && info.ssi_signo == SIGUSR2) return ENDED;
  }
  return 0;
}

static int run(char mode, const char *token, char **command) {
  int isFirst = mode != 'e';
  Word blocked = bit(SIGCHLD) | bit(SIGTERM) | bit(SIGINT) | bit(SIGHUP) | bit(SIGQUIT) | bit(SIGPIPE) | bit(SIGUSR1) |
                 bit(SIGUSR2);
  Word none = 0;
  int pipe[2];
  call(__NR_rt_sigprocmask, SIG_SETMASK, (Word)&blocked, 0, sizeof blocked);
  if (!isFirst) call(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0);
  Word awaited = blocked & ~bit(SIGPIPE);
  long signals = call(__NR_signalfd4, (Word)-1, (Word)&awaited, sizeof awaited, SFD_CLOEXEC);
  long error = call(__NR_pipe2, (Word)pipe, O_CLOEXEC, 0, 0);
  long child = signals < 0 ? signals : error < 0 ? error : call(__NR_clone, SIGCHLD, 0, 0, 0);
  if (child == 0) {
    call(__NR_setsid, 0, 0, 0, 0);
    call(__NR_rt_sigprocmask, SIG_SETMASK, (Word)&none, 0, sizeof none);
    int failure = (int)become(command);
    call(__NR_write, (Word)pipe[1], (Word)&failure, sizeof failure, 0);
    leave(127);
  }
  int failure = child < 0 ? (int)-child : 0;
  if (child > 0) {
    first = (int)child;
    call(__NR_close, (Word)pipe[1], 0, 0, 0);
    while (call(__NR_read, (Word)pipe[0], (Word)&failure, sizeof failure, 0) == -EINTR);
    call(__NR_close, (Word)pipe[0], 0, 0, 0);
  }
  if (failure != 0 || mode == 'i') {
    beginLine(token);
    put(failure == 0 ? "started" : "failed ");
    if (failure != 0) putNumber(failure);
    sendLine();
  }
  if (failure != 0) return 127;

  int isAsked = 0;
  while (!hasEnded || (isAsked && !isAlone)) {
    struct signalfd_siginfo info;
    long count = call(__NR_read, (Word)signals, (Word)&info, sizeof info, 0);
    if (count != sizeof info) continue;
    int signal = (int)info.ssi_signo;
    if (signal == SIGCHLD) collect();
    else if (signal == SIGUSR2 && !isFirst) return endAll(0), ENDED;
    else if (isFirst) {
      if (signal == SIGUSR1 || signal == SIGUSR2) isAsked = 1;
      if (signal == SIGUSR2) endAll(1);
      else call(__NR_kill, (Word)-1, (Word)(signal == SIGUSR1 ? SIGTERM : signal), 0, 0);
    }
    if (signal == SIGUSR2) break;
  }
  endAll(isFirst);
  int bySignal = status & 0x7f;
  beginLine(token);
  put(bySignal != 0 ? "ended signal " : "ended code ");
  putNumber(bySignal != 0 ? bySignal : (status >> 8) & 0xff);
  if (isAsked) put(" asked");
  int broken = 0;
  if (mode == 'i') sendLine();
  else {
    put(" both");
    endLine();
    broken = endOutput(1, signals);
    if (broken == 0) broken = endOutput(2, signals);
  }
  return broken != 0 ? broken : bySignal != 0 ? 128 + bySignal : (status >> 8) & 0xff;
}

__attribute__((used)) void begin(Word *stack) {
  long count = (long)stack[0];
  char **arguments = (char **)(stack + 1);
  environment = arguments + count + 1;
  if (count < 3) leave(125);
  char mode = arguments[1][0];
  if (mode == 'k') leave(endCommands(arguments[2]));
  leave(run(mode, arguments[2], arguments + 3));
}
