/* reconstruct config.yaml: applies a trained reconstruction network to scans. */
#include "base/cli.h"
#include "base/io.h"
#include "base/leftover.h"
#include "base/mem.h"
#include "base/owner.h"
#include "base/par.h"
#include "data/zerofill.h"
#include "eval/reconstruct.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_METRICS = 64 };

static const char *const targets[] = {"reference", "rss", NULL};

static const struct cfg_field data_fields[] = {
    CFG_TEXTS(struct images_conf, scans, NULL,
              "fully sampled scans: files, or folders of them (docs/data.md)"),
    IMAGES_CHOICE_FIELDS,
    CFG_INT(struct images_conf, height, "0", 0, 4096, "px",
            "of the reconstructions: cropped or zero-padded; 0: as the network was trained"),
    CFG_INT(struct images_conf, width, "0", 0, 4096, "px", "see height"),
    CFG_GROUP(struct images_conf, jsense, jsense_fields, "sensitivities and references"),
    CFG_END};

static const struct cfg_field fields[] = {
    CFG_TEXT(struct reconstruct_conf, output, NULL, "folder of the reconstructions and tables"),
    CFG_TEXT(struct reconstruct_conf, checkpoint, NULL, "of train-recon: best.h5 or last.h5"),
    CFG_U64(struct reconstruct_conf, seed, "1", "of the masks: one a scan, by its file's name"),
    CFG_GROUP(struct reconstruct_conf, data, data_fields, "what is reconstructed"),
    CFG_PICK(struct reconstruct_conf, mask, "random", mask_kinds, "undersampling"),
    CFG_CHOICE(struct reconstruct_conf, mask_on, "cropped", mask_on_choices,
               "as in the training: masks drop columns of the k-space of the cropped image, or of "
               "the k-space that was acquired"),
    CFG_PICKS(struct reconstruct_conf, metrics, "{psnr: {}, ssim: {}, nrmse: {}}", metric_kinds,
              "of each slice, for the tables"),
    CFG_CHOICE(struct reconstruct_conf, target, "reference", targets,
               "what the metrics compare with: the magnitude of the JSENSE-combined image, which "
               "the network was trained for, or the root-sum-of-squares image, as fastMRI's"),
    CFG_CHOICE(struct reconstruct_conf, precision, "fp32", nn_precisions,
               "of the convolutions, see train-recon"),
    CFG_BOOL(struct reconstruct_conf, image, "true", "write the complex image too"),
    CFG_BOOL(struct reconstruct_conf, zero_filled, "true", "write the network's input too"),
    CFG_END};

static int check(const void *conf, const struct cli *cli, struct err *e)
{
    const struct reconstruct_conf *c = conf;
    if (!c->output[0])
        return err_set(e, ERR_CONFIG, "%s: output is empty", cfg_where(cli->cfg, "output"));
    if (!c->data.scans.n)
        return err_set(e, ERR_CONFIG, "%s: data.scans is empty", cfg_where(cli->cfg, "data.scans"));
    if (c->metrics.n > MAX_METRICS)
        return err_set(e, ERR_CONFIG, "%s: more than %d metrics", cfg_where(cli->cfg, "metrics"),
                       MAX_METRICS);
    return 0;
}

/* The scans, at the size of the network where none is asked for. */
static int find_images(struct images *im, const struct reconstruct_conf *c, bool quiet,
                       struct err *e)
{
    struct ckpt_info info;
    struct images_conf data = c->data;
    data.slices = SLICES_ALL;
    return reconstructor_describe(c->checkpoint, &data.height, &data.width, &info, e) ||
                   images_find(im, &data, quiet, e)
               ? -1
               : 0;
}

/* Whether there is a mask for every scan; a line of each into `out`, unless it is NULL. */
static int check_masks(const struct images *im, const struct reconstruct_conf *c, FILE *out,
                       struct err *e)
{
    struct masks *masks = masks_new(c->mask, e);
    char line[256];
    int rc = masks ? 0 : -1;
    for (int i = 0; i < im->scans.n && !rc; i++) {
        const struct scan *s = &im->scans.list[i];
        int h, w;
        zerofill_mask_size(c->mask_on, s, &h, &w);
        const struct mask_plan *p = masks_plan(masks, h, w, e);
        rc = p ? 0 : err_wrap(e, "%s", s->path);
        if (rc || !out) continue;
        masks_describe(masks, p, line, sizeof line);
        fprintf(out, "scan %s: %d slices, %d coils, %s\n", s->name, s->slices, s->coils, line);
    }
    masks_free(masks);
    return rc;
}

static int explain(const void *conf, const struct cli *cli, struct err *e)
{
    const struct reconstruct_conf *c = conf;
    struct images images = {0};
    int rc = find_images(&images, c, cli->quiet, e);
    if (!rc)
        printf("network: %s; images of %d x %d, %d at a time, into %s\n", c->checkpoint,
               images.conf.height, images.conf.width, cli->threads, c->output);
    rc = rc || check_masks(&images, c, stdout, e);
    images_release(&images);
    return rc ? -1 : 0;
}

static int open_network(struct reconstruction *r, struct err *e)
{
    const struct reconstruct_conf *c = r->conf;
    return reconstructor_open(
        &r->net,
        &(struct reconstructor_conf){.checkpoint = c->checkpoint,
                                     .batch = par_threads(),
                                     .height = r->images.height,
                                     .width = r->images.width,
                                     .precision = (enum nn_precision)c->precision,
                                     .from = reconstruct_from(c),
                                     .images = &r->images},
        e);
}

static int open_metrics(struct reconstruction *r, struct err *e)
{
    r->state = mem_new((size_t)r->conf->metrics.n, sizeof *r->state, e);
    if (!r->state) return -1;
    for (int m = 0; m < r->conf->metrics.n; m++) {
        const struct metric *metric = reconstruct_metric(r->conf, m);
        if (metric->open && !(r->state[m] = metric->open(r->conf->metrics.v[m].conf, r->net.height,
                                                         r->net.width, e)))
            return err_wrap(e, "metric %s", metric->kind.name);
    }
    return 0;
}

static void release(struct reconstruction *r)
{
    for (int m = 0; r->state && m < r->conf->metrics.n; m++)
        if (reconstruct_metric(r->conf, m)->close)
            reconstruct_metric(r->conf, m)->close(r->state[m]);
    mem_free(r->state);
    reconstructor_release(&r->net);
    images_release(&r->images);
}

/* All that can be refused before references are made, which may take hours. */
static int open_all(struct reconstruction *r, struct err *e)
{
    const struct reconstruct_conf *c = r->conf;
    return owner_check(c->output, OWNER_RECONSTRUCTION, e) ||
                   find_images(&r->images, c, r->cli->quiet, e) ||
                   check_masks(&r->images, c, NULL, e) || open_network(r, e) || open_metrics(r, e)
               ? -1
               : 0;
}

static int preview(const void *conf, const struct cli *cli, struct err *e)
{
    struct reconstruction r = {.conf = conf, .cli = cli};
    if (cli->quiet) return 0; /* the configuration alone, as of studies */
    const int rc = open_all(&r, e);
    if (!rc)
        printf("# %d scans of %dx%d are there, and a network for them\n", r.images.scans.n,
               r.images.height, r.images.width);
    release(&r);
    return rc;
}

static int run(const void *conf, const struct cli *cli, struct err *e)
{
    struct reconstruction r = {.conf = conf, .cli = cli};
    const struct reconstruct_conf *c = conf;
    char prefix[PATH_MAX];
    if (owner_check(c->output, OWNER_RECONSTRUCTION, e) || io_mkdirs(c->output, e)) return -1;
    if (access(c->output, W_OK | X_OK)) /* now, not after the work */
        return err_set(e, ERR_IO, "%s: no file can be written there", c->output);
    if (io_path(prefix, sizeof prefix, e, "%s/", c->output)) return -1;
    leftover_remove(prefix);
    struct scans *const scans[] = {&r.images.scans};
    int rc = open_all(&r, e) || images_prepare(&r.images, cli->quiet, e) ||
             scans_report(scans, 1, c->output, stderr, e) || reconstruct_scans(&r, e) ||
             reconstruct_report(&r, e);
    release(&r);
    return rc ? -1 : 0;
}

static const struct command command = {
    .name = "reconstruct",
    .summary = "reconstruct scans with a network that train-recon trained",
    .text =
        "Undersamples fully sampled scans (one mask a scan, by its file's name, as in the "
        "validation\n"
        "of train-recon), reconstructs every slice, and leaves in the output folder for each scan\n"
        "NAME.h5 with 'reconstruction', float32 (slice, height, width) as in fastMRI's "
        "submissions,\n"
        "with 'image' and 'zero_filled', complex64; slices.csv and scans.csv, the scores of every\n"
        "slice and scan beside those of the zero-filled image; and, last, summary.json, which "
        "names\n"
        "the definitions. Columns volume_... follow fastMRI's evaluate.py, the others are means "
        "of\n"
        "figures of single images; they differ by several dB.\n\n"
        "Finished scans are kept when the command is stopped; with --resume it makes those that\n"
        "are missing.\n\n"
        "    reconstruct configs/demo/reconstruct.yaml --set mask.acceleration=8\n",
    .fields = fields,
    .conf_size = sizeof(struct reconstruct_conf),
    .resumable = true,
    .check = check,
    .preview = preview,
    .explain = explain,
    .run = run,
};

int main(int argc, char **argv)
{
    return cli_main(&command, argc, argv);
}
