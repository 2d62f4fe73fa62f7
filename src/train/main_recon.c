/* train-recon config.yaml */
#include "base/cli.h"
#include "data/acquisition.h"
#include "train/recon.h"
#include "train/training.h"

#include <stdio.h>

struct conf {
    struct training_conf training; /* first */
    struct cfg_pick mask;
    int mask_on;
};

static const struct cfg_field fields[] = {
    CFG_TEXT(struct training_conf, run, NULL, "run directory, made by the training"),
    CFG_U64(struct training_conf, seed, "1",
            "of initial weights, order, masks, augmentation and dropout"),
    CFG_GROUP(struct training_conf, data, sets_fields, "scans and their reference images"),
    CFG_PICK(struct conf, mask, "random", mask_kinds, "undersampling"),
    CFG_CHOICE(struct conf, mask_on, "cropped", mask_on_choices,
               "masks drop columns of the k-space of the cropped image, or, as in fastMRI, of the "
               "k-space that was acquired, before the crop"),
    CFG_GROUP(struct training_conf, augment, augment_fields, "variation of the training images"),
    CFG_GROUP(struct training_conf, network, unet_recon_fields,
              "UNet from zero-filled to full image"),
    CFG_GROUP(struct training_conf, fit, fit_recon_fields, "training"),
    CFG_END};

static struct undersample_conf masks_of(const struct conf *c)
{
    return (struct undersample_conf){c->mask, c->mask_on, c->training.seed};
}

static int admit(const void *conf, const struct sets *s, bool quiet, struct err *e)
{
    const struct conf *c = conf;
    return recon_admit(masks_of(c), &c->training.network, &s->train, &s->validation, quiet, e);
}

static struct task *make(const void *conf, struct sets *s, struct err *e)
{
    const struct conf *c = conf;
    const struct training_conf *t = &c->training;
    return recon_new(masks_of(c), &t->augment, &t->network, &s->train, &s->validation, e);
}

static const struct training training = {.task = "recon", .admit = admit, .make = make};

static int check(const void *conf, const struct cli *cli, struct err *e)
{
    (void)cli;
    const struct training_conf *t = conf;
    if (t->network.in_channels != 2 || t->network.out_channels != 2)
        return err_set(e, ERR_CONFIG,
                       "reconstruction has two channels, real and imaginary, in and out");
    return recon_check(&t->network, &t->augment, e) || training_check(t, e) ? -1 : 0;
}

/* The configuration with an acquisition where there are no scans: of as many coils as fastMRI's
 * knees have. */
enum { COILS = 15 };
struct example {
    struct conf conf;
    struct normal normal;
    struct acquisition *acquisition;
};

static int example_init(struct example *x, const struct conf *c, bool quiet, struct err *e)
{
    *x = (struct example){.conf = *c};
    if (c->training.network.data_consistency == 0) return 0;
    if (!(x->acquisition = acquisition_example(COILS, c->training.data.width, e))) return -1;
    x->normal =
        (struct normal){acquisition_planes(x->acquisition), x->acquisition, acquisition_row};
    x->conf.training.network.normal = &x->normal;
    if (!quiet) printf("# data consistency: times are for %d coils\n", COILS);
    return 0;
}

static int preview(const void *conf, const struct cli *cli, struct err *e)
{
    struct example x;
    const int bad = example_init(&x, conf, cli->quiet, e) ||
                    training_preview(&training, &x.conf.training, cli, e);
    acquisition_free(x.acquisition);
    return bad ? -1 : 0;
}

static int explain(const void *conf, const struct cli *cli, struct err *e)
{
    struct example x;
    const int bad = example_init(&x, conf, false, e) || training_explain(&x.conf.training, cli, e);
    acquisition_free(x.acquisition);
    return bad ? -1 : 0;
}

static int run(const void *conf, const struct cli *cli, struct err *e)
{
    return training_run(&training, conf, cli, e);
}

int main(int argc, char **argv)
{
    static const struct command command = {
        .name = "train-recon",
        .summary = "train a UNet that reconstructs undersampled scans",
        .text =
            "Reads fully sampled scans (fastMRI, ISMRMRD or BART: docs/data.md), undersamples them "
            "(a new mask for every image and epoch), and trains a UNet from the zero-filled, "
            "coil-combined image to the JSENSE-combined image of the full scan. Files and signals "
            "as in train-ssl.\n\n"
            "    train-recon configs/demo/recon.yaml --set mask.acceleration=4\n",
        .fields = fields,
        .conf_size = sizeof(struct conf),
        .resumable = true,
        .check = check,
        .preview = preview,
        .explain = explain,
        .run = run,
    };
    return cli_main(&command, argc, argv);
}
