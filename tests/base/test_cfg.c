#include "base/cfg.h"
#include "base/io.h"
#include "base/rng.h"

#include "sample.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct cfg *parse(struct sample *s, const char *text, const char *set, struct err *e)
{
    memset(s, 0, sizeof *s);
    memset(e, 0, sizeof *e);
    return cfg_parse(sample_fields, s, "f.yaml", text, strlen(text), &set, set != NULL, e);
}

/* The whole message for a text that must be refused. */
static void refused(const char *text, const char *set, const char *message)
{
    struct sample s;
    struct err e;
    struct cfg *c = parse(&s, text, set, &e);
    assert_null(c);
    assert_string_equal(e.text, message);
    assert_int_equal(e.code, ERR_CONFIG);
}

static char *dump(const struct sample *s)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    assert_int_equal(cfg_write(sample_fields, s, out), 0);
    fclose(out);
    return text;
}

static void values_and_defaults_reach_the_struct(void **state)
{
    (void)state;
    struct sample s;
    struct err e;
    struct cfg *c = parse(&s,
                          "name: knee\nseed: 18446744073709551615\nloss: huber\n"
                          "train:\n  lr: 5\n  clip: true\n  levels: [1e-3, .5]\n"
                          "mask: {kind: random, acceleration: 8}\n"
                          "perturbations: [noise, shift]\nsizes: 3\nfiles: [a, '12', true]\n",
                          NULL, &e);
    assert_non_null(c);
    assert_string_equal(s.name, "knee");
    assert_true(s.seed == UINT64_MAX);
    assert_int_equal(s.loss, 2);
    assert_int_equal(s.train.batch, 8);
    assert_true(s.train.lr == 5.0 && s.train.clip);
    assert_int_equal(s.train.levels.n, 2);
    assert_true(s.train.levels.v[0] == 1e-3 && s.train.levels.v[1] == 0.5);
    assert_ptr_equal(s.mask.kind, &sample_random);
    const struct sample_random *mask = s.mask.conf;
    assert_true(mask->acceleration == 8.0 && mask->centre == 16);
    assert_int_equal(s.perturbations.n, 2);
    assert_ptr_equal(s.perturbations.v[0].kind, &sample_noise);
    const struct sample_shift *shift = s.perturbations.v[1].conf;
    assert_int_equal(shift->px.n, 3);
    assert_int_equal(shift->px.v[2], 2);
    assert_int_equal(s.sizes.n, 1);
    assert_int_equal(s.sizes.v[0], 3);
    assert_string_equal(s.files.v[2], "true");
    assert_string_equal(cfg_where(c, "train.lr"), "f.yaml:5:7");
    assert_string_equal(cfg_where(c, "mask.acceleration"), "f.yaml:8:36");
    assert_string_equal(cfg_where(c, "train.batch"), "default");
    cfg_free(c);
    cfg_free(NULL);
}

static void every_mistake_is_reported_at_its_place(void **state)
{
    (void)state;
    refused(
        "seed: -4\nnam: x\nloss: l3\nbatch: 7\n"
        "train:\n  batchsize: 8\n  batch: 8abc\n  lr: nan\n  lr: 3\n  clip: yes\n"
        "  levels: [1, x, [2]]\nmask: {kind: randm}\n"
        "perturbations: {blurr: {}, blur: , shift: {px: [1, 200, 1.5]}}\n"
        "sizes: {a: 1}\n\"train\": 5\n",
        NULL,
        "f.yaml:1:7: 'seed' must be a whole number from 0 to 18446744073709551615, not '-4'\n"
        "f.yaml:2:1: unknown key 'nam' (did you mean 'name'?)\n"
        "f.yaml:3:7: 'loss' must be one of l1, l2, huber, not 'l3' (did you mean 'l1'?)\n"
        "f.yaml:4:1: unknown key 'batch' (did you mean 'train.batch'?)\n"
        "f.yaml:6:3: unknown key 'train.batchsize' (did you mean 'batch'?)\n"
        "f.yaml:7:10: 'train.batch' must be a whole number, not '8abc'\n"
        "f.yaml:8:7: 'train.lr' must be a finite number, not 'nan'\n"
        "f.yaml:9:3: duplicate key 'train.lr' (first in line 8)\n"
        "f.yaml:10:9: 'train.clip' must be true or false, not 'yes'\n"
        "f.yaml:11:15: 'train.levels[1]' must be a finite number, not 'x'\n"
        "f.yaml:11:18: 'train.levels[2]' must be a finite number, not a list\n"
        "f.yaml:12:14: 'mask' has no kind 'randm' (did you mean 'random'?); it has random, full\n"
        "f.yaml:13:17: 'perturbations' has no kind 'blurr' (did you mean 'blur'?); it has shift, "
        "blur, noise\n"
        "f.yaml:13:34: 'perturbations.blur' is empty, must be a group of keys ({} for its "
        "defaults)\n"
        "f.yaml:13:52: 'perturbations.shift.px[1]' = 200 is out of range, must be -100 to 100 "
        "px\n"
        "f.yaml:13:57: 'perturbations.shift.px[2]' must be a whole number, not '1.5'\n"
        "f.yaml:14:8: 'sizes' must be a list of whole numbers, not a group of keys\n"
        "f.yaml:15:1: duplicate key 'train' (first in line 5)\n"
        "f.yaml:1:1: 'name' is required but missing");
}

static void numbers_are_strict(void **state)
{
    (void)state;
    static const char *const wrong_int[] = {"8abc", "1.5",  "1e3",  "0x10", "1_000", "010", "+",
                                            "'8'",  "true", "1:30", "--1",  "1 2",   "8.",  "[1]"};
    static const char *const wrong_real[] = {"nan",    ".nan", "inf", ".inf", "1e999",
                                             "1e-999", "e5",   "1e",  ".",    "0x1",
                                             "1,5",    "1d3",  "'1'", "1_0",  "-inf"};
    static const char *const wrong_bool[] = {"yes", "no", "on", "True", "TRUE", "1", "'true'", "y"};
    char text[100];
    struct sample s;
    struct err e;
    for (size_t i = 0; i < sizeof wrong_int / sizeof *wrong_int; i++) {
        snprintf(text, sizeof text, "name: x\ntrain: \n  batch: %s\n", wrong_int[i]);
        assert_null(parse(&s, text, NULL, &e));
        assert_non_null(strstr(e.text, "f.yaml:3:10: 'train.batch' must be a whole number, not "));
    }
    for (size_t i = 0; i < sizeof wrong_real / sizeof *wrong_real; i++) {
        snprintf(text, sizeof text, "name: x\ntrain:\n  lr: %s\n", wrong_real[i]);
        assert_null(parse(&s, text, NULL, &e));
        if (!strstr(e.text, "f.yaml:3:7: 'train.lr' must be a finite number, not "))
            fail_msg("%s: %s", wrong_real[i], e.text);
    }
    for (size_t i = 0; i < sizeof wrong_bool / sizeof *wrong_bool; i++) {
        snprintf(text, sizeof text, "name: x\ntrain:\n  clip: %s\n", wrong_bool[i]);
        assert_null(parse(&s, text, NULL, &e));
        assert_non_null(strstr(e.text, "f.yaml:3:9: 'train.clip' must be true or false, not "));
    }
    refused(
        "name: x\nmask: {kind: random, centre: 99999999999}\n", NULL,
        "f.yaml:2:30: 'mask.centre' = 99999999999 is out of range, must be 0 to 2147483647 lines");
}

static void good_numbers_are_taken(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double v;
    } good[] = {{"1e-3", 1e-3}, {"5", 5},   {"+.5", .5},   {"5.", 5},
                {"0", 0},       {"0e9", 0}, {"2.5E0", 2.5}};
    char text[100];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct sample s;
        struct err e;
        snprintf(text, sizeof text, "name: x\ntrain: {lr: %s}\n", good[i].text);
        struct cfg *c = parse(&s, text, NULL, &e);
        assert_non_null(c);
        assert_true(s.train.lr == good[i].v);
        cfg_free(c);
    }
}

static void the_wrong_kind_of_document_is_refused(void **state)
{
    (void)state;
    refused("", NULL, "f.yaml:1:1: 'name' is required but missing");
    refused("# nothing\n---\n...\n", NULL, "f.yaml:3:1: 'name' is required but missing");
    refused("- a\n", NULL,
            "f.yaml:1:1: a configuration is a group of keys ('key: value' lines), not a list");
    refused(
        "word\n", NULL,
        "f.yaml:1:1: a configuration is a group of keys ('key: value' lines), not a single value");
    refused("name: x\n---\nname: y\n", NULL,
            "f.yaml:2:1: a second document: one file holds one configuration");
    refused("name: &a x\n", NULL, "f.yaml:1:7: anchors (&name) are not supported");
    refused("name: *a\n", NULL, "f.yaml:1:7: aliases (*name) are not supported");
    refused("name: !!str x\n", NULL, "f.yaml:1:7: tags (!name) are not supported");
    refused("train: !t {}\n", NULL, "f.yaml:1:8: tags (!name) are not supported");
    refused("sizes: &a []\n", NULL, "f.yaml:1:8: anchors (&name) are not supported");
    refused("? [a]\n: b\n", NULL, "f.yaml:1:3: a key must be a word");
    refused("name: \"a\\0b\"\n", NULL, "f.yaml:1:7: text with a NUL character");
    refused("name: x\n\tseed: 3\n", NULL,
            "f.yaml:2:1: a tab where YAML wants spaces: indent with spaces");
    refused("seed: 1\nname: a\xff\n", NULL, "f.yaml:2:8: invalid leading UTF-8 octet");
    refused("name: a: b\n", NULL, "f.yaml:1:8: mapping values are not allowed in this context");
    refused("name: ~\ntrain:\n", NULL,
            "f.yaml:1:7: 'name' is empty, must be text\n"
            "f.yaml:2:7: 'train' is empty, must be a group of keys");
    refused("name: x\nmask: {centre: 3}\n", NULL,
            "f.yaml:2:7: 'mask.kind' is required but missing");
    refused("name: x\nmask: {kind: full, kind: full}\n", NULL,
            "f.yaml:2:20: duplicate key 'mask.kind'");
    refused("name: x\nperturbations: [blur, blur]\n", NULL,
            "f.yaml:2:23: duplicate key 'perturbations.blur'");
}

static void misplaced_keys_are_sent_home(void **state)
{
    (void)state;
    refused("name: x\nbatch: 3\n", NULL,
            "f.yaml:2:1: unknown key 'batch' (did you mean 'train.batch'?)");
    refused("name: x\ntrain: {seed: 3}\n", NULL,
            "f.yaml:2:9: unknown key 'train.seed' (did you mean 'seed' outside every group?)");
    refused("name: x\nmask: {kind: full, lr: 1}\n", NULL,
            "f.yaml:2:20: unknown key 'mask.lr' (did you mean 'train.lr'?)");
    refused("name: x\ntrain: {btach: 3, whatever: 4}\n", NULL,
            "f.yaml:2:9: unknown key 'train.btach' (did you mean 'batch'?)\n"
            "f.yaml:2:19: unknown key 'train.whatever'");
}

static void control_characters_do_not_reach_the_terminal(void **state)
{
    (void)state;
    refused("name: x\n\"a\\eb\\x9b\\x07\": 1\n", NULL, "f.yaml:2:1: unknown key 'a?b\xc2?\?'");
    char text[600] = "name: x\nseed: ";
    memset(text + strlen(text), 'a', 500);
    struct sample s;
    struct err e;
    assert_null(parse(&s, text, NULL, &e));
    assert_true(strlen(e.text) < 200);
    assert_non_null(strstr(e.text, "aaa...'"));
}

static void mistakes_beyond_twenty_are_counted(void **state)
{
    (void)state;
    char text[2000] = "name: x\n";
    for (int i = 0; i < 50; i++)
        snprintf(text + strlen(text), 20, "zz%d: 1\n", i);
    struct sample s;
    struct err e;
    assert_null(parse(&s, text, NULL, &e));
    assert_non_null(strstr(e.text, "f.yaml:21:1: unknown key 'zz19'\nand 30 more"));
    assert_null(strstr(e.text, "zz20"));
    /* long ones: as many as fit, whole, and the rest counted */
    strcpy(text, "name: x\n");
    for (int i = 0; i < 19; i++)
        snprintf(text + strlen(text), 100, "%060d: 1\n", i);
    char name[200];
    memset(name, 'd', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memset(&e, 0, sizeof e);
    assert_null(cfg_parse(sample_fields, &s, name, text, strlen(text), NULL, 0, &e));
    const char *more = strstr(e.text, "\nand ");
    assert_non_null(more);
    int lines = 0;
    for (const char *p = e.text; p <= more; p++)
        lines += *p == '\n';
    assert_int_equal(lines + atoi(more + 5), 19);
    assert_int_equal(more[-1], '\'');
}

static double seconds_of(const char *text, size_t len)
{
    struct sample s;
    struct err e = {0};
    struct timespec a, b;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    assert_null(cfg_parse(sample_fields, &s, "f.yaml", text, len, NULL, 0, &e));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    assert_int_equal(e.code, ERR_CONFIG);
    return (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
}

/* libyaml alone needs a minute and a half for the first; the bound is generous to slow machines. */
static void hostile_files_are_refused_at_once(void **state)
{
    (void)state;
    static const char *const unit[] = {"[", "{", "- ", "{a: ", "&a ", "a:\n", "? ", "a: |\n b\n"};
    const size_t max = 1 << 20;
    char *text = malloc(max + 1);
    assert_non_null(text);
    for (size_t u = 0; u < sizeof unit / sizeof *unit; u++) {
        const size_t len = strlen(unit[u]);
        for (size_t i = 0; i < max; i++)
            text[i] = unit[u][i % len];
        assert_true(seconds_of(text, max) < 5.0);
    }
    memset(text, '[', 200000);
    struct err e = {0};
    struct sample s;
    assert_null(cfg_parse(sample_fields, &s, "f.yaml", text, 200000, NULL, 0, &e));
    assert_string_equal(e.text, "f.yaml:1:33: nested too deeply");
    assert_null(cfg_parse(sample_fields, &s, "f.yaml", text, max + 1, NULL, 0, &e));
    assert_non_null(strstr(e.text, "more than a configuration may have"));
    free(text);
}

static void only_regular_files_are_read(void **state)
{
    (void)state;
    struct sample s = {0};
    struct err e = {0};
    assert_null(cfg_load(sample_fields, &s, "/no/such/file.yaml", NULL, 0, &e));
    assert_int_equal(e.code, ERR_NOINPUT);
    assert_null(cfg_load(sample_fields, &s, "/tmp", NULL, 0, &e));
    assert_int_equal(e.code, ERR_NOINPUT);
    assert_null(cfg_load(sample_fields, &s, "/dev/zero", NULL, 0, &e));
    assert_int_equal(e.code, ERR_NOINPUT);
    char path[] = "/tmp/ssfd-cfg-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
    assert_null(cfg_load(sample_fields, &s, path, NULL, 0, &e));
    assert_int_equal(e.code, ERR_CONFIG);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(write(fd, "name: x\n", 8), 8);
    struct cfg *c = cfg_load(sample_fields, &s, path, NULL, 0, &e);
    assert_non_null(c);
    cfg_free(c);
    close(fd);
    unlink(path);
}

static void sets_replace_values_at_any_depth(void **state)
{
    (void)state;
    const char *const sets[] = {"train.lr=1e-4",
                                "mask.acceleration=8", /* the default mask, in its short form */
                                "perturbations.blur.extent=3",
                                "perturbations.shift.px=[-1, 100]",
                                "files=[a, b]",
                                "name='one = two'",
                                "train.lr=2e-4"};
    struct sample s = {0};
    struct err e = {0};
    const char text[] = "name: x\nperturbations: [shift, noise]\ntrain: {lr: 1, batch: 3}\n";
    struct cfg *c = cfg_parse(sample_fields, &s, "f.yaml", text, strlen(text), sets, 7, &e);
    assert_non_null(c);
    char *out = dump(&s);
    assert_string_equal(out, "seed: 1\nname: \"one = two\"\nloss: l2\n"
                             "train:\n  batch: 3\n  lr: 0.0002\n  clip: false\n"
                             "  levels: [0, 0.5, 1]\n"
                             "mask:\n  kind: random\n  acceleration: 8\n  centre: 16\n"
                             "perturbations:\n  shift:\n    px: [-1, 100]\n  noise: {}\n"
                             "  blur:\n    extent: 3\n"
                             "sizes: []\nfiles: [a, b]\n");
    free(out);
    assert_string_equal(cfg_where(c, "train.lr"), "--set train.lr=2e-4");
    assert_string_equal(cfg_where(c, "train.batch"), "f.yaml:3:23");
    assert_string_equal(cfg_where(c, "mask.centre"), "default");
    cfg_free(c);
    c = parse(&s, "name: x\nmask: {kind: random, centre: 1}\n", "mask=full", &e);
    assert_non_null(c);
    assert_ptr_equal(s.mask.kind, &sample_full);
    cfg_free(c);
    c = parse(&s, "name: x\n", "mask.kind=full", &e);
    assert_non_null(c);
    assert_ptr_equal(s.mask.kind, &sample_full);
    cfg_free(c);
    c = parse(&s, "name: x\n", "perturbations.noise={}", &e); /* joins the default ones */
    assert_non_null(c);
    assert_int_equal(s.perturbations.n, 3);
    assert_true(((const struct sample_blur *)s.perturbations.v[1].conf)->extent == 2.0);
    cfg_free(c);
}

static void wrong_sets_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *set, *message;
    } wrong[] = {
        {"train.batc=3", "unknown key 'train.batc' (did you mean 'train.batch'?)"},
        {"mask.accel=3", "unknown key 'mask.accel' (did you mean 'mask.acceleration'?)"},
        {"perturbations.bluf.extent=3",
         "'perturbations' has no kind 'bluf' (did you mean 'blur'?)"},
        {"seed.x=3", "'seed' is a value, it has no keys below it"},
        {"train=3", "'train' must be a group of keys, not '3'"},
        {"train.lr=", "'train.lr' is empty, must be a finite number"},
        {"train.lr=[1", "did not find expected ',' or ']'"},
        {"train.lr=-1", "'train.lr' = -1 is out of range, must be 0 to 10"},
        {"train.batch=[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "nested too deeply"},
        {"mask.kind.x=1", "unknown key 'mask.kind'"},
        {"mask.kind=none", "'mask' has no kind 'none'; it has random, full"},
        {"=3", NULL},
        {"train.lr", NULL},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char want[300];
        struct sample s;
        struct err e;
        snprintf(want, sizeof want, "--set %s: %s", wrong[i].set, wrong[i].message);
        if (!wrong[i].message)
            snprintf(want, sizeof want, "--set wants KEY=VALUE, not '%s'", wrong[i].set);
        assert_null(parse(&s, "name: x\n", wrong[i].set, &e));
        assert_string_equal(e.text, want);
        assert_int_equal(e.code, wrong[i].message ? ERR_CONFIG : ERR_USAGE);
    }
    refused("name: x\nmask: {kind: random, centre: 1}\n", "mask.kind=full",
            "f.yaml:2:22: unknown key 'mask.centre'"); /* left over from the other kind */
    refused("name: x\ntrain: 3\n", "train.lr=1",
            "f.yaml:2:8: 'train' must be a group of keys, not '3'");
}

/* Any text survives: every kind of character, quoting and line end. */
static void random_configurations_survive_the_dump(void **state)
{
    (void)state;
    static const uint32_t edge[] = {'\n', '\r', '\t',   '"',    '\'',    '\\',  ' ', '#',
                                    ':',  '-',  '[',    '{',    '&',     '*',   '!', '%',
                                    0x7f, 0x85, 0xa0,   0x1b,   1,       0xe9,  '0', 'e',
                                    '~',  '@',  0x2028, 0xfeff, 0x1d11e, 0xffff};
    struct rng r = rng_make(3, RNG_TEST, 0, 0);
    for (int round = 0; round < 2000; round++) {
        char name[64] = "", *p = name;
        for (uint32_t i = rng_below(&r, 10); i > 0; i--) {
            const uint32_t c = edge[rng_below(&r, sizeof edge / sizeof *edge)];
            if (c < 0x80) {
                *p++ = (char)c;
            } else {
                const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
                *p++ = (char)((0xff00 >> (more + 1)) | c >> 6 * more);
                for (int k = more - 1; k >= 0; k--)
                    *p++ = (char)(0x80 | (c >> 6 * k & 0x3f));
            }
        }
        *p = '\0';
        int ints[5];
        double reals[5];
        const char *texts[] = {name, "null", "", "1e3", "plain/text.h5"};
        for (int i = 0; i < 5; i++) {
            ints[i] = (int)rng_below(&r, 11);
            reals[i] = rng_uniform(&r) * (i % 2 ? 1e-9 : 1e200);
        }
        struct sample_shift shift = {{(int)rng_below(&r, 5), ints}};
        struct sample_blur blur = {rng_uniform(&r) * 30};
        struct cfg_pick picks[] = {
            {&sample_blur, &blur}, {&sample_noise, NULL}, {&sample_shift, &shift}};
        struct sample_random mask = {1 + rng_uniform(&r), (int)(rng_u32(&r) >> 1)};
        const struct sample s = {
            .seed = (uint64_t)rng_u32(&r) << 32 | rng_u32(&r),
            .name = name,
            .loss = (int)rng_below(&r, 3),
            .train = {1 + (int)rng_below(&r, 1024), rng_uniform(&r), rng_below(&r, 2), {5, reals}},
            .mask = {&sample_random, &mask},
            .perturbations = {(int)rng_below(&r, 4), picks},
            .sizes = {(int)rng_below(&r, 6), ints},
            .files = {(int)rng_below(&r, 6), texts}};
        char *text = dump(&s);
        struct sample back;
        struct err e;
        struct cfg *c = parse(&back, text, NULL, &e);
        if (!c) fail_msg("%s\n%s", e.text, text);
        assert_string_equal(back.name, name);
        assert_true(back.train.lr == s.train.lr && back.seed == s.seed);
        for (int i = 0; i < 5; i++)
            assert_true(back.train.levels.v[i] == reals[i]);
        char *again = dump(&back);
        assert_string_equal(again, text);
        free(again);
        free(text);
        cfg_free(c);
    }
}

/* Bytes of a good file changed at random: refused or taken, never a crash (ASan watches), and what
 * is taken survives its dump. */
static void damaged_files_do_no_harm(void **state)
{
    (void)state;
    static const char good[] = "name: knee\nseed: 3\ntrain:\n  lr: 5\n  levels: [1e-3, .5]\n"
                               "mask: {kind: random, acceleration: 8}\n"
                               "perturbations:\n  blur: {extent: 3}\n  shift: {}\n"
                               "sizes: 3\nfiles: ['a', \"b\", c]\n";
    struct rng r = rng_make(4, RNG_TEST, 0, 0);
    int taken = 0, refused_ones = 0;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof good];
        memcpy(text, good, sizeof good);
        for (uint32_t i = 1 + rng_below(&r, 3); i > 0; i--) {
            const uint32_t at = rng_below(&r, sizeof good - 1);
            text[at] = rng_below(&r, 2) ? text[rng_below(&r, sizeof good - 1)]
                                        : (char)(1 + rng_below(&r, round % 8 ? 127 : 255));
        }
        struct sample s;
        struct err e;
        struct cfg *c = parse(&s, text, round % 2 ? "perturbations.blur.extent=1" : NULL, &e);
        taken += c != NULL;
        refused_ones += c == NULL;
        if (!c) {
            assert_int_equal(e.code, ERR_CONFIG);
            assert_true(e.text[0] != '\0');
            continue;
        }
        char *once = dump(&s);
        cfg_free(c);
        c = parse(&s, once, NULL, &e);
        if (!c) fail_msg("%s\n%s", e.text, once);
        char *twice = dump(&s);
        assert_string_equal(once, twice);
        free(once);
        free(twice);
        cfg_free(c);
    }
    assert_true(taken > 500 && refused_ones > 5000);
}

static void help_names_every_key_within_the_width(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    cfg_help(sample_fields, out);
    fclose(out);
    static const char *const want[] = {"seed ",
                                       "name  ",
                                       "required",
                                       "train.batch ",
                                       "whole number, 1 to 1024 images",
                                       "1e-3",
                                       "one of l1, l2, huber",
                                       "mask.kind: random ",
                                       "mask.acceleration ",
                                       "perturbations.blur.extent ",
                                       "number, 0 to 30 px",
                                       "at least 0 lines",
                                       "list of texts",
                                       "true or false"};
    char flat[8192] = ""; /* every run of white space one space, to look for phrases */
    size_t n = 0;
    for (const char *p = text; *p && n < sizeof flat - 1; p++)
        if (!strchr(" \n", *p) || (n && flat[n - 1] != ' '))
            flat[n++] = (char)(*p == '\n' ? ' ' : *p);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if (!strstr(text, want[i]) && !strstr(flat, want[i]))
            fail_msg("no '%s' in\n%s", want[i], text);
    for (const char *p = text; *p;) {
        const size_t line = strcspn(p, "\n");
        assert_true(line <= 100);
        p += line + (p[line] == '\n');
    }
    free(text);
}

/* The tables decide with a decimal point whatever the caller of the library has set. */
static void the_locale_does_not_matter(void **state)
{
    (void)state;
    char dir[] = "/tmp/ssfd-locale-XXXXXX", command[200];
    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 2>/dev/null",
             dir);
    const int made = system(command);
    setenv("LOCPATH", dir, 1);
    const bool comma = made == 0 && setlocale(LC_ALL, "de_DE.UTF-8");
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
    if (!comma) {
        print_message("skipped: a locale with a decimal comma cannot be made here\n");
        skip();
    }
    char wrong[10];
    snprintf(wrong, sizeof wrong, "%.2f", 0.25);
    assert_string_equal(wrong, "0,25");
    struct sample s;
    struct err e;
    struct cfg *c = parse(&s, "name: x\ntrain: {lr: 0.25}\n", NULL, &e);
    assert_non_null(c);
    assert_true(s.train.lr == 0.25);
    char *text = dump(&s);
    assert_non_null(strstr(text, "lr: 0.25\n"));
    setlocale(LC_ALL, "C");
    free(text);
    cfg_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_defaults_reach_the_struct),
        cmocka_unit_test(every_mistake_is_reported_at_its_place),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(good_numbers_are_taken),
        cmocka_unit_test(the_wrong_kind_of_document_is_refused),
        cmocka_unit_test(misplaced_keys_are_sent_home),
        cmocka_unit_test(control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(mistakes_beyond_twenty_are_counted),
        cmocka_unit_test(hostile_files_are_refused_at_once),
        cmocka_unit_test(only_regular_files_are_read),
        cmocka_unit_test(sets_replace_values_at_any_depth),
        cmocka_unit_test(wrong_sets_are_named),
        cmocka_unit_test(random_configurations_survive_the_dump),
        cmocka_unit_test(damaged_files_do_no_harm),
        cmocka_unit_test(help_names_every_key_within_the_width),
        cmocka_unit_test(the_locale_does_not_matter),
    };
    return cmocka_run_group_tests_name("cfg", tests, NULL, NULL);
}
