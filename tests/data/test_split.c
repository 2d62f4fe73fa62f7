#include "base/io.h"
#include "base/mem.h"
#include "data/split.h"
#include "scratch.h"

static struct err e;
enum { SCANS = 12 };
static const int64_t dim[4] = {2, 1, 4, 4};

/* scans/f00.h5 … f11.h5: patients p0 (f00 to f03), p1 (f04, f05), p2 (f06, f07); the rest have
 * none. */
static int make(void **state)
{
    if (scratch_make(state)) return -1;
    static const char *const patient[SCANS] = {"p0", "p0", "p0", "p0", "p1", "p1", "p2", "p2"};
    mkdir(scratch_path("scans"), 0700);
    for (int i = 0; i < SCANS; i++) {
        char name[32];
        snprintf(name, sizeof name, "scans/f%02d.h5", i);
        struct h5 *f = h5_create(scratch_path(name), &e);
        h5_make(f, "kspace", H5_C64, 4, dim, &e);
        if (patient[i]) h5_set_attr_text(f, "/", "patient_id", patient[i], &e);
        if (h5_commit(f, &e)) return -1;
        h5_close(f);
    }
    return 0;
}

struct conf {
    struct cfg_pick split;
};
static const struct cfg_field fields[] = {CFG_PICK(struct conf, split, "folders", split_kinds, ""),
                                          CFG_END};

static struct scans train, validation, test;

/* Divides what is in the paths, as the YAML says; all three parts, or those of `parts`. */
static int divide(const char *yaml, const char *const *paths, int n, const char *parts, int on_bad)
{
    struct conf c = {0};
    e = (struct err){0};
    struct cfg *cfg = cfg_parse(fields, &c, "test", yaml, strlen(yaml), NULL, 0, &e);
    if (!cfg) return -1;
    const struct scans_query q = {.paths = {n, paths}, .on_bad = on_bad, .quiet = true};
    struct scans *const out[PARTS] = {strchr(parts, 't') ? &train : NULL,
                                      strchr(parts, 'v') ? &validation : NULL,
                                      strchr(parts, 'x') ? &test : NULL};
    scans_release(&train);
    scans_release(&validation);
    scans_release(&test);
    int rc = split_check(&c.split, &e) || split_scans(&c.split, &q, out, &e) ? -1 : 0;
    cfg_free(cfg);
    return rc;
}

static int in_folder(const char *yaml, const char *parts)
{
    const char *folder = scratch_path("scans");
    return divide(yaml, &folder, 1, parts, BAD_SCAN_STOP);
}

static void fails(int rc, enum err_code code, const char *text)
{
    assert_int_equal(rc, -1);
    if (!strstr(e.text, text)) fail_msg("'%s' does not contain '%s'", e.text, text);
    assert_int_equal(e.code, code);
}

/* "00 01 04" */
static const char *names(const struct scans *s)
{
    static char text[4][128];
    static int turn;
    char *out = text[turn = (turn + 1) % 4];
    *out = '\0';
    for (int i = 0; i < s->n; i++)
        sprintf(out + strlen(out), "%s%s", i ? " " : "", s->list[i].name + 1);
    return out;
}

static void write_list(const char *name, const char *text)
{
    assert_int_equal(io_write_text(scratch_path(name), text, strlen(text), &e), 0);
}

static const char *lists(const char *more)
{
    static char yaml[1024];
    snprintf(yaml, sizeof yaml,
             "split: {kind: lists, train: '%s/t.json', validation: '%s/v.json'%s}", scratch,
             scratch, more);
    return yaml;
}

static void test_lists(void **state)
{
    (void)state;
    write_list("t.json", "{\"info\": {\"year\": \"2020\"}, \"images\": [\n"
                         "{\"file_name\": \"f07.h5\", \"scan_id\": \"7\", \"num_slices\": 2},\n"
                         "{\"file_name\": \"multicoil_train/f01.h5\"}]}");
    write_list("v.json", "[\"f10\", \"f02.h5\"]");
    if (in_folder(lists(""), "tv")) fail_msg("%s", e.text);
    assert_string_equal(names(&train), "01 07"); /* in the order of the files */
    assert_string_equal(names(&validation), "02 10");
    if (in_folder(lists(""), "v")) fail_msg("%s", e.text);
    assert_string_equal(names(&validation), "02 10");
    assert_int_equal(train.n, 0);

    /* Files of which no list speaks are not even opened. */
    FILE *f = fopen(scratch_path("scans/zero.h5"), "w");
    fclose(f);
    if (in_folder(lists(""), "tv")) fail_msg("%s", e.text);
    assert_int_equal(train.n, 2);
    unlink(scratch_path("scans/zero.h5"));
    fails(in_folder(lists(""), "x"), ERR_DATA, "no scan for 'test'");
    fails(in_folder("split: {kind: lists}", "tv"), ERR_CONFIG, "name at least one list");
}

static void test_missing(void **state)
{
    (void)state;
    write_list("t.json", "[f01.h5, f98.h5, f99.h5]"); /* YAML */
    write_list("v.json", "- f02\n- f03\n");
    fails(in_folder(lists(""), "tv"), ERR_NOINPUT, "t.json:1: there is no file of scan 'f98'");
    assert_non_null(strstr(e.hint, "2 of 5 listed scans are not in the folders"));
    if (in_folder(lists(""), "v")) fail_msg("%s", e.text); /* nobody asks for the others */
    if (in_folder(lists(", missing: skip"), "tv")) fail_msg("%s", e.text);
    assert_string_equal(names(&train), "01");
    assert_int_equal(train.nbad, 2);
    assert_string_equal(train.bad[1].path, "f99");

    write_list("t.json", "[{file_name: f01.h5, num_slices: 3}, f04]");
    fails(in_folder(lists(""), "tv"), ERR_DATA, "has 2 slices, but");
    const char *folder = scratch_path("scans");
    assert_int_equal(divide(lists(""), &folder, 1, "tv", BAD_SCAN_SKIP), 0);
    assert_string_equal(names(&train), "04");
    assert_non_null(strstr(train.bad[0].why, "t.json:1 says 3"));

    /* A bad file is bad, not missing. */
    write_list("t.json", "[f01, bad]");
    FILE *f = fopen(scratch_path("scans/bad.h5"), "w");
    fclose(f);
    assert_int_equal(divide(lists(""), &folder, 1, "tv", BAD_SCAN_SKIP), 0);
    assert_int_equal(train.nbad, 1);
    assert_non_null(strstr(train.bad[0].why, "bad.h5: the file is empty"));
    fails(in_folder(lists(""), "tv"), ERR_DATA, "bad.h5: the file is empty");
    unlink(scratch_path("scans/bad.h5"));
}

static void test_bad_lists(void **state)
{
    (void)state;
    write_list("v.json", "[f02.h5, f03]");
    static const struct {
        const char *list, *text;
    } bad[] = {
        {"[f01.h5, f02]", "scan 'f02' is listed twice: "},
        {"[f01.h5,\n f01]", "scan 'f01' is listed twice: "},
        {"{\"images\": []}", "t.json:1:1: there is no list of scans in it"},
        {"{\"files\": [f01]}", "t.json:1:1: there is no list"},
        {"f01", "t.json:1:1: there is no list"},
        {"", "t.json:1:1: there is no list"},
        {"[f01, {\"name\": \"f04\"}]", "t.json:1:7: is neither a name nor has a file_name"},
        {"[f01,\n [f04]]", "t.json:2:2: is neither a name"},
        {"[f01, \"\"]", "is neither a name"},
        {"[f01, \"a/\"]", "is not the name of a file"},
        {"[{\"file_name\": \"f01\", \"num_slices\": \"many\"}]",
         "num_slices is not a whole number"},
        {"[{\"file_name\": [f01]}]", "is neither a name"},
        {"[f01, f04", "t.json:2:1: did not find"},
        {"{\"images\": [f01]", "t.json:2:1: did not find"},
        {"[&a f01, *a]", "anchors"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_list("t.json", bad[i].list);
        fails(in_folder(lists(""), "tv"), ERR_DATA, bad[i].text);
    }
    unlink(scratch_path("t.json"));
    fails(in_folder(lists(""), "tv"), ERR_NOINPUT, "t.json");
}

/* The paper's own, where they are: read whole, and disjoint. */
static void test_the_papers_lists(void **state)
{
    (void)state;
    const char *folder = shared_data("fastmri-splits");
    if (!folder) skip();
    char yaml[2048];
    snprintf(yaml, sizeof yaml,
             "split: {kind: lists, train: '%s/train.json', validation: '%s/val.json', test: "
             "'%s/test.json', missing: skip}",
             folder, folder, folder);
    const char *file = scratch_path("scans/file1000001.h5");
    float complex x[36] = {0};
    const int64_t one[4] = {36, 1, 1, 1};
    write_kspace(file, 4, one, x);
    if (in_folder(yaml, "t")) fail_msg("%s", e.text);
    assert_true(train.n == 1 && train.nbad == 777);
    fails(in_folder(yaml, "tvx"), ERR_DATA, "no scan for 'validation'");
    unlink(file);
}

/* ---- By patient ---------------------------------------------------------------------------- */

static void check_patients(const struct scans *a, const struct scans *b)
{
    for (int i = 0; i < a->n; i++)
        for (int j = 0; j < b->n; j++) {
            assert_string_not_equal(a->list[i].name, b->list[j].name);
            if (a->list[i].patient[0])
                assert_string_not_equal(a->list[i].patient, b->list[j].patient);
        }
}

static void test_patients(void **state)
{
    (void)state;
    int different = 0;
    char first[128] = "";
    for (int seed = 0; seed < 20; seed++) {
        char yaml[128];
        snprintf(yaml, sizeof yaml,
                 "split: {kind: patients, train: 0.5, validation: 0.25, test: 0.25, seed: %d}",
                 seed);
        if (in_folder(yaml, "tvx")) fail_msg("%s", e.text);
        assert_int_equal(train.n + validation.n + test.n, SCANS);
        /* Within one patient's scans, of which there are at most four, of 6, 3 and 3. */
        assert_in_range(train.n, 3, 9);
        assert_in_range(validation.n, 1, 6);
        assert_in_range(test.n, 1, 6);
        check_patients(&train, &validation);
        check_patients(&train, &test);
        check_patients(&validation, &test);
        if (seed == 0) strcpy(first, names(&train));
        different += strcmp(first, names(&train)) != 0;
    }
    assert_true(different > 10); /* the seed matters */
}

/* In whatever order and folders the files are found. */
static void test_order_of_files(void **state)
{
    (void)state;
    static const char yaml[] = "split: {kind: patients, seed: 3}";
    if (in_folder(yaml, "tv")) fail_msg("%s", e.text);
    char want[128];
    strcpy(want, names(&validation));
    char path[SCANS][256];
    const char *paths[SCANS];
    for (int i = 0; i < SCANS; i++) {
        snprintf(path[i], sizeof path[i], "%s/scans/f%02d.h5", scratch, (i * 5 + 3) % SCANS);
        paths[i] = path[i];
    }
    assert_int_equal(divide(yaml, paths, SCANS, "tv", BAD_SCAN_STOP), 0);
    int same = 0;
    for (int i = 0; i < validation.n; i++)
        same += strstr(want, validation.list[i].name + 1) != NULL;
    assert_int_equal(same, validation.n);
    assert_int_equal(strlen(want), 3 * (size_t)validation.n - 1);
}

/* What shares leave over goes nowhere; impossible ones are refused. */
static void test_shares(void **state)
{
    (void)state;
    assert_int_equal(in_folder("split: {kind: patients, train: 0.25, validation: 0.25}", "tv"), 0);
    assert_in_range(train.n + validation.n, 2, 10);
    fails(in_folder("split: {kind: patients, train: 0.9, validation: 0.2}", "tv"), ERR_CONFIG,
          "sum to 1.1");
    fails(in_folder("split: {kind: patients, train: 0, validation: 0}", "tv"), ERR_CONFIG,
          "sum to 0");
    fails(in_folder("split: {kind: patients, train: 1, validation: 0}", "tv"), ERR_DATA,
          "no scan for 'validation'");
}

static void test_disjoint(void **state)
{
    (void)state;
    static const char *const called[2] = {"data.train", "data.validation"};
    struct scans a, b;
    const char *one[] = {scratch_path("scans/f00.h5"), scratch_path("scans/f08.h5")},
               *two[] = {scratch_path("scans/f01.h5"), scratch_path("scans/f08.h5")},
               *three[] = {scratch_path("scans/f09.h5"), scratch_path("scans/f10.h5")};
    assert_int_equal(scans_find(&a, one, 2, &e), 0);
    assert_int_equal(scans_find(&b, two, 2, &e), 0);
    fails(split_check_disjoint(&a, &b, called, true, &e), ERR_CONFIG,
          "patient 'p0' is in both data.train");
    fails(split_check_disjoint(&a, &b, called, false, &e), ERR_CONFIG, "scan 'f08' is in both");
    scans_release(&b);
    assert_int_equal(scans_find(&b, three, 2, &e), 0); /* no patient is not a patient */
    assert_int_equal(split_check_disjoint(&a, &b, called, true, &e), 0);
    scans_release(&a);
    scans_release(&b);
}

static int finish(void **state)
{
    scans_release(&train);
    scans_release(&validation);
    scans_release(&test);
    return scratch_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),     cmocka_unit_test(test_missing),
        cmocka_unit_test(test_bad_lists), cmocka_unit_test(test_the_papers_lists),
        cmocka_unit_test(test_patients),  cmocka_unit_test(test_order_of_files),
        cmocka_unit_test(test_shares),    cmocka_unit_test(test_disjoint),
    };
    return cmocka_run_group_tests(tests, make, finish);
}
