#include "base/cfg_private.h"
#include "base/num.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <string.h>

static const struct cfg_field no_fields[] = {CFG_END};

static void bind_value(struct cfg_load *l, const struct cfg_field *f, const struct yaml_node *n,
                       char *to, const char *path);

static void *take(struct cfg_load *l, size_t count, size_t size)
{
    void *p = arena_new(l->arena, count * size);
    l->no_memory |= !p;
    return p;
}

/* ---- scalars ---- */

static const char *describe(char out[CFG_QUOTE + 32], const struct yaml_node *n)
{
    char q[CFG_QUOTE];
    if (n->kind == YAML_MAP)
        strcpy(out, "a group of keys");
    else if (n->kind == YAML_LIST)
        strcpy(out, "a list");
    else if (yaml_is_null(n))
        strcpy(out, "nothing");
    else
        snprintf(out, CFG_QUOTE + 32, "%s'%s'", n->plain ? "" : "the quoted text ",
                 cfg_quote(q, n->text));
    return out;
}

static void wrong_type(struct cfg_load *l, const struct yaml_node *n, const char *path,
                       const char *want)
{
    char is[CFG_QUOTE + 32];
    if (yaml_is_null(n))
        cfg_mistake(l, n, "'%s' is empty, must be %s", path, want);
    else
        cfg_mistake(l, n, "'%s' must be %s, not %s", path, want, describe(is, n));
}

static bool in_range(struct cfg_load *l, const struct cfg_field *f, const struct yaml_node *n,
                     double v, const char *path)
{
    if (v >= f->min && v <= f->max) return true;
    char low[NUM_TEXT], high[NUM_TEXT], q[CFG_QUOTE];
    cfg_mistake(l, n, "'%s' = %s is out of range, must be %s to %s%s%s", path,
                cfg_quote(q, n->text), num_shortest(low, f->min), num_shortest(high, f->max),
                *f->unit ? " " : "", f->unit);
    return false;
}

static bool plain_scalar(const struct yaml_node *n)
{
    return n->kind == YAML_TEXT && n->plain;
}

static void bind_bool(struct cfg_load *l, const struct cfg_field *f, const struct yaml_node *n,
                      char *to, const char *path)
{
    (void)f;
    bool yes = plain_scalar(n) && strcmp(n->text, "true") == 0;
    if (yes || (plain_scalar(n) && strcmp(n->text, "false") == 0))
        *(bool *)to = yes;
    else
        wrong_type(l, n, path, "true or false");
}

static void bind_int(struct cfg_load *l, const struct cfg_field *f, const struct yaml_node *n,
                     char *to, const char *path)
{
    int64_t v;
    if (!plain_scalar(n) || !num_whole(n->text, &v))
        wrong_type(l, n, path, "a whole number");
    else if (v < INT_MIN || v > INT_MAX)
        in_range(l, f, n, v < 0 ? -HUGE_VAL : HUGE_VAL, path);
    else if (in_range(l, f, n, (double)v, path))
        *(int *)to = (int)v;
}

static void bind_u64(struct cfg_load *l, const struct cfg_field *f, const struct yaml_node *n,
                     char *to, const char *path)
{
    (void)f;
    if (!plain_scalar(n) || !num_whole_u64(n->text, (uint64_t *)to))
        wrong_type(l, n, path, "a whole number from 0 to 18446744073709551615");
}

static void bind_real(struct cfg_load *l, const struct cfg_field *f, const struct yaml_node *n,
                      char *to, const char *path)
{
    double v;
    if (!plain_scalar(n) || !num_real(n->text, &v))
        wrong_type(l, n, path, "a finite number");
    else if (in_range(l, f, n, v, path))
        *(double *)to = v;
}

static void bind_text(struct cfg_load *l, const struct cfg_field *f, const struct yaml_node *n,
                      char *to, const char *path)
{
    (void)f;
    if (n->kind == YAML_TEXT && !yaml_is_null(n))
        *(const char **)to = n->text; /* lives in the arena, as the node does */
    else
        wrong_type(l, n, path, "text");
}

static void bind_choice(struct cfg_load *l, const struct cfg_field *f, const struct yaml_node *n,
                        char *to, const char *path)
{
    char all[512] = "one of", is[CFG_QUOTE + 32];
    const bool text = n->kind == YAML_TEXT && !yaml_is_null(n);
    struct cfg_nearest near = cfg_nearest_to(text ? n->text : "", text ? strlen(n->text) : 0);
    for (int i = 0; f->choices[i]; i++) {
        if (text && strcmp(n->text, f->choices[i]) == 0) {
            *(int *)to = i;
            return;
        }
        cfg_offer(&near, f->choices[i]);
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s %s", i ? "," : "", f->choices[i]);
    }
    if (near.best)
        cfg_mistake(l, n, "'%s' must be %s, not %s (did you mean '%s'?)", path, all,
                    describe(is, n), near.best);
    else
        wrong_type(l, n, path, all);
}

/* ---- lists ---- */

/* The members of a list, or a lone scalar as a list of one; NULL with a mistake recorded. */
static const struct yaml_node *members(struct cfg_load *l, const struct yaml_node *n, int *count,
                                       const char *path, const char *want)
{
    *count = 0;
    if (n->kind == YAML_MAP || yaml_is_null(n)) {
        wrong_type(l, n, path, want);
        return NULL;
    }
    const struct yaml_node *first = n->kind == YAML_LIST ? n->first : n;
    for (const struct yaml_node *m = first; m; m = n->kind == YAML_LIST ? m->next : NULL)
        ++*count;
    return first;
}

static void bind_list(struct cfg_load *l, const struct cfg_field *f, const struct yaml_node *n,
                      char *to, const char *path)
{
    static const struct {
        size_t size;
        void (*bind)(struct cfg_load *, const struct cfg_field *, const struct yaml_node *, char *,
                     const char *);
        const char *want;
    } of[] = {[CFG_TYPE_INTS] = {sizeof(int), bind_int, "a list of whole numbers"},
              [CFG_TYPE_REALS] = {sizeof(double), bind_real, "a list of numbers"},
              [CFG_TYPE_TEXTS] = {sizeof(const char *), bind_text, "a list of texts"}};
    int count;
    const struct yaml_node *m = members(l, n, &count, path, of[f->type].want);
    if (f->type == CFG_TYPE_TEXTS && (m || n->kind == YAML_LIST) &&
        (count < f->min || count > f->max)) {
        cfg_mistake(l, n, "'%s' has %d members, must have %.0f to %.0f", path, count, f->min,
                    f->max);
        return;
    }
    char *v = count ? take(l, (size_t)count, of[f->type].size) : NULL;
    if (count && !v) return;
    for (int i = 0; i < count; i++, m = m->next) {
        char *name = arena_print(l->arena, "%s[%d]", path, i);
        of[f->type].bind(l, f, m, v + (size_t)i * of[f->type].size, name ? name : path);
    }
    /* the three list structs share one layout: a count and a pointer */
    if (f->type == CFG_TYPE_INTS)
        *(struct cfg_ints *)to = (struct cfg_ints){count, (const int *)v};
    else if (f->type == CFG_TYPE_REALS)
        *(struct cfg_reals *)to = (struct cfg_reals){count, (const double *)v};
    else
        *(struct cfg_texts *)to = (struct cfg_texts){count, (const char *const *)v};
}

/* ---- groups and kinds ---- */

static void bind_group(struct cfg_load *l, const struct cfg_field *f, const struct yaml_node *n,
                       char *to, const char *path)
{
    const char *prefix = arena_print(l->arena, "%s.", path);
    l->no_memory |= !prefix;
    if (n->kind != YAML_MAP)
        wrong_type(l, n, path, "a group of keys");
    else if (prefix)
        cfg_bind(l, f->group, to, n, n, prefix, NULL);
}

static void unknown_kind(struct cfg_load *l, const struct cfg_field *f, const struct yaml_node *n,
                         const char *path)
{
    char all[512] = "", q[CFG_QUOTE];
    struct cfg_nearest near = cfg_nearest_to(n->text, strlen(n->text));
    for (int i = 0; f->kinds[i]; i++) {
        cfg_offer(&near, f->kinds[i]->name);
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", f->kinds[i]->name);
    }
    cfg_quote(q, n->text);
    if (near.best)
        cfg_mistake(l, n, "'%s' has no kind '%s' (did you mean '%s'?); it has %s", path, q,
                    near.best, all);
    else
        cfg_mistake(l, n, "'%s' has no kind '%s'; it has %s", path, q, all);
}

/* The kind named by a scalar, or NULL with a mistake recorded. */
static const struct cfg_kind *kind_of(struct cfg_load *l, const struct cfg_field *f,
                                      const struct yaml_node *n, const char *path)
{
    if (n->kind != YAML_TEXT || yaml_is_null(n)) {
        wrong_type(l, n, path, "the name of a kind");
        return NULL;
    }
    const struct cfg_kind *kind = cfg_find_kind(f->kinds, n->text, strlen(n->text));
    if (!kind) unknown_kind(l, f, n, path);
    return kind;
}

static void bind_conf(struct cfg_load *l, struct cfg_pick *pick, const struct cfg_kind *kind,
                      const struct yaml_node *map, const struct yaml_node *at, const char *path,
                      const char *skip)
{
    const char *prefix = arena_print(l->arena, "%s.", path);
    void *conf = take(l, 1, kind->size ? kind->size : 1);
    l->no_memory |= !prefix;
    if (!prefix || !conf) return;
    *pick = (struct cfg_pick){.kind = kind, .conf = conf};
    cfg_bind(l, kind->fields, conf, map, at, prefix, skip);
}

static void bind_pick(struct cfg_load *l, const struct cfg_field *f, const struct yaml_node *n,
                      char *to, const char *path)
{
    const struct yaml_node *map = n->kind == YAML_MAP ? n : NULL;
    const struct yaml_node *name = map ? yaml_find(map, "kind") : n;
    if (!name) {
        cfg_mistake(l, n, "'%s.kind' is required but missing", path);
        return;
    }
    for (const struct yaml_node *m = map ? name->next : NULL; m; m = m->next)
        if (strcmp(m->key->text, "kind") == 0)
            cfg_mistake(l, m->key, "duplicate key '%s.kind'", path);
    const struct cfg_kind *kind = kind_of(l, f, name, path);
    if (kind) bind_conf(l, (struct cfg_pick *)to, kind, map, n, path, "kind");
}

static void bind_picks(struct cfg_load *l, const struct cfg_field *f, const struct yaml_node *n,
                       char *to, const char *path)
{
    const bool map = n->kind == YAML_MAP;
    int count = 0;
    const struct yaml_node *m = n->first;
    for (const struct yaml_node *k = m; map && k; k = k->next)
        count++;
    if (!map) m = members(l, n, &count, path, "names of kinds");
    struct cfg_pick *v = count ? take(l, (size_t)count, sizeof *v) : NULL;
    if (count && !v) return;
    int kept = 0;
    for (int i = 0; i < count; i++, m = m->next) {
        const struct yaml_node *name = map ? m->key : m;
        const struct cfg_kind *kind = kind_of(l, f, name, path);
        if (!kind) continue;
        const char *at = arena_print(l->arena, "%s.%s", path, kind->name);
        l->no_memory |= !at;
        if (!at) return;
        bool twice = false;
        for (int k = 0; k < kept; k++)
            twice |= v[k].kind == kind;
        if (twice)
            cfg_mistake(l, name, "duplicate key '%s'", at);
        else if (map && m->kind != YAML_MAP)
            wrong_type(l, m, at, "a group of keys ({} for its defaults)");
        else
            bind_conf(l, &v[kept++], kind, map ? m : NULL, m, at, NULL);
    }
    *(struct cfg_picks *)to = (struct cfg_picks){kept, v};
}

/* ---- tables ---- */

static void bind_value(struct cfg_load *l, const struct cfg_field *f, const struct yaml_node *n,
                       char *to, const char *path)
{
    static void (*const bind[])(struct cfg_load *, const struct cfg_field *,
                                const struct yaml_node *, char *, const char *) = {
        [CFG_TYPE_BOOL] = bind_bool,  [CFG_TYPE_INT] = bind_int,
        [CFG_TYPE_U64] = bind_u64,    [CFG_TYPE_REAL] = bind_real,
        [CFG_TYPE_TEXT] = bind_text,  [CFG_TYPE_CHOICE] = bind_choice,
        [CFG_TYPE_INTS] = bind_list,  [CFG_TYPE_REALS] = bind_list,
        [CFG_TYPE_TEXTS] = bind_list, [CFG_TYPE_GROUP] = bind_group,
        [CFG_TYPE_PICK] = bind_pick,  [CFG_TYPE_PICKS] = bind_picks,
    };
    bind[f->type](l, f, n, to, path);
}

static void remember(struct cfg_load *l, const struct yaml_node *n, const char *path)
{
    struct cfg_place *p = take(l, 1, sizeof *p);
    if (!p) return;
    p->key = path;
    p->where =
        n->line ? arena_print(l->arena, "%s:%d:%d", n->origin, n->line, n->column) : n->origin;
    p->next = l->cfg->places;
    l->cfg->places = p;
    l->no_memory |= !p->where;
}

/* The dotted path of a key that is known in some other group, or NULL. */
static const char *elsewhere(struct cfg_load *l, const struct cfg_field *fields, const char *key)
{
    const struct cfg_field *here = cfg_find(fields, key, strlen(key));
    if (here) return here->key;
    for (const struct cfg_field *f = fields; f->key; f++) {
        const char *below = f->type == CFG_TYPE_GROUP ? elsewhere(l, f->group, key) : NULL;
        if (below) return arena_print(l->arena, "%s.%s", f->key, below);
    }
    return NULL;
}

static void unknown_key(struct cfg_load *l, const struct cfg_field *fields,
                        const struct yaml_node *key, const char *prefix)
{
    if (l->mistakes >= CFG_MAX_MISTAKES) { /* will not be shown: save the search */
        l->mistakes++;
        return;
    }
    char q[CFG_QUOTE];
    struct cfg_nearest near = cfg_nearest_to(key->text, strlen(key->text));
    for (const struct cfg_field *f = fields; f->key; f++)
        cfg_offer(&near, f->key);
    const char *other = elsewhere(l, l->fields, key->text);
    cfg_quote(q, key->text);
    if (other)
        cfg_mistake(l, key, "unknown key '%s%s' (did you mean '%s'%s?)", prefix, q, other,
                    strchr(other, '.') ? "" : " outside every group");
    else if (near.best)
        cfg_mistake(l, key, "unknown key '%s%s' (did you mean '%s'?)", prefix, q, near.best);
    else
        cfg_mistake(l, key, "unknown key '%s%s'", prefix, q);
}

static void bind_absent(struct cfg_load *l, const struct cfg_field *f, char *to,
                        const struct yaml_node *at, const char *path)
{
    if (f->type == CFG_TYPE_GROUP) {
        const char *prefix = arena_print(l->arena, "%s.", path);
        l->no_memory |= !prefix;
        if (prefix) cfg_bind(l, f->group, to, NULL, at, prefix, NULL);
    } else if (!f->def) {
        cfg_mistake(l, at, "'%s' is required but missing", path);
    } else {
        const struct yaml_node *n = cfg_default(l, f);
        if (n) bind_value(l, f, n, to, path);
    }
}

void cfg_bind(struct cfg_load *l, const struct cfg_field *fields, void *conf,
              const struct yaml_node *map, const struct yaml_node *at, const char *prefix,
              const char *skip)
{
    if (!fields) fields = no_fields;
    const struct yaml_node *seen[CFG_MAX_FIELDS] = {NULL};
    assert(cfg_count(fields) <= CFG_MAX_FIELDS);
    char *base = conf;
    for (const struct yaml_node *n = map ? map->first : NULL; n && !l->no_memory; n = n->next) {
        const char *key = n->key->text;
        if (skip && strcmp(key, skip) == 0) continue;
        const struct cfg_field *f = cfg_find(fields, key, strlen(key));
        if (!f) {
            unknown_key(l, fields, n->key, prefix);
            continue;
        }
        const char *path = arena_print(l->arena, "%s%s", prefix, f->key);
        l->no_memory |= !path;
        if (!path) return;
        const struct yaml_node **first = &seen[f - fields];
        if (*first) {
            cfg_mistake(l, n->key, "duplicate key '%s' (first in line %d)", path, (*first)->line);
            continue;
        }
        *first = n->key;
        remember(l, n, path);
        if (f->type == CFG_TYPE_ANY) continue;
        bind_value(l, f, n, base + f->offset, path);
    }
    for (const struct cfg_field *f = fields; f->key && !l->no_memory; f++) {
        if (seen[f - fields] || f->type == CFG_TYPE_ANY) continue;
        const char *path = arena_print(l->arena, "%s%s", prefix, f->key);
        l->no_memory |= !path;
        if (path) bind_absent(l, f, base + f->offset, at, path);
    }
}
