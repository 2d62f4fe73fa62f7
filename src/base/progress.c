#include "base/progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const double BAR_SECONDS = 0.1, LINE_SECONDS = 5.0, MOST_LINE_SECONDS = 300.0;
enum { BAR_WIDTH = 24, CLOCK_TEXT = 32 };

double clock_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const char *clock_text(char out[CLOCK_TEXT], double seconds)
{
    const double longest = 3599999.0; /* 999:59:59 */
    unsigned s = seconds > 0.0 ? (unsigned)(fmin(seconds, longest) + 0.5) : 0;
    snprintf(out, CLOCK_TEXT, "%02u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    return out;
}

static int terminal_width(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

struct progress progress_begin(const char *what, long first, long total, bool quiet)
{
    const char *term = getenv("TERM");
    bool dumb = !term || strcmp(term, "dumb") == 0;
    return (struct progress){.what = what,
                             .total = total,
                             .quiet = quiet,
                             .started = clock_seconds(),
                             .first = first,
                             .done = first,
                             .bar = !dumb && isatty(STDERR_FILENO)};
}

static void show_bar(const struct progress *p, double rate, const char *eta, const char *detail)
{
    char text[512], bar[BAR_WIDTH + 1];
    double part = p->total > 0 ? (double)p->done / (double)p->total : 0.0;
    int full = (int)(part * BAR_WIDTH);
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    snprintf(text, sizeof text, "%s [%s] %ld/%ld %.3g/s eta %s %s", p->what, bar, p->done, p->total,
             rate, eta, detail);
    /* One column is left free: a full line would wrap, and \r would not find its start. */
    fprintf(stderr, "\r%.*s\033[K", terminal_width() - 1, text);
}

double progress_pause(double seconds)
{
    return fmin(fmax(LINE_SECONDS, 0.01 * seconds), MOST_LINE_SECONDS);
}

void progress_at(struct progress *p, long done, const char *detail)
{
    p->done = done;
    if (p->quiet) return;
    double now = clock_seconds();
    const double pause = p->bar ? BAR_SECONDS : progress_pause(now - p->started);
    if (p->last > 0.0 && now - p->last < pause) return;
    p->last = now;
    double seconds = now - p->started,
           rate = seconds > 0.0 ? (double)(done - p->first) / seconds : 0;
    char eta[CLOCK_TEXT] = "unknown";
    if (rate > 0.0) clock_text(eta, (double)(p->total - done) / rate);
    if (p->bar)
        show_bar(p, rate, eta, detail);
    else
        fprintf(stderr, "what=%s step=%ld/%ld eta=%s rate=%.3g/s%s%s\n", p->what, done, p->total,
                eta, rate, *detail ? " " : "", detail);
}

void progress_end(struct progress *p, const char *detail)
{
    if (p->quiet) return;
    double seconds = clock_seconds() - p->started;
    double rate = seconds > 0.0 ? (double)(p->done - p->first) / seconds : 0.0;
    char took[CLOCK_TEXT];
    fprintf(stderr, "%swhat=%s step=%ld/%ld took=%s rate=%.3g/s%s%s\n", p->bar ? "\r\033[K" : "",
            p->what, p->done, p->total, clock_text(took, seconds), rate, *detail ? " " : "",
            detail);
}

void progress_warn(const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fprintf(stderr, "%swarning: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", text);
}
