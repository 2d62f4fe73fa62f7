#include "train/states.h"

#include "base/io.h"
#include "base/mem.h"
#include "train/net.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t NONE = UINT64_MAX;
enum { NAME = 64 };
static const char REGULAR[] = "best-regular.h5";

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

/* A second name for a file, which stays when the first gets a new one. */
static int keep(const struct states *s, const char *file, const char *name, struct err *e)
{
    char from[1200], to[1200];
    if (run_path(s->run, file, from, sizeof from, e) || run_path(s->run, name, to, sizeof to, e))
        return -1;
    if (link(from, to) == 0 || errno == EEXIST) return 0;
    /* No links on this file system. Then it has only the second name for a moment, under which it
     * is found as well. */
    return io_rename(from, to, e);
}

static int keep_last(const struct states *s, struct err *e)
{
    char name[NAME];
    older_name(name, s->last);
    return keep(s, "last.h5", name, e);
}

static int drop(const struct states *s, const char *name, struct err *e)
{
    char path[1200];
    if (run_path(s->run, name, path, sizeof path, e)) return -1;
    return unlink(path) && errno != ENOENT ? err_set(e, ERR_IO, "%s: %s", path, strerror(errno))
                                           : 0;
}

static int drop_oldest(const struct states *s, struct err *e)
{
    uint64_t below = NONE, step;
    char name[NAME];
    int n;
    for (int kept = 0; (step = newest_below(s->run->dir, below, &n)) != NONE; kept++) {
        below = step;
        if (kept < s->keep) continue;
        older_name(name, step);
        if (drop(s, name, e)) return -1;
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

int states_save_best(struct states *s, const struct params *p, const struct ckpt_info *best,
                     bool aside, struct err *e)
{
    return (aside && holds(s->run->dir, "best.h5") && keep(s, "best.h5", REGULAR, e)) ||
                   save_as(s, "best.h5", p, best, e)
               ? -1
               : 0;
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

/* 0: `name` is whole and of step `step`, and best.h5 has its content now. As try_state. */
static int restore_best(struct states *s, const struct cli *cli, const char *name, uint64_t step,
                        struct ckpt_info *best, struct err *e)
{
    char from[1200], to[1200];
    struct stat st;
    size_t len;
    const int status = try_state(s, cli, false, name, from, sizeof from, best, e);
    if (status) return status;
    if (best->step != step) return 1;
    if (run_path(s->run, "best.h5", to, sizeof to, e)) return -1;
    if (stat(from, &st)) return err_set(e, ERR_NOINPUT, "%s: %s", from, strerror(errno));
    char *content = io_read_text(from, (size_t)st.st_size, &len, e);
    const int bad = !content || io_write_text(to, content, len, e);
    mem_free(content);
    if (!bad && strcmp(name, REGULAR))
        fprintf(stderr, "%s: warning: best.h5 is made again, from %s\n", cli->command, name);
    return bad ? -1 : 0;
}

int states_settle_best(struct states *s, const struct cli *cli, const struct ckpt_info *at,
                       bool ended, struct ckpt_info *best, struct err *e)
{
    char path[1200], older[NAME];
    struct ckpt_info is;
    *best = *at;
    const int found = try_state(s, cli, false, "best.h5", path, sizeof path, &is, e);
    if (found < 0) return -1;
    const bool whole = found == 0, kept = holds(s->run->dir, REGULAR);
    if (whole && ended && is.step == at->step) {
        *best = is;
        return 0;
    }
    if (at->best_step == 0)
        return 0; /* if any, that of an end: the first regular one replaces it */
    if (whole && is.step == at->best_step) return drop(s, REGULAR, e);
    /* Killed after best.h5 was saved and before the state was: that validation comes again. */
    if (whole && !kept && is.step > at->step) return 0;
    older_name(older, at->best_step);
    const char *const names[] = {REGULAR, older, "last.h5"};
    for (int i = 0; i < 3; i++) {
        struct ckpt_info again;
        const int status = restore_best(s, cli, names[i], at->best_step, &again, e);
        if (status <= 0) return status || drop(s, REGULAR, e) ? -1 : 0;
    }
    if (drop(s, REGULAR, e)) return -1;
    fprintf(stderr, "%s: warning: the best network, of step %llu, is lost: ", cli->command,
            (unsigned long long)at->best_step);
    if (whole)
        fprintf(stderr, "best.h5 is of step %llu\n", (unsigned long long)is.step);
    else
        fprintf(stderr, "%s\n",
                ended ? "there is only last.h5"
                      : "best.h5 will be the best of validations to come");
    *best = whole ? is : *at;
    if (!whole) {
        best->best_loss = INFINITY;
        best->best_step = 0;
    }
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
        fresh->height != at->height || fresh->width != at->width) {
        err_set(e, ERR_DATA, "%s is a checkpoint of another network or task%s%s", path,
                *what ? ": " : "", what);
        return err_hint(e, "a file of another run must have been copied there: put it away, and "
                           "--resume goes on from the next older state, if there is one");
    }
    if (fresh->images != at->images) {
        err_set(e, ERR_DATA,
                "the scans behind data.train and data.validation are not those the "
                "run was started with: files were added, removed, renamed or replaced");
        return err_hint(e, "bring the same files back, or train in another run directory");
    }
    if (fresh->encoder == at->encoder) return 0;
    err_set(e, ERR_DATA, "fit.ssfd.checkpoint is another file than the run was started with");
    return err_hint(e,
                    "its content counts, not where it lies: give a copy of the one from then, or "
                    "train in another run directory");
}
