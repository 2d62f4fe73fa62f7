/* The file: attributes of the root describe it, "params/NAME" holds values, "adam/m/NAME" and
 * "adam/v/NAME" the moments. Of a training that averages its weights "params" are the averages, and
 * "raw/NAME" the values as the optimiser has them. */
#include "nn/ckpt.h"

#include "base/h5.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static const char FORMAT[] = "ssfd checkpoint 2";
static const char *const slabs[] = {"params", "adam/m", "adam/v", "raw"};
static const char *const kinds[] = {"parameter", "the moments of parameter",
                                    "the moments of parameter", "the raw value of parameter"};
enum { SLABS = 4 };

/* --- description --- */

struct number {
    const char *key;
    int *at;
    int min, max;
};
enum { NUMBERS = 8 };

static void numbers(struct ckpt_info *i, struct number out[NUMBERS])
{
    struct unet_conf *u = &i->unet;
    const struct number all[NUMBERS] = {{"unet.in_channels", &u->in_channels, 1, 1 << 16},
                                        {"unet.out_channels", &u->out_channels, 1, 1 << 16},
                                        {"unet.filters", &u->filters, 1, 1 << 16},
                                        {"unet.levels", &u->levels, 1, 16},
                                        {"unet.block", &u->block, 0, UNET_BLOCK_FASTMRI},
                                        {"unet.groups", &u->groups, 1, 1 << 16},
                                        {"height", &i->height, 0, 1 << 20},
                                        {"width", &i->width, 0, 1 << 20}};
    memcpy(out, all, sizeof all);
}

/* Numbers of 64 bits; those that may be any fingerprint use them all. */
struct counter {
    const char *key;
    uint64_t *at;
    bool any;
};
enum { COUNTERS = 7 };

static void counters(struct ckpt_info *i, struct counter out[COUNTERS])
{
    const struct counter all[COUNTERS] = {{"step", &i->step, false},
                                          {"best_step", &i->best_step, false},
                                          {"validated", &i->validated, false},
                                          {"stale", &i->stale, false},
                                          {"loss_count", &i->loss_count, false},
                                          {"images", &i->images, true},
                                          {"encoder", &i->encoder, true}};
    memcpy(out, all, sizeof all);
}

static int write_info(struct h5 *f, const struct ckpt_info *info, struct err *e)
{
    struct ckpt_info i = *info;
    struct number all[NUMBERS];
    numbers(&i, all);
    for (int k = 0; k < NUMBERS; k++)
        if (h5_set_attr_i64(f, "/", all[k].key, *all[k].at, e)) return -1;
    struct counter count[COUNTERS];
    counters(&i, count);
    for (int k = 0; k < COUNTERS; k++)
        if (h5_set_attr_i64(f, "/", count[k].key, (int64_t)*count[k].at, e)) return -1;
    if (h5_set_attr_text(f, "/", "format", FORMAT, e) ||
        h5_set_attr_text(f, "/", "task", i.task, e) ||
        h5_set_attr_i64(f, "/", "unet.residual", i.unet.residual, e) ||
        h5_set_attr_f64(f, "/", "best_loss", i.best_loss, e) ||
        h5_set_attr_f64(f, "/", "loss_sum", i.loss_sum, e) ||
        h5_set_attr_f64(f, "/", "loss_mean", i.loss_mean, e))
        return -1;
    const int steps =
        i.unet.data_consistency; /* a file that does not say is of a network without */
    if (steps && h5_set_attr_i64(f, "/", "unet.data_consistency", steps, e)) return -1;
    if (*i.undersampling && h5_set_attr_text(f, "/", "undersampling", i.undersampling, e))
        return -1;
    return h5_set_attr_f64(f, "/", "unet.dropout", i.unet.dropout, e);
}

static int check_format(const struct h5 *f, struct err *e)
{
    char *format = h5_attr_has(f, "/", "format") ? h5_attr_text(f, "/", "format", NULL) : NULL;
    const bool ours = format && strcmp(format, FORMAT) == 0;
    if (!ours && format)
        err_set(e, ERR_DATA, "%s: its format is '%.60s', not '%s'", h5_path(f), format, FORMAT);
    else if (!ours)
        err_set(e, ERR_DATA, "%s is not a checkpoint", h5_path(f));
    mem_free(format);
    return ours ? 0 : -1;
}

static int read_int(const struct h5 *f, const char *key, int64_t min, int64_t max, int64_t *v,
                    struct err *e)
{
    if (h5_attr_i64(f, "/", key, v, e)) return -1;
    if (*v < min || *v > max)
        return err_set(e, ERR_DATA, "%s: attribute '%s' is %" PRId64, h5_path(f), key, *v);
    return 0;
}

static int read_text(const struct h5 *f, const char *key, char *text, size_t size, struct err *e)
{
    char *all = h5_attr_text(f, "/", key, e);
    if (!all) return -1;
    const size_t len = strlen(all);
    if (len < size) memcpy(text, all, len + 1);
    mem_free(all);
    return len < size ? 0 : err_set(e, ERR_DATA, "%s: attribute '%s' is too long", h5_path(f), key);
}

static int read_info(const struct h5 *f, struct ckpt_info *out, struct err *e)
{
    struct ckpt_info i = {0};
    struct number all[NUMBERS];
    int64_t v = 0;
    if (check_format(f, e)) return -1;
    numbers(&i, all);
    for (int k = 0; k < NUMBERS; k++) {
        if (read_int(f, all[k].key, all[k].min, all[k].max, &v, e)) return -1;
        *all[k].at = (int)v;
    }
    struct counter count[COUNTERS];
    counters(&i, count);
    for (int k = 0; k < COUNTERS; k++) {
        if (read_int(f, count[k].key, count[k].any ? INT64_MIN : 0, INT64_MAX, &v, e)) return -1;
        *count[k].at = (uint64_t)v;
    }
    if (read_int(f, "unet.residual", 0, 1, &v, e)) return -1;
    i.unet.residual = v != 0;
    v = 0;
    if (h5_attr_has(f, "/", "unet.data_consistency") &&
        read_int(f, "unet.data_consistency", 0, 1 << 16, &v, e))
        return -1;
    i.unet.data_consistency = (int)v;
    if (h5_attr_f64(f, "/", "best_loss", &i.best_loss, e) ||
        h5_attr_f64(f, "/", "loss_sum", &i.loss_sum, e) ||
        h5_attr_f64(f, "/", "loss_mean", &i.loss_mean, e) ||
        h5_attr_f64(f, "/", "unet.dropout", &i.unet.dropout, e))
        return -1;
    if (!(i.unet.dropout >= 0.0 && i.unet.dropout < 1.0))
        return err_set(e, ERR_DATA, "%s: attribute 'unet.dropout' is %g", h5_path(f),
                       i.unet.dropout);
    if (read_text(f, "task", i.task, sizeof i.task, e) ||
        (h5_attr_has(f, "/", "undersampling") && /* of older files it is not known */
         read_text(f, "undersampling", i.undersampling, sizeof i.undersampling, e)))
        return -1;
    *out = i;
    return 0;
}

int ckpt_check(const char *path, struct err *e)
{
    return seal_check(path, NULL, e);
}

/* Of a file whose every byte is as it was written. */
static struct h5 *open_checked(const char *path, struct err *e)
{
    return ckpt_check(path, e) ? NULL : h5_open(path, e);
}

int ckpt_read_info(const char *path, struct ckpt_info *info, struct err *e)
{
    struct h5 *f = open_checked(path, e);
    if (!f) return -1;
    const int status = read_info(f, info, e);
    h5_close(f);
    return status;
}

/* --- parameters --- */

static void dataset_name(char out[96], int slab, const char *name)
{
    snprintf(out, 96, "%s/%s", slabs[slab], name);
}

/* What is saved of p as the slabs; NULL: not there. */
static void slabs_of(const struct params *p, float *of[SLABS])
{
    float *const all[SLABS] = {p->mean ? p->mean : p->val, p->m, p->v, p->mean ? p->val : NULL};
    memcpy(of, all, sizeof all);
}

static int write_slab(struct h5 *f, int slab, const struct params *p, const float *from,
                      struct err *e)
{
    for (int i = 0; i < p->trained; i++) {
        const struct param *q = &p->list[i];
        const int64_t dim[4] = {q->dim[0], q->dim[1], q->dim[2], q->dim[3]};
        char name[96];
        dataset_name(name, slab, q->name);
        if (h5_make(f, name, H5_F32, q->rank, dim, e) ||
            h5_write_f32(f, name, q->rank, NULL, dim, from + q->offset, e))
            return -1;
    }
    return 0;
}

/* `temp` becomes a whole HDF5 file, then a sealed one, and only then `path`. */
int ckpt_save(const char *path, const struct params *p, const struct ckpt_info *info, struct err *e)
{
    float *from[SLABS];
    char temp[PATH_MAX];
    slabs_of(p, from);
    for (int s = 0; s < SLABS; s++) /* ckpt_load would refuse it: the file before is worth more */
        for (size_t i = 0; from[s] && i < p->trained_len; i++)
            if (!isfinite(from[s][i]))
                return err_set(e, ERR_FAILED, "%s: not saved: a value of '%s' is not finite", path,
                               slabs[s]);
    if (io_path(temp, sizeof temp, e, "%s.tmp", path)) return -1;
    struct h5 *f = h5_create(temp, e);
    if (!f) return -1;
    int status = write_info(f, info, e);
    for (int s = 0; !status && s < SLABS; s++)
        status = from[s] ? write_slab(f, s, p, from[s], e) : 0;
    status = status || h5_commit(f, e);
    h5_close(f);
    status = status || seal_file(temp, e) || io_rename(temp, path, e);
    if (status) unlink(temp);
    return status ? -1 : 0;
}

static void shape_text(char *out, size_t size, int rank, const int64_t *dim)
{
    size_t at = 0;
    out[0] = '\0';
    for (int d = 0; d < rank && at < size; d++) {
        const int n = snprintf(out + at, size - at, "%s%" PRId64, d ? " x " : "", dim[d]);
        at += n > 0 ? (size_t)n : 0;
    }
}

/* Of slab `slab`, stored as `stored`. */
static int read_param(const struct h5 *f, int slab, const char *stored, const struct param *q,
                      float *out, struct err *e)
{
    const int64_t dim[4] = {q->dim[0], q->dim[1], q->dim[2], q->dim[3]};
    struct h5_info info;
    char name[96], here[96], there[96];
    dataset_name(name, slab, stored);
    if (!h5_has(f, name)) {
        err_set(e, ERR_DATA, "%s: %s '%s' is missing", h5_path(f), kinds[slab], stored);
        return err_hint(e, "it is a checkpoint of another network");
    }
    if (h5_describe(f, name, &info, e)) return -1;
    bool same = info.rank == q->rank;
    for (int d = 0; same && d < q->rank; d++)
        same = info.dim[d] == dim[d];
    if (!same) {
        shape_text(here, sizeof here, q->rank, dim);
        shape_text(there, sizeof there, info.rank, info.dim);
        err_set(e, ERR_DATA, "%s: parameter '%s' is %s in the file, %s in this network", h5_path(f),
                stored, there, here);
        return err_hint(e, "it is a checkpoint of another network");
    }
    if (h5_read_f32(f, name, q->rank, NULL, dim, out, e)) return -1;
    for (size_t i = 0; i < q->len; i++)
        if (!isfinite(out[i]))
            return err_set(e, ERR_DATA, "%s: '%s' holds a value that is not finite", h5_path(f),
                           name);
    return 0;
}

int ckpt_load(const char *path, struct params *p, bool state, struct err *e)
{
    float *all = NULL, *to[SLABS] = {p->val};
    if (state) slabs_of(p, to);
    struct h5 *f = open_checked(path, e);
    int status =
        !f || check_format(f, e) || !(all = mem_new(p->trained_len, SLABS * sizeof *all, e));
    for (int s = 0; !status && s < SLABS; s++)
        for (int i = 0; !status && to[s] && i < p->trained; i++) {
            const struct param *q = &p->list[i];
            status = read_param(f, s, q->name, q, all + (size_t)s * p->trained_len + q->offset, e);
        }
    for (int s = 0; !status && s < SLABS; s++) /* all is read: now it counts */
        if (to[s]) memcpy(to[s], all + (size_t)s * p->trained_len, p->trained_len * sizeof *all);
    if (!status) p->version++;
    mem_free(all);
    h5_close(f);
    return status ? -1 : 0;
}

int ckpt_load_frozen(const char *path, struct params *p, const char *prefix, struct err *e)
{
    const size_t len = strlen(prefix);
    struct h5 *f = open_checked(path, e);
    int status = !f || check_format(f, e);
    for (int i = p->trained; !status && i < p->n; i++) {
        const struct param *q = &p->list[i];
        if (!strncmp(q->name, prefix, len))
            status = read_param(f, 0, q->name + len, q, p->val + q->offset, e);
    }
    p->version++;
    h5_close(f);
    return status ? -1 : 0;
}
