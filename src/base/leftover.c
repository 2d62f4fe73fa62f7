#include "base/leftover.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A process that was killed and that nobody has waited for yet is dead, too. */
static bool alive(long pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    if (kill((pid_t)pid, 0) && errno == ESRCH) return false;
    FILE *f = fopen(path, "r");
    const size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f) fclose(f);
    text[n] = '\0';
    const char *state = strrchr(text, ')'); /* "pid (name) Z ..." */
    return !state || state[1] == '\0' || (state[2] != 'Z' && state[2] != 'X');
}

/* Of a name that ends with .PID.tmp or .PID-I.tmp; 0 for others. */
static long pid_in(const char *name)
{
    const char *end = strrchr(name, '.'), *at = end;
    while (at > name && (isdigit((unsigned char)at[-1]) || at[-1] == '-'))
        at--;
    return at > name && at[-1] == '.' ? strtol(at, NULL, 10) : 0;
}

void leftover_remove(const char *prefix)
{
    char pattern[2048];
    glob_t found;
    size_t n = 0;
    for (const char *p = prefix; *p && n < sizeof pattern - 8; p++) {
        if (strchr("*?[\\", *p)) pattern[n++] = '\\';
        pattern[n++] = *p;
    }
    memcpy(pattern + n, "*.tmp", sizeof "*.tmp");
    if (glob(pattern, GLOB_NOSORT, NULL, &found)) return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const long pid = pid_in(found.gl_pathv[i]);
        if (pid > 0 && !alive(pid)) unlink(found.gl_pathv[i]);
    }
    globfree(&found);
}
