#include "base/cli.h"
#include "base/h5.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/progress.h"
#include "base/stop.h"
#include "data/phantom_slot.h"

#include <math.h>
#include <stdio.h>

enum { MAX_SLOTS = 32 };

/* The parts of an ISMRMRD header that readers of fastMRI's files use. */
static int write_header(struct h5 *f, const struct phantom *p, struct err *e)
{
    const struct phantom_conf *c = &p->conf;
    const int acquired = p->width - 2 * c->padding, center = p->width / 2 - c->padding;
    const double voxel = PHANTOM_FOV_MM / c->size;
    char xml[4096];
    snprintf(xml, sizeof xml,
             "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
             "<ismrmrdHeader xmlns=\"http://www.ismrm.org/ISMRMRD\">\n"
             "<measurementInformation><protocolName>simulated "
             "%s</protocolName></measurementInformation>\n"
             "<acquisitionSystemInformation><systemVendor>simulated</systemVendor>"
             "<receiverChannels>%d</receiverChannels></acquisitionSystemInformation>\n"
             "<encoding><encodedSpace><matrixSize><x>%d</x><y>%d</y><z>1</z></matrixSize>"
             "<fieldOfView_mm><x>%.4f</x><y>%.4f</y><z>%.1f</z></fieldOfView_mm></encodedSpace>\n"
             "<reconSpace><matrixSize><x>%d</x><y>%d</y><z>1</z></matrixSize>"
             "<fieldOfView_mm><x>%.4f</x><y>%.4f</y><z>%.1f</z></fieldOfView_mm></reconSpace>\n"
             "<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>%d</maximum>"
             "<center>%d</center></kspace_encoding_step_1>"
             "<slice><minimum>0</minimum><maximum>%d</maximum><center>0</center></slice>"
             "</encodingLimits>\n<trajectory>cartesian</trajectory></encoding>\n"
             "</ismrmrdHeader>\n",
             p->fs ? "PD fat-suppressed" : "PD", c->coils, p->readout, p->width, voxel * p->readout,
             voxel * p->width, PHANTOM_SLICE_MM, c->size, c->size, PHANTOM_FOV_MM, PHANTOM_FOV_MM,
             PHANTOM_SLICE_MM, acquired - 1, center, c->slices - 1);
    return h5_write_text(f, "ismrmrd_header", xml, e);
}

static int write_attributes(struct h5 *f, const struct phantom *p, double max, double power,
                            struct err *e)
{
    char what[128];
    snprintf(what, sizeof what, "ssfd make-scans %s, seed %llu, scan %d", cli_version(),
             (unsigned long long)p->conf.seed, p->scan);
    return h5_set_attr_text(f, "/", "acquisition", p->fs ? "CORPDFS_FBK" : "CORPD_FBK", e) ||
                   h5_set_attr_text(f, "/", "patient_id", p->patient, e) ||
                   h5_set_attr_f64(f, "/", "max", max, e) ||
                   h5_set_attr_f64(f, "/", "norm", sqrt(power), e) ||
                   h5_set_attr_text(f, "/", "source", "simulated", e) ||
                   h5_set_attr_text(f, "/", "simulated", what, e) ||
                   h5_set_attr_f64(f, "/", "noise_sd", p->noise_sd, e)
               ? -1
               : 0;
}

static int write_slice(struct h5 *f, const struct phantom *p, const struct slot *s, int slice,
                       struct err *e)
{
    const int64_t at[4] = {slice, 0, 0, 0};
    const int64_t k[4] = {1, p->conf.coils, p->readout, p->width},
                  r[3] = {1, p->conf.size, p->conf.size};
    return h5_write_c64(f, "kspace", 4, at, k, s->kspace, e) ||
                   h5_write_f32(f, "reconstruction_rss", 3, at, r, s->rss, e)
               ? -1
               : 0;
}

struct batch { /* slices simulated at the same time */
    const struct phantom *p;
    struct slot slot[MAX_SLOTS];
    int first, failed[MAX_SLOTS];
};

static void simulate(void *ctx, int i)
{
    struct batch *b = ctx;
    b->failed[i] = slot_simulate(&b->slot[i], b->p, b->first + i);
}

/* Simulates and writes every slice; the maximum and the power of the references are taken in order.
 */
static int fill(struct h5 *f, const struct phantom *p, struct batch *b, int slots,
                void (*tick)(void *ctx, int done), void *ctx, struct err *e)
{
    const size_t pixels = (size_t)p->conf.size * (size_t)p->conf.size;
    double max = 0, power = 0;
    for (b->first = 0; b->first < p->conf.slices; b->first += slots) {
        const int left = p->conf.slices - b->first, n = left < slots ? left : slots;
        if (stop_requested()) return err_set(e, ERR_STOPPED, "stopped by %s", stop_signal());
        par_for(n, simulate, b);
        for (int i = 0; i < n; i++) {
            const struct slot *s = &b->slot[i];
            if (b->failed[i]) {
                *e = s->e;
                return err_wrap(e, "slice %d", b->first + i);
            }
            if (write_slice(f, p, s, b->first + i, e)) return -1;
            for (size_t j = 0; j < pixels; j++) {
                max = fmax(max, s->rss[j]);
                power += (double)s->rss[j] * s->rss[j];
            }
        }
        if (tick) tick(ctx, b->first + n);
    }
    return write_attributes(f, p, max, power, e);
}

int phantom_write(const struct phantom *p, const char *path, void (*tick)(void *ctx, int done),
                  void *ctx, struct err *e)
{
    const struct phantom_conf *c = &p->conf;
    const int64_t k[4] = {c->slices, c->coils, p->readout, p->width},
                  r[3] = {c->slices, c->size, c->size};
    int slots = par_threads() < MAX_SLOTS ? par_threads() : MAX_SLOTS, rc = -1;
    if (slots > c->slices) slots = c->slices;
    struct h5 *f = NULL;
    struct batch *b = mem_new(1, sizeof *b, e);
    if (!b) return -1;
    b->p = p;
    for (int i = 0; i < slots; i++)
        if (slot_init(&b->slot[i], p, e)) goto out;
    f = h5_create(path, e);
    if (!f || h5_make(f, "kspace", H5_C64, 4, k, e) ||
        h5_make(f, "reconstruction_rss", H5_F32, 3, r, e) || write_header(f, p, e) ||
        fill(f, p, b, slots, tick, ctx, e) || h5_commit(f, e))
        goto out;
    rc = 0;
out:
    h5_close(f);
    for (int i = 0; i < slots; i++)
        slot_release(&b->slot[i]);
    mem_free(b);
    return rc;
}

/* ---- many scans ---- */

static int scan_path(char *path, size_t size, const struct phantom_conf *c, int scan, struct err *e)
{
    return io_path(path, size, e, "%s/knee-%llu-%04d.h5", c->out, (unsigned long long)c->seed,
                   scan);
}

struct ticker {
    struct progress bar;
    long before;
};

static void tick_slice(void *ctx, int done)
{
    struct ticker *t = ctx;
    progress_at(&t->bar, t->before + done, "");
}

static int run_one(const struct phantom_conf *c, int scan, struct ticker *t, struct err *e)
{
    char path[1024];
    struct phantom *p = phantom_new(c, scan, e);
    if (!p) return -1;
    t->before = (long)scan * c->slices;
    int rc = scan_path(path, sizeof path, c, scan, e) || phantom_write(p, path, tick_slice, t, e);
    phantom_free(p);
    return rc ? -1 : 0;
}

int phantom_run(const struct phantom_conf *c, bool quiet, struct err *e)
{
    char path[1024];
    if (phantom_check(c, e) || io_mkdirs(c->out, e)) return -1;
    for (int i = 0; i < c->scans && !c->overwrite; i++) {
        if (scan_path(path, sizeof path, c, i, e)) return -1;
        if (!io_exists(path)) continue;
        err_set(e, ERR_USAGE, "%s exists already", path);
        return err_hint(e, "choose another folder, or replace the scans with --overwrite true");
    }
    struct ticker t = {.bar = progress_begin("simulating", 0, (long)c->scans * c->slices, quiet)};
    int rc = 0;
    for (int i = 0; i < c->scans && rc == 0; i++)
        rc = run_one(c, i, &t, e);
    progress_end(&t.bar, rc ? "" : "done");
    return rc;
}
