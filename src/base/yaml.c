#include "base/yaml_tree.h"

#include <string.h>
#include <yaml.h>

enum { MAX_DEPTH = 32 };

struct reader {
    struct arena *arena;
    const char *origin, *text;
    size_t len;
    bool located;
    struct err *e;
    int depth;
    struct yaml_node *open[MAX_DEPTH]; /* maps and lists around the current event */
    struct yaml_node *key[MAX_DEPTH];  /* of open[i], a map: the key that waits for its value */
    struct yaml_node *root;
};

static int fail_at(const struct reader *r, size_t line, size_t column, const char *what)
{
    if (!r->located) return err_set(r->e, ERR_CONFIG, "%s: %s", r->origin, what);
    return err_set(r->e, ERR_CONFIG, "%s:%zu:%zu: %s", r->origin, line + 1, column + 1, what);
}

static int fail_in_parser(const struct reader *r, const yaml_parser_t *p)
{
    const char *what = p->problem ? p->problem : "not YAML";
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(r->e, ERR_FAILED, "%s: out of memory", r->origin);
    if (p->error == YAML_READER_ERROR) { /* bad encoding: the parser knows the byte, not the line */
        size_t line = 0, column = 0;
        for (size_t i = 0; i < p->problem_offset && i < r->len; i++) {
            column = r->text[i] == '\n' ? 0 : column + 1;
            line += r->text[i] == '\n';
        }
        return fail_at(r, line, column, what);
    }
    const yaml_mark_t at = p->problem_mark;
    if (at.index < r->len && r->text[at.index] == '\t')
        what = "a tab where YAML wants spaces: indent with spaces";
    return fail_at(r, at.line, at.column, what);
}

/* Puts a node where the document has it: as the root, a member, a key or the value of a key. */
static int place(struct reader *r, struct yaml_node *n, const yaml_event_t *v)
{
    if (r->depth == 0) {
        r->root = n;
        return 0;
    }
    struct yaml_node *in = r->open[r->depth - 1], **key = &r->key[r->depth - 1];
    if (in->kind == YAML_LIST) {
        yaml_append(in, n);
    } else if (*key) {
        n->key = *key;
        *key = NULL;
        yaml_append(in, n);
    } else if (n->kind == YAML_TEXT) {
        *key = n;
    } else {
        return fail_at(r, v->start_mark.line, v->start_mark.column, "a key must be a word");
    }
    return 0;
}

static int refuse_extras(const struct reader *r, const yaml_event_t *v)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (v->type == YAML_SCALAR_EVENT) {
        anchor = v->data.scalar.anchor;
        tag = v->data.scalar.tag;
    } else if (v->type == YAML_MAPPING_START_EVENT) {
        anchor = v->data.mapping_start.anchor;
        tag = v->data.mapping_start.tag;
    } else if (v->type == YAML_SEQUENCE_START_EVENT) {
        anchor = v->data.sequence_start.anchor;
        tag = v->data.sequence_start.tag;
    }
    const char *what = v->type == YAML_ALIAS_EVENT ? "aliases (*name) are not supported"
                       : anchor                    ? "anchors (&name) are not supported"
                       : tag                       ? "tags (!name) are not supported"
                                                   : NULL;
    return what ? fail_at(r, v->start_mark.line, v->start_mark.column, what) : 0;
}

static int on_node(struct reader *r, const yaml_event_t *v)
{
    if (refuse_extras(r, v)) return -1;
    const bool scalar = v->type == YAML_SCALAR_EVENT;
    struct yaml_node *n = arena_new(r->arena, sizeof *n);
    if (!n) return err_set(r->e, ERR_FAILED, "%s: out of memory", r->origin);
    *n = (struct yaml_node){.kind = scalar                                ? YAML_TEXT
                                    : v->type == YAML_MAPPING_START_EVENT ? YAML_MAP
                                                                          : YAML_LIST,
                            .origin = r->origin,
                            .line = r->located ? (int)v->start_mark.line + 1 : 0,
                            .column = (int)v->start_mark.column + 1};
    if (scalar) {
        const char *text = (const char *)v->data.scalar.value;
        if (strlen(text) != v->data.scalar.length)
            return fail_at(r, v->start_mark.line, v->start_mark.column,
                           "text with a NUL character");
        n->plain = v->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        n->text = arena_text(r->arena, text, v->data.scalar.length);
        if (!n->text) return err_set(r->e, ERR_FAILED, "%s: out of memory", r->origin);
    }
    if (place(r, n, v)) return -1;
    if (scalar) return 0;
    if (r->depth == MAX_DEPTH)
        return fail_at(r, v->start_mark.line, v->start_mark.column, "nested too deeply");
    r->key[r->depth] = NULL;
    r->open[r->depth++] = n;
    return 0;
}

static int on_event(struct reader *r, const yaml_event_t *v)
{
    switch (v->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (!r->root) return 0;
        return fail_at(r, v->start_mark.line, v->start_mark.column,
                       "a second document: one file holds one configuration");
    case YAML_ALIAS_EVENT:
    case YAML_SCALAR_EVENT:
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        return on_node(r, v);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        r->depth--;
        return 0;
    default:
        return 0;
    }
}

struct yaml_node *yaml_read(struct arena *a, const char *origin, bool located, const char *text,
                            size_t len, struct err *e)
{
    struct reader r = {.arena = a, .origin = origin, .located = located, .text = text, .len = len};
    r.e = e;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        err_set(e, ERR_FAILED, "%s: out of memory", origin);
        return NULL;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    int failed = 0;
    for (bool done = false; !failed && !done;) {
        yaml_event_t v;
        if (!yaml_parser_parse(&parser, &v)) {
            failed = fail_in_parser(&r, &parser);
            break;
        }
        done = v.type == YAML_STREAM_END_EVENT;
        failed = on_event(&r, &v);
        yaml_event_delete(&v);
    }
    yaml_parser_delete(&parser);
    if (failed) return NULL;
    if (r.root) return r.root;
    const struct yaml_node start = {.origin = origin, .line = located, .column = 1};
    struct yaml_node *nothing = yaml_scalar(a, &start, "");
    if (nothing)
        nothing->plain = true;
    else
        err_set(e, ERR_FAILED, "%s: out of memory", origin);
    return nothing;
}

struct yaml_node *yaml_container(struct arena *a, const struct yaml_node *at, enum yaml_kind kind)
{
    struct yaml_node *n = arena_new(a, sizeof *n);
    if (n)
        *n = (struct yaml_node){
            .kind = kind, .origin = at->origin, .line = at->line, .column = at->column};
    return n;
}

struct yaml_node *yaml_scalar(struct arena *a, const struct yaml_node *at, const char *text)
{
    struct yaml_node *n = yaml_container(a, at, YAML_TEXT);
    if (n) n->text = arena_text(a, text, strlen(text));
    return n && n->text ? n : NULL;
}

void yaml_append(struct yaml_node *to, struct yaml_node *member)
{
    if (to->last)
        to->last->next = member;
    else
        to->first = member;
    to->last = member;
}

struct yaml_node *yaml_find(const struct yaml_node *map, const char *key)
{
    struct yaml_node *n = map->first;
    while (n && strcmp(n->key->text, key) != 0)
        n = n->next;
    return n;
}

int yaml_put(struct arena *a, struct yaml_node *map, const char *key, struct yaml_node *value)
{
    struct yaml_node **at = &map->first;
    while (*at && strcmp((*at)->key->text, key) != 0)
        at = &(*at)->next;
    if (*at) {
        value->key = (*at)->key;
        value->next = (*at)->next;
        if (map->last == *at) map->last = value;
        *at = value;
        return 0;
    }
    value->key = yaml_scalar(a, value, key);
    if (!value->key) return -1;
    yaml_append(map, value);
    return 0;
}

bool yaml_is_null(const struct yaml_node *n)
{
    if (n->kind != YAML_TEXT || !n->plain) return false;
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        if (strcmp(n->text, nulls[i]) == 0) return true;
    return false;
}
