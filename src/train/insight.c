#include "train/insight.h"

#include "base/io.h"
#include "base/mem.h"
#include "train/tfevents.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t insight_stride(uint64_t number, uint64_t keep)
{
    uint64_t stride = 1;
    while (number / stride >= keep)
        stride *= 2;
    return stride;
}

/* ---- panels ---- */

/* The names of panels carry the number of their validation too: that decides how long they stay. */
static const char PANEL[] = "step-%08llu-%06llu.png", FOLDER[] = "panels";

/* Deletes the panels for which a function of step and number says so. */
static int delete_panels(const struct run *r,
                         bool (*gone)(uint64_t step, uint64_t number, uint64_t limit),
                         uint64_t limit, struct err *e)
{
    char dir[1200];
    if (run_path(r, FOLDER, dir, sizeof dir, e)) return -1;
    DIR *d = opendir(dir);
    const struct dirent *f;
    int bad = 0;
    while (d && !bad && (f = readdir(d))) {
        unsigned long long step, number;
        int end = 0;
        if (sscanf(f->d_name, "step-%llu-%llu.png%n", &step, &number, &end) != 2 || !end ||
            f->d_name[end] || !gone(step, number, limit))
            continue;
        if (unlinkat(dirfd(d), f->d_name, 0) && errno != ENOENT)
            bad =
                err_set(e, ERR_IO, "%s/%s: cannot be deleted: %s", dir, f->d_name, strerror(errno));
    }
    if (d) closedir(d);
    return bad;
}

static bool later(uint64_t step, uint64_t number, uint64_t last)
{
    (void)number;
    return step > last;
}

static bool fallen_out(uint64_t step, uint64_t number, uint64_t stride)
{
    (void)step;
    return number % stride != 0;
}

static int keep_panel(const struct run *r, uint64_t number, uint64_t step, const char *png,
                      size_t len, struct err *e)
{
    const uint64_t stride = insight_stride(number, PANELS_KEPT);
    char name[64], file[96], path[1300];
    if (number % stride != 0) return 0;
    snprintf(name, sizeof name, PANEL, (unsigned long long)step, (unsigned long long)number);
    snprintf(file, sizeof file, "%s/%s", FOLDER, name);
    return delete_panels(r, fallen_out, stride, e) || run_path(r, file, path, sizeof path, e) ||
                   io_write_text(path, png, len, e)
               ? -1
               : 0;
}

int insight_open(struct insight *in, const struct run *run, uint64_t step, struct err *e)
{
    char dir[1200];
    *in = (struct insight){.run = run};
    if (run_path(run, FOLDER, dir, sizeof dir, e) || io_mkdirs(dir, e) ||
        delete_panels(run, later, step, e) || tfevents_merge(run->dir, EVENT_FILES_KEPT, e))
        return -1;
    in->events = tfevents_open(run->dir, step + 1, e);
    return in->events ? 0 : -1;
}

void insight_close(struct insight *in)
{
    tfevents_close(in->events);
    *in = (struct insight){0};
}

int insight_scalars(struct insight *in, const char *group, uint64_t number, uint64_t step,
                    const char *const *names, const double *values, int n, struct err *e)
{
    if (number % insight_stride(number, EVENTS_KEPT) != 0) return 0;
    for (int i = 0; i < n; i++) {
        char tag[64];
        snprintf(tag, sizeof tag, "%s/%s", group, names[i]);
        if (tfevents_scalar(in->events, step, tag, values[i], e)) return -1;
    }
    return 0;
}

int insight_panel(struct insight *in, uint64_t number, uint64_t step, struct err *e)
{
    char path[1200], *png;
    size_t len;
    struct stat at;
    if (run_path(in->run, "samples.png", path, sizeof path, e)) return -1;
    if (stat(path, &at)) return 0; /* none were asked for */
    if (!(png = io_read_text(path, (size_t)at.st_size, &len, e))) return -1;
    int bad = keep_panel(in->run, number, step, png, len, e) ||
              (number % insight_stride(number, EVENT_PICTURES_KEPT) == 0 &&
               tfevents_picture(in->events, step, "samples", png, len, e));
    mem_free(png);
    return bad ? -1 : 0;
}
