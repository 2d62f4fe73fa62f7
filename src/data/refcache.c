#include "data/refcache.h"

#include "base/h5.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/stop.h"
#include "data/reffile.h"
#include "data/refmake.h"
#include "data/refstamp.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

/* ---- Preparing ----------------------------------------------------------------------------- */

/* References among scans would be taken for scans by the next run. */
static int refuse_folder_of(const struct scan *s, const char *folder, struct err *e)
{
    char of_scan[sizeof s->path];
    struct stat a, b;
    const char *slash = strrchr(s->path, '/');
    if (slash ? io_path(of_scan, sizeof of_scan, e, "%.*s/", (int)(slash - s->path), s->path)
              : io_path(of_scan, sizeof of_scan, e, "."))
        return -1;
    if (stat(of_scan, &a) || stat(folder, &b) || a.st_dev != b.st_dev || a.st_ino != b.st_ino)
        return 0;
    err_set(e, ERR_CONFIG, "%s: references would be written among the scans: %s", folder, s->path);
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
                           .kernel = jsense_given(c) ? 0 : c->kernel,
                           .scan = *s,
                           .conf = *c};
    uint32_t key;
    if (refstamp_key(s, c, &key, e) ||
        io_path(r->path, sizeof r->path, e, "%s/%s.%08x.h5", folder, s->name, key))
        return -1;
    return refuse_folder_of(s, folder, e);
}

/* Of what failed, drops what may be dropped. 0 when that is all. */
static int drop_failed(struct scans *scans, struct refmake *list, int n, const struct refcache *out,
                       struct err *e)
{
    int failed = 0, left = 0;
    for (int i = 0; i < n; i++) {
        if (!list[i].failure.code) continue;
        failed++;
        left += scans_drop(scans, (int)(list[i].cache - out), &list[i].failure) != 0;
    }
    if (failed == 0 || left > 0 || stop_requested()) return -1; /* as refmake_all said */
    if (e) *e = (struct err){0};
    return 0;
}

static int note_source(struct refcache *r, struct err *e)
{
    struct refstamp now;
    struct h5 *f = h5_open(r->path, e);
    int rc = f && h5_attr_i64(f, "/", "source_hash", &r->source_hash, e) == 0 &&
                     refstamp_look(&r->scan, &r->conf, &now, e) == 0
                 ? 0
                 : -1;
    h5_close(f);
    if (rc) return -1;
    r->source_size = now.scan.size;
    r->source_mtime_ns = now.scan.mtime_ns;
    return 0;
}

/* Of every file that is there; -1 where one is not. */
static int note_sources(const struct scans *scans, struct refcache *out, struct err *e)
{
    int rc = 0;
    for (int i = 0; i < scans->n; i++)
        if (out[i].path[0] && !scans->list[i].dropped && note_source(out + i, rc ? NULL : e))
            rc = -1;
    return rc;
}

int refcache_check_source(const struct refcache *r, struct err *e)
{
    struct refstamp now;
    if (refstamp_look(&r->scan, &r->conf, &now, e))
        return err_hint(e, "it was there when this run began: bring it back, and go on with "
                           "--resume");
    if (now.scan.size == r->source_size && now.scan.mtime_ns == r->source_mtime_ns) return 0;
    err_set(e, ERR_DATA, "%s: the file has changed since this run began", r->scan.path);
    return err_hint(e, "bring the old one back and go on with --resume, or start a new run");
}

int refcache_prepare(struct scans *scans, const char *folder, const struct jsense_conf *c,
                     bool quiet, struct refcache *out, struct err *e)
{
    if (io_mkdirs(folder, e)) return err_wrap(e, "folder of references");
    struct refmake *list = mem_new((size_t)scans->n, sizeof *list, e);
    int rc = list ? 0 : -1, n = 0;
    for (int i = 0; i < scans->n; i++)
        out[i].path[0] = 0;
    for (int i = 0; i < scans->n && rc == 0; i++) {
        rc = describe(out + i, scans->list + i, folder, c, e);
        if (rc == 0 && stop_requested())
            rc = err_set(e, ERR_STOPPED, "stopped by %s", stop_signal());
        const char *why = rc == 0 ? reffile_why(out + i) : NULL;
        if (why) list[n++] = (struct refmake){.cache = out + i, .why = why};
    }
    if (rc == 0 && n > 0 && refmake_all(list, n, folder, quiet, e))
        rc = drop_failed(scans, list, n, out, e);
    if (rc == 0)
        rc = note_sources(scans, out, e);
    else
        note_sources(scans, out, NULL); /* what is there can be read */
    mem_free(list);
    return rc;
}

int refcache_missing(const struct scans *scans, const char *folder, const struct jsense_conf *c,
                     struct err *e)
{
    struct refcache r;
    int n = 0;
    for (int i = 0; i < scans->n; i++) {
        if (describe(&r, scans->list + i, folder, c, e)) return -1;
        n += reffile_why(&r) != NULL;
    }
    return n;
}

/* ---- Reading ------------------------------------------------------------------------------- */

static int folder_of(const struct refcache *r, char *folder, size_t size, struct err *e)
{
    const char *slash = strrchr(r->path, '/');
    return slash ? io_path(folder, size, e, "%.*s", (int)(slash - r->path), r->path)
                 : io_path(folder, size, e, ".");
}

/* Makes a damaged file again; one thread does, the others wait and find it mended. */
static int mend(const struct refcache *r, enum ref_part part, int slice, void *out, struct err *e)
{
    static pthread_mutex_t mending = PTHREAD_MUTEX_INITIALIZER;
    struct refmake again = {.cache = r, .why = "damaged", .force = true};
    char folder[1024];
    pthread_mutex_lock(&mending);
    int rc = reffile_read(r, part, slice, out, e);
    if (rc) {
        struct err gone = {0};
        if (refcache_check_source(r, &gone)) { /* nothing to make it from: both facts count */
            if (e) *e = gone;
            pthread_mutex_unlock(&mending);
            return err_wrap(e, "%s has to be made again", r->path);
        }
        progress_warn("%s; it is made again from %s", e ? e->text : r->path, r->scan.path);
        rc = folder_of(r, folder, sizeof folder, e) || refmake_all(&again, 1, folder, true, e) ||
                     reffile_read(r, part, slice, out, e)
                 ? -1
                 : 0;
    }
    pthread_mutex_unlock(&mending);
    return rc;
}

static int read_part(const struct refcache *r, enum ref_part part, int slice, void *out,
                     struct err *e)
{
    struct err first = {0};
    if (reffile_read(r, part, slice, out, &first) == 0) return 0;
    return mend(r, part, slice, out, e ? e : &first);
}

int refcache_read(const struct refcache *r, int slice, float complex *reference, struct err *e)
{
    return read_part(r, REF_IMAGE, slice, reference, e);
}

int refcache_read_rss(const struct refcache *r, int slice, float *rss, struct err *e)
{
    return read_part(r, REF_RSS, slice, rss, e);
}

int refcache_read_kernels(const struct refcache *r, int slice, float complex *kernels,
                          struct err *e)
{
    return read_part(r, REF_KERNELS, slice, kernels, e);
}

int refcache_verify(const struct refcache *r, int slice, struct err *e)
{
    int rc = 0;
    for (int part = 0; part < REF_PARTS && rc == 0; part++) {
        if (!reffile_has(r, part)) continue;
        void *x = mem_new(reffile_bytes(r, part), 1, e);
        rc = x ? read_part(r, part, slice, x, e) : -1;
        mem_free(x);
    }
    return rc;
}
