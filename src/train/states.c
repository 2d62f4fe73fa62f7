#include "train/states.h"

#include "base/io.h"
#include "train/net.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static const uint64_t NONE = UINT64_MAX;
enum { NAME = 64 };

static void older_name(char out[NAME], uint64_t step)
{
    snprintf(out, NAME, "step-%010llu.h5", (unsigned long long)step);
}

/* The step of "step-0000001200.h5"; NONE for any other name. */
static uint64_t step_of(const char *file)
{
    unsigned long long step;
    char name[NAME];
    if (sscanf(file, "step-%llu.h5", &step) != 1) return NONE;
    older_name(name, step);
    return strcmp(name, file) == 0 ? step : NONE;
}

/* The newest older state of a step below `below`, NONE: there is none; how many there are into *n.
 */
static uint64_t newest_below(const char *dir, uint64_t below, int *n)
{
    uint64_t newest = NONE;
    DIR *d = opendir(dir);
    const struct dirent *f;
    *n = 0;
    while (d && (f = readdir(d))) {
        const uint64_t step = step_of(f->d_name);
        if (step == NONE || step >= below) continue;
        ++*n;
        if (newest == NONE || step > newest) newest = step;
    }
    if (d) closedir(d);
    return newest;
}

struct states states_of(const struct run *run, int keep)
{
    return (struct states){.run = run, .keep = keep, .last = NONE};
}

static bool holds(const char *dir, const char *name)
{
    char path[1200];
    return io_path(path, sizeof path, NULL, "%s/%s", dir, name) == 0 && io_exists(path);
}

bool states_any(const char *dir)
{
    int n;
    return holds(dir, "last.h5") || holds(dir, "best.h5") || newest_below(dir, NONE, &n) != NONE;
}

/* last.h5 under its second name, which stays when the first gets a new file. */
static int keep_last(const struct states *s, struct err *e)
{
    char last[1200], older[1200], name[NAME];
    older_name(name, s->last);
    if (run_path(s->run, "last.h5", last, sizeof last, e) ||
        run_path(s->run, name, older, sizeof older, e))
        return -1;
    if (link(last, older) == 0 || errno == EEXIST) return 0;
    /* No links on this file system. Then the state has only the second name for a moment, under
     * which it is found as well. */
    return io_rename(last, older, e);
}

static int drop_oldest(const struct states *s, struct err *e)
{
    uint64_t below = NONE, step;
    char path[1200], name[NAME];
    int n;
    for (int kept = 0; (step = newest_below(s->run->dir, below, &n)) != NONE; kept++) {
        below = step;
        if (kept < s->keep) continue;
        older_name(name, step);
        if (run_path(s->run, name, path, sizeof path, e)) return -1;
        if (unlink(path)) return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    }
    return 0;
}

static int save_as(const struct states *s, const char *file, const struct params *p,
                   const struct ckpt_info *at, struct err *e)
{
    char path[1200];
    return run_path(s->run, file, path, sizeof path, e) || ckpt_save(path, p, at, e) ? -1 : 0;
}

int states_save(struct states *s, const struct params *p, const struct ckpt_info *at, struct err *e)
{
    if (s->keep && s->last != NONE && s->last != at->step && keep_last(s, e)) return -1;
    if (save_as(s, "last.h5", p, at, e)) return -1;
    s->last = at->step;
    return drop_oldest(s, e);
}

int states_save_best(struct states *s, const struct params *p, const struct ckpt_info *at,
                     struct err *e)
{
    return save_as(s, "best.h5", p, at, e);
}

/* 0: whole and read; 1: not there, or put aside as damaged; -1: something else is wrong. */
static int try_state(struct states *s, const struct cli *cli, bool look, const char *name,
                     char *path, size_t size, struct ckpt_info *at, struct err *e)
{
    struct err damage = {0};
    char aside[1300];
    if (run_path(s->run, name, path, size, e)) return -1;
    if (!io_exists(path)) return 1;
    if (ckpt_check(path, &damage) == 0) return ckpt_read_info(path, at, e);
    if (damage.code != ERR_DATA) {
        if (e) *e = damage;
        return -1;
    }
    if (look) {
        fprintf(stderr, "%s: warning: %s\n", cli->command, damage.text);
        return 1;
    }
    if (io_path(aside, sizeof aside, e, "%s.damaged", path) || io_rename(path, aside, e)) return -1;
    fprintf(stderr, "%s: warning: %s; it is now %s.damaged\n", cli->command, damage.text, name);
    return 1;
}

int states_newest(struct states *s, const struct cli *cli, bool look, char *path, size_t size,
                  struct ckpt_info *at, struct err *e)
{
    char name[NAME] = "last.h5";
    uint64_t step = NONE;
    int status = try_state(s, cli, look, name, path, size, at, e), n;
    const bool last = status == 0;
    if (last) s->last = at->step;
    while (status > 0 && (step = newest_below(s->run->dir, step, &n)) != NONE) {
        older_name(name, step);
        status = try_state(s, cli, look, name, path, size, at, e);
    }
    if (status > 0) {
        snprintf(name, sizeof name, "best.h5");
        status = try_state(s, cli, look, name, path, size, at, e);
    }
    if (status < 0) return -1;
    if (status > 0) {
        err_set(e, ERR_DATA, "%s: no checkpoint of it is whole", s->run->dir);
        return err_hint(e, "start again in another run directory");
    }
    if (!last)
        fprintf(stderr, "%s: warning: going on from %s, after step %llu\n", cli->command, name,
                (unsigned long long)at->step);
    return 0;
}

struct ckpt_info states_fresh(const char *task, const struct unet_conf *unet, int height, int width,
                              uint64_t images)
{
    struct ckpt_info fresh = {
        .unet = *unet, .best_loss = INFINITY, .height = height, .width = width, .images = images};
    snprintf(fresh.task, sizeof fresh.task, "%s", task);
    return fresh;
}

int states_fit(const char *path, const struct ckpt_info *fresh, const struct ckpt_info *at,
               struct err *e)
{
    char what[160] = "";
    /* Parameters of the same shapes are not enough: groups and dropout leave no trace in them. */
    if (net_differs(&at->unet, &fresh->unet, what, sizeof what) || strcmp(fresh->task, at->task) ||
        fresh->height != at->height || fresh->width != at->width)
        return err_set(e, ERR_DATA, "%s is a checkpoint of another network or task%s%s", path,
                       *what ? ": " : "", what);
    if (fresh->images != at->images) {
        err_set(e, ERR_DATA,
                "the scans behind data.train and data.validation are not those the "
                "run was started with: files were added, removed, renamed or replaced");
        return err_hint(e, "bring the same files back, or train in another run directory");
    }
    if (fresh->encoder != at->encoder)
        return err_set(e, ERR_DATA,
                       "fit.ssfd.checkpoint is another network than the run was started with");
    return 0;
}
