/* train-ssl config.yaml */
#include "base/cli.h"
#include "train/ssl.h"
#include "train/training.h"

struct conf {
    struct training_conf training; /* first */
    struct patches_conf patches;
};

static const struct cfg_field fields[] = {
    CFG_TEXT(struct training_conf, run, NULL, "run directory, made by the training"),
    CFG_U64(struct training_conf, seed, "1",
            "of initial weights, order, patches, augmentation and dropout"),
    CFG_GROUP(struct training_conf, data, sets_fields, "scans and their reference images"),
    CFG_GROUP(struct conf, patches, patches_fields, "what is cut out of an image"),
    CFG_GROUP(struct training_conf, augment, augment_fields, "variation of the training images"),
    CFG_GROUP(struct training_conf, network, unet_ssl_fields, "UNet; its encoder is the metric"),
    CFG_GROUP(struct training_conf, fit, fit_ssl_fields, "training"),
    CFG_END};

static struct task *make(const void *conf, struct sets *s, struct err *e)
{
    const struct conf *c = conf;
    const struct training_conf *t = &c->training;
    return ssl_new(&c->patches, &t->augment, &t->network, t->seed, &s->train, &s->validation, e);
}

static const struct training training = {.task = "ssl", .make = make};

static int check(const void *conf, const struct cli *cli, struct err *e)
{
    (void)cli;
    const struct conf *c = conf;
    const struct training_conf *t = &c->training;
    if (t->network.in_channels != 1 || t->network.out_channels != 1)
        return err_set(e, ERR_CONFIG, "the pretext task has one channel in and one out");
    struct patches *p = patches_new(&c->patches, t->data.height, t->data.width, e);
    patches_free(p);
    return p ? training_check(t, e) : -1;
}

static int preview(const void *conf, const struct cli *cli, struct err *e)
{
    return training_preview(&training, conf, cli, e);
}

static int explain(const void *conf, const struct cli *cli, struct err *e)
{
    return training_explain(conf, cli, e);
}

static int run(const void *conf, const struct cli *cli, struct err *e)
{
    return training_run(&training, conf, cli, e);
}

int main(int argc, char **argv)
{
    static const struct command command = {
        .name = "train-ssl",
        .summary = "train the self-supervised UNet whose encoder is the SSFD metric",
        .text =
            "Reads scans (fastMRI, ISMRMRD or BART: docs/data.md), computes their JSENSE reference "
            "images once, and trains a UNet to restore reference images from which Poisson-disc "
            "patches were cut. The run directory receives the resolved configuration, "
            "metrics.jsonl, samples.png, the checkpoints last.h5 and best.h5, run.json (the "
            "machine and the kernels used) and at the end explain.txt (what each node of the "
            "network took; --explain prints the same without scans).\n\n"
            "An interrupted training (Ctrl-C, SIGTERM, SIGUSR1, a closed terminal) saves its state "
            "and exits with 75; the same command with --resume goes on, to the same weights as "
            "without the interruption.\n\n"
            "    train-ssl configs/demo/ssl.yaml --set fit.steps=100\n",
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
