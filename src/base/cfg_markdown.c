/* The reference of every key as a page in Markdown: a table for each group, from the same field
 * tables as --help. */
#include "base/cfg_private.h"

#include <string.h>

/* Text within a cell. */
static void cell(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|') fputc('\\', out);
        fputc(*text, out);
    }
}

static void row(FILE *out, const char *prefix, const struct cfg_field *f)
{
    char type[CFG_TYPE_TEXT_MAX];
    fprintf(out, "| `%s%s` | ", prefix, f->key);
    if (!f->def)
        fputs("*required*", out);
    else if (*f->def)
        fprintf(out, "`%s`", f->def);
    fputs(" | ", out);
    cell(out, f->help);
    fputs(" | ", out);
    cell(out, cfg_type_text(type, f));
    fputs(" |\n", out);
}

static void show(const struct cfg_field *fields, const char *prefix, struct arena *arena, FILE *out)
{
    bool head = false;
    for (const struct cfg_field *f = fields; f && f->key; f++) {
        if (f->type == CFG_TYPE_GROUP) continue;
        if (!head) fputs("\n| key | default | meaning | values |\n|---|---|---|---|\n", out);
        head = true;
        row(out, prefix, f);
    }
    for (const struct cfg_field *f = fields; f && f->key; f++) {
        const char *below = arena_print(arena, "%s%s.", prefix, f->key);
        if (!below) return;
        if (f->type == CFG_TYPE_GROUP) {
            fprintf(out, "\n**`%s%s`**: ", prefix, f->key);
            cell(out, f->help);
            fputc('\n', out);
            show(f->group, below, arena, out);
        }
        for (int i = 0; f->kinds && f->kinds[i]; i++) {
            const struct cfg_kind *kind = f->kinds[i];
            const bool many = f->type == CFG_TYPE_PICKS;
            const char *named = many ? arena_print(arena, "%s%s.", below, kind->name) : below;
            if (!named) return;
            fprintf(out, "\n**`%s%s%s%s`**: ", prefix, f->key, many ? "." : ": ", kind->name);
            cell(out, kind->help ? kind->help : "");
            fputc('\n', out);
            show(kind->fields, named, arena, out);
        }
    }
}

void cfg_markdown(const struct cfg_field *fields, FILE *out)
{
    struct arena arena = {0};
    show(fields, "", &arena, out);
    arena_release(&arena);
}
