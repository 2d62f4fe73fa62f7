/* fastMRI's HDF5 layout (https://fastmri.med.nyu.edu; the readers of its public code):
 *
 * - kspace: complex64 (slice, coil, readout, phase), or (slice, readout, phase) for one coil
 * - ismrmrd_header: XML text, optional (mrd_header.h)
 * - reconstruction_rss or reconstruction_esc: float32 (slice, h, w), optional
 * - mask: (phase) zeros and ones of any type, in test and challenge files: the rest of kspace is 0
 * - attributes acquisition, patient_id: optional
 *
 * The size of the references is that of the reconstruction dataset, else the header's recon matrix,
 * else k-space's. Readout oversampling is cropped off with it. An image narrower than that (FLAIR
 * with 203 columns) is padded with zeros.
 *
 * With the header's encoding limits (minimum, centre, maximum) of counters, column c of a matrix of
 * y columns holds counter c - y/2 + centre, so that [y/2 - centre + minimum, y/2 - centre +
 * maximum] were acquired. */
#include "base/h5.h"
#include "base/mem.h"
#include "data/mrd_header.h"
#include "data/scan_format.h"

#include <stdio.h>
#include <string.h>

/* ---- K-space ------------------------------------------------------------------------------- */

struct listing {
    char text[1024];
    size_t used;
};

static int list_dataset(void *ctx, const char *name, const struct h5_info *info)
{
    (void)info;
    struct listing *l = ctx;
    int n =
        snprintf(l->text + l->used, sizeof l->text - l->used, "%s'%s'", l->used ? ", " : "", name);
    l->used += n < 0 ? 0 : (size_t)n;
    return l->used >= sizeof l->text - 1; /* full: enough has been said */
}

static int missing_kspace(const struct h5 *f, struct err *e)
{
    struct listing l = {0};
    if (h5_each(f, list_dataset, &l, e)) return -1;
    err_set(e, ERR_DATA, "%s: dataset 'kspace' is missing", h5_path(f));
    if (l.used)
        return err_hint(e, "the file has %.400s; a scan needs raw k-space named 'kspace'", l.text);
    return err_hint(e, "the file has no datasets at all");
}

static int probe_kspace(struct scan *s, const struct h5 *f, struct err *e)
{
    struct h5_info k;
    if (!h5_has(f, "kspace")) return missing_kspace(f, e);
    if (h5_describe(f, "kspace", &k, e)) return -1;
    if (k.rank != 3 && k.rank != 4) {
        err_set(e, ERR_DATA, "%s: dataset 'kspace' has %d dimensions, expected 4 or 3", s->path,
                k.rank);
        return err_hint(e, "expected (slice, coil, readout, phase), or (slice, readout, phase) "
                           "for one coil");
    }
    if (k.type != H5_C64) {
        err_set(e, ERR_DATA, "%s: dataset 'kspace' is not complex", s->path);
        return err_hint(e, "expected complex64, stored as pairs 'r', 'i' of float32; magnitudes "
                           "are not k-space");
    }
    const int64_t *d = k.dim + (k.rank == 4 ? 2 : 1);
    s->has_coil_axis = k.rank == 4;
    return scan_set_shape(s, "dataset 'kspace'", k.dim[0], s->has_coil_axis ? k.dim[1] : 1, d[0],
                          d[1], e);
}

/* ---- Header and image size ----------------------------------------------------------------- */

static int set_columns(struct scan *s, const struct mrd_header *h, struct err *e)
{
    const struct mrd_limit *l = &h->step_1;
    /* Limits of another matrix say nothing about these columns. */
    if (l->maximum < 0 || h->encoded[MRD_Y] != s->phase) return 0;
    int zero = s->phase / 2 - l->centre;
    if (zero + l->minimum < 0 || zero + l->maximum >= s->phase) {
        err_set(e, ERR_DATA,
                "%s: dataset 'ismrmrd_header': the encoding limits (minimum %d, center %d, maximum "
                "%d) reach beyond the %d columns of 'kspace'",
                s->path, l->minimum, l->centre, l->maximum, s->phase);
        return err_hint(e, "the header is damaged or that of another scan");
    }
    s->first_column = zero + l->minimum;
    s->end_column = zero + l->maximum + 1;
    return 0;
}

static int probe_header(struct scan *s, const struct h5 *f, struct err *e)
{
    struct mrd_header h;
    if (!h5_has(f, "ismrmrd_header")) return 0;
    char *xml = h5_read_text(f, "ismrmrd_header", e);
    if (!xml) return err_hint(e, "the header is expected to be one text, in XML");
    int rc = mrd_header_parse(&h, xml, strlen(xml), e);
    mem_free(xml);
    if (rc) {
        err_wrap(e, "%s: dataset 'ismrmrd_header'", s->path);
        return err_hint(e, "expected an ISMRMRD header in XML; copy the file again, or delete the "
                           "dataset: references then have the size of the reconstruction or of "
                           "k-space");
    }
    if (set_columns(s, &h, e)) return -1;
    if (!h.recon[MRD_X]) return 0;
    return scan_set_image(s, "reconSpace of 'ismrmrd_header'", h.recon[MRD_X], h.recon[MRD_Y], e);
}

static int probe_target(struct scan *s, const struct h5 *f, struct err *e)
{
    static const char *const names[] = {"reconstruction_rss", "reconstruction_esc"};
    for (int i = 0; i < 2; i++) {
        if (!h5_has(f, names[i])) continue;
        struct h5_info r;
        char what[64];
        if (h5_describe(f, names[i], &r, e)) return -1;
        bool real = r.type == H5_F32 || r.type == H5_F64;
        bool fits = real && r.rank == 3 && r.dim[0] == s->slices;
        bool same = !s->has_target || (r.dim[1] == s->height && r.dim[2] == s->width);
        if (!fits || !same) {
            err_set(e, ERR_DATA, "%s: dataset '%s' does not fit to '%s'", s->path, names[i],
                    fits ? names[0] : "kspace");
            return err_hint(e, "expected real numbers of the shape (%d, height, width)%s",
                            s->slices, fits ? ", the same for both" : "");
        }
        snprintf(what, sizeof what, "dataset '%s'", names[i]);
        if (scan_set_image(s, what, r.dim[1], r.dim[2], e)) return -1;
        s->has_target = true;
    }
    return 0;
}

/* ---- Undersampling ------------------------------------------------------------------------- */

/* Checks the mask, and sees which acquired columns it leaves out. */
static int read_mask(struct scan *s, const float *mask, struct err *e)
{
    int kept = 0, wanted = s->end_column - s->first_column, inside = 0;
    for (int i = 0; i < s->phase; i++) {
        if (mask[i] != 0.0f && mask[i] != 1.0f) {
            err_set(e, ERR_DATA, "%s: dataset 'mask' has %g at column %d", s->path, (double)mask[i],
                    i);
            return err_hint(e, "expected 0 (not sampled) or 1 (sampled) for every column");
        }
        kept += mask[i] != 0.0f;
        inside += mask[i] != 0.0f && i >= s->first_column && i < s->end_column;
    }
    if (!kept) {
        err_set(e, ERR_DATA, "%s: dataset 'mask' keeps no column at all", s->path);
        return err_hint(e, "the file is damaged; copy it again");
    }
    s->undersampled = inside < wanted; /* a full mask is none */
    snprintf(s->sampling, sizeof s->sampling, "its mask keeps %d of %d columns (%.3g x)", inside,
             wanted, (double)wanted / (inside ? inside : 1));
    return 0;
}

static int probe_mask(struct scan *s, const struct h5 *f, struct err *e)
{
    struct h5_info m;
    if (h5_has(f, "mask2d")) {
        s->undersampled = true;
        snprintf(s->sampling, sizeof s->sampling, "it has a sampling mask in two dimensions");
    }
    if (!h5_has(f, "mask")) return 0;
    if (h5_describe(f, "mask", &m, e)) return -1;
    bool number = m.type == H5_F32 || m.type == H5_F64 || m.type == H5_INT;
    if (!number || m.rank != 1 || m.dim[0] != s->phase) {
        err_set(e, ERR_DATA, "%s: dataset 'mask' does not fit to 'kspace'", s->path);
        if (number && m.rank == 1)
            return err_hint(e, "it has %lld values, but 'kspace' has %d columns",
                            (long long)m.dim[0], s->phase);
        return err_hint(e, "expected %d zeros and ones, one for every column", s->phase);
    }
    const int64_t count[1] = {s->phase};
    float *mask = mem_new((size_t)s->phase, sizeof *mask, e);
    int rc = mask ? h5_read_f32(f, "mask", 1, NULL, count, mask, e) : -1;
    if (rc == 0) rc = read_mask(s, mask, e);
    mem_free(mask);
    return rc;
}

/* ---- Attributes ---------------------------------------------------------------------------- */

static void copy_attribute(const struct h5 *f, const char *key, char *out, size_t size)
{
    char *text = NULL;
    if (h5_attr_has(f, "/", key)) text = h5_attr_text(f, "/", key, NULL);
    if (text) snprintf(out, size, "%s", text);
    mem_free(text);
}

/* fastMRI's two knee protocols; of others (AXT2, AXFLAIR, …) the contrast is unknown. */
static void probe_attributes(struct scan *s, const struct h5 *f)
{
    copy_attribute(f, "acquisition", s->acquisition, sizeof s->acquisition);
    copy_attribute(f, "patient_id", s->patient, sizeof s->patient);
    if (strcmp(s->acquisition, "CORPDFS_FBK") == 0) s->contrast = CONTRAST_FS;
    if (strcmp(s->acquisition, "CORPD_FBK") == 0) s->contrast = CONTRAST_NON_FS;
}

static int probe(struct scan *s, struct err *e)
{
    struct h5 *f = h5_open(s->path, e);
    if (!f) return -1;
    int rc = probe_kspace(s, f, e) || probe_header(s, f, e) || probe_target(s, f, e) ||
                     probe_mask(s, f, e)
                 ? -1
                 : 0;
    if (rc == 0) probe_attributes(s, f);
    h5_close(f);
    return rc;
}

/* ---- Samples ------------------------------------------------------------------------------- */

static void *open_file(const struct scan *s, struct err *e)
{
    return h5_open(s->path, e);
}

static int read_slice(const struct scan *s, void *file, int slice, float complex *kspace,
                      struct err *e)
{
    const int64_t start4[4] = {slice, 0, 0, 0}, count4[4] = {1, s->coils, s->readout, s->phase};
    const int64_t start3[3] = {slice, 0, 0}, count3[3] = {1, s->readout, s->phase};
    return s->has_coil_axis ? h5_read_c64(file, "kspace", 4, start4, count4, kspace, e)
                            : h5_read_c64(file, "kspace", 3, start3, count3, kspace, e);
}

static void close_file(void *file)
{
    h5_close(file);
}

static const char *const endings[] = {".h5", ".hdf5", NULL};

const struct scan_format format_fastmri = {
    .name = "fastMRI",
    .endings = endings,
    .probe = probe,
    .open = open_file,
    .read = read_slice,
    .close = close_file,
};
