#include "eval/report.h"

#include "base/cli.h"
#include "base/io.h"
#include "base/mem.h"
#include "eval/report_parts.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

bool report_has_charts(void)
{
    return report_charts_len > 0;
}

/* JSON inside of HTML: no "<" in it, so that no text can end the element or begin another. */
static int put_json(FILE *out, const char *id, const json_t *data, struct err *e)
{
    char *text = json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (!text)
        return err_set(e, ERR_FAILED, "report.html: out of memory, or a name that is not UTF-8");
    fprintf(out, "<script type=\"application/json\" id=\"%s\">", id);
    for (const char *p = text; *p; p++)
        if (*p == '<')
            fputs("\\u003c", out);
        else
            fputc(*p, out);
    fputs("</script>\n", out);
    free(text);
    return 0;
}

static void put_base64(FILE *out, const unsigned char *x, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)x[i] << 16 | (i + 1 < n ? (unsigned)x[i + 1] << 8 : 0u) |
                     (i + 2 < n ? x[i + 2] : 0u);
        fputc(digit[v >> 18], out);
        fputc(digit[v >> 12 & 63], out);
        fputc(i + 1 < n ? digit[v >> 6 & 63] : '=', out);
        fputc(i + 2 < n ? digit[v & 63] : '=', out);
    }
}

/* A picture of the output folder as text that the browser leaves alone until it is looked at. */
static int put_file(FILE *out, const struct study_env *env, const char *name, const char *id,
                    struct err *e)
{
    enum { LARGEST = 64 << 20 };
    char path[PATH_MAX];
    size_t len = 0;
    if (io_path(path, sizeof path, e, "%s/%s", env->output, name)) return -1;
    char *bytes = io_read_text(path, LARGEST, &len, e);
    if (!bytes) return -1;
    fprintf(out, "<script type=\"text/plain\" id=\"%s\">", id);
    put_base64(out, (const unsigned char *)bytes, len);
    fputs("</script>\n", out);
    mem_free(bytes);
    return 0;
}

static int put_picture(FILE *out, const struct pairs *p, int image, int method, enum picture what,
                       struct err *e)
{
    char name[PATH_MAX], id[32];
    if (what == PICTURE_REFERENCE)
        snprintf(id, sizeof id, "r%d", image);
    else
        snprintf(id, sizeof id, "d%d_%d", image, method);
    return pairs_picture(p, image, method, what, name, sizeof name, e) ||
                   put_file(out, p->env, name, id, e)
               ? -1
               : 0;
}

static int put_pictures(FILE *out, const struct pairs *p, const struct report_extra *extra,
                        struct err *e)
{
    const int most = REPORT_PICTURES / (1 + p->methods);
    int n = p->images < most ? p->images : most, rc = 0;
    bool *has = mem_new((size_t)p->images, sizeof *has, e);
    if (!has) return -1;
    for (int i = 0, left = n; extra->first && i < extra->count && left > 0; i++)
        if (!has[extra->first[i]]) has[extra->first[i]] = true, left--, n--;
    for (int i = 0; i < p->images && n > 0; i++)
        if (!has[i]) has[i] = true, n--;
    for (int i = 0; i < p->images && rc == 0; i++) {
        if (!has[i]) continue;
        rc = put_picture(out, p, i, 0, PICTURE_REFERENCE, e);
        for (int m = 0; m < p->methods && rc == 0; m++)
            rc = put_picture(out, p, i, m, PICTURE_DIFFERENCE, e);
    }
    mem_free(has);
    return rc;
}

static json_t *describe_points(const struct pairs *p, const struct report_extra *extra)
{
    json_t *points = json_array();
    for (int i = 0; i < p->images; i++)
        for (int m = 0; m < p->methods; m++) {
            json_t *scores = json_array();
            const char *note = extra->notes ? extra->notes[i * p->methods + m] : NULL;
            for (int k = 0; k < p->scorers.n; k++)
                json_array_append_new(scores, study_number(pairs_at(p, i, m, k)));
            json_array_append_new(points, json_pack("{s:i, s:i, s:o, s:f, s:s*}", "image", i,
                                                    "method", m, "scores", scores, "span",
                                                    pairs_span(p, i, m), "note", note));
        }
    return points;
}

static json_t *describe_pairs(const struct pairs *p, const struct report_extra *extra)
{
    json_t *images = json_array(), *metrics = json_array(), *methods = json_array();
    for (int i = 0; i < p->images; i++)
        json_array_append_new(
            images, json_pack("{s:s, s:i, s:s, s:f}", "scan", images_name(p->env->images, i),
                              "slice", p->env->images->list[i].slice, "contrast",
                              contrast_names[pairs_contrast(p, i)], "white", pairs_white(p, i)));
    for (int k = 0; k < p->scorers.n; k++) {
        const struct scorer *s = &p->scorers.list[k];
        json_array_append_new(metrics,
                              json_pack("{s:s, s:s, s:s, s:i, s:s}", "name", s->name, "label",
                                        s->label, "unit", s->metric->unit, "better",
                                        s->metric->better, "variant", s->variant));
    }
    for (int m = 0; m < p->methods; m++)
        json_array_append_new(methods, json_pack("{s:s, s:s}", "name", p->method[m].name, "source",
                                                 p->method[m].text));
    return json_pack("{s:o, s:o, s:o, s:o, s:s*}", "images", images, "metrics", metrics, "methods",
                     methods, "points", describe_points(p, extra), "notes_label",
                     extra->notes_label);
}

/* The page is written in three parts, cut at its two markers. */
static const char *find_marker(const char *marker)
{
    return memmem(report_page, report_page_len, marker, strlen(marker));
}

/* The pictures that data.examples names, each with its id. */
static int put_examples(FILE *out, const struct study_env *env, const json_t *data, struct err *e)
{
    size_t i;
    const json_t *example;
    json_array_foreach(json_object_get(data, "examples"), i, example)
    {
        if (put_file(out, env, json_string_value(json_object_get(example, "file")),
                     json_string_value(json_object_get(example, "id")), e))
            return -1;
    }
    return 0;
}

static int put_page(FILE *out, const struct study_env *env, const char *title, json_t *data,
                    const json_t *summary, const struct pairs *p, const struct report_extra *extra,
                    struct err *e)
{
    static const char charts[] = "@CHARTS@", contents[] = "@DATA@";
    const char *page = (const char *)report_page, *end = page + report_page_len;
    const char *a = find_marker(charts), *b = find_marker(contents);
    fwrite(page, 1, (size_t)(a - page), out);
    fwrite(report_charts, 1, report_charts_len, out);
    fwrite(a + strlen(charts), 1, (size_t)(b - a) - strlen(charts), out);
    json_object_set_new(data, "title", json_string(title));
    json_object_set_new(data, "version", json_string(cli_version()));
    if (put_json(out, "data", data, e) || put_json(out, "summary", summary, e) ||
        put_examples(out, env, data, e) || (p && put_pictures(out, p, extra, e)))
        return -1;
    b += strlen(contents);
    fwrite(b, 1, (size_t)(end - b), out);
    return 0;
}

/* Takes over `data`. */
static int write_page(const struct study_env *env, const char *title, json_t *data,
                      const json_t *summary, const struct pairs *p,
                      const struct report_extra *extra, struct err *e)
{
    char path[PATH_MAX];
    struct io_stream s = {0};
    int rc = data ? 0 : err_set(e, ERR_FAILED, "report.html: a name that is not UTF-8");
    if (rc == 0)
        rc = io_path(path, sizeof path, e, "%s/report.html", env->output) ||
                     io_stream_begin(&s, path, e)
                 ? -1
                 : put_page(s.file, env, title, data, summary, p, extra, e);
    json_decref(data);
    if (rc) {
        io_stream_end(&s, false, NULL);
        return -1;
    }
    if (!report_has_charts())
        fputs("report.html has tables but no charts: the charting library was not there when ssfd "
              "was built (scripts/setup --report)\n",
              env->notes);
    return io_stream_end(&s, true, e);
}

int report_pairs(const struct pairs *p, const char *title, const struct report_extra *extra,
                 const json_t *summary, struct err *e)
{
    return write_page(p->env, title, describe_pairs(p, extra), summary, p, extra, e);
}

int report_curves(const struct study_env *env, const char *title, json_t *curves, json_t *examples,
                  const json_t *summary, struct err *e)
{
    json_t *data = json_pack("{s:o, s:o}", "curves", curves, "examples", examples);
    return write_page(env, title, data, summary, NULL, NULL, e);
}
