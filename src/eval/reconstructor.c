#include "eval/reconstructor.h"

#include "base/progress.h"
#include "nn/graph.h"
#include "nn/params.h"
#include "nn/unet.h"

#include <string.h>

static int check_size(const struct unet_conf *u, int h, int w, struct err *e)
{
    const int m = unet_size_multiple(u);
    if (h % m == 0 && w % m == 0) return 0;
    err_set(e, ERR_CONFIG,
            "images of %d x %d cannot be halved %d times: both sizes must be multiples of %d", h, w,
            u->levels - 1, m);
    return err_hint(e, "set data.height to %d and data.width to %d: images are zero-padded to that",
                    (h + m - 1) / m * m, (w + m - 1) / m * m);
}

int reconstructor_describe(const char *checkpoint, int *height, int *width, struct ckpt_info *info,
                           struct err *e)
{
    if (ckpt_read_info(checkpoint, info, e)) return -1;
    if (strcmp(info->task, "recon") != 0 || info->unet.in_channels != 2 ||
        info->unet.out_channels != 2) {
        err_set(e, ERR_DATA,
                "%s: a network of task '%s' with %d input channels; a reconstruction needs one of "
                "task 'recon' with 2",
                checkpoint, info->task, info->unet.in_channels);
        return err_hint(e, "give a checkpoint that train-recon wrote");
    }
    if (!*height) *height = info->height;
    if (!*width) *width = info->width;
    return check_size(&info->unet, *height, *width, e) ? err_wrap(e, "%s", checkpoint) : 0;
}

/* FNV-1a over the values' bytes. */
static uint64_t fingerprint(const struct params *p)
{
    uint64_t hash = 14695981039346656037u;
    const unsigned char *byte = (const unsigned char *)p->val;
    for (size_t i = 0; i < p->len * sizeof *p->val; i++)
        hash = (hash ^ byte[i]) * 1099511628211u;
    return hash;
}

/* What data consistency needs to know of the scans. */
static int make_acquisition(struct reconstructor *r, const struct reconstructor_conf *c,
                            struct err *e)
{
    if (!c->images)
        return err_set(e, ERR_CONFIG, "%s: a network with data consistency needs the scans",
                       c->checkpoint);
    if (!(r->acquisition = acquisition_new(c->from, &c->images, 1, e))) return -1;
    r->normal =
        (struct normal){acquisition_planes(r->acquisition), r->acquisition, acquisition_row};
    r->info.unet.normal = &r->normal;
    return 0;
}

/* A network does well what it was trained for. */
static void warn_of_masks(const struct reconstructor_conf *c, const struct ckpt_info *info)
{
    char what[300];
    if (*info->undersampling &&
        undersample_differs(info->undersampling, &c->from, what, sizeof what))
        progress_warn("%s was trained with other masks: %s", c->checkpoint, what);
}

int reconstructor_open(struct reconstructor *r, const struct reconstructor_conf *c, struct err *e)
{
    *r = (struct reconstructor){.batch = c->batch, .height = c->height, .width = c->width};
    if (reconstructor_describe(c->checkpoint, &r->height, &r->width, &r->info, e) ||
        (r->info.unet.data_consistency > 0 && make_acquisition(r, c, e)))
        return -1;
    warn_of_masks(c, &r->info);
    if (!(r->graph = graph_new())) return err_set(e, ERR_FAILED, "out of memory");
    int x = graph_input(r->graph, "input", r->info.unet.in_channels);
    graph_output(r->graph, unet_build(r->graph, &r->info.unet, x));
    if (graph_seal(r->graph, e) || !(r->params = params_new(r->graph, e)) ||
        ckpt_load(c->checkpoint, r->params, false, e))
        return -1;
    r->weights = fingerprint(r->params);
    r->plan = plan_new(r->graph, r->params,
                       (struct plan_conf){.batch = r->batch,
                                          .height = r->height,
                                          .width = r->width,
                                          .precision = nn_precision_in_force(c->precision)},
                       e);
    if (!r->plan) return -1;
    struct shape shape;
    r->input = plan_input(r->plan, "input");
    r->told = plan_input(r->plan, "acquisition");
    const size_t told = (size_t)r->batch * (size_t)r->height * (size_t)r->width;
    for (size_t p = 0; r->told && p < told * (size_t)r->normal.channels; p++)
        r->told[p] = -1.0f; /* a batch that is not full: k-space knows nothing of the rest */
    r->output = plan_output(r->plan, "output", &shape);
    return 0;
}

void reconstructor_release(struct reconstructor *r)
{
    plan_free(r->plan);
    params_free(r->params);
    graph_free(r->graph);
    acquisition_free(r->acquisition);
    *r = (struct reconstructor){0};
}

void reconstructor_tell(const struct reconstructor *r, int i, struct undersample *u, int scan)
{
    const struct augment none = augment_none();
    const size_t pixels = (size_t)r->height * (size_t)r->width;
    if (r->told)
        acquisition_describe(r->acquisition, u, scan, &none,
                             r->told + (size_t)i * pixels * (size_t)r->normal.channels);
}

void reconstructor_run(struct reconstructor *r)
{
    plan_forward(r->plan, (struct step_key){0});
}
