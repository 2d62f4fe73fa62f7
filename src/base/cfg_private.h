/* What the files of the configuration share; cli.c is the only other reader. */
#pragma once

#include "base/arena.h"
#include "base/cfg.h"
#include "base/yaml_tree.h"

enum { CFG_MAX_BYTES = 1 << 20, CFG_MAX_FIELDS = 64, CFG_MAX_MISTAKES = 20, CFG_QUOTE = 64 };

/* One value from the command line. */
struct cfg_set {
    const char *key;   /* "a.b" */
    const char *value; /* YAML; with `raw` a text field takes it as it is */
    const char *name;  /* for messages: "--set a.b=c", "--scans 4" */
    bool raw;
};

struct cfg_place { /* where a key got its value */
    const char *key, *where;
    struct cfg_place *next;
};

struct cfg {
    struct arena arena;
    struct cfg_place *places;
};

/* The state of a load: mistakes gather in `text`, one a line. */
struct cfg_load {
    struct cfg *cfg;
    struct arena *arena;
    const struct cfg_field *fields; /* the whole table, to say where a misplaced key belongs */
    int mistakes, shown;
    size_t used;
    char text[sizeof((struct err *)0)->text];
    bool no_memory;
};

/* cfg_parse and cfg_load with sets already taken apart. */
struct cfg *cfg_build(const struct cfg_field *fields, void *conf, const char *name,
                      const char *text, size_t len, const struct cfg_set *sets, int nsets,
                      struct err *e);

struct cfg *cfg_load_sets(const struct cfg_field *fields, void *conf, const char *path,
                          const struct cfg_set *sets, int nsets, struct err *e);
/* Takes "key=value" apart. ERR_USAGE when it is not of that form. */
int cfg_split_set(struct arena *a, struct cfg_set *s, const char *text, struct err *e);

/* Records a mistake at a node ("file:line:column: …"). */
void cfg_mistake(struct cfg_load *l, const struct yaml_node *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Text from outside made fit for a message: short, without control characters. */
const char *cfg_quote(char out[CFG_QUOTE], const char *text);

/* Fills the struct from a map (NULL: all absent). `at` is the place to blame for what is missing;
 * `prefix` the dotted path with its final dot, or ""; `skip` a key that is not a field, or NULL. */
void cfg_bind(struct cfg_load *l, const struct cfg_field *fields, void *conf,
              const struct yaml_node *map, const struct yaml_node *at, const char *prefix,
              const char *skip);
/* The default of a field as a node. NULL without memory or with a mistake recorded. */
struct yaml_node *cfg_default(struct cfg_load *l, const struct cfg_field *f);
/* Merges one value from the command line into the tree below `root`, a map. */
void cfg_merge(struct cfg_load *l, const struct cfg_field *fields, struct yaml_node *root,
               const struct cfg_set *s);

int cfg_count(const struct cfg_field *fields); /* NULL is an empty table */
const struct cfg_field *cfg_find(const struct cfg_field *fields, const char *key, size_t len);
const struct cfg_kind *cfg_find_kind(const struct cfg_kind *const *kinds, const char *name,
                                     size_t len);

/* The candidate most like a misspelt word; NULL `best` when none is near. */
struct cfg_nearest {
    const char *word;
    size_t len;
    const char *best;
    int distance;
};
struct cfg_nearest cfg_nearest_to(const char *word, size_t len);
void cfg_offer(struct cfg_nearest *n, const char *candidate);

/* "whole number, 1 to 64 images", "one of l2, l1": what a field takes, into `out`, and returns it.
 */
enum { CFG_TYPE_TEXT_MAX = 512 };
const char *cfg_type_text(char out[CFG_TYPE_TEXT_MAX], const struct cfg_field *f);

/* cfg_help for a command line: keys as "--options", `positional` as the argument. */
void cfg_help_options(const struct cfg_field *fields, const char *positional, FILE *out);
/* Lines as they are, but those that are too long for a page broken between words. */
void cfg_help_text(const char *text, FILE *out);
