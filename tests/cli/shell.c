#include "cli/shell.h"

#include "base/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static char folder[] = "/tmp/ssfd-test-cli-XXXXXX";

int shell_setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

int shell_teardown(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

const char *shell_folder(void)
{
    return folder;
}

static void slurp(const char *name, char *text, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, size - 1, f)] = '\0';
    fclose(f);
}

const struct outcome *shell_run(const char *fmt, ...)
{
    static struct outcome o;
    char line[4096], command[8192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    const char *build = getenv("SSFD_BUILD");
    snprintf(command, sizeof command,
             "stop_when() { name=$1; shift; while kill -0 $! && ! \"$@\"; do sleep 0.002; "
             "done 2>/dev/null; "
             "kill -$name $!; wait $!; }; "
             "cd %s && PATH=%s/src/data:%s/src/train:%s/src/eval:$PATH && { %s ; } >.out 2>.err",
             folder, build, build, build, line);
    int status = system(command);
    assert_true(WIFEXITED(status));
    o.code = WEXITSTATUS(status);
    slurp(".out", o.out, sizeof o.out);
    slurp(".err", o.err, sizeof o.err);
    return &o;
}

void shell_write(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(io_write_text(path, text, strlen(text), NULL), 0);
}

bool shell_exists(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return io_exists(path);
}
