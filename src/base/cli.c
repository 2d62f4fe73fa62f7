#include "base/cli.h"

#include "base/cfg_private.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/par.h"
#include "base/stop.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { MAX_THREADS = 4096 };

struct options {
    bool check, explain, resume, quiet, help, markdown, version;
    int threads;
    const char *argument; /* the one positional argument */
    struct arena arena;
    struct cfg_set *set; /* room for one of each word of the command line */
    int sets;
};

static const struct flag {
    const char *name;
    size_t offset;
    const char *help;
} flags[] = {
    {"--check", offsetof(struct options, check),
     "test the configuration, print it in full, and what it would take; run nothing"},
    {"--explain", offsetof(struct options, explain), "say what the run would do, in figures"},
    {"--resume", offsetof(struct options, resume), "go on from the last checkpoint"},
    {"--quiet", offsetof(struct options, quiet),
     "no progress on stderr; with --check, no estimate"},
    {"--help", offsetof(struct options, help), "this text"},
    {"--help-markdown", offsetof(struct options, markdown), "the keys as a page in Markdown"},
    {"--version", offsetof(struct options, version), "name and version"},
    {NULL, 0, NULL},
};

const char *cli_version(void)
{
    return SSFD_VERSION;
}

/* Does this command have the flag at all? */
static bool offers(const struct command *c, const char *flag)
{
    if (strcmp(flag, "--resume") == 0) return c->resumable;
    if (strcmp(flag, "--explain") == 0) return c->explain;
    return true;
}

/* ---- the command line ---- */

static int unknown_option(const struct command *c, const char *word, struct err *e)
{
    char q[CFG_QUOTE], like[CFG_QUOTE + 32] = "";
    const size_t len = strcspn(word, "=");
    struct cfg_nearest flag = cfg_nearest_to(word, len);
    for (const struct flag *f = flags; f->name; f++)
        if (offers(c, f->name)) cfg_offer(&flag, f->name);
    cfg_offer(&flag, "--set");
    cfg_offer(&flag, "--threads");
    struct cfg_nearest key = cfg_nearest_to(word + 2, len > 2 ? len - 2 : 0);
    for (const struct cfg_field *f = c->fields; f->key; f++)
        cfg_offer(&key, f->key);
    if (key.best && (!flag.best || key.distance <= flag.distance)) {
        snprintf(like, sizeof like, c->positional ? "--%.40s" : "--set %.40s=VALUE", key.best);
        for (char *p = like; c->positional && *p; p++)
            if (*p == '_') *p = '-';
    } else if (flag.best) {
        snprintf(like, sizeof like, "%s", flag.best);
    }
    return err_set(e, ERR_USAGE, "unknown option '%s'%s%s%s", cfg_quote(q, word),
                   *like ? " (did you mean '" : "", like, *like ? "'?)" : "");
}

/* The value of an option: after its '=' or the next word. */
static const char *value_of(char **argv, int *i, struct err *e)
{
    const char *equals = strchr(argv[*i], '=');
    if (equals) return equals + 1;
    if (argv[*i + 1]) return argv[++*i];
    err_set(e, ERR_USAGE, "%s wants a value", argv[*i]);
    return NULL;
}

static int take_threads(struct options *o, const char *text, struct err *e)
{
    int64_t n;
    char q[CFG_QUOTE];
    if (!num_whole(text, &n) || n < 1 || n > MAX_THREADS)
        return err_set(e, ERR_USAGE, "--threads must be a whole number from 1 to %d, not '%s'",
                       MAX_THREADS, cfg_quote(q, text));
    o->threads = (int)n;
    return 0;
}

/* `--scans 4` of a command whose fields are options. */
static int take_field(const struct command *c, struct options *o, char **argv, int *i,
                      struct err *e)
{
    const char *word = argv[*i];
    char *key = arena_text(&o->arena, word + 2, strcspn(word + 2, "="));
    if (!key) return err_set(e, ERR_FAILED, "out of memory");
    for (char *p = key; *p; p++)
        if (*p == '-') *p = '_';
    if (!cfg_find(c->fields, key, strcspn(key, "."))) return unknown_option(c, word, e);
    struct cfg_set *s = &o->set[o->sets++];
    s->key = key;
    s->raw = true;
    s->value = value_of(argv, i, e);
    if (!s->value) return -1;
    s->name = arena_print(&o->arena, "%.*s %s", (int)strcspn(word, "="), word, s->value);
    return s->name ? 0 : err_set(e, ERR_FAILED, "out of memory");
}

static int take_argument(struct options *o, const char *word, struct err *e)
{
    char q[CFG_QUOTE];
    if (o->argument)
        return err_set(e, ERR_USAGE, "unexpected '%s': '%s' was given already", cfg_quote(q, word),
                       o->argument);
    o->argument = word;
    return 0;
}

static int take_word(const struct command *c, struct options *o, char **argv, int *i, struct err *e)
{
    const char *word = strcmp(argv[*i], "-h") == 0 ? "--help" : argv[*i], *value;
    for (const struct flag *f = flags; f->name; f++) {
        if (strcmp(word, f->name) != 0) continue;
        if (!offers(c, word)) return err_set(e, ERR_USAGE, "%s has no %s", c->name, word);
        *(bool *)((char *)o + f->offset) = true;
        return 0;
    }
    const size_t len = strcspn(word, "=");
    if (len == 5 && strncmp(word, "--set", len) == 0)
        return (value = value_of(argv, i, e))
                   ? cfg_split_set(&o->arena, &o->set[o->sets++], value, e)
                   : -1;
    if (len == 9 && strncmp(word, "--threads", len) == 0)
        return (value = value_of(argv, i, e)) ? take_threads(o, value, e) : -1;
    if (c->positional && strncmp(word, "--", 2) == 0) return take_field(c, o, argv, i, e);
    return unknown_option(c, word, e);
}

static int read_options(const struct command *c, struct options *o, int argc, char **argv,
                        struct err *e)
{
    o->set = mem_new((size_t)argc + 1, sizeof *o->set, e);
    if (!o->set) return -1;
    bool words_only = false; /* after "--" */
    for (int i = 1; i < argc; i++) {
        const bool option = !words_only && argv[i][0] == '-' && argv[i][1];
        if (option && strcmp(argv[i], "--") == 0)
            words_only = true;
        else if (option ? take_word(c, o, argv, &i, e) : take_argument(o, argv[i], e))
            return -1;
    }
    if (o->help || o->markdown || o->version || o->argument) return 0;
    return err_set(e, ERR_USAGE,
                   c->positional ? "the argument '%s' is missing"
                                 : "the configuration file is missing",
                   c->positional);
}

static void free_options(struct options *o)
{
    mem_free(o->set);
    arena_release(&o->arena);
}

/* ---- what it prints ---- */

static void print_help(const struct command *c)
{
    if (c->positional) {
        printf("usage: %s ", c->name);
        for (const char *p = c->positional; *p; p++)
            putchar(*p == '_' ? '-' : toupper((unsigned char)*p));
        printf(" [--KEY VALUE]... [OPTION]...\n\n%s\n", c->summary);
    } else {
        printf("usage: %s CONFIG.yaml [--set KEY=VALUE]... [OPTION]...\n\n%s\n", c->name,
               c->summary);
    }
    if (c->text && *c->text) {
        putchar('\n');
        cfg_help_text(c->text, stdout);
    }
    printf("\nOptions\n");
    if (!c->positional)
        printf("  %-16s  %s\n", "--set KEY=VALUE", "replace one value, as in --set train.lr=1e-4");
    printf("  %-16s  %s\n", "--threads N", "threads to compute with");
    for (const struct flag *f = flags; f->name; f++)
        if (offers(c, f->name)) printf("  %-16s  %s\n", f->name, f->help);
    if (c->positional) {
        printf("\nKeys (name, default, meaning)\n\n");
        cfg_help_options(c->fields, c->positional, stdout);
    } else {
        printf(
            "\nConfiguration (key, default, meaning); a.b stands for 'b' indented below 'a:'\n\n");
        cfg_help(c->fields, stdout);
    }
    printf("\nExit codes: 0 done, 1 failed, 64 wrong usage, 65 bad data, 66 no input, 74 cannot "
           "write,\n"
           "75 stopped by a signal with the state saved, 78 wrong configuration.\n");
}

static void print_markdown(const struct command *c)
{
    printf("## %s\n\n%c%s.%s\n", c->name, toupper((unsigned char)c->summary[0]), c->summary + 1,
           c->positional ? " Its keys are options: `a.b_c` is `--a.b-c`." : "");
    cfg_markdown(c->fields, stdout);
}

/* "NAME: error: " before every line, so that each is found by its beginning. */
static int report(const struct command *c, const struct err *e)
{
    const char *what = e->code == ERR_STOPPED ? "" : "error: ";
    for (const char *line = e->text;;) {
        const size_t len = strcspn(line, "\n");
        fprintf(stderr, "%s: %s%.*s\n", c->name, what, (int)len, line);
        if (!line[len]) break;
        line += len + 1;
    }
    if (e->hint[0]) fprintf(stderr, "hint: %s\n", e->hint);
    return e->code == ERR_NONE ? ERR_FAILED : (int)e->code;
}

/* ---- the run ---- */

static struct cfg *read_conf(const struct command *c, struct options *o, void *conf, struct err *e)
{
    struct cfg *cfg;
    if (c->positional) {
        struct cfg_set *s = &o->set[o->sets++];
        *s = (struct cfg_set){c->positional, o->argument, o->argument, true};
        cfg = cfg_build(c->fields, conf, NULL, NULL, 0, o->set, o->sets, e);
        if (!cfg && e->code == ERR_CONFIG) e->code = ERR_USAGE; /* there is no other source */
    } else {
        cfg = cfg_load_sets(c->fields, conf, o->argument, o->set, o->sets, e);
    }
    if (!cfg && (e->code == ERR_CONFIG || e->code == ERR_USAGE))
        err_hint(e, "'%s --help' lists every key with its type, range and default", c->name);
    return cfg;
}

static int perform(const struct command *c, const struct options *o, const void *conf,
                   const struct cli *cli, struct err *e)
{
    if (c->check && c->check(conf, cli, e)) return -1;
    if (o->check) {
        printf("# configuration is valid\n");
        cfg_write(c->fields, conf, stdout);
        fflush(stdout); /* an estimate takes seconds */
        if (c->preview && c->preview(conf, cli, e)) return -1;
    }
    if (o->explain) return c->explain(conf, cli, e);
    if (o->check) return 0;
    stop_on_signals();
    return c->run(conf, cli, e);
}

static int configured(const struct command *c, struct options *o, struct err *e)
{
    void *conf = mem_new(1, c->conf_size, e);
    struct cfg *cfg = conf ? read_conf(c, o, conf, e) : NULL;
    int failed = -1;
    if (cfg) {
        if (o->threads) par_set_threads(o->threads);
        const struct cli cli = {.cfg = cfg,
                                .command = c->name,
                                .config_path = c->positional ? NULL : o->argument,
                                .fields = c->fields,
                                .conf_size = c->conf_size,
                                .resume = o->resume,
                                .quiet = o->quiet,
                                .threads = par_threads()};
        failed = perform(c, o, conf, &cli, e);
    }
    cfg_free(cfg);
    mem_free(conf);
    return failed;
}

int cli_main(const struct command *command, int argc, char **argv)
{
    struct err e = {0};
    struct options o = {0};
    int failed = read_options(command, &o, argc, argv, &e);
    if (failed)
        err_hint(&e, "'%s --help' shows how to use it", command->name);
    else if (o.help)
        print_help(command);
    else if (o.markdown)
        print_markdown(command);
    else if (o.version)
        printf("%s (ssfd) %s\n", command->name, cli_version());
    else
        failed = configured(command, &o, &e);
    free_options(&o);
    if ((fflush(stdout) || ferror(stdout)) && !failed)
        failed = err_set(&e, ERR_IO, "the results cannot be written to the standard output");
    return failed ? report(command, &e) : 0;
}
