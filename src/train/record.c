#include "train/record.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/par.h"
#include "nn/dn.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

enum { KERNELS = 64, MAX_BYTES = 1 << 26, DIGITS = 12 };

/* On these the bits of a training depend, besides its configuration and data. */
static const char *const compared[] = {"isa", "onednn", "threads", "precision", "kernels", NULL};

static json_t *now(void)
{
    char text[32];
    struct tm tm;
    const time_t t = time(NULL);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
    return json_string(text);
}

static json_t *processor(void)
{
    char name[128] = "unknown", line[512];
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "model name : %127[^\n]", name) == 1) break;
    if (f) fclose(f);
    return json_string(name);
}

static json_t *machine(void)
{
    return json_pack("{s:o s:s s:s s:i}", "cpu", processor(), "isa", dn_isa_name(dn_isa()),
                     "onednn", dn_version(), "threads", par_threads());
}

/* The machine, and what the plan uses of it. */
static json_t *facts(const struct plan *p, enum nn_precision precision)
{
    struct plan_kernel list[KERNELS];
    const int n = plan_kernels(p, list, KERNELS);
    json_t *kernels = json_object(), *j = machine();
    for (int i = 0; i < n && i < KERNELS; i++)
        json_object_set_new(kernels, list[i].name, json_integer(list[i].nodes));
    json_object_set_new(j, "precision", json_string(nn_precisions[precision]));
    json_object_set_new(j, "kernels", kernels);
    return j;
}

/* Takes j. */
static int put(const struct run *r, json_t *j, struct err *e)
{
    char path[1200], *text = j ? json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS)) : NULL;
    json_decref(j);
    if (!text) return err_set(e, ERR_FAILED, "out of memory while writing run.json");
    int bad =
        run_path(r, "run.json", path, sizeof path, e) || io_write_text(path, text, strlen(text), e);
    free(text);
    return bad ? -1 : 0;
}

/* What is there; an empty object where it cannot be read, of which then nothing is known: *lost, if
 * not NULL. */
static json_t *get(const struct run *r, bool *lost)
{
    char path[1200], *text = NULL;
    size_t len;
    json_t *j = NULL;
    if (!run_path(r, "run.json", path, sizeof path, NULL))
        text = io_read_text(path, MAX_BYTES, &len, NULL);
    if (text) j = json_loads(text, 0, NULL);
    mem_free(text);
    const bool whole = json_is_object(j);
    if (lost) *lost = !whole;
    if (whole) return j;
    json_decref(j);
    return json_object();
}

int record_start(const struct run *r, const struct cli *cli, uint64_t seed, struct err *e)
{
    struct utsname u = {0};
    uname(&u);
    json_t *j = json_pack("{s:s s:s s:o s:s s:s s:I}", "command", cli->command, "version",
                          cli_version(), "started", now(), "system", u.sysname, "release",
                          u.release, "seed", (json_int_t)seed);
    json_object_update_new(j, machine());
    return put(r, j, e);
}

static void print_value(FILE *out, const json_t *j)
{
    char *text = j ? json_dumps(j, JSON_ENCODE_ANY) : NULL;
    fputs(text ? text : "unknown", out);
    free(text);
}

/* The keys of what differs from the start. */
static json_t *differences(const json_t *start, const json_t *is)
{
    json_t *keys = json_array();
    for (int i = 0; compared[i]; i++)
        if (!json_equal(json_object_get(start, compared[i]), json_object_get(is, compared[i])))
            json_array_append_new(keys, json_string(compared[i]));
    return keys;
}

/* Of differences now, or of those of earlier resumptions. */
static void warn(const struct cli *cli, const json_t *record, const json_t *is, const json_t *keys)
{
    if (!json_array_size(json_object_get(record, "differed"))) return;
    fprintf(stderr,
            "%s: warning: the bits of this training will differ from those of an uninterrupted one",
            cli->command);
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const char *key = json_string_value(json_array_get(keys, i));
        fprintf(stderr, "%s %s was ", i ? ";" : ":", key);
        print_value(stderr, json_object_get(record, key));
        fputs(", is ", stderr);
        print_value(stderr, json_object_get(is, key));
    }
    fputs(json_array_size(keys) ? "\n" : ": so did an earlier resumption (run.json)\n", stderr);
}

/* The list of that name, made where it is missing. */
static json_t *list_of(json_t *record, const char *name)
{
    json_t *list = json_object_get(record, name);
    if (json_is_array(list)) return list;
    json_object_set_new(record, name, json_array());
    return json_object_get(record, name);
}

/* Adds those of `keys` that are not in the list. */
static void join(json_t *list, const json_t *keys)
{
    for (size_t k = 0; k < json_array_size(keys); k++) {
        bool there = false;
        for (size_t i = 0; i < json_array_size(list); i++)
            there |= json_equal(json_array_get(list, i), json_array_get(keys, k));
        if (!there) json_array_append(list, json_array_get(keys, k));
    }
}

/* Takes `is`. */
static void add_resumption(const struct cli *cli, json_t *record, json_t *is, uint64_t step)
{
    json_t *keys = differences(record, is), *list = list_of(record, "resumed");
    json_t *differed = list_of(record, "differed");
    const json_t *count = json_object_get(record, "resumptions");
    /* Where there is no count, the list is whole. */
    const json_int_t before = count ? json_integer_value(count) : (json_int_t)json_array_size(list);
    for (size_t i = 0; !count && i < json_array_size(list); i++)
        join(differed, json_object_get(json_array_get(list, i), "differs"));
    join(differed, keys);
    warn(cli, record, is, keys);
    json_object_set_new(record, "resumptions", json_integer(before + 1));
    json_t *entry = json_pack("{s:o s:I}", "time", now(), "step", (json_int_t)step);
    json_object_update_new(entry, is);
    json_object_set_new(entry, "differs", keys);
    while (json_array_size(list) >= RESUMPTIONS_KEPT)
        json_array_remove(list, 1); /* the first stays */
    json_array_append_new(list, entry);
}

static json_t *source_of(const struct initial *initial)
{
    char checksum[20];
    snprintf(checksum, sizeof checksum, "%016" PRIx64, initial->checksum);
    return json_pack("{s:s s:s s:I}", "checkpoint", initial->path, "checksum", checksum, "step",
                     (json_int_t)initial->step);
}

int record_plan(const struct run *r, const struct cli *cli, const struct plan *p,
                enum nn_precision precision, const struct initial *initial, uint64_t step,
                struct err *e)
{
    json_t *record = get(r, NULL), *is = facts(p, precision);
    if (cli->resume)
        add_resumption(cli, record, is, step);
    else
        json_object_update_new(record, is);
    if (initial->path) json_object_set_new(record, "initial", source_of(initial));
    return put(r, record, e);
}

/* Numbers as text, which keeps every bit of a sum. */
static json_t *sums_of(const struct loss_parts *parts, uint64_t step)
{
    json_t *j = json_pack("{s:I}", "step", (json_int_t)step);
    for (int i = 0; i < parts->n; i++) {
        const struct loss_part *p = &parts->list[i];
        json_object_set_new(j, p->name,
                            json_pack("{s:o s:I}", "sum", json_sprintf("%.17g", p->training.sum),
                                      "passes", (json_int_t)p->training.passes));
    }
    return j;
}

int record_save(const struct run *r, uint64_t step, const struct timing *t,
                const struct loss_parts *parts, struct err *e)
{
    json_t *record = get(r, NULL), *time = json_pack("{s:I}", "steps", (json_int_t)t->steps);
    for (int i = 0; i < TIMING_PHASES; i++) /* to a millisecond */
        json_object_set_new(time, timing_names[i], json_real(round(1e3 * t->seconds[i]) / 1e3));
    json_object_set_new(record, "time", time);
    if (parts->n) json_object_set_new(record, "loss_parts", sums_of(parts, step));
    return put(r, record, e);
}

static struct part_sum sum_in(const json_t *j)
{
    const char *text = json_string_value(json_object_get(j, "sum"));
    const struct part_sum s = {text ? atof(text) : 0.0,
                               (uint64_t)json_integer_value(json_object_get(j, "passes"))};
    return text ? s : (struct part_sum){0};
}

void record_restore(const struct run *r, const struct cli *cli, uint64_t step, struct timing *t,
                    struct loss_parts *parts)
{
    bool lost;
    json_t *record = get(r, &lost), *time = json_object_get(record, "time");
    if (lost)
        fprintf(stderr,
                "%s: warning: %s/run.json is missing or damaged: how the training was begun, and "
                "its times so far, are lost\n",
                cli->command, r->dir);
    const json_t *sums = json_object_get(record, "loss_parts");
    t->steps += (uint64_t)json_integer_value(json_object_get(time, "steps"));
    for (int i = 0; i < TIMING_PHASES; i++)
        t->seconds[i] += json_number_value(json_object_get(time, timing_names[i]));
    const bool ours = sums && (uint64_t)json_integer_value(json_object_get(sums, "step")) == step;
    for (int i = 0; ours && i < parts->n; i++)
        parts->list[i].training = sum_in(json_object_get(sums, parts->list[i].name));
    json_decref(record);
}
