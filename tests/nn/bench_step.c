/* Milliseconds an image of a training step (forward, backward, Adam) and of inference, and the
 * memory a plan takes: bench_step [ssl|recon] [size] [batch] [threads] [steps] [explain]. Not a
 * test. */
#include "base/mem.h"
#include "base/par.h"
#include "base/progress.h"
#include "base/rng.h"
#include "nn/adam.h"
#include "nn/plan.h"
#include "nn/unet.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int fail(const struct err *e)
{
    fprintf(stderr, "bench_step: %s\n", e->text);
    return 1;
}

/* With one thread, processor time: it hardly feels what else the machine does. */
static double now(void)
{
    struct timespec t;
    if (par_threads() > 1) return clock_seconds();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int bench(const struct unet_conf *c, int size, int batch, int steps, bool explain,
                 bool training)
{
    struct err e = {0};
    struct graph *g = graph_new();
    const int x = graph_input(g, "input", c->in_channels);
    const int y = unet_build(g, c, x);
    graph_output(g, y);
    if (training) graph_output(g, nn_l2(g, y, graph_input(g, "target", c->out_channels)));
    if (graph_seal(g, &e)) return fail(&e);
    struct params *p = params_new(g, &e);
    if (!p) return fail(&e);
    params_init(p, 1);
    const double start = now();
    struct plan *plan = plan_new(
        g, p,
        (struct plan_conf){.batch = batch, .height = size, .width = size, .training = training},
        &e);
    if (!plan) return fail(&e);
    const double made = now();
    struct rng r = rng_make(1, RNG_TEST, 0, 0);
    const size_t pixels = (size_t)batch * (size_t)size * (size_t)size;
    float *in = plan_input(plan, "input"), *to = plan_input(plan, "target");
    for (size_t i = 0; i < pixels * (size_t)c->in_channels; i++)
        in[i] = (float)rng_normal(&r);
    for (size_t i = 0; to && i < pixels * (size_t)c->out_channels; i++)
        to[i] = (float)rng_normal(&r);
    const struct adam_conf adam = {1e-3, 0.9, 0.999, 1e-8};
    double best = 1e9, forward = 1e9;
    for (int s = 1; s <= steps; s++) {
        const double t0 = now();
        plan_forward(plan, (struct step_key){.seed = 1, .epoch = (uint32_t)s});
        const double t1 = now();
        if (training) {
            plan_backward(plan);
            adam_step(p, &adam, adam.lr, (uint64_t)s);
        }
        const double t2 = now();
        if (t2 - t0 < best) best = t2 - t0;
        if (t1 - t0 < forward) forward = t1 - t0;
    }
    printf("%s size=%d batch=%d threads=%d ms_per_image=%.1f forward_ms=%.1f plan_ms=%.0f "
           "arena_mib_per_image=%.1f resident_mib=%.0f",
           training ? "train" : "infer", size, batch, par_threads(), 1e3 * best / batch,
           1e3 * forward / batch, 1e3 * (made - start),
           (double)plan_arena_bytes(plan) / 1048576.0 / batch, (double)mem_resident() / 1048576.0);
    if (training) printf(" loss=%.6f", plan_loss(plan));
    printf("\n");
    if (explain) plan_explain(plan, stdout);
    plan_free(plan);
    params_free(p);
    graph_free(g);
    return 0;
}

int main(int argc, char **argv)
{
    const bool recon = argc > 1 && strcmp(argv[1], "recon") == 0;
    const struct unet_conf ssl = {1, 1, 20, 5, UNET_BLOCK_CONTEXT, 10, 0.1};
    const struct unet_conf rec = {2, 2, 32, 4, UNET_BLOCK_FASTMRI, 10, 0.0};
    const int size = argc > 2 ? atoi(argv[2]) : 320, batch = argc > 3 ? atoi(argv[3]) : 4;
    par_set_threads(argc > 4 ? atoi(argv[4]) : 2);
    const int steps = argc > 5 ? atoi(argv[5]) : 5;
    const bool explain = argc > 6;
    return bench(recon ? &rec : &ssl, size, batch, steps, explain, true) ||
           bench(recon ? &rec : &ssl, size, batch, steps, explain, false);
}
