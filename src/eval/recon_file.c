#include "eval/recon_file.h"

#include "base/h5.h"
#include "base/io.h"
#include "base/mem.h"

#include <string.h>

/* The first line in which two texts differ. */
static int refuse(const char *path, const char *was, const char *is, struct err *e)
{
    for (;;) {
        size_t a = strcspn(was, "\n"), b = strcspn(is, "\n");
        if (a != b || memcmp(was, is, a) != 0) {
            err_set(e, ERR_CONFIG, "%s was made otherwise: then '%.*s', now '%.*s'", path, (int)a,
                    was, (int)b, is);
            return err_hint(e, "choose another 'output', or delete what is there");
        }
        was += a + (was[a] == '\n');
        is += b + (is[b] == '\n');
    }
}

int recon_file_check(const char *path, const char *recipe, enum recon_state *state, struct err *e)
{
    *state = RECON_ABSENT;
    if (!io_exists(path)) return 0;
    struct h5 *f = h5_open(path, e);
    int rc = f ? 0 : -1;
    char *was = NULL;
    if (f && !h5_attr_has(f, "/", "recipe"))
        rc = err_set(e, ERR_CONFIG, "%s is there and no file of this command", path);
    else if (f)
        rc = (was = h5_attr_text(f, "/", "recipe", e)) ? 0 : -1;
    h5_close(f);
    if (rc) return err_hint(e, "choose another 'output', or delete that file");
    if (strcmp(was, recipe) != 0)
        rc = refuse(path, was, recipe, e);
    else
        *state = RECON_CURRENT;
    mem_free(was);
    return rc;
}

struct h5 *recon_file_new(const char *path, const struct recon_shape *s, const char *recipe,
                          struct err *e)
{
    const int64_t dim[] = {s->slices, s->height, s->width}, table[] = {s->slices, 2 * s->metrics};
    struct h5 *f = h5_create(path, e);
    if (f && !h5_make(f, "reconstruction", H5_F32, 3, dim, e) &&
        !(s->image && h5_make(f, "image", H5_C64, 3, dim, e)) &&
        !(s->zero_filled && h5_make(f, "zero_filled", H5_C64, 3, dim, e)) &&
        !(s->metrics && h5_make(f, "scores", H5_F32, 2, table, e)) &&
        !h5_set_attr_text(f, "/", "recipe", recipe, e))
        return f;
    h5_close(f);
    return NULL;
}

static int add_scores(struct h5 *f, const struct recon_shape *s, int slice, const double *scores,
                      float *scratch, struct err *e)
{
    const int64_t start[] = {slice, 0}, count[] = {1, 2 * s->metrics};
    if (!s->metrics) return 0;
    for (int i = 0; i < 2 * s->metrics; i++)
        scratch[i] = (float)scores[i];
    return h5_write_f32(f, "scores", 2, start, count, scratch, e);
}

int recon_file_add(struct h5 *f, const struct recon_shape *s, int slice, const float complex *image,
                   const float complex *zero, const double *scores, float *scratch, struct err *e)
{
    const int64_t start[] = {slice, 0, 0}, count[] = {1, s->height, s->width};
    const size_t n = (size_t)s->height * (size_t)s->width;
    if (add_scores(f, s, slice, scores, scratch, e)) return -1;
    for (size_t i = 0; i < n; i++)
        scratch[i] = cabsf(image[i]);
    return h5_write_f32(f, "reconstruction", 3, start, count, scratch, e) ||
                   (s->image && h5_write_c64(f, "image", 3, start, count, image, e)) ||
                   (s->zero_filled && h5_write_c64(f, "zero_filled", 3, start, count, zero, e))
               ? -1
               : 0;
}

int recon_file_scores(const char *path, const struct recon_shape *s, float *scores, struct err *e)
{
    const int64_t count[] = {s->slices, 2 * s->metrics};
    struct h5 *f = h5_open(path, e);
    int rc = f ? h5_read_f32(f, "scores", 2, NULL, count, scores, e) : -1;
    h5_close(f);
    return rc;
}
