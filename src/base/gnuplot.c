#include "base/gnuplot.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Starts gnuplot in `dir` with both output streams on `sink`. Returns an errno value. */
static int start(const char *dir, const char *script, int sink, pid_t *pid)
{
    char name[] = "gnuplot", no_defaults[] = "-d";
    char *argv[] = {name, no_defaults, (char *)script, NULL}; /* posix_spawn changes no argument */
    posix_spawn_file_actions_t files;
    int rc = posix_spawn_file_actions_init(&files);
    if (rc) return rc;
    rc = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    if (!rc) rc = posix_spawn_file_actions_adddup2(&files, sink, 1);
    if (!rc) rc = posix_spawn_file_actions_adddup2(&files, sink, 2);
    if (!rc) rc = posix_spawn_file_actions_addchdir_np(&files, dir);
    if (!rc) rc = posix_spawnp(pid, name, &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

/* Reads all that comes and keeps the beginning of it, in one line. */
static void listen_to(int fd, char *said, size_t size)
{
    char chunk[512];
    size_t used = 0;
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        size_t take = (size_t)n < size - 1 - used ? (size_t)n : size - 1 - used;
        memcpy(said + used, chunk, take);
        used += take;
    }
    while (used > 0 && (said[used - 1] == '\n' || said[used - 1] == ' '))
        used--;
    said[used] = '\0';
    for (char *p = said; *p; p++)
        if (*p == '\n' || *p == '\t') *p = ' ';
}

int gnuplot_run(const char *dir, const char *script, bool *ran, struct err *e)
{
    *ran = false;
    if (!io_exists(dir)) return err_set(e, ERR_IO, "%s: there is no such folder", dir);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return err_set(e, ERR_FAILED, "gnuplot: %s", strerror(errno));
    pid_t pid = 0;
    int rc = start(dir, script, ends[1], &pid), status = 0;
    close(ends[1]);
    char said[1024] = "";
    if (rc == 0) listen_to(ends[0], said, sizeof said);
    close(ends[0]);
    if (rc == ENOENT || rc == EACCES) return 0; /* not installed, or not for this user */
    if (rc) return err_set(e, ERR_FAILED, "gnuplot cannot be started: %s", strerror(rc));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return err_set(e, ERR_FAILED, "gnuplot: %s", strerror(errno));
    *ran = true;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    return err_set(e, ERR_FAILED, "gnuplot failed on %s/%s: %s", dir, script,
                   said[0] ? said : "it said nothing");
}
