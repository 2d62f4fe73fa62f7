/* ISMRMRD raw data in HDF5 (https://ismrmrd.readthedocs.io): a group `dataset` with
 *
 * - xml: the header (mrd_header.h)
 * - data: a table of acquisitions, each one readout of all coils: a `head` with counters and flags,
 *   and `data`, complex (coil, sample)
 *
 * Cartesian scans in slices are read. The matrix is the encodedSpace of the first encoding:
 *
 *     column = kspace_encode_step_1 - center + y/2     row = sample - center_sample + x/2
 *
 * What is measured again (averages) is averaged. Every slice of every contrast, phase, repetition
 * and set is a slice of the scan, in the order (repetition, set, phase, contrast, slice).
 * References have the size of the reconSpace, which also crops readout oversampling.
 *
 * The tables are read through base/h5_records.h: the format's own library fetches an acquisition
 * without comparing the length of its data with what its head promises. */
#include "base/h5_records.h"
#include "base/mem.h"
#include "data/mrd_header.h"
#include "data/scan_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char table[] = "dataset/data";
enum { MAX_RECORDS = 1 << 24 };

/* ---- The acquisitions that make images ------------------------------------------------------- */

struct line {
    int order[5];                       /* repetition, set, phase, contrast, slice */
    int step, row, samples, first, end; /* samples [first, end) count; sample 0 belongs to `row` */
    int64_t record;
};

struct raw {
    struct h5 *f;
    int n, images, coils;
    struct line *line;      /* (n), by image and step */
    int *start;             /* (images + 1) into line */
    float complex *readout; /* room for the longest, all coils */
    int *repeats;           /* (phase) how often a column was measured */
};

static void close_file(void *file)
{
    struct raw *r = file;
    if (!r) return;
    h5_close(r->f);
    mem_free(r->line);
    mem_free(r->start);
    mem_free(r->readout);
    mem_free(r->repeats);
    mem_free(r);
}

enum column {
    FLAGS,
    SPACE,
    STEP_1,
    STEP_2,
    REPETITION,
    SET,
    PHASE,
    CONTRAST,
    SLICE,
    SAMPLES,
    COILS,
    CENTRE,
    PRE,
    POST,
    COLUMNS
};
static const char *const members[COLUMNS] = {"head.flags",
                                             "head.encoding_space_ref",
                                             "head.idx.kspace_encode_step_1",
                                             "head.idx.kspace_encode_step_2",
                                             "head.idx.repetition",
                                             "head.idx.set",
                                             "head.idx.phase",
                                             "head.idx.contrast",
                                             "head.idx.slice",
                                             "head.number_of_samples",
                                             "head.active_channels",
                                             "head.center_sample",
                                             "head.discard_pre",
                                             "head.discard_post"};

/* Bits of `flags`, counted from 1 as in the format's documentation. */
static bool flagged(uint64_t flags, int bit)
{
    return flags >> (bit - 1) & 1;
}

/* Noise, calibration, navigators, feedback, dummies and corrections are no lines of an image. */
static bool is_image(uint64_t flags, uint64_t space)
{
    static const int others[] = {19, 20, 23, 24, 26, 27, 28, 29, 30, 31};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (flagged(flags, others[i])) return false;
    return space == 0;
}

static int bad_record(const struct scan *s, int64_t record, const char *what, struct err *e)
{
    err_set(e, ERR_DATA, "%s: acquisition %lld %s", s->path, (long long)record, what);
    return err_hint(e, "Cartesian scans in slices are read: one readout an acquisition, on the "
                       "matrix of the header's first encodedSpace");
}

static int set_line(const struct scan *s, const struct mrd_header *h, struct raw *r, struct line *l,
                    const uint64_t v[COLUMNS], struct err *e)
{
    enum { REVERSED = 22 };
    if (flagged(v[FLAGS], REVERSED)) return bad_record(s, l->record, "runs backwards", e);
    if (v[STEP_2]) return bad_record(s, l->record, "belongs to a 3-D scan", e);
    for (int i = 0; i < 5; i++)
        l->order[i] = (int)v[REPETITION + i];
    int centre = h->step_1.centre >= 0 ? h->step_1.centre : h->encoded[MRD_Y] / 2;
    l->step = (int)v[STEP_1] - centre + h->encoded[MRD_Y] / 2;
    l->row = h->encoded[MRD_X] / 2 - (int)v[CENTRE];
    l->samples = (int)v[SAMPLES];
    l->first = (int)v[PRE];
    l->end = l->samples - (int)v[POST];
    if (l->step < 0 || l->step >= h->encoded[MRD_Y])
        return bad_record(s, l->record, "is a line outside the matrix", e);
    if (l->first >= l->end || l->row + l->first < 0 || l->row + l->end > h->encoded[MRD_X])
        return bad_record(s, l->record, "has samples outside the matrix", e);
    if (v[COILS] < 1 || v[COILS] > SCAN_MAX_COILS)
        return bad_record(s, l->record, "has no usable number of coils", e);
    if (r->coils && r->coils != (int)v[COILS])
        return bad_record(s, l->record, "has another number of coils than those before", e);
    r->coils = (int)v[COILS];
    return 0;
}

static int by_image(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    for (int i = 0; i < 5; i++)
        if (x->order[i] != y->order[i]) return x->order[i] < y->order[i] ? -1 : 1;
    if (x->step != y->step) return x->step < y->step ? -1 : 1;
    return x->record < y->record ? -1 : x->record > y->record;
}

static int sort_lines(struct raw *r, struct err *e)
{
    qsort(r->line, (size_t)r->n, sizeof *r->line, by_image);
    if (!(r->start = mem_new((size_t)r->n + 1, sizeof *r->start, e))) return -1;
    for (int i = 0; i < r->n; i++)
        if (i == 0 || memcmp(r->line[i].order, r->line[i - 1].order, sizeof r->line[i].order) != 0)
            r->start[r->images++] = i;
    r->start[r->images] = r->n;
    return 0;
}

/* column[m] of every record becomes lines. */
static int list_lines(const struct scan *s, const struct mrd_header *h, struct raw *r,
                      int64_t records, uint64_t *const column[COLUMNS], struct err *e)
{
    if (!(r->line = mem_new((size_t)records, sizeof *r->line, e))) return -1;
    for (int64_t i = 0; i < records; i++) {
        uint64_t v[COLUMNS];
        for (int m = 0; m < COLUMNS; m++) {
            v[m] = column[m][i];
            if (m != FLAGS && v[m] > UINT16_MAX)
                return bad_record(s, i, "has a counter beyond 65535", e);
        }
        if (!is_image(v[FLAGS], v[SPACE])) continue;
        r->line[r->n].record = i;
        if (set_line(s, h, r, r->line + r->n, v, e)) return -1;
        r->n++;
    }
    if (r->n) return sort_lines(r, e);
    err_set(e, ERR_DATA, "%s: '%s' has no line of an image", s->path, table);
    return err_hint(e, "it has %lld acquisitions, all of noise, calibration and the like",
                    (long long)records);
}

static int read_lines(const struct scan *s, const struct mrd_header *h, struct raw *r,
                      struct err *e)
{
    int64_t records;
    uint64_t *column[COLUMNS] = {NULL};
    if (h5_record_count(r->f, table, &records, e)) return -1;
    int rc = 0;
    if (records < 1 || records > MAX_RECORDS)
        rc = err_set(e, ERR_DATA, "%s: '%s' has %lld acquisitions, expected 1 to %d", s->path,
                     table, (long long)records, MAX_RECORDS);
    for (int m = 0; m < COLUMNS && rc == 0; m++) {
        column[m] = mem_new((size_t)records, sizeof *column[m], e);
        rc = column[m] ? h5_read_column(r->f, table, members[m], records, column[m], e) : -1;
    }
    if (rc == 0) rc = list_lines(s, h, r, records, column, e);
    for (int m = 0; m < COLUMNS; m++)
        mem_free(column[m]);
    return rc;
}

/* ---- The header ---------------------------------------------------------------------------- */

static int check_header(const struct mrd_header *h, struct err *e)
{
    if (h->trajectory[0] && strcmp(h->trajectory, "cartesian") != 0)
        return err_set(e, ERR_DATA, "the trajectory is '%s', not 'cartesian'", h->trajectory);
    if (!h->encoded[MRD_X]) return err_set(e, ERR_DATA, "there is no encodedSpace/matrixSize");
    if (h->encoded[MRD_Z] > 1 || h->step_2.maximum > 0)
        return err_set(e, ERR_DATA, "the scan is three-dimensional (encodedSpace, z)");
    return 0;
}

static int read_header(const struct scan *s, const struct raw *r, struct mrd_header *h,
                       struct err *e)
{
    char *xml = h5_read_text(r->f, "dataset/xml", e);
    if (!xml) return -1;
    int rc = mrd_header_parse(h, xml, strlen(xml), e) || check_header(h, e) ? -1 : 0;
    mem_free(xml);
    if (rc == 0) return 0;
    err_wrap(e, "%s: dataset 'dataset/xml'", s->path);
    return err_hint(e, "expected the ISMRMRD header of a Cartesian scan in slices");
}

static bool claims(const char *path)
{
    struct h5 *f = h5_open(path, NULL);
    bool yes = f && h5_has(f, table) && h5_has(f, "dataset/xml");
    h5_close(f);
    return yes;
}

static struct raw *raw_new(const struct scan *s, struct mrd_header *h, struct err *e)
{
    struct raw *r = mem_new(1, sizeof *r, e);
    if (r && (r->f = h5_open(s->path, e)) && read_header(s, r, h, e) == 0 &&
        read_lines(s, h, r, e) == 0)
        return r;
    close_file(r);
    return NULL;
}

/* ---- Probing ------------------------------------------------------------------------------- */

/* The columns that were acquired: what the header says, else from the first to the last there is.
 */
static void find_columns(struct scan *s, const struct mrd_header *h, const struct raw *r)
{
    int first = s->phase, end = 0;
    for (int i = 0; i < r->n; i++) {
        if (r->line[i].step < first) first = r->line[i].step;
        if (r->line[i].step >= end) end = r->line[i].step + 1;
    }
    if (h->step_1.maximum >= 0) {
        int zero = s->phase / 2 - h->step_1.centre;
        int low = zero + h->step_1.minimum, high = zero + h->step_1.maximum + 1;
        if (low < first) first = low < 0 ? 0 : low;
        if (high > end) end = high > s->phase ? s->phase : high;
    }
    s->first_column = first;
    s->end_column = end;
}

static void find_gaps(struct scan *s, const struct raw *r)
{
    int wanted = s->end_column - s->first_column;
    for (int k = 0; k < r->images && !s->undersampled; k++) {
        int kept = 0;
        for (int i = r->start[k]; i < r->start[k + 1]; i++)
            kept += i == r->start[k] || r->line[i].step != r->line[i - 1].step;
        s->undersampled = kept < wanted;
        snprintf(s->sampling, sizeof s->sampling, "slice %d has %d of %d lines", k, kept, wanted);
    }
}

static int probe(struct scan *s, struct err *e)
{
    struct mrd_header h;
    struct raw *r = raw_new(s, &h, e);
    if (!r) return -1;
    s->has_coil_axis = true;
    int rc = scan_set_shape(s, "the raw data", r->images, r->coils, h.encoded[MRD_X],
                            h.encoded[MRD_Y], e);
    if (rc == 0) {
        snprintf(s->acquisition, sizeof s->acquisition, "%s", h.protocol);
        snprintf(s->patient, sizeof s->patient, "%s", h.patient);
        find_columns(s, &h, r);
        find_gaps(s, r);
        if (h.recon[MRD_X])
            rc = scan_set_image(s, "the header's reconSpace", h.recon[MRD_X], h.recon[MRD_Y], e);
    }
    close_file(r);
    return rc;
}

/* ---- Samples ------------------------------------------------------------------------------- */

static void *open_file(const struct scan *s, struct err *e)
{
    struct mrd_header h;
    struct raw *r = raw_new(s, &h, e);
    if (!r) return NULL;
    int longest = 0;
    for (int i = 0; i < r->n; i++)
        if (r->line[i].samples > longest) longest = r->line[i].samples;
    r->readout = mem_new((size_t)longest * (size_t)r->coils, sizeof *r->readout, e);
    r->repeats = mem_new((size_t)s->phase, sizeof *r->repeats, e);
    bool same = r->images == s->slices && r->coils == s->coils && h.encoded[MRD_X] == s->readout &&
                h.encoded[MRD_Y] == s->phase;
    if (r->readout && r->repeats && !same)
        err_set(e, ERR_DATA, "%s: the file changed while it was in use", s->path);
    if (r->readout && r->repeats && same) return r;
    close_file(r);
    return NULL;
}

static int add_line(const struct scan *s, const struct raw *r, const struct line *l,
                    float complex *kspace, struct err *e)
{
    size_t samples = (size_t)l->samples, coils = (size_t)r->coils, w = (size_t)s->phase;
    if (h5_read_list(r->f, table, "data", l->record, 2 * coils * samples, (float *)r->readout, e))
        return -1;
    for (size_t c = 0; c < coils; c++)
        for (int i = l->first; i < l->end; i++) {
            size_t y = c * (size_t)s->readout + (size_t)(l->row + i);
            kspace[y * w + (size_t)l->step] += r->readout[c * samples + (size_t)i];
        }
    r->repeats[l->step]++;
    return 0;
}

static int read_slice(const struct scan *s, void *file, int slice, float complex *kspace,
                      struct err *e)
{
    struct raw *r = file;
    size_t w = (size_t)s->phase, rows = (size_t)s->coils * (size_t)s->readout;
    memset(kspace, 0, rows * w * sizeof *kspace);
    memset(r->repeats, 0, w * sizeof *r->repeats);
    for (int i = r->start[slice]; i < r->start[slice + 1]; i++)
        if (add_line(s, r, r->line + i, kspace, e)) return -1;
    for (size_t x = 0; x < w; x++)
        for (size_t y = 0; y < rows && r->repeats[x] > 1; y++)
            kspace[y * w + x] /= (float)r->repeats[x];
    return 0;
}

static const char *const endings[] = {".h5", ".hdf5", ".mrd", NULL};

const struct scan_format format_ismrmrd = {
    .name = "ISMRMRD",
    .endings = endings,
    .claims = claims,
    .probe = probe,
    .open = open_file,
    .read = read_slice,
    .close = close_file,
};
