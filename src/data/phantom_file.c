#include "base/cli.h"
#include "base/h5.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/stop.h"
#include "data/phantom_slot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_SLOTS = 32 };

/* The parts of an ISMRMRD header that readers of fastMRI's files use. The encoded field of view is
 * that of the columns of k-space; readers derive those acquired from the limits of step 1:
 * padding_left = y / 2 - center, padding_right = padding_left + maximum + 1. */
static int write_header(struct h5 *f, const struct phantom *p, struct err *e)
{
    const struct phantom_shape *s = &p->shape;
    const double voxel = s->fov_mm / s->size;
    char xml[4096];
    snprintf(xml, sizeof xml,
             "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
             "<ismrmrdHeader xmlns=\"http://www.ismrm.org/ISMRMRD\">\n"
             "<measurementInformation><protocolName>simulated "
             "%s</protocolName></measurementInformation>\n"
             "<acquisitionSystemInformation><systemVendor>simulated</systemVendor>"
             "<receiverChannels>%d</receiverChannels></acquisitionSystemInformation>\n"
             "<encoding><encodedSpace><matrixSize><x>%d</x><y>%d</y><z>1</z></matrixSize>"
             "<fieldOfView_mm><x>%.6f</x><y>%.6f</y><z>%.6f</z></fieldOfView_mm></encodedSpace>\n"
             "<reconSpace><matrixSize><x>%d</x><y>%d</y><z>1</z></matrixSize>"
             "<fieldOfView_mm><x>%.6f</x><y>%.6f</y><z>%.6f</z></fieldOfView_mm></reconSpace>\n"
             "<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>%d</maximum>"
             "<center>%d</center></kspace_encoding_step_1>"
             "<slice><minimum>0</minimum><maximum>%d</maximum><center>0</center></slice>"
             "</encodingLimits>\n<trajectory>cartesian</trajectory></encoding>\n"
             "<sequenceParameters><TR>%g</TR><TE>%g</TE></sequenceParameters>\n"
             "</ismrmrdHeader>\n",
             p->volume ? "volume"
             : p->fs   ? "PD fat-suppressed"
                       : "PD",
             s->coils, s->readout, s->width, voxel * s->readout, voxel * s->width, s->slice_mm,
             s->size, s->size, s->fov_mm, s->fov_mm, s->slice_mm, s->right - s->left - 1,
             s->width / 2 - s->left, s->slices - 1, KNEE_TR_MS, KNEE_TE_MS);
    return h5_write_text(f, "ismrmrd_header", xml, e);
}

static int write_attributes(struct h5 *f, const struct phantom *p, double max, double power,
                            struct err *e)
{
    char what[128], parameters[PHANTOM_PARAMETERS], truth[DEFECT_TEXT];
    snprintf(what, sizeof what, "ssfd make-scans %s, seed %llu, scan %d", cli_version(),
             (unsigned long long)p->conf.seed, p->scan);
    phantom_parameters(p, parameters);
    phantom_truth_of(p, truth);
    return h5_set_attr_text(f, "/", "acquisition", p->fs ? "CORPDFS_FBK" : "CORPD_FBK", e) ||
                   h5_set_attr_text(f, "/", "patient_id", p->patient, e) ||
                   h5_set_attr_f64(f, "/", "max", max, e) ||
                   h5_set_attr_f64(f, "/", "norm", sqrt(power), e) ||
                   h5_set_attr_text(f, "/", "source", "simulated", e) ||
                   h5_set_attr_text(f, "/", "simulated", what, e) ||
                   h5_set_attr_text(f, "/", "parameters", parameters, e) ||
                   h5_set_attr_text(f, "/", "defect", truth, e) ||
                   h5_set_attr_f64(f, "/", "noise_sd", p->noise_sd, e)
               ? -1
               : 0;
}

static int write_slice(struct h5 *f, const struct phantom *p, const struct slot *s, int slice,
                       struct err *e)
{
    const int64_t at[4] = {slice, 0, 0, 0};
    const struct phantom_shape *d = &p->shape;
    const int64_t k[4] = {1, d->coils, d->readout, d->width}, r[3] = {1, d->size, d->size};
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
    const size_t pixels = (size_t)p->shape.size * (size_t)p->shape.size;
    double max = 0, power = 0;
    for (b->first = 0; b->first < p->shape.slices; b->first += slots) {
        const int left = p->shape.slices - b->first, n = left < slots ? left : slots;
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
    const struct phantom_shape *d = &p->shape;
    const int64_t k[4] = {d->slices, d->coils, d->readout, d->width},
                  r[3] = {d->slices, d->size, d->size};
    int slots = par_threads() < MAX_SLOTS ? par_threads() : MAX_SLOTS, rc = -1;
    if (slots > d->slices) slots = d->slices;
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

int phantom_path(char *path, size_t size, const struct phantom_conf *c, int scan, struct err *e)
{
    return io_path(path, size, e, "%s/knee-%llu-%04d.h5", c->out, (unsigned long long)c->seed,
                   scan);
}

void phantom_truth_of(const struct phantom *p, char text[DEFECT_TEXT])
{
    defect_tell(&p->defect, p->fs ? "fs" : "non-fs", text);
}

enum phantom_found phantom_find(const char *path, const struct phantom *p, struct err *e)
{
    char parameters[PHANTOM_PARAMETERS];
    enum phantom_found is = PHANTOM_DAMAGED;
    struct h5 *f = h5_open(path, e);
    if (f && !h5_attr_has(f, "/", "parameters")) {
        is = PHANTOM_OTHER;
    } else if (f) {
        char *found = h5_attr_text(f, "/", "parameters", e);
        phantom_parameters(p, parameters);
        if (found) is = strcmp(found, parameters) == 0 ? PHANTOM_SAME : PHANTOM_OTHER;
        mem_free(found);
    }
    h5_close(f);
    return is;
}
