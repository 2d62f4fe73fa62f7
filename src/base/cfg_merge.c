/* Values from the command line, put into the tree as if the file had said so. Only the field
 * tables know that `mask.acceleration` reaches into a kind, or that `perturbations: [blur]` is
 * short for `{blur: {}}`; so the walk follows both the tables and the tree. */
#include "base/cfg_private.h"

#include <string.h>

struct merge {
    struct cfg_load *load;
    const struct cfg_set *set;
    struct yaml_node at; /* for messages */
};

static void merge_fields(struct merge *m, const struct cfg_field *fields, struct yaml_node *map,
                         const char *rest);

static void put(struct merge *m, struct yaml_node *map, const char *key, struct yaml_node *value)
{
    if (!value || yaml_put(m->load->arena, map, key, value)) m->load->no_memory = true;
}

/* The value as a node; NULL with a mistake recorded. */
static struct yaml_node *value_of(struct merge *m, const struct cfg_field *f)
{
    const struct cfg_set *s = m->set;
    struct err e = {0};
    struct yaml_node *n;
    if (s->raw && f && (f->type == CFG_TYPE_TEXT || f->type == CFG_TYPE_CHOICE)) {
        n = yaml_scalar(m->load->arena, &m->at, s->value);
        m->load->no_memory |= !n;
        return n;
    }
    n = yaml_read(m->load->arena, m->at.origin, false, s->value, strlen(s->value), &e);
    if (!n) {
        const size_t prefix = strlen(s->name) + 2; /* "NAME: " is said by the mistake itself */
        cfg_mistake(m->load, &m->at, "%s", strlen(e.text) > prefix ? e.text + prefix : e.text);
    }
    return n;
}

static void put_value(struct merge *m, const struct cfg_field *f, struct yaml_node *map,
                      const char *key)
{
    struct yaml_node *n = value_of(m, f);
    if (n) put(m, map, key, n);
}

/* The member `key` as a map: made when absent; NULL when it is something else, which binding will
 * report at its own place. */
static struct yaml_node *submap(struct merge *m, struct yaml_node *map, const char *key)
{
    struct yaml_node *n = yaml_find(map, key);
    if (!n) {
        n = yaml_container(m->load->arena, &m->at, YAML_MAP);
        put(m, map, key, n);
    }
    return n && n->kind == YAML_MAP ? n : NULL;
}

/* The value of a field of kinds, present or default, in its long form: a map. */
static struct yaml_node *long_form(struct merge *m, const struct cfg_field *f,
                                   struct yaml_node *map)
{
    struct arena *a = m->load->arena;
    struct yaml_node *n = yaml_find(map, f->key);
    if (!n && f->def) n = cfg_default(m->load, f);
    if (!n) return submap(m, map, f->key);
    if (n->kind != YAML_MAP) {
        struct yaml_node *whole = yaml_container(a, n, YAML_MAP);
        struct yaml_node *first = n->kind == YAML_LIST ? n->first : n, *next;
        if (f->type == CFG_TYPE_PICK && (n->kind == YAML_LIST || yaml_is_null(n))) return NULL;
        if (whole && f->type == CFG_TYPE_PICK) {
            put(m, whole, "kind", yaml_scalar(a, n, n->text));
        } else if (whole) {
            for (struct yaml_node *k = first; k; k = next) {
                next = n->kind == YAML_LIST ? k->next : NULL;
                if (k->kind != YAML_TEXT || yaml_is_null(k)) return NULL;
                put(m, whole, k->text, yaml_container(a, k, YAML_MAP));
            }
        }
        n = whole;
    }
    put(m, map, f->key, n);
    return n;
}

static void merge_kind(struct merge *m, const struct cfg_field *f, struct yaml_node *map,
                       const char *rest)
{
    struct yaml_node *in = long_form(m, f, map);
    if (!in) return;
    const size_t len = strcspn(rest, ".");
    if (f->type == CFG_TYPE_PICK) {
        if (strcmp(rest, "kind") == 0) {
            put_value(m, NULL, in, "kind");
            return;
        }
        const struct yaml_node *name = yaml_find(in, "kind");
        const struct cfg_kind *kind = name && name->kind == YAML_TEXT
                                          ? cfg_find_kind(f->kinds, name->text, strlen(name->text))
                                          : NULL;
        if (kind) merge_fields(m, kind->fields, in, rest); /* else binding reports the kind */
        return;
    }
    const struct cfg_kind *kind = cfg_find_kind(f->kinds, rest, len);
    if (!kind) {
        struct cfg_nearest near = cfg_nearest_to(rest, len);
        for (int i = 0; f->kinds[i]; i++)
            cfg_offer(&near, f->kinds[i]->name);
        cfg_mistake(m->load, &m->at, "'%s' has no kind '%.*s'%s%s%s", f->key, (int)len, rest,
                    near.best ? " (did you mean '" : "", near.best ? near.best : "",
                    near.best ? "'?)" : "");
    } else if (!rest[len]) {
        put_value(m, NULL, in, kind->name);
    } else {
        struct yaml_node *conf = submap(m, in, kind->name);
        if (conf) merge_fields(m, kind->fields, conf, rest + len + 1);
    }
}

static void unknown(struct merge *m, const struct cfg_field *fields, const char *rest)
{
    const size_t len = strcspn(rest, ".");
    struct cfg_nearest near = cfg_nearest_to(rest, len);
    for (const struct cfg_field *f = fields; f && f->key; f++)
        cfg_offer(&near, f->key);
    const char *key = m->set->key;
    const int upto = (int)(rest - key) + (int)len, before = (int)(rest - key);
    if (near.best)
        cfg_mistake(m->load, &m->at, "unknown key '%.*s' (did you mean '%.*s%s'?)", upto, key,
                    before, key, near.best);
    else
        cfg_mistake(m->load, &m->at, "unknown key '%.*s'", upto, key);
}

static void merge_fields(struct merge *m, const struct cfg_field *fields, struct yaml_node *map,
                         const char *rest)
{
    const size_t len = strcspn(rest, ".");
    const struct cfg_field *f = cfg_find(fields, rest, len);
    if (!f) {
        unknown(m, fields, rest);
    } else if (f->type == CFG_TYPE_ANY) {
        return; /* for another command */
    } else if (!rest[len]) {
        put_value(m, f, map, f->key);
    } else if (f->type == CFG_TYPE_GROUP) {
        struct yaml_node *in = submap(m, map, f->key);
        if (in) merge_fields(m, f->group, in, rest + len + 1);
    } else if (f->type == CFG_TYPE_PICK || f->type == CFG_TYPE_PICKS) {
        merge_kind(m, f, map, rest + len + 1);
    } else {
        cfg_mistake(m->load, &m->at, "'%.*s' is a value, it has no keys below it",
                    (int)(rest - m->set->key) + (int)len, m->set->key);
    }
}

void cfg_merge(struct cfg_load *l, const struct cfg_field *fields, struct yaml_node *root,
               const struct cfg_set *s)
{
    /* The nodes, and cfg_where, name the set for as long as the configuration lives. */
    const char *name = arena_text(l->arena, s->name, strlen(s->name));
    struct merge m = {.load = l, .set = s, .at = {.origin = name}};
    l->no_memory |= !name;
    if (name) merge_fields(&m, fields, root, s->key);
}
