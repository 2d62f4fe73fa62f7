#include "eval/claims.h"

#include "eval/study.h"

#include <math.h>

static const char *word(enum held h)
{
    return h == HELD_YES ? "held" : h == HELD_NO ? "not held" : "open";
}

void claims_add(json_t *claims, FILE *out, const struct claim *c)
{
    const struct interval *v = &c->measured;
    fprintf(out, "claim %s: %s: %s", word(c->held), c->statement, c->quantity);
    if (isfinite(v->mean)) fprintf(out, " = %.4g", v->mean);
    if (isfinite(v->low) && isfinite(v->high)) fprintf(out, " [%.4g, %.4g]", v->low, v->high);
    fprintf(out, " (%s)\n", c->criterion);
    json_array_append_new(
        claims, json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:s}", "id", c->id,
                          "source", c->source, "statement", c->statement, "quantity", c->quantity,
                          "criterion", c->criterion, "measured", study_number(v->mean), "ci_low",
                          study_number(v->low), "ci_high", study_number(v->high), "held",
                          c->held == HELD_OPEN ? json_null() : json_boolean(c->held == HELD_YES),
                          "verdict", word(c->held)));
}

enum held claim_below(struct interval v, double bound)
{
    if (!isfinite(v.mean) || !isfinite(v.low) || !isfinite(v.high)) return HELD_OPEN;
    return v.high < bound ? HELD_YES : v.low > bound ? HELD_NO : HELD_OPEN;
}

enum held claim_above(struct interval v, double bound)
{
    if (!isfinite(v.mean) || !isfinite(v.low) || !isfinite(v.high)) return HELD_OPEN;
    return v.low > bound ? HELD_YES : v.high < bound ? HELD_NO : HELD_OPEN;
}
