/* Progress of long work on stderr: a bar with an ETA on a terminal, otherwise plain key=value
 * lines, few enough for a log of months (progress_pause). Call it as often as you like. */
#pragma once

#include <stdbool.h>

struct progress {
    const char *what; /* "training", "references" */
    long total;       /* steps */
    bool quiet;
    double started, last;
    long first, done; /* steps done before this run (resumed), and by now */
    bool bar;         /* stderr is a terminal */
};

struct progress progress_begin(const char *what, long first, long total, bool quiet);
/* `detail` is short text such as "loss=0.123 val=0.14", or "". */
void progress_at(struct progress *p, long done, const char *detail);
/* Seconds from a plain line to the next one, `seconds` after the start: 5, then a hundredth of the
 * time so far, but not more than 5 minutes. A day has 700 lines, a month 9000. */
double progress_pause(double seconds);
/* The last line: steps done, time taken, rate. Also right when the work stopped early. */
void progress_end(struct progress *p, const char *detail);

/* "warning: …" on stderr, on a line of its own whatever is shown there; for what goes on all the
 * same. */
void progress_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

double clock_seconds(void); /* monotonic */
