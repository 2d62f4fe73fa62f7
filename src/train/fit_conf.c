#include "train/fit_conf.h"

#include "base/progress.h"
#include "train/initial.h"

#define LENGTH_FIELDS(epochs_default)                                                              \
    CFG_INT(struct fit_conf, batch, "4", 1, 1024, "images", "images of a batch"),                  \
        CFG_INT(struct fit_conf, accumulate, "1", 1, 1024, "batches",                              \
                "batches a step, whose gradients are averaged; memory does not grow with them"),   \
        CFG_INT(struct fit_conf, epochs, epochs_default, 1, 1e6, "",                               \
                "passes over the training images"),                                                \
        CFG_INT(struct fit_conf, steps, "0", 0, 2e9, "",                                           \
                "length in steps of the optimiser; 0: given by epochs"),                           \
        CFG_INT(struct fit_conf, validate_every, "0", 0, 2e9, "steps",                             \
                "between validations, each with a checkpoint; 0: by epochs"),                      \
        CFG_INT(struct fit_conf, validate_epochs, "1", 1, 1e6, "epochs",                           \
                "between validations, where validate_every is 0"),                                 \
        CFG_INT(struct fit_conf, patience, "4", 0, 1e6, "validations",                             \
                "stop after so many without a better loss; 0: never")

#define LOSS_FIELDS                                                                                \
    CFG_TEXT(struct fit_conf, initial, "",                                                         \
             "checkpoint of another run (best.h5, last.h5) whose weights this one begins with, "   \
             "and nothing else of it: of the same network, images may be of another size; "        \
             "empty: random weights"),                                                             \
        CFG_CHOICE(                                                                                \
            struct fit_conf, loss, "l2", loss_kinds,                                               \
            "l2: mean squared error over all pixels and channels; l1: mean absolute error, of "    \
            "complex images mean modulus of the error")

#define OTHER_FIELDS(schedule_fields)                                                              \
    CFG_REAL(struct fit_conf, clip, "0", 0, 1e30, "",                                              \
             "gradients of a larger norm, over all weights, are scaled down to it; 0: none"),      \
        CFG_REAL(struct fit_conf, average, "0", 0, 0.999999, "",                                   \
                 "decay a step of a moving average of the weights, which is then what is "         \
                 "validated and what readers of a checkpoint get; as in 0.999; 0: none"),          \
        CFG_REAL(struct fit_conf, explosion, "1000", 0, 1e30, "",                                  \
                 "stop when a loss is so many times its running mean; 0: never"),                  \
        CFG_INT(struct fit_conf, keep, "1", 0, 1000, "",                                           \
                "checkpoints kept besides the last and the best, in case one is damaged"),         \
        CFG_INT(struct fit_conf, save_minutes, "10", 0, 1e6, "min",                                \
                "between checkpoints besides those of validations; 0: none"),                      \
        CFG_INT(struct fit_conf, ahead, "2", 1, 64, "batches", "prepared in advance"),             \
        CFG_INT(struct fit_conf, pictures, "4", 0, 16, "images", "shown in samples.png"),          \
        CFG_CHOICE(                                                                                \
            struct fit_conf, precision, "fp32", nn_precisions,                                     \
            "convolutions, in training and validation: fp32, the fastest kernels with "            \
            "the accuracy of float32; fp32-whole, the fastest that do not split its numbers "      \
            "for AMX; fp32-direct, plain sums of float32 products, to compare with; "              \
            "bf16, factors rounded to 8 bits and sums in float32, faster "                         \
            "with AMX (without, most convolutions are as in fp32). Weights, "                      \
            "activations, gradients and statistics of normalisation are float32 in any case"),     \
        CFG_GROUP(struct fit_conf, adam, adam_fields, "optimiser"),                                \
        CFG_GROUP(struct fit_conf, schedule, schedule_fields, "learning rate over time")

const struct cfg_field fit_ssl_fields[] = {LENGTH_FIELDS("500"), LOSS_FIELDS,
                                           OTHER_FIELDS(schedule_ssl_fields), CFG_END};
const struct cfg_field fit_recon_fields[] = {
    LENGTH_FIELDS("200"), LOSS_FIELDS, OTHER_FIELDS(schedule_recon_fields),
    CFG_GROUP(struct fit_conf, ssfd, ssfd_loss_fields,
              "SSFD as a part of the loss: (1 - weight) loss + weight SSFD"),
    CFG_END};

#define FREE_KEYS                                                                                  \
    "run", "data.train", "data.validation", "data.cache", "fit.patience", "fit.explosion",         \
        "fit.keep", "fit.save_minutes", "fit.ahead", "fit.pictures", "fit.ssfd.checkpoint"

const char *const *fit_may_change(const struct fit_conf *c)
{
    static const char *const keys[] = {FREE_KEYS, "fit.epochs", "fit.steps", NULL};
    static const char *const fewer[] = {FREE_KEYS, NULL};
    return c->schedule.kind == SCHEDULE_COSINE ? fewer : keys;
}

int fit_check(const struct fit_conf *c, const struct unet_conf *unet, int height, int width,
              struct err *e)
{
    const int m = unet_size_multiple(unet);
    if (c->ssfd.weight > 0.0 && !*c->ssfd.checkpoint) {
        err_set(e, ERR_CONFIG, "fit.ssfd.weight is %g, but there is no fit.ssfd.checkpoint",
                c->ssfd.weight);
        return err_hint(e, "give a checkpoint that train-ssl wrote, or weight 0");
    }
    if (c->schedule.min_lr > c->adam.lr) {
        err_set(e, ERR_CONFIG,
                "fit.schedule.min_lr is %g, above fit.adam.lr, %g: the rate would be %g throughout",
                c->schedule.min_lr, c->adam.lr, c->schedule.min_lr);
        return err_hint(e, "lower fit.schedule.min_lr, or raise fit.adam.lr");
    }
    if (unet->block == UNET_BLOCK_CONTEXT && unet->filters % unet->groups) {
        err_set(e, ERR_CONFIG, "network.groups is %d, which does not divide network.filters, %d",
                unet->groups, unet->filters);
        return err_hint(e, "give a divisor of network.filters, or other filters");
    }
    if (unet->residual && unet->in_channels != unet->out_channels)
        return err_set(e, ERR_CONFIG,
                       "network.residual adds the input to the output: %d channels to %d",
                       unet->in_channels, unet->out_channels);
    if (height % m == 0 && width % m == 0) return 0;
    err_set(e, ERR_CONFIG,
            "images of %d x %d cannot be halved %d times: both sizes must be multiples of %d",
            height, width, unet->levels - 1, m);
    return err_hint(e, "set data.height to %d and data.width to %d: images are zero-padded to that",
                    (height + m - 1) / m * m, (width + m - 1) / m * m);
}

int fit_check_checkpoints(const struct fit_conf *c, const char *task, const struct unet_conf *unet,
                          bool resume, struct err *e)
{
    const struct loss_conf loss = fit_loss(c);
    return net_check(&loss, e) ||
                   (*c->initial && !resume && initial_check(c->initial, task, unet, e))
               ? -1
               : 0;
}

int fit_check_length(const struct fit_conf *c, uint64_t samples, uint64_t step, struct err *e)
{
    const struct pace p = fit_pace(c, samples);
    if (step <= p.steps) return 0;
    err_set(e, ERR_CONFIG, "the run is at step %llu already, and %s asks for %llu",
            (unsigned long long)step, c->steps ? "fit.steps" : "fit.epochs",
            (unsigned long long)p.steps);
    return err_hint(e, "ask for as many or more, or train in another run directory");
}

void fit_warn(const struct fit_conf *c, uint64_t steps)
{
    if ((uint64_t)c->schedule.warmup >= steps)
        progress_warn("fit.schedule.warmup is %d, but the training has %llu steps: it ends before "
                      "the rate has reached fit.adam.lr",
                      c->schedule.warmup, (unsigned long long)steps);
}

int fit_batch(const struct fit_conf *c)
{
    return c->batch * c->accumulate;
}

struct pace fit_pace(const struct fit_conf *c, uint64_t samples)
{
    return pace_of(&(struct pace_conf){.samples = samples,
                                       .batch = (uint64_t)fit_batch(c),
                                       .epochs = (uint64_t)c->epochs,
                                       .steps = (uint64_t)c->steps,
                                       .every_steps = (uint64_t)c->validate_every,
                                       .every_epochs = (uint64_t)c->validate_epochs});
}

struct loss_conf fit_loss(const struct fit_conf *c)
{
    return (struct loss_conf){.kind = (enum loss_kind)c->loss, .ssfd = c->ssfd};
}

enum nn_precision fit_precision(const struct fit_conf *c, const struct cli *cli)
{
    const enum nn_precision asked = (enum nn_precision)c->precision;
    const enum nn_precision used = nn_precision_in_force(asked);
    if (used != asked)
        fprintf(stderr, "%s: warning: no kernels for fit.precision %s (%s); it trains in %s\n",
                cli->command, nn_precisions[asked], nn_bf16_missing(), nn_precisions[used]);
    return used;
}
