/* train-recon config.yaml */
#include "base/cli.h"
#include "data/acquisition.h"
#include "train/estimate.h"
#include "train/explain.h"
#include "train/fit.h"
#include "train/recon.h"
#include "train/sets.h"

#include <stdio.h>

struct conf {
    const char *run;
    uint64_t seed;
    struct sets_conf data;
    struct cfg_pick mask;
    int mask_on;
    struct augment_conf augment;
    struct unet_conf network;
    struct fit_conf fit;
};

static const struct cfg_field fields[] = {
    CFG_TEXT(struct conf, run, NULL, "run directory, made by the training"),
    CFG_U64(struct conf, seed, "1", "of initial weights, order, masks, augmentation and dropout"),
    CFG_GROUP(struct conf, data, sets_fields, "scans and their reference images"),
    CFG_PICK(struct conf, mask, "random", mask_kinds, "undersampling"),
    CFG_CHOICE(struct conf, mask_on, "cropped", mask_on_choices,
               "masks drop columns of the k-space of the cropped image, or, as in fastMRI, of the "
               "k-space that was acquired, before the crop"),
    CFG_GROUP(struct conf, augment, augment_fields, "variation of the training images"),
    CFG_GROUP(struct conf, network, unet_recon_fields, "UNet from zero-filled to full image"),
    CFG_GROUP(struct conf, fit, fit_recon_fields, "training"),
    CFG_END};

static int check(const void *conf, const struct cli *cli, struct err *e)
{
    (void)cli;
    const struct conf *c = conf;
    if (c->network.in_channels != 2 || c->network.out_channels != 2)
        return err_set(e, ERR_CONFIG,
                       "reconstruction has two channels, real and imaginary, in and out");
    if (augment_check(&c->augment, c->data.height, c->data.width, e)) return -1;
    if (recon_check(&c->network, &c->augment, e)) return -1;
    if (sets_check(&c->data, e)) return -1;
    return fit_check(&c->fit, &c->network, c->data.height, c->data.width, e);
}

/* The network where there are no scans: of as many coils as fastMRI's knees have. */
enum { COILS = 15 };
struct example {
    struct unet_conf network;
    struct normal normal;
    struct acquisition *acquisition;
};

static int example_init(struct example *x, const struct conf *c, struct err *e)
{
    *x = (struct example){.network = c->network};
    if (c->network.data_consistency == 0) return 0;
    if (!(x->acquisition = acquisition_example(COILS, c->data.width, e))) return -1;
    x->normal =
        (struct normal){acquisition_planes(x->acquisition), x->acquisition, acquisition_row};
    x->network.normal = &x->normal;
    printf("# data consistency: times are for %d coils\n", COILS);
    return 0;
}

static int estimate(const void *conf, const struct cli *cli, struct err *e)
{
    const struct conf *c = conf;
    struct example x;
    const int bad =
        example_init(&x, c, e) || estimate_training(&x.network, &c->fit, &c->data, cli, e);
    acquisition_free(x.acquisition);
    return bad ? -1 : 0;
}

static int explain(const void *conf, const struct cli *cli, struct err *e)
{
    const struct conf *c = conf;
    struct example x;
    const int bad = example_init(&x, c, e) ||
                    explain_training(&x.network, &c->fit, c->data.height, c->data.width, cli, e);
    acquisition_free(x.acquisition);
    return bad ? -1 : 0;
}

static int run(const void *conf, const struct cli *cli, struct err *e)
{
    const struct conf *c = conf;
    const struct undersample_conf from = {c->mask, c->mask_on, c->seed};
    struct run dir = {.lock = -1};
    struct sets sets = {0};
    struct recon *recon = NULL;
    int bad =
        fit_check_checkpoints(&c->fit, "recon", &c->network, cli->resume, e) ||
        run_begin(&dir, c->run, cli, conf, c->seed, fit_may_change(&c->fit), e) ||
        sets_open(&sets, &c->data, cli->quiet, e) || sets_report(&sets, dir.dir, e) ||
        !(recon = recon_new(from, &c->augment, &c->network, &sets.train, &sets.validation, e));
    if (!bad && !cli->quiet) recon_print_masks(recon);
    bad = bad || fit(recon_task(recon), &c->fit, c->seed, &dir, cli, e) ||
          sets_report(&sets, dir.dir, e);
    recon_free(recon);
    sets_release(&sets);
    run_end(&dir);
    return bad ? -1 : 0;
}

int main(int argc, char **argv)
{
    static const struct command command = {
        .name = "train-recon",
        .summary = "train a UNet that reconstructs undersampled scans",
        .text = "Reads fully sampled scans (fastMRI, ISMRMRD or BART: docs/data.md), undersamples "
                "them (a new "
                "mask for "
                "every image and epoch), and trains a UNet from the zero-filled, coil-combined "
                "image to the "
                "JSENSE-combined image of the full scan. Files and signals as in train-ssl.\n\n"
                "    train-recon configs/demo/recon.yaml --set mask.acceleration=4\n",
        .fields = fields,
        .conf_size = sizeof(struct conf),
        .resumable = true,
        .check = check,
        .estimate = estimate,
        .explain = explain,
        .run = run,
    };
    return cli_main(&command, argc, argv);
}
