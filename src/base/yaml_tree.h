/* A YAML document as a tree of nodes that know where they stand. Of YAML it takes what a
 * configuration needs: maps with text keys, lists, scalars; one document. Anchors, aliases, tags,
 * NUL characters and nesting deeper than 32 are refused with their place. yaml.c alone includes
 * yaml.h. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>

enum yaml_kind { YAML_TEXT, YAML_MAP, YAML_LIST };

struct yaml_node {
    enum yaml_kind kind;
    bool plain;            /* a scalar without quotes: may be a number, a boolean or null */
    const char *origin;    /* "file.yaml", "--set a.b=c" */
    int line, column;      /* from 1; line 0: the origin alone says where */
    const char *text;      /* of a scalar */
    struct yaml_node *key; /* of a value in a map */
    struct yaml_node *first, *last, *next; /* members of a map or list, in their order */
};

/* The root of the document, in the arena; an empty document is a null scalar. `located`: nodes and
 * errors have line and column, not only the origin. NULL with ERR_CONFIG. */
struct yaml_node *yaml_read(struct arena *a, const char *origin, bool located, const char *text,
                            size_t len, struct err *e);

struct yaml_node *yaml_scalar(struct arena *a, const struct yaml_node *at, const char *text);
struct yaml_node *yaml_container(struct arena *a, const struct yaml_node *at, enum yaml_kind kind);
void yaml_append(struct yaml_node *to, struct yaml_node *member);
/* The first member with that key, or NULL. */
struct yaml_node *yaml_find(const struct yaml_node *map, const char *key);
/* Puts `value` in place of the member `key`, or at the end. -1 without memory. */
int yaml_put(struct arena *a, struct yaml_node *map, const char *key, struct yaml_node *value);
bool yaml_is_null(const struct yaml_node *n); /* nothing, ~ or null, without quotes */
