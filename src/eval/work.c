#include "eval/work.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/progress.h"
#include "base/stop.h"
#include "eval/journal.h"

#include <stdlib.h>

enum { SEATS_A_LANE = 3 };

int work_lanes(void)
{
    return par_threads();
}

int work_seats(void)
{
    return SEATS_A_LANE * work_lanes();
}

struct batch {
    const struct work *w;
    int n, *job; /* (seats) */
    double *value;
    int *failed;     /* (seats) */
    struct err *err; /* (seats) */
};

static void lane(void *ctx, int l)
{
    const struct batch *b = ctx;
    const struct work *w = b->w;
    par_set_threads(1); /* of this thread: what it calls opens no region of its own */
    for (int seat = l; seat < b->n; seat += w->lanes)
        b->failed[seat] =
            w->compute(w->ctx, b->job[seat], seat, l,
                       b->value + (size_t)b->job[seat] * (size_t)w->values, &b->err[seat]);
}

/* Fills the seats with the next jobs that are not done; *next is where to look on. */
static int fetch(struct batch *b, const bool *done, int *next, struct err *e)
{
    b->n = 0;
    for (; *next < b->w->jobs && b->n < b->w->seats; (*next)++) {
        if (done[*next]) continue;
        if (b->w->fetch(b->w->ctx, *next, b->n, e)) return -1;
        b->job[b->n++] = *next;
    }
    return 0;
}

/* The first job that failed, in their order, is the one that is reported. */
static int compute(struct batch *b, struct journal *j, struct err *e)
{
    par_for(b->w->lanes, lane, (void *)b);
    for (int seat = 0; seat < b->n; seat++) {
        if (b->failed[seat]) {
            *e = b->err[seat];
            return -1;
        }
        if (j &&
            journal_add(j, b->job[seat], b->value + (size_t)b->job[seat] * (size_t)b->w->values, e))
            return -1;
    }
    return j ? journal_sync(j, e) : 0;
}

static int run_batches(struct batch *b, struct journal *j, const bool *done, int count,
                       const struct study_env *env, struct err *e)
{
    const int jobs = b->w->jobs;
    int next = 0, rc = 0;
    struct progress progress = progress_begin(b->w->what, count, jobs, env->quiet || !j);
    while (rc == 0 && count < jobs) {
        if (stop_requested()) {
            rc = err_set(e, ERR_STOPPED, "stopped by %s after %d of %d jobs", stop_signal(), count,
                         jobs);
            err_hint(e, "the same command with --resume goes on from there");
        } else if ((rc = fetch(b, done, &next, e)) == 0 && (rc = compute(b, j, e)) == 0) {
            progress_at(&progress, count += b->n, "");
        }
    }
    progress_end(&progress, "");
    return rc;
}

/* Marks what an interrupted run did, or begins the journal. */
static int open_journal(struct journal *j, const struct work *w, const struct study_env *env,
                        bool *done, double *value, int *count, struct err *e)
{
    char path[PATH_MAX];
    int rc = io_path(path, sizeof path, e, "%s/" STUDY_JOURNAL, env->output);
    if (rc == 0)
        rc =
            journal_open(j, path, env->key, w->jobs, w->values, env->resume, done, value, count, e);
    for (int i = 0; i < w->jobs && rc == 0 && w->kept; i++)
        if (done[i] && !w->kept(w->ctx, i)) {
            done[i] = false;
            --*count;
        }
    if (rc == 0 && *count > 0)
        fprintf(env->notes, "going on after %d of %d jobs of the interrupted study\n", *count,
                w->jobs);
    return rc;
}

int work_run(const struct work *w, const struct study_env *env, double *value, struct err *e)
{
    struct batch b = {.w = w, .value = value};
    struct journal j = {0};
    int rc = -1, count = 0;
    bool *done = mem_new((size_t)w->jobs, sizeof *done, e);
    b.job = mem_new((size_t)w->seats, sizeof *b.job, e);
    b.failed = mem_new((size_t)w->seats, sizeof *b.failed, e);
    b.err = mem_new((size_t)w->seats, sizeof *b.err, e);
    if (done && b.job && b.failed && b.err) {
        rc = w->brief ? 0 : open_journal(&j, w, env, done, value, &count, e);
        if (rc == 0) rc = run_batches(&b, w->brief ? NULL : &j, done, count, env, e);
    }
    journal_close(&j);
    mem_free(done);
    mem_free(b.job);
    mem_free(b.failed);
    mem_free(b.err);
    return rc;
}
