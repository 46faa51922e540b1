/* A disk that forgets, and a hand that kills: preloaded into one process, it watches one directory.
 *
 * Every change under FORGETFUL_DIRECTORY is a point, numbered from 1. At point FORGETFUL_KILL_AT the process
 * kills itself with SIGKILL, before or after the call is made (FORGETFUL_WHEN). What a power cut could take
 * back is noted in FORGETFUL_JOURNAL/journal before it is done: the bytes that a write or truncation replaces
 * (until the file is synced), names made, removed or moved (until a directory is synced). disk.py reads it.
 *
 * Seen: write, pwrite, ftruncate, posix_fallocate, fsync, fdatasync; open, unlink and rename by absolute path.
 * Not seen: all else, as mapped memory and stdio; children (the variables are taken out of the environment).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096L

struct header { /* "=IIQqqq" in disk.py */
    uint32_t kind, length;
    uint64_t inode;
    int64_t offset, span, size;
};

static char directory[PATH_MAX], journal_directory[PATH_MAX];
static int journal = -1, kill_after;
static long kill_at, points;
static pid_t process;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

#define must(succeeded, what) ((succeeded) ? (void)0 : (perror(what), abort()))

/* Also to be called by a forked child that has set the variables for itself: it is then watched anew. */
__attribute__((constructor)) void forgetful_start(void)
{
    const char *at = getenv("FORGETFUL_KILL_AT"), *when = getenv("FORGETFUL_WHEN");
    if (!getenv("FORGETFUL_DIRECTORY") || !getenv("FORGETFUL_JOURNAL"))
        return;
    snprintf(directory, sizeof directory, "%s", getenv("FORGETFUL_DIRECTORY"));
    snprintf(journal_directory, sizeof journal_directory, "%s", getenv("FORGETFUL_JOURNAL"));
    kill_at = at ? atol(at) : 0;
    kill_after = when && strcmp(when, "after") == 0;
    process = getpid();
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/journal", journal_directory);
    journal = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    must(journal >= 0, path);
    unsetenv("LD_PRELOAD");
    unsetenv("FORGETFUL_DIRECTORY");
}

static void note(struct header header, const void *payload)
{
    must(syscall(SYS_write, journal, &header, sizeof header) == (long)sizeof header, "journal");
    must(syscall(SYS_write, journal, payload, header.length) == (long)header.length, "journal");
}

/* Number the point, and die here if it is the one. */
static void before(const char *call, const char *path)
{
    char text[PATH_MAX + 32];
    int length = snprintf(text, sizeof text, "%s %s", call, path);
    note((struct header){'P', length, 0, ++points, 0, 0}, text);
    if (points == kill_at && !kill_after)
        kill(process, SIGKILL);
}

static void after(void)
{
    int error = errno;
    if (points == kill_at && kill_after)
        kill(process, SIGKILL);
    pthread_mutex_unlock(&mutex);
    errno = error;
}

/* Both tell whether the call is ours to watch; then the mutex is held until after(). */
static int enter_path(const char *path)
{
    size_t length = strlen(directory);
    if (journal < 0 || getpid() != process || strncmp(path, directory, length) || !strchr("/", path[length]))
        return 0;
    return pthread_mutex_lock(&mutex) == 0;
}

static int enter_file(int file, char path[PATH_MAX], struct stat *status)
{
    char link[64];
    if (journal < 0 || fstat(file, status) || !(S_ISREG(status->st_mode) || S_ISDIR(status->st_mode)))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return enter_path(path) && fstat(file, status) == 0; /* anew: another thread may have written */
}

/* Note the pages of [offset, offset + span) as they are now. */
static void remember(int file, const struct stat *status, int64_t offset, int64_t span)
{
    int64_t first = offset / PAGE * PAGE, end = (offset + span + PAGE - 1) / PAGE * PAGE;
    int64_t held = (end < status->st_size ? end : status->st_size) - first;
    struct header header = {'W', 0, status->st_ino, first, end - first, status->st_size};
    char link[64], *bytes = NULL;
    if (held > 0) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        /* Only if need be: closing a descriptor of a file drops all locks that the process has on it. */
        int blind = (fcntl(file, F_GETFL) & O_ACCMODE) == O_WRONLY;
        int reader = blind ? syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC) : file;
        bytes = malloc(held);
        must(reader >= 0 && bytes && pread(reader, bytes, held, first) == held, "remember");
        if (blind)
            close(reader);
        header.length = held;
    }
    note(header, bytes);
    free(bytes);
}

static ssize_t write_at(const char *call, int file, const void *bytes, size_t length, int64_t offset)
{
    char path[PATH_MAX];
    struct stat status;
    int watched = enter_file(file, path, &status);
    if (watched) {
        before(call, path);
        int64_t place = offset >= 0 ? offset : lseek(file, 0, SEEK_CUR);
        remember(file, &status, fcntl(file, F_GETFL) & O_APPEND ? status.st_size : place, length);
    }
    ssize_t written = offset >= 0 ? syscall(SYS_pwrite64, file, bytes, length, offset)
                                  : syscall(SYS_write, file, bytes, length);
    if (watched)
        after();
    return written;
}

ssize_t write(int file, const void *bytes, size_t length) { return write_at("write", file, bytes, length, -1); }
ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t offset)
{
    return write_at("pwrite", file, bytes, length, offset);
}
ssize_t pwrite(int, const void *, size_t, off_t) __attribute__((alias("pwrite64")));

static int resize(const char *call, int file, int64_t cut, long number, long a, long b, long c)
{
    char path[PATH_MAX];
    struct stat status;
    int watched = enter_file(file, path, &status);
    if (watched) {
        before(call, path);
        cut = cut < status.st_size ? cut : status.st_size;
        remember(file, &status, cut, status.st_size - cut);
    }
    int result = syscall(number, file, a, b, c);
    if (watched)
        after();
    return result;
}

int ftruncate64(int file, off64_t size) { return resize("ftruncate", file, size, SYS_ftruncate, size, 0, 0); }
int ftruncate(int, off_t) __attribute__((alias("ftruncate64")));

int posix_fallocate64(int file, off64_t offset, off64_t length)
{
    return resize("fallocate", file, INT64_MAX, SYS_fallocate, 0, offset, length) ? errno : 0;
}
int posix_fallocate(int, off_t, off_t) __attribute__((alias("posix_fallocate64")));

static int sync_file(const char *call, long number, int file)
{
    char path[PATH_MAX];
    struct stat status;
    int watched = enter_file(file, path, &status);
    if (watched)
        before(call, path);
    int result = syscall(number, file);
    if (watched) {
        if (result == 0)
            note((struct header){S_ISDIR(status.st_mode) ? 'D' : 'S', 0, status.st_ino, 0, 0, 0}, NULL);
        after();
    }
    return result;
}

int fsync(int file) { return sync_file("fsync", SYS_fsync, file); }
int fdatasync(int file) { return sync_file("fdatasync", SYS_fdatasync, file); }

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    struct stat status;
    int watched = flags & (O_CREAT | O_TRUNC) && enter_path(path), existed = watched && !stat(path, &status);
    if (watched && !existed)
        before("create", path);
    int file = syscall(SYS_openat, AT_FDCWD, path, watched ? flags & ~O_TRUNC : flags, mode);
    if (watched && !existed && file >= 0 && !fstat(file, &status))
        note((struct header){'C', strlen(path), status.st_ino, 0, 0, 0}, path);
    if (watched)
        after();
    if (file >= 0 && existed && flags & O_TRUNC)
        must(ftruncate64(file, 0) == 0, path); /* noted like any other */
    return file;
}
int open(const char *, int, ...) __attribute__((alias("open64")));

/* Note that a name goes away, or moves to `to`; what it stood for is kept by a second name. */
static void lose_name(uint32_t kind, const char *from, const char *to)
{
    char both[2 * PATH_MAX], kept[PATH_MAX + 64];
    struct stat moved = {0}, lost = {0};
    int exists = stat(to, &lost) == 0;
    stat(from, &moved);
    snprintf(kept, sizeof kept, "%s/kept-%lu", journal_directory, (unsigned long)lost.st_ino);
    must(!exists || link(to, kept) == 0 || errno == EEXIST, kept);
    int length = snprintf(both, sizeof both, "%s\n%s", from, to);
    note((struct header){kind, length, moved.st_ino, lost.st_ino, 0, 0}, both);
}

int unlink(const char *path)
{
    int watched = enter_path(path);
    if (watched)
        before("unlink", path), lose_name('U', path, path);
    int result = syscall(SYS_unlink, path);
    if (watched)
        after();
    return result;
}

int rename(const char *from, const char *to)
{
    int watched = enter_path(to);
    if (watched)
        before("rename", to), lose_name('R', from, to);
    int result = syscall(SYS_rename, from, to);
    if (watched)
        after();
    return result;
}
