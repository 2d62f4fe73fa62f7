#include "data/refcache.h"

#include "base/h5.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/progress.h"
#include "base/stop.h"
#include "data/reference.h"
#include "data/refpicture.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

enum { FORMAT = 1 }; /* raised whenever the same parameters give other references */

/* ---- What a cache file was made from ------------------------------------------------------ */

struct stamp {
    int64_t size, mtime_ns;
};

static int stamp_of(const char *path, struct stamp *s, struct err *e)
{
    struct stat st;
    *s = (struct stamp){0};
    if (stat(path, &st)) return err_set(e, ERR_NOINPUT, "%s: %s", path, strerror(errno));
    s->size = (int64_t)st.st_size;
    s->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + (int64_t)st.st_mtim.tv_nsec;
    return 0;
}

/* XXH3 of a whole file. */
static int hash_file(const char *path, int64_t *hash, struct err *e)
{
    enum { CHUNK = 1 << 20 };
    int rc = -1;
    FILE *f = fopen(path, "rb");
    char *chunk = mem_new(CHUNK, 1, e);
    XXH3_state_t *state = XXH3_createState();
    if (!f) {
        err_set(e, ERR_NOINPUT, "%s: %s", path, strerror(errno));
    } else if (!state) {
        err_set(e, ERR_FAILED, "out of memory");
    } else if (chunk) {
        XXH3_64bits_reset(state);
        for (size_t n; (n = fread(chunk, 1, CHUNK, f)) > 0;)
            XXH3_64bits_update(state, chunk, n);
        *hash = (int64_t)XXH3_64bits_digest(state);
        rc = ferror(f) ? err_set(e, ERR_NOINPUT, "%s: cannot be read", path) : 0;
    }
    XXH3_freeState(state);
    mem_free(chunk);
    if (f) fclose(f);
    return rc;
}

/* The parameters as attributes, numbers all. */
struct setting {
    const char *key;
    double value;
};
enum { SETTINGS = 9 };

static void list_settings(const struct scan *s, const struct jsense_conf *c,
                          struct setting out[SETTINGS])
{
    const struct setting all[SETTINGS] = {
        {"format", FORMAT},
        {"kernel", c->kernel},
        {"calibration", c->calibration},
        {"iterations", c->iterations},
        {"inner_iterations", c->inner_iterations},
        {"lambda", c->lambda},
        {"coils", s->coils},
        {"height", s->height},
        {"width", s->width},
    };
    memcpy(out, all, sizeof all);
}

static bool has_shape(const struct h5 *f, const char *name, enum h5_type type, int rank,
                      const int64_t *dim)
{
    struct h5_info info;
    if (!h5_has(f, name) || h5_describe(f, name, &info, NULL)) return false;
    if (info.type != type || info.rank != rank) return false;
    for (int i = 0; i < rank; i++)
        if (info.dim[i] != dim[i]) return false;
    return true;
}

static bool same_source(const struct h5 *f, const char *path)
{
    struct stamp now;
    int64_t size, mtime_ns, hash, content;
    if (h5_attr_i64(f, "/", "source_size", &size, NULL) ||
        h5_attr_i64(f, "/", "source_mtime_ns", &mtime_ns, NULL) ||
        h5_attr_i64(f, "/", "source_hash", &hash, NULL) || stamp_of(path, &now, NULL) ||
        now.size != size)
        return false;
    if (now.mtime_ns == mtime_ns) return true;
    return hash_file(path, &content, NULL) == 0 && content == hash; /* touched or copied */
}

/* Why the cache file of a scan has to be made, or NULL where it can be used as it is. */
static const char *why_make(const struct refcache *r, const struct scan *s,
                            const struct jsense_conf *c)
{
    if (!io_exists(r->path)) return "new";
    struct h5 *f = h5_open(r->path, NULL);
    if (!f) return "the cached file is damaged";
    const char *why = NULL;
    struct setting settings[SETTINGS];
    list_settings(s, c, settings);
    for (int i = 0; i < SETTINGS && !why; i++) {
        double v;
        if (h5_attr_f64(f, "/", settings[i].key, &v, NULL))
            why = "the cached file is damaged";
        else if (v != settings[i].value)
            why = "parameters have changed";
    }
    const int64_t image[3] = {s->slices, s->height, s->width};
    const int64_t kernels[4] = {s->slices, s->coils, c->kernel, c->kernel};
    if (!why && !same_source(f, s->path)) why = "the scan has changed";
    if (!why &&
        !(has_shape(f, "reference", H5_C64, 3, image) &&
          has_shape(f, "kernels", H5_C64, 4, kernels) && has_shape(f, "rss", H5_F32, 3, image)))
        why = "the cached file is damaged";
    h5_close(f);
    return why;
}

/* ---- Making one file ---------------------------------------------------------------------- */

struct job {
    const struct scan *scan;
    const struct jsense_conf *conf;
    struct scan_file *in;
    struct h5 *out;
    struct progress *progress;
    long before; /* slices done in earlier scans */
    const char *detail;
    pthread_mutex_t lock; /* around in, out, progress and what follows */
    int done, failed_slice;
    struct err failure; /* of the first slice that failed, whatever the order of threads */
    atomic_int next;
    atomic_bool failed;
};

static void fail(struct job *j, int slice, const struct err *e)
{
    pthread_mutex_lock(&j->lock);
    if (!atomic_load(&j->failed) || slice < j->failed_slice) {
        j->failure = *e;
        j->failed_slice = slice;
    }
    atomic_store(&j->failed, true);
    pthread_mutex_unlock(&j->lock);
}

static int write_slice(struct job *j, const struct reference *r, int slice, struct err *e)
{
    const struct scan *s = j->scan;
    const int64_t at[4] = {slice, 0, 0, 0}, image[3] = {1, s->height, s->width};
    const int64_t kernels[4] = {1, s->coils, j->conf->kernel, j->conf->kernel};
    return h5_write_c64(j->out, "reference", 3, at, image, r->image, e) ||
                   h5_write_c64(j->out, "kernels", 4, at, kernels, r->kernels, e) ||
                   h5_write_f32(j->out, "rss", 3, at, image, r->rss, e)
               ? -1
               : 0;
}

static int one_slice(struct job *j, struct reference *r, int slice, struct err *e)
{
    pthread_mutex_lock(&j->lock);
    int rc = scan_read_kspace(j->scan, j->in, slice, r->raw, e);
    pthread_mutex_unlock(&j->lock);
    if (rc) return -1;
    if (reference_make(r, e)) return err_wrap(e, "%s: slice %d", j->scan->path, slice);
    pthread_mutex_lock(&j->lock);
    rc = write_slice(j, r, slice, e);
    if (rc == 0) progress_at(j->progress, j->before + ++j->done, j->detail);
    pthread_mutex_unlock(&j->lock);
    return rc;
}

/* One thread's share: slices are handed out one by one. */
static void work(void *ctx, int thread)
{
    (void)thread;
    struct job *j = ctx;
    struct reference r = {0};
    struct err e = {0};
    int slice = atomic_fetch_add(&j->next, 1);
    if (slice < j->scan->slices && reference_init(&r, j->scan, j->conf, &e)) {
        err_wrap(&e, "%s", j->scan->path);
        fail(j, slice, &e);
        return;
    }
    for (; slice < j->scan->slices && !atomic_load(&j->failed) && !stop_requested();
         slice = atomic_fetch_add(&j->next, 1))
        if (one_slice(j, &r, slice, &e)) fail(j, slice, &e);
    reference_release(&r);
}

static int begin_file(struct h5 *f, const struct scan *s, const struct jsense_conf *c,
                      const struct stamp *stamp, struct err *e)
{
    const int64_t image[3] = {s->slices, s->height, s->width};
    const int64_t kernels[4] = {s->slices, s->coils, c->kernel, c->kernel};
    struct setting settings[SETTINGS];
    list_settings(s, c, settings);
    int64_t hash;
    if (hash_file(s->path, &hash, e) || h5_make(f, "reference", H5_C64, 3, image, e) ||
        h5_make(f, "kernels", H5_C64, 4, kernels, e) || h5_make(f, "rss", H5_F32, 3, image, e) ||
        h5_set_attr_i64(f, "/", "source_size", stamp->size, e) ||
        h5_set_attr_i64(f, "/", "source_mtime_ns", stamp->mtime_ns, e) ||
        h5_set_attr_i64(f, "/", "source_hash", hash, e))
        return -1;
    for (int i = 0; i < SETTINGS; i++)
        if (h5_set_attr_f64(f, "/", settings[i].key, settings[i].value, e)) return -1;
    return 0;
}

static int make_file(const struct refcache *r, struct job *j, struct err *e)
{
    const struct scan *s = j->scan;
    struct stamp before, after;
    int rc = -1;
    if (stamp_of(s->path, &before, e) || !(j->in = scan_open(s, e)) ||
        !(j->out = h5_create(r->path, e)) || begin_file(j->out, s, j->conf, &before, e))
        goto out;
    pthread_mutex_init(&j->lock, NULL);
    int threads = par_threads() < s->slices ? par_threads() : s->slices;
    par_for(threads, work, j);
    pthread_mutex_destroy(&j->lock);
    if (atomic_load(&j->failed)) {
        if (e) *e = j->failure;
    } else if (j->done < s->slices) {
        err_set(e, ERR_STOPPED, "stopped by %s while making references", stop_signal());
        err_hint(e, "references of finished scans are kept; run again to go on");
    } else if (stamp_of(s->path, &after, e) == 0) {
        if (after.size != before.size || after.mtime_ns != before.mtime_ns)
            err_set(e, ERR_DATA, "%s: the file changed while it was read", s->path);
        else
            rc = h5_commit(j->out, e);
    }
out:
    scan_close(j->in);
    h5_close(j->out);
    return rc;
}

/* ---- All files ---------------------------------------------------------------------------- */

/* Never replaces a user's measurements: a cache folder that also holds scans is a mistake. */
static int refuse_scan(const char *path, struct err *e)
{
    struct h5 *f = io_exists(path) ? h5_open(path, NULL) : NULL;
    bool is_scan = f && h5_has(f, "kspace");
    h5_close(f);
    if (!is_scan) return 0;
    err_set(e, ERR_CONFIG, "%s: would be overwritten by a reference, but it is a scan", path);
    return err_hint(e, "choose another folder for the cache than that of the scans");
}

static int describe(struct refcache *r, const struct scan *s, const char *folder,
                    const struct jsense_conf *c, struct err *e)
{
    if (scan_check_reference(s, e)) return -1;
    *r = (struct refcache){.slices = s->slices,
                           .coils = s->coils,
                           .height = s->height,
                           .width = s->width,
                           .kernel = c->kernel};
    if (io_path(r->path, sizeof r->path, e, "%s/%s.h5", folder, s->name)) return -1;
    return refuse_scan(r->path, e);
}

static int make_all(struct scans *scans, const struct jsense_conf *c, const char *const *why,
                    const struct refcache *out, struct progress *p, struct err *e)
{
    long done = 0;
    for (int i = 0; i < scans->n; i++) {
        if (!why[i]) continue;
        char detail[512];
        snprintf(detail, sizeof detail, "%s: %s", scans->list[i].name, why[i]);
        p->last = 0.0; /* show the reason of every file, however quickly they follow each other */
        progress_at(p, done, detail);
        struct job j = {
            .scan = scans->list + i, .conf = c, .progress = p, .before = done, .detail = detail};
        if ((make_file(out + i, &j, e) || refpicture_write(out + i, e)) && scans_drop(scans, i, e))
            return -1;
        done += scans->list[i].slices;
    }
    return 0;
}

int refcache_prepare(struct scans *scans, const char *folder, const struct jsense_conf *c,
                     bool quiet, struct refcache *out, struct err *e)
{
    if (io_mkdirs(folder, e)) return err_wrap(e, "folder of references");
    const char **why = mem_new((size_t)scans->n, sizeof *why, e);
    int rc = why ? 0 : -1;
    long slices = 0;
    for (int i = 0; i < scans->n && rc == 0; i++) {
        rc = describe(out + i, scans->list + i, folder, c, e);
        if (rc == 0 && stop_requested())
            rc = err_set(e, ERR_STOPPED, "stopped by %s", stop_signal());
        if (rc == 0 && (why[i] = why_make(out + i, scans->list + i, c)))
            slices += scans->list[i].slices;
    }
    if (rc == 0 && slices > 0) {
        struct progress p = progress_begin("references", 0, slices, quiet);
        rc = make_all(scans, c, why, out, &p, e);
        progress_end(&p, "");
    }
    mem_free(why);
    return rc;
}

/* ---- Reading ------------------------------------------------------------------------------ */

static int read_checked(const struct refcache *r, const char *name, int rank, const int64_t *count,
                        int slice, float complex *x, struct err *e)
{
    const int64_t at[4] = {slice, 0, 0, 0};
    size_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= (size_t)count[i];
    struct h5 *f = h5_open(r->path, e);
    int rc = f ? h5_read_c64(f, name, rank, at, count, x, e) : -1;
    h5_close(f);
    for (size_t i = 0; i < n && rc == 0; i++)
        if (!isfinite(crealf(x[i])) || !isfinite(cimagf(x[i])))
            rc = err_set(e, ERR_DATA, "%s: dataset '%s' is damaged at slice %d", r->path, name,
                         slice);
    if (rc)
        return err_hint(e, io_exists(r->path) ? "delete this file: it is made again from the scan"
                                              : "start again: it is made from the scan");
    return 0;
}

int refcache_read(const struct refcache *r, int slice, float complex *reference, struct err *e)
{
    const int64_t count[3] = {1, r->height, r->width};
    return read_checked(r, "reference", 3, count, slice, reference, e);
}

int refcache_read_rss(const struct refcache *r, int slice, float *rss, struct err *e)
{
    const int64_t at[3] = {slice, 0, 0}, count[3] = {1, r->height, r->width};
    struct h5 *f = h5_open(r->path, e);
    int rc = f ? h5_read_f32(f, "rss", 3, at, count, rss, e) : -1;
    h5_close(f);
    return rc;
}

int refcache_read_kernels(const struct refcache *r, int slice, float complex *kernels,
                          struct err *e)
{
    const int64_t count[4] = {1, r->coils, r->kernel, r->kernel};
    return read_checked(r, "kernels", 4, count, slice, kernels, e);
}
