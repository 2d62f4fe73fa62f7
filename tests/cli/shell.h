/* Runs the commands of the build as a user would, in a folder of its own. */
#pragma once

#include <stdbool.h>

struct outcome {
    int code;
    char out[1 << 16], err[1 << 16]; /* what it printed */
};

int shell_setup(void **state);    /* cmocka group fixtures: a new folder under /tmp … */
int shell_teardown(void **state); /* … and away with it */
const char *shell_folder(void);

/* `command` is a shell line in which a leading name of ours ("train-ssl …") finds the built
 * program; it runs in shell_folder(). "train-ssl … & stop_when TERM [ -e ssl/last.h5 ]" sends it a
 * signal as soon as a command succeeds, and ends as it does. The outcome is valid until the next
 * call. */
const struct outcome *shell_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void shell_write(const char *name, const char *text);
bool shell_exists(const char *name);
