/* k-space in BART's pair of files (cfl.h). Of BART's dimensions
 *
 *     0 READ -> readout   1 PHS1 -> phase   3 COIL -> coil   13 SLICE -> slice
 *
 * are used; all others must be 1. A three-dimensional k-space (2 PHS2 > 1) is to be transformed
 * along PHS2 and moved to SLICE before. There is no header that says more: all columns count as
 * acquired, references have the size of k-space. Slices are read one by one; the file is never in
 * memory as a whole. */
#include "base/mem.h"
#include "data/cfl.h"
#include "data/scan_format.h"

#include <unistd.h>

/* ---- What the sizes mean ------------------------------------------------------------------- */

static int check_unused(const struct scan *s, const int64_t dim[CFL_DIMS], struct err *e)
{
    for (int i = 0; i < CFL_DIMS; i++) {
        if (dim[i] == 1 || i == CFL_READ || i == CFL_PHS1 || i == CFL_COIL || i == CFL_SLICE)
            continue;
        err_set(e, ERR_DATA,
                "%s: dimension %d has size %lld, only READ (0), PHS1 (1), COIL (3) and "
                "SLICE (13) may have more than 1",
                s->path, i, (long long)dim[i]);
        if (i == CFL_PHS2)
            return err_hint(e, "of a 3-D scan make slices: 'bart fft -iu 4', then 'bart transpose "
                               "2 13'");
        if (i == CFL_MAPS)
            return err_hint(e, "coil sensitivities of 'bart ecalib' are not k-space");
        return err_hint(e, "take one of them with 'bart slice %d 0'", i);
    }
    return 0;
}

static int probe(struct scan *s, struct err *e)
{
    int64_t dim[CFL_DIMS];
    if (cfl_sizes(s->path, dim, e) || check_unused(s, dim, e)) return -1;
    s->has_coil_axis = true;
    return scan_set_shape(s, "its header", dim[CFL_SLICE], dim[CFL_COIL], dim[CFL_READ],
                          dim[CFL_PHS1], e);
}

/* ---- Samples ------------------------------------------------------------------------------- */

struct cfl {
    int fd;
    float complex *slice; /* (coil, phase, readout), as in the file */
};

static void close_file(void *file)
{
    struct cfl *c = file;
    if (!c) return;
    if (c->fd >= 0) close(c->fd);
    mem_free(c->slice);
    mem_free(c);
}

static void *open_file(const struct scan *s, struct err *e)
{
    struct cfl *c = mem_new(1, sizeof *c, e);
    if (!c) return NULL;
    c->fd = cfl_open(s->path, e);
    c->slice =
        mem_new((size_t)s->coils * (size_t)s->readout * (size_t)s->phase, sizeof *c->slice, e);
    if (c->fd >= 0 && c->slice) return c;
    close_file(c);
    return NULL;
}

static int read_slice(const struct scan *s, void *file, int slice, float complex *kspace,
                      struct err *e)
{
    struct cfl *c = file;
    size_t coils = (size_t)s->coils, h = (size_t)s->readout, w = (size_t)s->phase;
    const size_t n = coils * h * w;
    if (cfl_read(c->fd, s->path, n * (size_t)slice, c->slice, n, e)) return -1;
    for (size_t k = 0; k < coils; k++)
        for (size_t y = 0; y < h; y++)
            for (size_t x = 0; x < w; x++)
                kspace[(k * h + y) * w + x] = c->slice[(k * w + x) * h + y];
    return 0;
}

static const char *const endings[] = {".cfl", NULL};

const struct scan_format format_cfl = {
    .name = "BART",
    .endings = endings,
    .probe = probe,
    .open = open_file,
    .read = read_slice,
    .close = close_file,
};
