/* Errors as values. What the world can cause (files, configurations, memory, signals) is reported
 * through a `struct err`; what only a bug can cause is an assert. The library never prints or
 * exits: `main` prints the error once and exits with its code. */
#pragma once

/* Also the exit codes of every command (after sysexits.h). */
enum err_code {
    ERR_NONE = 0,
    ERR_FAILED = 1,   /* the run failed */
    ERR_USAGE = 64,   /* wrong command line */
    ERR_DATA = 65,    /* input exists but its content is wrong */
    ERR_NOINPUT = 66, /* input is missing or unreadable */
    ERR_IO = 74,      /* writing failed, or a device error */
    ERR_STOPPED = 75, /* stopped by a signal, state saved */
    ERR_CONFIG = 78,  /* wrong configuration */
};

struct err {
    enum err_code code;
    char text[2048]; /* "outer: inner: what happened", no final newline */
    char hint[512];  /* what to do next, or empty */
};

/* Sets the error, discarding an earlier one. Always returns -1, so that
 * `return err_set(e, …)` is the one way a function fails. `e` may be NULL. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text of an error that is already set. Returns -1. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adds advice to an error that is already set. Returns -1. */
int err_hint(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
