/* Configuration by field tables. One table per struct names every key with its type, default, range
 * and help; it is at once the parser, the checks, `--help`, `--set` and the resolved dump.
 *
 *     struct adam_conf { double lr; double beta1; };
 *     static const struct cfg_field adam_fields[] = {
 *         CFG_REAL(struct adam_conf, lr, "1e-3", 0, 10, "", "learning rate"),
 *         CFG_REAL(struct adam_conf, beta1, "0.9", 0, 1, "", "decay of the first moment"),
 *         CFG_END};
 *
 * Every mistake in a file is reported, each as `file:line:column: …`, up to a limit.
 *
 * A file is one YAML document of at most 1 MiB and 32 levels, without anchors, aliases and tags; an
 * empty one means the defaults. Numbers are decimal and whole tokens (`1e-3`, not `8abc`, `0x10` or
 * `1_000`), quoted ones are text, booleans are true and false, null is a mistake. No locale
 * matters.
 *
 * A key in dots reaches everything from the command line: `train.lr=1e-4` a group, `mask=full` or
 * `mask.kind=full` another kind, `mask.acceleration=8` a field of the kind chosen, and
 * `perturbations.blur.extent=3` a field of one of several, which joins if it was not there. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum cfg_type {
    CFG_TYPE_END,
    CFG_TYPE_BOOL,   /* bool: true or false, nothing else */
    CFG_TYPE_INT,    /* int */
    CFG_TYPE_U64,    /* uint64_t: seeds */
    CFG_TYPE_REAL,   /* double; nan and inf are refused */
    CFG_TYPE_TEXT,   /* const char * */
    CFG_TYPE_CHOICE, /* int: index into `choices` */
    CFG_TYPE_INTS,   /* struct cfg_ints; a lone scalar is a list of one */
    CFG_TYPE_REALS,  /* struct cfg_reals */
    CFG_TYPE_TEXTS,  /* struct cfg_texts */
    CFG_TYPE_GROUP,  /* nested struct described by `group` */
    CFG_TYPE_PICK,   /* struct cfg_pick: `{kind: NAME, …}` or just `NAME`; one of `kinds` */
    CFG_TYPE_PICKS, /* struct cfg_picks: `{NAME: {…}, NAME: {…}}` or `[NAME, …]`; some of `kinds` */
    CFG_TYPE_ANY, /* a key of other commands that read the same file: accepted, not looked at */
};

struct cfg_ints {
    int n;
    const int *v;
};
struct cfg_reals {
    int n;
    const double *v;
};
struct cfg_texts {
    int n;
    const char *const *v;
};

/* A named thing with a configuration of its own: a mask, a perturbation, a metric, a study. The
 * struct of such a thing starts with a `struct cfg_kind`, and its table of kinds is a NULL-ended
 * array of pointers to them. */
struct cfg_kind {
    const char *name;
    const char *help;
    const struct cfg_field *fields; /* of a struct of `size` bytes, none of them called "kind"; may
                                       be NULL when size is 0 */
    size_t size;
};
struct cfg_pick {
    const struct cfg_kind *kind;
    void *conf;
};
struct cfg_picks {
    int n;
    struct cfg_pick *v;
};

struct cfg_field {
    const char *key;
    enum cfg_type type;
    size_t offset;
    const char
        *def; /* default as YAML text ("1e-3", "[3, 5]", "{shift: {}, blur: {}}"); NULL: required.
                 "" is a valid default of TEXT, "[]" of lists. Unused for GROUP. */
    double min, max; /* inclusive range of INT, REAL and list elements; list length for TEXTS */
    const char *const *choices;
    const struct cfg_field *group;
    const struct cfg_kind *const *kinds;
    const char *unit; /* "px", "s", "" … */
    const char *help; /* one sentence, no full stop needed */
};

#define CFG_BOOL(S, m, def, help)                                                                  \
    {                                                                                              \
#m, CFG_TYPE_BOOL, offsetof(S, m), def, 0, 0, 0, 0, 0, "", help                            \
    }
#define CFG_INT(S, m, def, lo, hi, unit, help)                                                     \
    {                                                                                              \
#m, CFG_TYPE_INT, offsetof(S, m), def, lo, hi, 0, 0, 0, unit, help                         \
    }
#define CFG_U64(S, m, def, help)                                                                   \
    {                                                                                              \
#m, CFG_TYPE_U64, offsetof(S, m), def, 0, 0, 0, 0, 0, "", help                             \
    }
#define CFG_REAL(S, m, def, lo, hi, unit, help)                                                    \
    {                                                                                              \
#m, CFG_TYPE_REAL, offsetof(S, m), def, lo, hi, 0, 0, 0, unit, help                        \
    }
#define CFG_TEXT(S, m, def, help)                                                                  \
    {                                                                                              \
#m, CFG_TYPE_TEXT, offsetof(S, m), def, 0, 0, 0, 0, 0, "", help                            \
    }
#define CFG_CHOICE(S, m, def, choices, help)                                                       \
    {                                                                                              \
#m, CFG_TYPE_CHOICE, offsetof(S, m), def, 0, 0, choices, 0, 0, "", help                    \
    }
#define CFG_INTS(S, m, def, lo, hi, unit, help)                                                    \
    {                                                                                              \
#m, CFG_TYPE_INTS, offsetof(S, m), def, lo, hi, 0, 0, 0, unit, help                        \
    }
#define CFG_REALS(S, m, def, lo, hi, unit, help)                                                   \
    {                                                                                              \
#m, CFG_TYPE_REALS, offsetof(S, m), def, lo, hi, 0, 0, 0, unit, help                       \
    }
#define CFG_TEXTS(S, m, def, help)                                                                 \
    {                                                                                              \
#m, CFG_TYPE_TEXTS, offsetof(S, m), def, 0, 1e6, 0, 0, 0, "", help                         \
    }
#define CFG_GROUP(S, m, fields, help)                                                              \
    {                                                                                              \
#m, CFG_TYPE_GROUP, offsetof(S, m), 0, 0, 0, 0, fields, 0, "", help                        \
    }
#define CFG_PICK(S, m, def, kinds, help)                                                           \
    {                                                                                              \
#m, CFG_TYPE_PICK, offsetof(S, m), def, 0, 0, 0, 0, kinds, "", help                        \
    }
#define CFG_PICKS(S, m, def, kinds, help)                                                          \
    {                                                                                              \
#m, CFG_TYPE_PICKS, offsetof(S, m), def, 0, 0, 0, 0, kinds, "", help                       \
    }
#define CFG_ANY(key, help)                                                                         \
    {                                                                                              \
        key, CFG_TYPE_ANY, 0, 0, 0, 0, 0, 0, 0, "", help                                           \
    }
#define CFG_END                                                                                    \
    {                                                                                              \
        0                                                                                          \
    }

struct cfg; /* owns every string, list and picked struct reachable from the parsed struct */

/* Parses the file at `path` and then the `sets` ("a.b=c" each, value in YAML) into *conf, which the
 * caller provides zeroed. Keys that are absent take their defaults. NULL with ERR_CONFIG (or
 * ERR_NOINPUT; ERR_USAGE for a set without '=') and every mistake, one a line, in e->text; *conf is
 * then of no use. `path` may be NULL: defaults and sets only. */
struct cfg *cfg_load(const struct cfg_field *fields, void *conf, const char *path,
                     const char *const *sets, int nsets, struct err *e);
/* The same from text in memory; `name` stands for the file in messages. */
struct cfg *cfg_parse(const struct cfg_field *fields, void *conf, const char *name,
                      const char *text, size_t len, const char *const *sets, int nsets,
                      struct err *e);
void cfg_free(struct cfg *c);

/* Where a key stands ("file.yaml:6:3" or "--set data.size=1" or "default"), for errors found later;
 * `key` is the dotted path. The text lives as long as `c`. */
const char *cfg_where(const struct cfg *c, const char *key);

/* Writes every key with its value, as YAML that cfg_load reads back to the same struct. */
int cfg_write(const struct cfg_field *fields, const void *conf, FILE *out);
/* Writes every key with type, default, range, unit and help, for people: as text, as Markdown. */
void cfg_help(const struct cfg_field *fields, FILE *out);
void cfg_markdown(const struct cfg_field *fields, FILE *out);
