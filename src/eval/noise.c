/* Additive white Gaussian noise, real, of standard deviation `level`: in units of the image's own
 * standard deviation, as the image is z-scored. */
#include "eval/perturb.h"

struct noise_conf {
    double extent;
};

static const struct cfg_field fields[] = {
    CFG_REAL(struct noise_conf, extent, "0.8", 1e-6, 1e3, "", "largest standard deviation"),
    CFG_END};

static double extent(const void *conf)
{
    return ((const struct noise_conf *)conf)->extent;
}

static int apply(const void *conf, double level, struct rng rng, const float *x, int h, int w,
                 float *y, struct err *e)
{
    (void)conf;
    (void)e;
    for (size_t i = 0; i < (size_t)h * (size_t)w; i++)
        y[i] = (float)((double)x[i] + level * rng_normal(&rng));
    return 0;
}

const struct perturb perturb_noise = {
    .kind = {"noise", "additive white Gaussian noise on the z-scored image", fields,
             sizeof(struct noise_conf)},
    .label = "Noise standard deviation",
    .unit = "",
    .extent = extent,
    .apply = apply,
};
