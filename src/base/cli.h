/* A command is a struct: its name, its field table and its run function. cli_main does the rest:
 * options, --help, --check, --explain, --set, errors, exit codes, signals. */
#pragma once

#include "base/cfg.h"
#include "base/err.h"

#include <stdbool.h>

struct cli {               /* what every command gets besides its configuration */
    const struct cfg *cfg; /* for cfg_where */
    const char *command;
    const char *config_path; /* NULL for a command without a configuration file */
    const struct cfg_field *fields;
    size_t conf_size; /* of the struct that they describe */
    bool resume, quiet;
    int threads; /* of a parallel region: --threads, or what the system gives */
};

struct command {
    const char *name;
    const char *summary; /* one line */
    const char *text;    /* paragraphs for --help: what it does, what it writes, an example */
    const struct cfg_field *fields;
    size_t conf_size;
    /* NULL: `NAME config.yaml [--set key=value]…`. Otherwise the key that the one positional
     * argument sets, every field is an option `--key value`, and there is no file: `make-scans OUT
     * --scans 4`. */
    const char *positional;
    bool resumable; /* accepts --resume */
    /* Cross-field checks beyond the tables, without touching data or disk; may be NULL. */
    int (*check)(const void *conf, const struct cli *cli, struct err *e);
    /* --check: refuses what the run would refuse of the files that are there, changing none; and,
     * unless --quiet, what the run would take, in lines that begin with '#', on stdout; may be
     * NULL. */
    int (*preview)(const void *conf, const struct cli *cli, struct err *e);
    /* --explain: says on stdout what the run would do, in figures (shapes, memory, kernels). */
    int (*explain)(const void *conf, const struct cli *cli, struct err *e);
    int (*run)(const void *conf, const struct cli *cli, struct err *e);
};

/* The whole main program. Returns the exit code: 0 or an `enum err_code`. Prints results on stdout;
 * on stderr "NAME: error: TEXT", one a line, and "hint: TEXT". */
int cli_main(const struct command *command, int argc, char **argv);

const char *cli_version(void); /* "0.1.0" */
