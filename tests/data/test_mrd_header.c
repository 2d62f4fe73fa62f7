#include "data/mrd_header.h"
#include "scratch.h"

static struct err e;
static struct mrd_header h;

static int parse(const char *xml)
{
    e = (struct err){0};
    return mrd_header_parse(&h, xml, strlen(xml), &e);
}

/* Fails, says `part`, and has a line. */
static void refuses(const char *xml, const char *part)
{
    assert_int_equal(parse(xml), -1);
    assert_int_equal(e.code, ERR_DATA);
    if (!strstr(e.text, part)) fail_msg("'%s' does not contain '%s'", e.text, part);
}

#define MATRIX(x, y) "<matrixSize><x>" x "</x><y>" y "</y><z>1</z></matrixSize>"
#define LIMIT(lo, mid, hi)                                                                         \
    "<encodingLimits><kspace_encoding_step_1><minimum>" lo "</minimum><maximum>" hi                \
    "</maximum><center>" mid "</center></kspace_encoding_step_1></encodingLimits>"
#define ENCODING(more)                                                                             \
    "<encoding><encodedSpace>" MATRIX("640", "368") "</encodedSpace><reconSpace>" MATRIX(          \
        "320", "320") "</reconSpace>" more "</encoding>"
#define HEADER(body) "<?xml version=\"1.0\"?><ismrmrdHeader>" body "</ismrmrdHeader>"

static void test_reads(void **state)
{
    (void)state;
    if (parse(HEADER("<measurementInformation><protocolName>PD</protocolName>"
                     "</measurementInformation>" ENCODING(
                         LIMIT("0", "166", "331") "<trajectory>\n cartesian </trajectory>"))))
        fail_msg("%s", e.text);
    assert_true(h.encoded[MRD_X] == 640 && h.encoded[MRD_Y] == 368 && h.encoded[MRD_Z] == 1);
    assert_true(h.recon[MRD_X] == 320 && h.recon[MRD_Y] == 320);
    assert_true(h.step_1.minimum == 0 && h.step_1.centre == 166 && h.step_1.maximum == 331);
    assert_true(h.step_2.maximum == -1);
    assert_string_equal(h.trajectory, "cartesian");
    assert_string_equal(h.protocol, "PD");
    assert_string_equal(h.patient, "");
}

/* With the namespace as a default or as a prefix; UTF-16; only the first encoding counts. */
static void test_writings(void **state)
{
    (void)state;
    static const char prefixed[] =
        "<m:ismrmrdHeader xmlns:m='http://www.ismrm.org/ISMRMRD'><m:encoding><m:reconSpace>"
        "<m:matrixSize><m:x>5</m:x><m:y>3</m:y></m:matrixSize></m:reconSpace></m:encoding>"
        "</m:ismrmrdHeader>";
    assert_int_equal(parse(prefixed), 0);
    assert_true(h.recon[MRD_X] == 5 && h.recon[MRD_Y] == 3 && h.encoded[MRD_X] == 0);
    assert_int_equal(parse("<ismrmrdHeader xmlns=\"http://www.ismrm.org/ISMRMRD\">" ENCODING(
                         "") "<encoding><reconSpace>" MATRIX("9", "9") "</reconSpace></encoding>"
                                                                       "</ismrmrdHeader>"),
                     0);
    assert_true(h.recon[MRD_X] == 320);
    /* Of encodings that expat does not know, ASCII is understood; Python's says "ascii". */
    static const char ascii[] = "<?xml version='1.0' encoding='ascii'?>",
                      dos[] = "<?xml version='1.0' encoding='windows-1252'?><!-- \x80 \xe9 -->";
    char both[1024];
    snprintf(both, sizeof both, "%s%s", ascii, prefixed);
    assert_int_equal(parse(both), 0);
    assert_int_equal(h.recon[MRD_X], 5);
    snprintf(both, sizeof both, "%s%s", dos, prefixed);
    assert_int_equal(parse(both), 0);
    assert_int_equal(h.recon[MRD_X], 5);
    char wide[2 * sizeof prefixed] = {(char)0xff, (char)0xfe};
    for (size_t i = 0; i + 1 < sizeof prefixed; i++)
        wide[2 + 2 * i] = prefixed[i];
    assert_int_equal(mrd_header_parse(&h, wide, 2 * sizeof prefixed, &e), 0);
    assert_true(h.recon[MRD_Y] == 3);
}

static void test_what_is_not_there(void **state)
{
    (void)state;
    assert_int_equal(parse(HEADER("")), 0);
    assert_true(!h.recon[MRD_X] && !h.encoded[MRD_X] && h.step_1.maximum == -1);
    /* Half a limit is none; a missing minimum is 0. */
    assert_int_equal(parse(HEADER("<encoding><encodingLimits><kspace_encoding_step_1><maximum>5"
                                  "</maximum></kspace_encoding_step_1></encodingLimits>"
                                  "</encoding>")),
                     0);
    assert_true(h.step_1.maximum == -1 && h.step_1.centre == -1);
    assert_int_equal(parse(HEADER("<encoding><encodingLimits><kspace_encoding_step_1><maximum>5"
                                  "</maximum><center>2</center></kspace_encoding_step_1>"
                                  "</encodingLimits></encoding>")),
                     0);
    assert_true(h.step_1.minimum == 0 && h.step_1.maximum == 5 && h.step_1.centre == 2);
}

static void test_refuses(void **state)
{
    (void)state;
    refuses("", "line 1: no element");
    refuses("not XML", "line 1");
    refuses("<a></a>", "the root is not ismrmrdHeader");
    refuses("<ismrmrdHeader>\n<encoding>\n</ismrmrdHeader>", "line 3: mismatched tag");
    refuses(HEADER("") "<more/>", "junk after");
    static const char *const bad[] = {"",    "5.5", "five", "-3",    "0",
                                      "+ 5", "5 5", "0x10", "32769", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char xml[512];
        snprintf(xml, sizeof xml,
                 HEADER("<encoding><reconSpace><matrixSize>\n<x>%s</x><y>3</y></matrixSize>"
                        "</reconSpace></encoding>"),
                 bad[i]);
        refuses(xml, "line 2: encoding/reconSpace/matrixSize/x");
        assert_non_null(strstr(e.text, "is not a whole number from 1 to 32768"));
    }
    refuses(
        HEADER("<encoding><reconSpace><matrixSize><x>3</x></matrixSize></reconSpace></encoding>"),
        "one of x and y");
    refuses(HEADER("<encoding>" LIMIT("0", "400", "331") "</encoding>"), "not in this order");
    refuses(HEADER("<encoding>" LIMIT("200", "166", "331") "</encoding>"), "not in this order");
    refuses(HEADER("<encoding>" LIMIT("0", "-1", "331") "</encoding>"), "center: '-1'");
}

/* A billion laughs, a file fetched, an entity of one's own: a DOCTYPE is where all begin. */
static void test_doctypes(void **state)
{
    (void)state;
    refuses("<!DOCTYPE x [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">"
            "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;\">]>"
            "<ismrmrdHeader><encoding>&d;</encoding></ismrmrdHeader>",
            "DOCTYPE");
    refuses("<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><ismrmrdHeader/>", "DOCTYPE");
    refuses("<!DOCTYPE x [<!ENTITY f SYSTEM \"http://127.0.0.1/\">]><ismrmrdHeader>&f;"
            "</ismrmrdHeader>",
            "DOCTYPE");
    refuses(HEADER("<encoding>&nobody;</encoding>"), "undefined entity");
}

static void test_too_much(void **state)
{
    (void)state;
    enum { LARGE = (1 << 20) + 1, DEEP = 100000, LONG = 5000 };
    static char text[LARGE + 1];
    memset(text, ' ', LARGE);
    refuses(text, "more than the limit");

    strcpy(text, "<ismrmrdHeader>");
    for (int i = 0; i < DEEP; i++)
        strcpy(text + 15 + 3 * i, "<a>");
    refuses(text, "nested too deeply");

    strcpy(text, "<ismrmrdHeader><");
    memset(text + 16, 'n', LONG);
    strcpy(text + 16 + LONG, "/></ismrmrdHeader>");
    refuses(text, "names of elements are too long");

    /* Long values are cut, and then no number. */
    strcpy(text, "<ismrmrdHeader><encoding><reconSpace><matrixSize><x>");
    size_t n = strlen(text);
    memset(text + n, '1', LONG);
    strcpy(text + n + LONG, "</x></matrixSize></reconSpace></encoding></ismrmrdHeader>");
    refuses(text, "not a whole number");
}

/* Every header of the knee data set of which the fields are known: the matrix, the limits and what
 * follows from them. */
static void test_knees(void **state)
{
    (void)state;
    const char *path = shared_data("fastmri-splits/fastmri_knee_multicoil_metadata.csv");
    if (!path) skip();
    enum { ENCODED_X = 30, RECON_X = 36, MINIMUM = 42 };
    FILE *f = fopen(path, "r");
    char line[4096];
    int n = 0;
    assert_non_null(fgets(line, sizeof line, f));
    while (fgets(line, sizeof line, f)) {
        char *field[64] = {0}, *rest = line, xml[1024];
        for (int i = 0; i < 64 && rest; i++)
            field[i] = strsep(&rest, ",");
        snprintf(
            xml, sizeof xml,
            HEADER(
                "<encoding><encodedSpace>" MATRIX("%s", "%s") "</encodedSpace><reconSpace>" MATRIX(
                    "%s", "%s") "</reconSpace>" LIMIT("%s", "%s", "%s") "</encoding>"),
            field[ENCODED_X], field[ENCODED_X + 1], field[RECON_X], field[RECON_X + 1],
            field[MINIMUM], field[MINIMUM + 1], field[MINIMUM + 2]);
        if (parse(xml)) fail_msg("%s: %s", field[1], e.text);
        int zero = h.encoded[MRD_Y] / 2 - h.step_1.centre;
        assert_true(h.encoded[MRD_X] == 640 && h.recon[MRD_X] == 320 && h.recon[MRD_Y] == 320);
        assert_true(zero + h.step_1.minimum >= 0 && zero + h.step_1.maximum < h.encoded[MRD_Y]);
        n++;
    }
    fclose(f);
    assert_int_equal(n, 1394);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_writings),
        cmocka_unit_test(test_what_is_not_there),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_doctypes),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_knees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
