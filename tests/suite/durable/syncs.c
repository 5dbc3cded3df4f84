/* Preloaded into a publisher: writes a line before each sync of a store's log begins and after it has ended, before an
   answer with the status 202 is sent, and after anything was received. While the file FAILING is there, syncs fail. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int journal = -1;

__attribute__((constructor)) static void open_journal(void)
{
    const char *path = getenv("SYNCS");
    if (path)
        journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void note(const char *what, int fd)
{
    char line[64];
    int n = snprintf(line, sizeof line, "%s %d %ld\n", what, fd, syscall(SYS_gettid));
    /* One write to a file that is appended to: the lines have the order of these calls. */
    if (syscall(SYS_write, journal, line, n) != n)
        abort();
}

static int is_log(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path);
    return n > 4 && !memcmp(path + n - 4, "-wal", 4);
}

static int sync_of(long number, int fd)
{
    int log = is_log(fd);
    if (log)
        note("sync", fd);
    const char *failing = getenv("FAILING");
    if (log && failing && !access(failing, F_OK)) {
        errno = EIO;
        return -1;
    }
    int failed = syscall(number, fd);
    if (log && !failed)
        note("synced", fd);
    return failed;
}

int fsync(int fd) { return sync_of(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_of(SYS_fdatasync, fd); }

static void before_sending(int fd, const void *bytes, size_t n)
{
    if (n >= 12 && !memcmp(bytes, "HTTP/1.1 202", 12))
        note("answer", fd);
}

ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
    before_sending(fd, bytes, n);
    return syscall(SYS_sendto, fd, bytes, n, flags, NULL, 0);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    if (n > 0)
        before_sending(fd, parts[0].iov_base, parts[0].iov_len);
    return syscall(SYS_writev, fd, parts, n);
}

ssize_t recv(int fd, void *bytes, size_t n, int flags)
{
    ssize_t received = syscall(SYS_recvfrom, fd, bytes, n, flags, NULL, NULL);
    if (received > 0)
        note("received", fd);
    return received;
}
