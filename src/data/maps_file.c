#include "data/maps_file.h"

#include "base/h5.h"
#include "base/io.h"
#include "base/mem.h"
#include "data/cfl.h"
#include "data/jsense.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

int maps_path(const char *folder, const struct scan *s, char *path, size_t size, struct err *e)
{
    static const char *const endings[] = {"h5", "cfl"};
    for (int i = 0; i < 2; i++) {
        if (io_path(path, size, e, "%s/%s.%s", folder, s->name, endings[i])) return -1;
        if (io_exists(path)) return 0;
    }
    err_set(e, ERR_NOINPUT, "%s: no maps of the scan %s: neither %s.h5 nor %s.cfl is there", folder,
            s->path, s->name, s->name);
    return err_hint(e, "jsense.maps names a folder with one file a scan");
}

/* ---- HDF5 ---------------------------------------------------------------------------------- */

static int check_h5(const struct maps_file *f, const struct scan *s, struct err *e)
{
    struct h5_info info;
    if (!h5_has(f->h5, "maps")) {
        err_set(e, ERR_DATA, "%s: dataset 'maps' is missing", f->path);
        return err_hint(e, "expected complex numbers of the shape (slice, coil, height, width)");
    }
    if (h5_describe(f->h5, "maps", &info, e)) return -1;
    const int64_t want[4] = {s->slices, s->coils, s->height, s->width};
    bool fits = info.type == H5_C64 && info.rank == 4;
    for (int i = 0; i < 4 && fits; i++)
        fits = info.dim[i] == want[i];
    if (fits) return 0;
    err_set(e, ERR_DATA, "%s: dataset 'maps' does not fit to the scan %s", f->path, s->path);
    return err_hint(e,
                    "expected complex numbers of the shape (%d, %d, %d, %d): slice, coil, height "
                    "and width of the references",
                    s->slices, s->coils, s->height, s->width);
}

/* ---- BART's .cfl --------------------------------------------------------------------------- */

static int cfl_mismatch(const struct maps_file *f, const struct scan *s, struct err *e)
{
    err_set(e, ERR_DATA, "%s: the dimensions of the maps do not fit to the scan %s", f->path,
            s->path);
    return err_hint(e,
                    "expected %d %d %d %d (height, width, slice, coil), or %d %d 1 %d with %d "
                    "slices as the 14th dimension",
                    s->height, s->width, s->slices, s->coils, s->height, s->width, s->coils,
                    s->slices);
}

static int open_cfl(struct maps_file *f, const struct scan *s, struct err *e)
{
    int64_t dim[CFL_DIMS];
    if (cfl_sizes(f->path, dim, e)) return -1;
    f->slices_last = dim[CFL_PHS2] == 1;
    const int at = f->slices_last ? CFL_SLICE : CFL_PHS2;
    for (int i = 0; i < CFL_DIMS; i++) {
        const int64_t want = i == CFL_READ   ? s->height
                             : i == CFL_PHS1 ? s->width
                             : i == CFL_COIL ? s->coils
                             : i == at       ? s->slices
                                             : 1;
        if (dim[i] != want) return cfl_mismatch(f, s, e);
    }
    f->fd = cfl_open(f->path, e);
    return f->fd < 0 ? -1 : 0;
}

/* A plane is stored with rows fastest. */
static int read_cfl(const struct maps_file *f, const struct scan *s, int slice, float complex *maps,
                    struct err *e)
{
    const size_t h = (size_t)s->height, w = (size_t)s->width, n = h * w;
    float complex *plane = mem_new(n, sizeof *plane, e);
    int rc = plane ? 0 : -1;
    for (size_t c = 0; c < (size_t)s->coils && rc == 0; c++) {
        const size_t index = f->slices_last ? (size_t)slice * (size_t)s->coils + c
                                            : c * (size_t)s->slices + (size_t)slice;
        rc = cfl_read(f->fd, f->path, index * n, plane, n, e);
        for (size_t y = 0; y < h && rc == 0; y++)
            for (size_t x = 0; x < w; x++)
                maps[c * n + y * w + x] = plane[x * h + y];
    }
    mem_free(plane);
    return rc;
}

/* ---- Either -------------------------------------------------------------------------------- */

int maps_open(struct maps_file *f, const char *folder, const struct scan *s, struct err *e)
{
    *f = (struct maps_file){.fd = -1};
    if (maps_path(folder, s, f->path, sizeof f->path, e)) return -1;
    if (strcmp(f->path + strlen(f->path) - 4, ".cfl") == 0) return open_cfl(f, s, e);
    f->h5 = h5_open(f->path, e);
    return f->h5 ? check_h5(f, s, e) : -1;
}

void maps_close(struct maps_file *f)
{
    h5_close(f->h5);
    if (f->fd >= 0) close(f->fd);
    *f = (struct maps_file){.fd = -1};
}

int maps_read(struct maps_file *f, const struct scan *s, int slice, float complex *maps,
              struct err *e)
{
    const int64_t at[4] = {slice, 0, 0, 0}, count[4] = {1, s->coils, s->height, s->width};
    if (f->h5 ? h5_read_c64(f->h5, "maps", 4, at, count, maps, e) : read_cfl(f, s, slice, maps, e))
        return -1;
    const size_t n = (size_t)s->coils * (size_t)s->height * (size_t)s->width;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(crealf(maps[i])) || !isfinite(cimagf(maps[i]))) {
            err_set(e, ERR_DATA, "%s: the maps hold NaN or infinity in slice %d", f->path, slice);
            return err_hint(e, "where there is no signal maps should be 0");
        }
    coils_unit_rss(maps, s->coils, s->height, s->width);
    return 0;
}
