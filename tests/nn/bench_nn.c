/* Times the UNets. Not a test.
 *
 *   bench_nn [ssl|recon] [SIZE] [BATCH] [THREADS] [STEPS] [fp32|fp32-direct|bf16] [explain]
 *
 * prints milliseconds an image of a training step (forward, backward, Adam) and of inference, and
 * the memory a plan takes.
 *
 *   bench_nn serve THREADS
 *
 * answers commands on stdin, one line each, with a line "ok ..." or "error ..." (after the lines of
 * `explain`). scripts/bench-nn and scripts/compare-nn are its users, scripts/bench_nn_torch.py the
 * same for PyTorch.
 *
 *   plan train|infer ssl|recon PRECISION BATCH SIZE [dropout=P] [filters=N] [at_once=K] [keep=1]
 *                         makes the network and a plan; infer is the encoder to conv 9 only
 *   run STEPS             -> seconds of each training step or inference
 *   load FILE             parameters, input and target by name (scripts/weights_file.py)
 *   grads FILE            forward and backward -> loss; writes the output and every gradient
 *   losses STEPS          -> the loss before each of so many Adam steps
 *   decisions FILE        what ReLUs gave and max-poolings read in the last pass (with keep=1)
 *   fma SECONDS           -> GFLOP/s of fused multiply-adds on all threads
 *   rss                   -> resident bytes of this process now and at its peak
 *   explain               -> the table of plan_explain
 *   info                  -> versions
 */
#include "base/mem.h"
#include "base/par.h"
#include "base/peak.h"
#include "base/progress.h"
#include "base/rng.h"
#include "nn/adam.h"
#include "nn/dn.h"
#include "nn/graph_rep.h"
#include "nn/step.h"
#include "nn/unet.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORDS = 12, DECISIONS = 64 };

static const struct unet_conf nets[] = {
    {1, 1, 20, 5, UNET_BLOCK_CONTEXT, 10, 0.1, .residual = false},
    {2, 2, 32, 4, UNET_BLOCK_FASTMRI, 10, 0.0, .residual = false}};
static const struct adam_conf adam = {1e-3, 0.9, 0.999, 1e-8, 0.0, ADAM_DECOUPLED};

struct job {
    struct unet_conf net;
    struct plan_conf conf;
    bool keep;   /* decisions readable */
    int at_once; /* images of a training step at a time; 0: the rule of nn/step.h */
};

enum { INPUTS = 2 };
static const char *const inputs[INPUTS] = {"input", "target"};

struct bench {
    struct job job;
    bool serving;
    struct graph *graph;
    struct params *params;
    struct step *training; /* one of them */
    struct plan *inference;
    const struct plan *plan; /* of either */
    struct {                 /* what a training is given, for all parts of a step */
        float *all;
        size_t image; /* numbers of one */
    } given[INPUTS];
    uint32_t *numbers; /* of its images */
    double loss;
    uint64_t steps; /* of Adam */
    double plan_seconds;
    int decisions, decision[DECISIONS]; /* values of the graph */
};

/* With one thread and nobody to compare with, processor time: it hardly feels what else the machine
 * does. */
static double now(const struct bench *b)
{
    struct timespec t;
    if (b->serving || par_threads() > 1) return clock_seconds();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void bench_release(struct bench *b)
{
    for (int k = 0; k < INPUTS; k++)
        mem_free(b->given[k].all);
    mem_free(b->numbers);
    step_free(b->training);
    plan_free(b->inference);
    params_free(b->params);
    graph_free(b->graph);
    *b = (struct bench){.serving = b->serving};
}

static float *input(struct bench *b, const char *name)
{
    if (!b->training) return plan_input(b->inference, name);
    for (int k = 0; k < INPUTS; k++)
        if (!strcmp(name, inputs[k])) return b->given[k].all;
    return NULL;
}

static int give(struct bench *b, struct err *e)
{
    const struct plan_conf *c = &b->job.conf;
    const int channels[INPUTS] = {b->job.net.in_channels, b->job.net.out_channels};
    for (int k = 0; k < INPUTS; k++) {
        const size_t n = b->given[k].image =
            (size_t)c->height * (size_t)c->width * (size_t)channels[k];
        if (!(b->given[k].all = mem_new((size_t)c->batch * n, sizeof(float), e))) return -1;
    }
    if (!(b->numbers = mem_new((size_t)c->batch, sizeof *b->numbers, e))) return -1;
    for (int i = 0; i < c->batch; i++)
        b->numbers[i] = (uint32_t)i;
    return 0;
}

static void fill(struct bench *b, const char *name, int channels)
{
    const struct plan_conf *c = &b->job.conf;
    const size_t n = (size_t)c->batch * (size_t)c->height * (size_t)c->width * (size_t)channels;
    struct rng r = rng_make(1, RNG_TEST, 0, 0);
    float *x = input(b, name);
    for (size_t i = 0; x && i < n; i++)
        x[i] = (float)rng_normal(&r);
}

/* Makes the values by which ReLUs and max-poolings decide readable, before sealing. Memory differs
 * then, arithmetic does not. */
static void keep_decisions(struct bench *b)
{
    struct graph *g = b->graph;
    for (int i = 0; i < g->nodes && b->decisions < DECISIONS; i++) {
        const struct gnode *n = &g->node[i];
        const int v = n->op == &op_relu ? n->out[0] : n->op == &op_maxpool ? n->in[0] : -1;
        if (v < 0) continue;
        if (!g->value[v].name[0]) graph_name(g, v, "decision%d", b->decisions);
        graph_output(g, v);
        b->decision[b->decisions++] = v;
    }
}

/* `tap`: the output instead of that of the network, or NULL. */
static int bench_init(struct bench *b, struct job job, const char *tap, struct err *e)
{
    b->job = job;
    struct graph *g = b->graph = graph_new();
    const int y = unet_build(g, &job.net, graph_input(g, "input", job.net.in_channels));
    graph_output(g, tap ? graph_find(g, tap) : y);
    if (job.conf.training)
        graph_output(g, nn_l2(g, y, graph_input(g, "target", job.net.out_channels)));
    if (job.keep) keep_decisions(b);
    if (graph_seal(g, e) || !(b->params = params_new(g, e))) return -1;
    params_init(b->params, 1);
    const double start = now(b);
    if (job.conf.training)
        b->training = step_new(g, b->params, job.conf, job.at_once, e);
    else
        b->inference = plan_new(g, b->params, job.conf, e);
    b->plan = b->training ? step_plan(b->training) : b->inference;
    if (!b->plan) return -1;
    b->plan_seconds = now(b) - start;
    if (b->training && give(b, e)) return -1;
    fill(b, "input", job.net.in_channels);
    fill(b, "target", job.net.out_channels);
    return 0;
}

/* Forward and backward of all parts of a step. */
static void train(struct bench *b, struct step_key key, double *forward_seconds)
{
    const int parts = step_parts(b->training), at_once = step_at_once(b->training);
    b->loss = 0.0;
    if (forward_seconds) *forward_seconds = 0.0;
    for (int part = 0; part < parts; part++) {
        for (int k = 0; k < INPUTS; k++) {
            const size_t n = (size_t)at_once * b->given[k].image;
            memcpy(step_input(b->training, inputs[k]), b->given[k].all + (size_t)part * n,
                   n * sizeof(float));
        }
        key.sample = b->numbers + part * at_once;
        b->loss += step_part(b->training, part, key, forward_seconds) / parts;
    }
}

static void passes(struct bench *b, double *forward_seconds)
{
    const struct step_key key = {.seed = 1, .epoch = (uint32_t)b->steps};
    if (b->training) {
        train(b, key, forward_seconds);
        return;
    }
    const double start = now(b);
    plan_forward(b->inference, key);
    if (forward_seconds) *forward_seconds = now(b) - start;
}

/* Seconds of a whole step. */
static double step(struct bench *b, double *forward_seconds)
{
    const double start = now(b);
    passes(b, forward_seconds);
    if (b->job.conf.training) adam_step(b->params, &adam, adam.lr, ++b->steps);
    return now(b) - start;
}

/* False: there is no precision of that name. */
static bool set_precision(struct plan_conf *c, const char *name)
{
    for (int k = 0; nn_precisions[k]; k++)
        if (!strcmp(name, nn_precisions[k])) {
            c->precision = (enum nn_precision)k;
            return true;
        }
    return false;
}

static void explain_plan(const struct plan *p)
{
    plan_explain(p, (struct plan_yardstick){.peak_gflops = peak_fma_gflops(0.1)}, stdout);
}

/* The commands, each with its words after the first; what they print ends with their "ok" line. */

static int cmd_plan(struct bench *b, char **word, struct err *e)
{
    if (!word[0] || !word[1] || !word[2] || !word[3] || !word[4])
        return err_set(e, ERR_USAGE, "plan train|infer ssl|recon PRECISION BATCH SIZE");
    const bool training = !strcmp(word[0], "train");
    struct job job = {.net = nets[!strcmp(word[1], "recon")],
                      .conf = {.batch = atoi(word[3]),
                               .height = atoi(word[4]),
                               .width = atoi(word[4]),
                               .training = training}};
    if (!set_precision(&job.conf, word[2]))
        return err_set(e, ERR_USAGE, "there is no precision %s", word[2]);
    for (word += 5; *word; word++) {
        if (!strncmp(*word, "dropout=", 8)) job.net.dropout = atof(*word + 8);
        if (!strncmp(*word, "filters=", 8)) job.net.filters = atoi(*word + 8);
        if (!strncmp(*word, "at_once=", 8)) job.at_once = atoi(*word + 8);
        if (!strcmp(*word, "keep=1")) job.keep = true;
    }
    if (job.at_once && job.conf.batch % job.at_once)
        return err_set(e, ERR_USAGE, "at_once must divide the batch");
    bench_release(b);
    if (bench_init(b, job, training ? NULL : "block5_relu1", e)) return -1;
    printf("ok parameters=%zu plan_seconds=%.4f arena_bytes=%zu\n", b->params->len, b->plan_seconds,
           plan_arena_bytes(b->plan));
    return 0;
}

static int cmd_run(struct bench *b, char **word, struct err *e)
{
    if (!b->plan) return err_set(e, ERR_USAGE, "there is no plan");
    printf("ok");
    for (int steps = word[0] ? atoi(word[0]) : 1; steps > 0; steps--)
        printf(" %.6f", step(b, NULL));
    printf("\n");
    return 0;
}

static float *place(struct bench *b, const char *name, size_t *len)
{
    const struct param *p = params_find(b->params, name);
    const struct plan_conf *c = &b->job.conf;
    const bool target = !strcmp(name, "target");
    *len = p ? p->len
             : (size_t)c->batch * (size_t)c->height * (size_t)c->width *
                   (size_t)(target ? b->job.net.out_channels : b->job.net.in_channels);
    return p ? b->params->val + p->offset : input(b, name);
}

static int load(struct bench *b, FILE *f, struct err *e)
{
    char line[256], name[64];
    size_t count, len;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%63s f4 %zu", name, &count) != 2)
            return err_set(e, ERR_DATA, "no entry of floats: %s", line);
        float *x = place(b, name, &len);
        if (!x || len != count)
            return err_set(e, ERR_DATA, "there is no '%s' of %zu values", name, count);
        if (fread(x, sizeof *x, len, f) != len)
            return err_set(e, ERR_DATA, "'%s' is cut off", name);
    }
    b->params->version++;
    return 0;
}

static int cmd_load(struct bench *b, char **word, struct err *e)
{
    FILE *f = b->plan && word[0] ? fopen(word[0], "rb") : NULL;
    if (!f) return err_set(e, ERR_NOINPUT, "no plan, or no such file");
    const int status = load(b, f, e);
    fclose(f);
    if (!status) puts("ok");
    return status;
}

static void save(FILE *f, const char *name, const float *x, size_t len)
{
    fprintf(f, "%s f4 %zu\n", name, len);
    fwrite(x, sizeof *x, len, f);
}

static int cmd_grads(struct bench *b, char **word, struct err *e)
{
    FILE *f = b->job.conf.training && word[0] ? fopen(word[0], "wb") : NULL;
    if (!f) return err_set(e, ERR_IO, "no training, or a file that cannot be written");
    struct shape s = {0};
    train(b, (struct step_key){.seed = 1}, NULL);
    const float *output = plan_output(b->plan, "output", &s); /* of the last images */
    save(f, "output", output, shape_len(s));
    for (int i = 0; i < b->params->n; i++) {
        const struct param *p = &b->params->list[i];
        save(f, p->name, b->params->grad + p->offset, p->len);
    }
    if (fclose(f)) return err_set(e, ERR_IO, "could not write %s", word[0]);
    printf("ok %.17g\n", b->loss);
    return 0;
}

static int cmd_decisions(struct bench *b, char **word, struct err *e)
{
    FILE *f = b->decisions && word[0] ? fopen(word[0], "wb") : NULL;
    if (!f) return err_set(e, ERR_IO, "no decisions are kept, or the file cannot be written");
    for (int i = 0; i < b->decisions; i++) {
        const char *name = b->graph->value[b->decision[i]].name;
        struct shape s = {0};
        const float *x = plan_output(b->plan, name, &s);
        save(f, name, x, shape_len(s));
    }
    if (fclose(f)) return err_set(e, ERR_IO, "could not write %s", word[0]);
    puts("ok");
    return 0;
}

static int cmd_losses(struct bench *b, char **word, struct err *e)
{
    if (!b->job.conf.training) return err_set(e, ERR_USAGE, "there is no training");
    printf("ok");
    for (int steps = word[0] ? atoi(word[0]) : 1; steps > 0; steps--) {
        step(b, NULL);
        printf(" %.17g", b->loss);
    }
    printf("\n");
    return 0;
}

static int cmd_fma(struct bench *b, char **word, struct err *e)
{
    (void)b, (void)e;
    printf("ok %.2f\n", peak_fma_gflops(word[0] ? atof(word[0]) : 0.05));
    return 0;
}

static int cmd_rss(struct bench *b, char **word, struct err *e)
{
    (void)b, (void)word, (void)e;
    printf("ok %zu %zu\n", mem_resident(), mem_resident_peak());
    return 0;
}

static int cmd_explain(struct bench *b, char **word, struct err *e)
{
    (void)word;
    if (!b->plan) return err_set(e, ERR_USAGE, "there is no plan");
    explain_plan(b->plan);
    puts("ok");
    return 0;
}

static int cmd_info(struct bench *b, char **word, struct err *e)
{
    (void)b, (void)word, (void)e;
    printf("ok onednn=%s isa=%s threads=%d fma=%s\n", dn_version(), dn_isa_name(dn_isa()),
           par_threads(), peak_vector());
    return 0;
}

static const struct command {
    const char *name;
    int (*run)(struct bench *b, char **word, struct err *e);
} commands[] = {{"plan", cmd_plan},
                {"run", cmd_run},
                {"load", cmd_load},
                {"grads", cmd_grads},
                {"losses", cmd_losses},
                {"decisions", cmd_decisions},
                {"fma", cmd_fma},
                {"rss", cmd_rss},
                {"explain", cmd_explain},
                {"info", cmd_info},
                {NULL, NULL}};

static int obey(struct bench *b, char *line, struct err *e)
{
    char *word[WORDS + 1] = {0}, *rest = NULL;
    int n = 0;
    for (char *w = strtok_r(line, " \n", &rest); w && n < WORDS; w = strtok_r(NULL, " \n", &rest))
        word[n++] = w;
    for (const struct command *c = commands; n && c->name; c++)
        if (!strcmp(word[0], c->name)) return c->run(b, word + 1, e);
    return err_set(e, ERR_USAGE, "no such command");
}

static int serve(void)
{
    struct bench b = {.serving = true};
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        struct err e = {0};
        if (obey(&b, line, &e)) printf("error %s\n", e.text);
        fflush(stdout);
    }
    bench_release(&b);
    return 0;
}

static int once(struct job job, int steps, bool explain)
{
    struct err e = {0};
    struct bench b = {0};
    const int batch = job.conf.batch, size = job.conf.height;
    if (bench_init(&b, job, NULL, &e)) {
        fprintf(stderr, "bench_nn: %s\n", e.text);
        bench_release(&b);
        return 1;
    }
    double best = 1e9, forward = 1e9, t;
    for (int s = 0; s < steps; s++) {
        const double whole = step(&b, &t);
        if (whole < best) best = whole;
        if (t < forward) forward = t;
    }
    printf("%s size=%d batch=%d threads=%d ms_per_image=%.1f forward_ms=%.1f plan_ms=%.0f "
           "arena_mib_per_image=%.1f resident_mib=%.0f",
           job.conf.training ? "train" : "infer", size, batch, par_threads(), 1e3 * best / batch,
           1e3 * forward / batch, 1e3 * b.plan_seconds,
           (double)plan_arena_bytes(b.plan) / 1048576.0 /
               (b.training ? step_at_once(b.training) : batch),
           (double)mem_resident() / 1048576.0);
    if (job.conf.training) printf(" loss=%.6f", b.loss);
    printf("\n");
    if (explain) explain_plan(b.plan);
    bench_release(&b);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "serve")) {
        par_set_threads(argc > 2 ? atoi(argv[2]) : 0);
        return serve();
    }
    const int size = argc > 2 ? atoi(argv[2]) : 320;
    struct job job = {.net = nets[argc > 1 && !strcmp(argv[1], "recon")],
                      .conf = {.batch = argc > 3 ? atoi(argv[3]) : 4,
                               .height = size,
                               .width = size,
                               .training = true}};
    par_set_threads(argc > 4 ? atoi(argv[4]) : 2);
    const int steps = argc > 5 ? atoi(argv[5]) : 5;
    bool explain = false;
    for (int i = 6; i < argc; i++) {
        explain |= !strcmp(argv[i], "explain");
        set_precision(&job.conf, argv[i]);
    }
    const int status = once(job, steps, explain);
    job.conf.training = false;
    return status || once(job, steps, explain);
}
