/* train-ssl config.yaml */
#include "base/cli.h"
#include "train/estimate.h"
#include "train/explain.h"
#include "train/fit.h"
#include "train/sets.h"
#include "train/ssl.h"

struct conf {
    const char *run;
    uint64_t seed;
    struct sets_conf data;
    struct patches_conf patches;
    struct augment_conf augment;
    struct unet_conf network;
    struct fit_conf fit;
};

static const struct cfg_field fields[] = {
    CFG_TEXT(struct conf, run, NULL, "run directory, made by the training"),
    CFG_U64(struct conf, seed, "1", "of initial weights, order, patches, augmentation and dropout"),
    CFG_GROUP(struct conf, data, sets_fields, "scans and their reference images"),
    CFG_GROUP(struct conf, patches, patches_fields, "what is cut out of an image"),
    CFG_GROUP(struct conf, augment, augment_fields, "variation of the training images"),
    CFG_GROUP(struct conf, network, unet_ssl_fields, "UNet; its encoder is the metric"),
    CFG_GROUP(struct conf, fit, fit_ssl_fields, "training"),
    CFG_END};

static int check(const void *conf, const struct cli *cli, struct err *e)
{
    (void)cli;
    const struct conf *c = conf;
    if (c->network.in_channels != 1 || c->network.out_channels != 1)
        return err_set(e, ERR_CONFIG, "the pretext task has one channel in and one out");
    struct patches *p = patches_new(&c->patches, c->data.height, c->data.width, e);
    if (!p) return -1;
    patches_free(p);
    if (augment_check(&c->augment, c->data.height, c->data.width, e)) return -1;
    if (sets_check(&c->data, e)) return -1;
    return fit_check(&c->fit, &c->network, c->data.height, c->data.width, e);
}

static int estimate(const void *conf, const struct cli *cli, struct err *e)
{
    const struct conf *c = conf;
    return estimate_training(&c->network, &c->fit, &c->data, cli, e);
}

static int explain(const void *conf, const struct cli *cli, struct err *e)
{
    const struct conf *c = conf;
    return explain_training(&c->network, &c->fit, c->data.height, c->data.width, cli, e);
}

static int run(const void *conf, const struct cli *cli, struct err *e)
{
    const struct conf *c = conf;
    struct run dir = {.lock = -1};
    struct sets sets = {0};
    struct ssl *ssl = NULL;
    int bad = fit_check_checkpoints(&c->fit, "ssl", &c->network, cli->resume, e) ||
              run_begin(&dir, c->run, cli, conf, c->seed, fit_may_change(&c->fit), e) ||
              sets_open(&sets, &c->data, cli->quiet, e) || sets_report(&sets, dir.dir, e) ||
              !(ssl = ssl_new(&c->patches, &c->augment, &c->network, c->seed, &sets.train,
                              &sets.validation, e)) ||
              fit(ssl_task(ssl), &c->fit, c->seed, &dir, cli, e) || sets_report(&sets, dir.dir, e);
    ssl_free(ssl);
    sets_release(&sets);
    run_end(&dir);
    return bad ? -1 : 0;
}

int main(int argc, char **argv)
{
    static const struct command command = {
        .name = "train-ssl",
        .summary = "train the self-supervised UNet whose encoder is the SSFD metric",
        .text =
            "Reads scans (fastMRI, ISMRMRD or BART: docs/data.md), computes their JSENSE reference "
            "images once, "
            "and "
            "trains a UNet to restore reference images from which Poisson-disc patches were cut. "
            "The run directory receives the resolved configuration, metrics.jsonl, samples.png, "
            "the checkpoints last.h5 and best.h5, run.json (the machine and the kernels used) and "
            "at the end explain.txt (what each node of the network took; --explain prints the "
            "same without scans).\n\n"
            "An interrupted training (Ctrl-C, SIGTERM, SIGUSR1, a closed terminal) saves its state "
            "and exits with 75; "
            "the "
            "same command with --resume goes on, to the same weights as without the "
            "interruption.\n\n"
            "    train-ssl configs/demo/ssl.yaml --set fit.steps=100\n",
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
