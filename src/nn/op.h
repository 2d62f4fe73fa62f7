/* Operators: what a node of a graph does, as a table of functions. One file per operator; only its
 * `struct op` and its builder (graph.h) are visible outside. There is no list of them: a node
 * points to its own, so that an operator may as well live outside of src/nn (docs/autodiff.md).
 *
 * An operator sees its node (shapes, settings, its own state) and an `io` of pointers, nothing of
 * the graph or of memory. To swap a kernel is to change one operator's file. Rules:
 *   - `plan` makes everything that is needed later; `forward` and `backward` never allocate;
 *   - `backward` overwrites dx and dw, it never adds; a NULL dx[k] or dw[k] is not wanted, dw[k]
 *     being that of a parameter that is frozen; a NULL dy[k] (fork only) is a gradient of zero;
 *   - forward results of an image depend neither on the number of threads nor on the rest of the
 *     batch; sums over pixels are taken in a fixed order, in norms and losses in double precision;
 *     where a library sums (conv_direct's dw and db), its order may depend on the threads. */
#pragma once

#include "base/err.h"
#include "nn/dropout.h"
#include "nn/graph.h"
#include "nn/plan.h"
#include "nn/shape.h"

#include <stdbool.h>
#include <stddef.h>

enum { OP_IN = 3, OP_OUT = 2, OP_PARAMS = 2, OP_CONF = 32, OP_NAME = 48 };

enum op_flag {
    OP_KEEPS_X = 1, /* backward reads x */
    OP_KEEPS_Y = 2, /* backward reads y[0] */
    OP_INPLACE = 4, /* y[0] may be x[0] and dx[0] may be dy[0], where sizes and lifetimes allow */
    OP_ALIAS = 8,   /* every y is x[0]: forward is not called */
    OP_INPUT = 16,  /* y[0] is filled by the user */
    OP_LOSS = 32,   /* y[0] is a scalar to differentiate; dy[0] is 1 */
    OP_ACTIVATES = 64, /* can end in a ReLU: sealing folds one that follows into `slope` */
    OP_DROPS = 128,    /* can end in a dropout, behind the ReLU: likewise, into `drop` */
    OP_JOINS = 256,    /* reads a joined map from its two halves: sealing cuts the concat before */
    OP_READS_SUMS = 512, /* has a use for sums of x (struct note) */
};

/* What a node leaves for the one that reads its result, to save it a pass over memory. */
struct note {
    size_t tile; /* of a norm that the reader is to apply; 0: none. Its y is then its x, and the
                  * note has, for each image, `tile` means, scales and shifts (norm_piece.h) */
    float slope; /* of the ReLU behind that norm */
    int parts;   /* of sums of y: for each image and part, those of each column and of its square,
                  * in double; 0: none */
    int columns; /* number k is of channel k mod C */
};

struct param_spec { /* a parameter of a node: "PREFIX.weight" */
    const char *suffix;
    int rank, dim[4];
    float mean, std; /* of its initial values */
};

struct node_spec { /* what a builder hands to graph_add; `conf` is copied, OP_CONF bytes at most */
    const struct op *op;
    const char *name; /* prefix of parameters; NULL when there are none */
    int nin, in[OP_IN];
    int channels; /* of every output */
    int halvings; /* +1: output has half the height and width; -1: twice */
    int nparams;
    struct param_spec param[OP_PARAMS];
    const void *conf;
    size_t conf_size;
};

/* Appends a node; returns its first output, or -1 after a mistake, which graph_seal reports. */
int graph_add(struct graph *g, const struct node_spec *s);
/* Notes a mistake in building, unless there is an earlier one; returns -1. */
int graph_fail(struct graph *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Channels of a value; 1 for an invalid one, so that builders need no checks. */
int graph_channels(const struct graph *g, int value);
/* 0, 1, 2, … in order of calls: names the random stream of a node. */
int graph_next_ordinal(struct graph *g);

struct dn;

struct node { /* of a plan */
    const struct op *op;
    const char *name; /* of the graph's node: prefix of parameters, or the operator's name */
    const void *conf; /* what the builder gave */
    int nin, nout, nparams;
    struct shape x[OP_IN], y[OP_OUT];
    unsigned flags;      /* those of op; `plan` may change them */
    float slope;         /* of the ReLU that y[0] has passed (relu.h); 1: none */
    struct dropout drop; /* that y[0] has passed behind it; of rate 0: none */
    bool read_as_norm;   /* whoever reads y[0] can apply a norm: this one, if it is one */
    bool read_for_sums;  /* whoever reads y[0] has a use for its sums */
    struct note note, notes[OP_IN]; /* left for the reader of y[0]; found with x */
    bool training;                  /* dropout is active, `keep` survives until backward */
    enum nn_precision precision;
    bool wants_dx[OP_IN];
    bool wants_dw;     /* its parameters are trained */
    bool backward;     /* this node takes part in the backward pass */
    void *state;       /* op->state bytes, zeroed by the plan, freed by it after release */
    struct dn *dn;     /* the convolution library, shared by a plan */
    struct {           /* bytes; set by op->plan */
        size_t keep;   /* written by forward, read by backward */
        size_t packed; /* weights in the kernel's layout */
        size_t note;   /* written by forward, for the reader of y[0] */
        size_t forward, backward; /* scratch */
    } need;
};

struct io {
    const float *x[OP_IN];
    float *y[OP_OUT];
    const float *dy[OP_OUT];
    float *dx[OP_IN];
    const float *w[OP_PARAMS]; /* parameters as stored (params.h) */
    float *dw[OP_PARAMS];
    void *keep, *packed, *note, *scratch_forward, *scratch_backward;
    const void *notes[OP_IN];   /* found with x */
    const struct step_key *key; /* sample is never NULL here */
};

struct op {
    const char *name;
    int nout;
    unsigned flags;
    size_t state;
    /* Heights and widths of the outputs, and checks. NULL: those of x[0]. No memory. */
    int (*infer)(struct node *n, struct err *e);
    /* Whether its kernels can apply a norm before it (struct note). NULL: they cannot. */
    bool (*applies_norm)(const struct node *n);
    /* Kernels and needs. NULL: none. */
    int (*plan)(struct node *n, struct err *e);
    /* Brings weights into the kernel's layout; called when the parameters have changed. */
    void (*pack)(const struct node *n, const struct io *io);
    void (*forward)(const struct node *n, const struct io *io);
    /* NULL: plans for training refuse it where a gradient would have to pass. */
    void (*backward)(const struct node *n, const struct io *io);
    void (*release)(struct node *n);
    /* Names the kernels, for people and for the test that refuses reference kernels. NULL: "own".
     */
    void (*kernel)(const struct node *n, char *text, size_t size);
    /* Multiplications and additions of a forward pass by the defining sum. NULL: not counted. */
    double (*flops)(const struct node *n);
    /* Of a loss: its value in double precision. */
    double (*loss)(const struct node *n);
};

extern const struct op op_input, op_conv, op_deconv, op_maxpool, op_avgpool, op_norm, op_relu,
    op_dropout, op_concat, op_fork, op_add, op_magnitude, op_consistency, op_l2, op_l1, op_blend;
