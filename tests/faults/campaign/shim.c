/* Makes system calls fail, wait or lie, as a file says that the campaign writes: see shim.py.
 *
 * Preloaded into a server and its child processes. Does nothing while `active` is 0.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
    volatile int64_t clock_ns;
    volatile uint64_t hits;
    volatile uint32_t active, calls, files, error, delay_ms, torn;
};
enum { WRITE = 1, SYNC = 2, CREATE = 4, FORK = 8, OPEN = 16, MAKE = 32 };
enum { STORE = 1, RESULTS = 2, SPILL = 4, OTHER = 8, SLOW = 16 };

static struct control none, *control = &none;
#define MAX_FILES 4096
static unsigned char kinds[MAX_FILES];
static long slow_read_ms;

static unsigned kind_of(const char *path) {
    char target[512];
    if (!strncmp(path, "/proc/self/fd/", 14)) { /* a worker opens what it has open once more */
        ssize_t size = readlink(path, target, sizeof target - 1);
        if (size < 0) return OTHER;
        target[size] = 0;
        path = target;
    }
    if (strstr(path, "queryrun.db")) return STORE;
    if (strstr(path, "/results/")) return RESULTS;
    if (strstr(path, "/spill/")) return SPILL;
    if (strstr(path, "/slow.parquet")) return SLOW;
    return OTHER;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULT_CONTROL"), *slow = getenv("FAULT_SLOW_READ_MS");
    slow_read_ms = slow ? atol(slow) : 0;
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int file = path ? real(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) control = mapped;
    close(file);
}

/* 1 when the call has to fail; errno is set then. A delay alone lets it go on, later. */
static int struck(unsigned call, unsigned kind) {
    if (!control->active || !(control->calls & call) || !(control->files & kind)) return 0;
    __atomic_add_fetch(&control->hits, 1, __ATOMIC_RELAXED);
    if (control->delay_ms) {
        struct timespec delay = {control->delay_ms / 1000, control->delay_ms % 1000 * 1000000L};
        nanosleep(&delay, NULL);
    }
    if (!control->error) return 0;
    errno = (int)control->error;
    return 1;
}

static unsigned kind_at(int file) { return file >= 0 && file < MAX_FILES && kinds[file] ? kinds[file] : OTHER; }

static int opened(int file, const char *path) {
    if (file >= 0 && file < MAX_FILES) kinds[file] = (unsigned char)kind_of(path);
    return file;
}

static int refused(const char *path, int flags) {
    unsigned kind = kind_of(path);
    return struck(OPEN, kind) || ((flags & O_CREAT) && access(path, F_OK) != 0 && struck(CREATE, kind));
}

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, name)
#define MODE mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }

#define OPENS(name) int name(const char *path, int flags, ...) { \
    REAL(int, #name, const char *, int, ...); MODE \
    return refused(path, flags) ? -1 : opened(real(path, flags, mode), path); }
#define OPENS_AT(name) int name(int at, const char *path, int flags, ...) { \
    REAL(int, #name, int, const char *, int, ...); MODE \
    return refused(path, flags) ? -1 : opened(real(at, path, flags, mode), path); }
OPENS(open)
OPENS(open64)
OPENS_AT(openat)
OPENS_AT(openat64)

int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    return struck(MAKE, kind_of(path)) ? -1 : real(path, mode);
}

/* A torn write: the first half is written, and then the disk fails. */
#define WRITES(name, ...) \
    unsigned kind = kind_at(file); \
    if (control->torn && control->active && (control->files & kind) && (control->calls & WRITE)) { \
        if (size > 1) (void)!name(file, data, size / 2, ##__VA_ARGS__); } \
    if (struck(WRITE, kind)) return -1;

ssize_t write(int file, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    WRITES(real)
    return real(file, data, size);
}
ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    WRITES(real, at)
    return real(file, data, size, at);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    WRITES(real, at)
    return real(file, data, size, at);
}
/* A table on a slow disk: whoever reads it is busy for a while without using a processor. */
static void wait_for_disk(int file) {
    struct timespec delay = {slow_read_ms / 1000, slow_read_ms % 1000 * 1000000L};
    if (kind_at(file) == SLOW) nanosleep(&delay, NULL);
}
ssize_t pread(int file, void *data, size_t size, off_t at) {
    REAL(ssize_t, "pread", int, void *, size_t, off_t);
    wait_for_disk(file);
    return real(file, data, size, at);
}
ssize_t pread64(int file, void *data, size_t size, off64_t at) {
    REAL(ssize_t, "pread64", int, void *, size_t, off64_t);
    wait_for_disk(file);
    return real(file, data, size, at);
}
int close(int file) {
    REAL(int, "close", int);
    if (file >= 0 && file < MAX_FILES) kinds[file] = 0;
    return real(file);
}
int fsync(int file) {
    REAL(int, "fsync", int);
    return struck(SYNC, kind_at(file)) ? -1 : real(file);
}
int fdatasync(int file) {
    REAL(int, "fdatasync", int);
    return struck(SYNC, kind_at(file)) ? -1 : real(file);
}
pid_t fork(void) {
    REAL(pid_t, "fork", void);
    return struck(FORK, OTHER) ? -1 : real();
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    int done = real(clock, now);
    if (!done && clock == CLOCK_REALTIME && control->clock_ns) {
        int64_t ns = now->tv_nsec + control->clock_ns % 1000000000;
        now->tv_sec += control->clock_ns / 1000000000 + (ns < 0 ? -1 : ns / 1000000000);
        now->tv_nsec = ns < 0 ? ns + 1000000000 : ns % 1000000000;
    }
    return done;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    int done = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return done;
}
time_t time(time_t *at) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (at) *at = exact.tv_sec;
    return exact.tv_sec;
}
