#include "data/anatomy.h"

#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <math.h>
#include <nifti2_io.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SIDE = 4096 };
static const double MAX_VOXELS = 1 << 28, AIR = 0.05 /* of the 99th percentile */;
static const double FILL = 0.86 /* of the field of view, by what is not air */;

struct anatomy {
    int n[3];              /* columns, rows, slices: of the axes below */
    float mm[3];           /* spacing */
    float low[3], high[3]; /* what is not air, in mm from the first voxel */
    float *x;              /* (slices, rows, columns), 1: the 99th percentile */
    uint64_t hash;
};

/* ---- reading ---- */

/* A whole number of `bytes` bytes in a header. */
static int64_t number_at(const unsigned char *h, int at, int bytes, bool swapped)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)h[at + (swapped ? bytes - 1 - i : i)] << 8 * i;
    const int unused = 64 - 8 * bytes;
    return (int64_t)(v << unused) >> unused;
}

/* What the library would complain about on the terminal, before it sees it. */
static int check_raw(const char *path, struct err *e)
{
    unsigned char h[540] = {0};
    char *name = nifti_findhdrname(path);
    znzFile f = name ? znzopen(name, "rb", nifti_is_gzfile(name)) : NULL;
    const size_t got = znz_isnull(f) ? 0 : znzread(h, 1, sizeof h, f);
    if (!znz_isnull(f)) znzclose(f);
    free(name);
    int size = 0, swapped = 0;
    for (int s = 0; s < 2; s++)
        if (number_at(h, 0, 4, s) == 348 || number_at(h, 0, 4, s) == 540) {
            size = (int)number_at(h, 0, 4, s);
            swapped = s;
        }
    const bool two = size == 540;
    const char *magic = (const char *)h + (two ? 4 : 344);
    if (size == 0 || got < (size_t)size || (memcmp(magic, "n", 1) || !strchr("+i", magic[1]))) {
        err_set(e, ERR_DATA, "%s: not a NIfTI volume", path);
        return err_hint(e, "expected a .nii or .nii.gz file, or a pair .hdr and .img");
    }
    const int dim = two ? 16 : 40, each = two ? 8 : 2;
    const int64_t rank = number_at(h, dim, each, swapped);
    if (rank < 1 || rank > 7)
        return err_set(e, ERR_DATA, "%s: the volume has %lld dimensions; expected 3", path,
                       (long long)rank);
    for (int i = 1; i <= rank; i++) {
        const int64_t n = number_at(h, dim + i * each, each, swapped);
        if (n < 1 || n > MAX_SIDE)
            return err_set(e, ERR_DATA, "%s: dim[%d] is %lld; expected 2 to %d", path, i,
                           (long long)n, MAX_SIDE);
    }
    const int type = (int)number_at(h, two ? 12 : 70, 2, swapped);
    if (!nifti_is_valid_datatype(type) || type == DT_BINARY)
        return err_set(e, ERR_DATA, "%s: datatype %d is none of NIfTI's", path, type);
    return 0;
}

static int check_header(const nifti_image *v, const char *path, struct err *e)
{
    if (v->ndim < 3 || v->ndim > 7)
        return err_set(e, ERR_DATA, "%s: the volume has %d dimensions; expected 3", path,
                       (int)v->ndim);
    const double n[3] = {(double)v->nx, (double)v->ny, (double)v->nz};
    const double mm[3] = {(double)v->dx, (double)v->dy, (double)v->dz};
    for (int i = 0; i < 3; i++) {
        if (!(n[i] >= 2 && n[i] <= MAX_SIDE))
            return err_set(e, ERR_DATA, "%s: dim[%d] is %g; expected 2 to %d", path, i + 1, n[i],
                           MAX_SIDE);
        if (!(mm[i] > 0.01 && mm[i] < 1000))
            return err_set(e, ERR_DATA, "%s: pixdim[%d] is %g mm; expected 0.01 to 1000", path,
                           i + 1, mm[i]);
    }
    for (int i = 4; i <= (int)v->ndim; i++)
        if (v->dim[i] > 1) {
            err_set(e, ERR_DATA, "%s: dim[%d] is %d: a series of volumes", path, i, (int)v->dim[i]);
            return err_hint(e, "take one of them out, for example with fslroi or nibabel");
        }
    if (n[0] * n[1] * n[2] > MAX_VOXELS)
        return err_set(e, ERR_DATA, "%s: %g x %g x %g voxels are more than 2^28", path, n[0], n[1],
                       n[2]);
    switch (v->datatype) {
    case DT_UINT8:
    case DT_INT8:
    case DT_INT16:
    case DT_UINT16:
    case DT_INT32:
    case DT_UINT32:
    case DT_FLOAT32:
    case DT_FLOAT64:
        break;
    default:
        return err_set(e, ERR_DATA, "%s: datatype %d (%s); expected whole or floating numbers",
                       path, v->datatype, nifti_datatype_string(v->datatype));
    }
    if (!isfinite((double)v->scl_slope) || !isfinite((double)v->scl_inter))
        return err_set(e, ERR_DATA, "%s: scl_slope or scl_inter is not a number", path);
    return 0;
}

static double value_at(const nifti_image *v, size_t i)
{
    const void *d = v->data;
    switch (v->datatype) {
    case DT_UINT8:
        return ((const uint8_t *)d)[i];
    case DT_INT8:
        return ((const int8_t *)d)[i];
    case DT_INT16:
        return ((const int16_t *)d)[i];
    case DT_UINT16:
        return ((const uint16_t *)d)[i];
    case DT_INT32:
        return ((const int32_t *)d)[i];
    case DT_UINT32:
        return ((const uint32_t *)d)[i];
    case DT_FLOAT32:
        return (double)((const float *)d)[i];
    default:
        return ((const double *)d)[i];
    }
}

/* ---- orientation ---- */

/* An axis of the file as an axis of the picture. */
struct axis {
    int of;    /* i, j or k */
    bool flip; /* runs against */
};

/* The three axes of the world along which i, j, k run; nifti's letters, from sform or else qform.
 * Without either the file is taken as right, front, head. */
static void orientation(const nifti_image *v, int way[3])
{
    way[0] = NIFTI_L2R;
    way[1] = NIFTI_P2A;
    way[2] = NIFTI_I2S;
    if (v->sform_code > 0)
        nifti_dmat44_to_orientation(v->sto_xyz, &way[0], &way[1], &way[2]);
    else if (v->qform_code > 0)
        nifti_dmat44_to_orientation(v->qto_xyz, &way[0], &way[1], &way[2]);
}

static int world_axis(int way) /* 0: left to right, 1: back to front, 2: foot to head */
{
    return way == NIFTI_L2R || way == NIFTI_R2L ? 0 : way == NIFTI_P2A || way == NIFTI_A2P ? 1 : 2;
}

/* Columns, rows and slices of the picture. Slices go along the coarsest axis (the front-back one
 * where all are alike); rows run from the head down, or from the front where slices are axial;
 * columns from the patient's right to the left, or, in sagittal slices, from front to back. */
static void choose_axes(const nifti_image *v, struct axis out[3])
{
    int way[3], at[3] = {-1, -1, -1}, coarse = -1; /* at[a]: which of i, j, k is world axis a */
    orientation(v, way);
    for (int i = 0; i < 3; i++)
        at[world_axis(way[i])] = i;
    for (int a = 0; a < 3; a++)
        if (at[a] < 0) { /* an axis named twice: the orientation is of no use */
            static const int plain[3] = {NIFTI_L2R, NIFTI_P2A, NIFTI_I2S};
            for (int i = 0; i < 3; i++) {
                way[i] = plain[i];
                at[i] = i;
            }
        }
    const double mm[3] = {(double)v->dx, (double)v->dy, (double)v->dz};
    for (int a = 0; a < 3; a++)
        if (coarse < 0 || mm[at[a]] > 1.001 * mm[at[coarse]]) coarse = a;
    if (mm[at[coarse]] < 1.001 * mm[at[1]]) coarse = 1;
    const int row = coarse == 2 ? 1 : 2, col = coarse == 0 ? 1 : 0;
    const int pick[3] = {at[col], at[row], at[coarse]};
    for (int i = 0; i < 3; i++) {
        const int w = way[pick[i]];
        out[i] = (struct axis){pick[i], w == NIFTI_L2R || w == NIFTI_P2A || w == NIFTI_I2S};
    }
}

/* ---- the volume ---- */

/* The value below which 99 % of the positive voxels are. */
static float percentile99(const float *x, size_t n)
{
    enum { BINS = 1 << 14 };
    size_t count[BINS] = {0}, positive = 0, below = 0;
    float max = 0;
    for (size_t i = 0; i < n; i++)
        if (x[i] > max) max = x[i];
    if (!(max > 0)) return 0;
    for (size_t i = 0; i < n; i++)
        if (x[i] > 0) {
            positive++;
            count[(int)(x[i] / max * (BINS - 1))]++;
        }
    int bin = 0;
    while (bin < BINS - 1 && (double)(below += count[bin]) < 0.99 * (double)positive)
        bin++;
    return max * (float)(bin + 1) / BINS;
}

static void find_extent(struct anatomy *a)
{
    int lo[3] = {a->n[0], a->n[1], a->n[2]}, hi[3] = {-1, -1, -1};
    const float *x = a->x;
    for (int k = 0; k < a->n[2]; k++)
        for (int j = 0; j < a->n[1]; j++)
            for (int i = 0; i < a->n[0]; i++) {
                if (*x++ < (float)AIR) continue;
                const int at[3] = {i, j, k};
                for (int d = 0; d < 3; d++) {
                    lo[d] = at[d] < lo[d] ? at[d] : lo[d];
                    hi[d] = at[d] > hi[d] ? at[d] : hi[d];
                }
            }
    for (int d = 0; d < 3; d++) {
        a->low[d] = ((float)lo[d] - 0.5f) * a->mm[d];
        a->high[d] = ((float)hi[d] + 0.5f) * a->mm[d];
    }
}

static int copy_voxels(struct anatomy *a, const nifti_image *v, const char *path, struct err *e)
{
    struct axis axis[3];
    choose_axes(v, axis);
    const size_t n[3] = {(size_t)v->nx, (size_t)v->ny, (size_t)v->nz};
    const size_t stride[3] = {1, n[0], n[0] * n[1]};
    const double mm[3] = {(double)v->dx, (double)v->dy, (double)v->dz};
    const double slope = (double)v->scl_slope, inter = slope != 0 ? (double)v->scl_inter : 0;
    for (int d = 0; d < 3; d++) {
        a->n[d] = (int)n[axis[d].of];
        a->mm[d] = (float)mm[axis[d].of];
    }
    const size_t all = n[0] * n[1] * n[2];
    if (!(a->x = mem_new(all, sizeof *a->x, e))) return -1;
    float *to = a->x;
    for (int k = 0; k < a->n[2]; k++)
        for (int j = 0; j < a->n[1]; j++)
            for (int i = 0; i < a->n[0]; i++) {
                const int at[3] = {i, j, k};
                size_t from = 0;
                for (int d = 0; d < 3; d++)
                    from +=
                        stride[axis[d].of] * (size_t)(axis[d].flip ? a->n[d] - 1 - at[d] : at[d]);
                const double raw = value_at(v, from) * (slope != 0 ? slope : 1) + inter;
                *to++ = isfinite(raw) && raw > 0 && raw < 1e30 ? (float)raw : 0;
            }
    const float unit = percentile99(a->x, all);
    if (!(unit > 0)) return err_set(e, ERR_DATA, "%s: the volume has no positive value", path);
    for (size_t i = 0; i < all; i++)
        a->x[i] = fminf(a->x[i] / unit, 2);
    a->hash = xxh_of(a->x, all * sizeof *a->x);
    find_extent(a);
    return 0;
}

struct anatomy *anatomy_load(const char *path, struct err *e)
{
    struct anatomy *a = NULL;
    if (access(path, R_OK)) {
        err_set(e, ERR_NOINPUT, "%s: %s", path, strerror(errno));
        return NULL;
    }
    nifti_set_debug_level(0); /* what is wrong is said here */
    if (check_raw(path, e)) return NULL;
    nifti_image *v = nifti_image_read(path, 0);
    if (!v) {
        err_set(e, ERR_DATA, "%s: not a NIfTI volume", path);
        err_hint(e, "expected a .nii or .nii.gz file, or a pair .hdr and .img");
        return NULL;
    }
    if (check_header(v, path, e)) goto out;
    if (nifti_image_load(v) || !v->data) {
        err_set(e, ERR_DATA, "%s: the file ends before its %lld voxels do", path,
                (long long)v->nx * v->ny * v->nz);
        goto out;
    }
    a = mem_new(1, sizeof *a, e);
    if (a && copy_voxels(a, v, path, e)) {
        anatomy_free(a);
        a = NULL;
    }
out:
    nifti_image_free(v);
    return a;
}

void anatomy_free(struct anatomy *a)
{
    if (a) mem_free(a->x);
    mem_free(a);
}

uint64_t anatomy_hash(const struct anatomy *a)
{
    return a->hash;
}

/* ---- looking at it ---- */

struct anatomy_pose anatomy_pose(const struct anatomy *a, double fov_mm, double depth_mm,
                                 struct rng r)
{
    const double across = fmax(a->high[0] - a->low[0], a->high[1] - a->low[1]);
    const double size = FILL * (0.94 + 0.12 * rng_uniform(&r)), turn = 0.06 * rng_normal(&r);
    struct anatomy_pose p = {
        .mirror = rng_below(&r, 2) ? 1 : -1,
        .cos = (float)cos(turn),
        .sin = (float)sin(turn),
        .scale = (float)(across / (size * fov_mm)),
        .deep = (float)((a->high[2] - a->low[2]) / depth_mm),
    };
    p.offset.x = (float)(0.02 * fov_mm * rng_normal(&r));
    p.offset.z = (float)(0.02 * fov_mm * rng_normal(&r));
    p.offset.y = (float)(0.02 * depth_mm * rng_normal(&r));
    return p;
}

struct amplitude anatomy_at(const struct anatomy *a, const struct anatomy_pose *pose,
                            struct vec3 world)
{
    const float x = pose->mirror * (world.x - pose->offset.x), z = world.z - pose->offset.z;
    const float across[3] = {pose->scale * (pose->cos * x + pose->sin * z),
                             -pose->scale * (pose->cos * z - pose->sin * x),
                             -pose->deep * (world.y - pose->offset.y)};
    size_t base = 0, step[3] = {1, (size_t)a->n[0], (size_t)a->n[0] * (size_t)a->n[1]};
    float t[3];
    for (int d = 0; d < 3; d++) {
        const float at = (across[d] + 0.5f * (a->low[d] + a->high[d])) / a->mm[d];
        if (!(at >= 0 && at < (float)(a->n[d] - 1))) return (struct amplitude){0, 0};
        t[d] = at - floorf(at);
        base += step[d] * (size_t)at;
    }
    const float *v = a->x + base;
    float sum = 0;
    for (int c = 0; c < 8; c++) {
        const int i = c & 1, j = c >> 1 & 1, k = c >> 2;
        sum += v[(size_t)i * step[0] + (size_t)j * step[1] + (size_t)k * step[2]] *
               (i ? t[0] : 1 - t[0]) * (j ? t[1] : 1 - t[1]) * (k ? t[2] : 1 - t[2]);
    }
    return (struct amplitude){0.75f * sum, 0}; /* as bright as fat is in a knee */
}
