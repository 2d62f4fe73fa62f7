#include "data/augment.h"

#include <stdint.h>

const struct cfg_field augment_fields[] = {
    CFG_BOOL(struct augment_conf, flip, "false", "mirror along each axis, half of the time each"),
    CFG_BOOL(struct augment_conf, turn, "false",
             "turn by 0, 90, 180 or 270 degrees; needs square images, and turns the aliasing of "
             "undersampled ones too"),
    CFG_REAL(struct augment_conf, intensity, "0", 0, 0.9, "",
             "multiply normalised images by a factor in [1 - this, 1 + this]"),
    CFG_END};

int augment_check(const struct augment_conf *c, int h, int w, struct err *e)
{
    if (!c->turn || h == w) return 0;
    err_set(e, ERR_CONFIG, "augment.turn needs square images, but they are %d x %d", h, w);
    return err_hint(e, "set data.height and data.width to the same, or augment.turn to false");
}

struct augment augment_none(void)
{
    return (struct augment){.factor = 1.0f};
}

struct augment augment_draw(const struct augment_conf *c, uint64_t seed, uint32_t epoch,
                            uint32_t sample)
{
    /* Every number is drawn whatever is asked for, so each option has the same draws with and
     * without the others. */
    struct rng rng = rng_make(seed, RNG_AUGMENT, epoch, sample);
    bool y = rng_below(&rng, 2), x = rng_below(&rng, 2);
    int turns = (int)rng_below(&rng, 4);
    double u = 2.0 * rng_uniform(&rng) - 1.0;
    return (struct augment){.flip_y = c->flip && y,
                            .flip_x = c->flip && x,
                            .turns = c->turn ? turns : 0,
                            .factor = (float)(1.0 + c->intensity * u)};
}

void augment_apply(const struct augment *a, const float *x, int h, int w, int c, float *y)
{
    /* y[i][j] = x at start + i * down + j * right, in pixels; first of the turn, then of the flips.
     */
    static const int turn[4][2][2] = {
        {{1, 0}, {0, 1}}, {{0, -1}, {1, 0}}, {{-1, 0}, {0, -1}}, {{0, 1}, {-1, 0}}};
    const int(*t)[2] = turn[a->turns]; /* row and column of x that a step down or right leads to */
    int flip[2] = {a->flip_y ? -1 : 1, a->flip_x ? -1 : 1};
    ptrdiff_t step[2], start = 0;
    for (int k = 0; k < 2; k++) {
        int dy = t[k][0] * flip[k], dx = t[k][1] * flip[k];
        step[k] = (ptrdiff_t)dy * w + dx;
        if (dy < 0) start += (ptrdiff_t)(h - 1) * w;
        if (dx < 0) start += w - 1;
    }
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            const float *from = x + (start + i * step[0] + j * step[1]) * c;
            for (int k = 0; k < c; k++)
                *y++ = a->factor * from[k];
        }
}
