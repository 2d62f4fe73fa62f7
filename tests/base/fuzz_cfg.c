/* libFuzzer's entry: the first line of the input is a --set, the rest a configuration. What is
 * taken must survive its dump. Built with -Dfuzz=true and clang; run as `fuzz_cfg
 * -max_total_time=60`. */
#include "base/cfg.h"

#include "sample.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *dump(const struct sample *s)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out || cfg_write(sample_fields, s, out) || fclose(out)) abort();
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    char *rest = memchr(text, '\n', size);
    const size_t from = rest ? (size_t)(rest - text) + 1 : 0;
    if (rest) *rest = '\0';
    const char *set = text;
    struct err e = {0};
    struct sample s = {0};
    struct cfg *c = cfg_parse(sample_fields, &s, "f.yaml", text + from, size - from, &set,
                              rest != NULL && *text, &e);
    if (c) {
        char *once = dump(&s);
        cfg_free(c);
        memset(&s, 0, sizeof s);
        c = cfg_parse(sample_fields, &s, "dump", once, strlen(once), NULL, 0, &e);
        if (!c) abort();
        char *twice = dump(&s);
        if (strcmp(once, twice) != 0) abort();
        free(once);
        free(twice);
        cfg_free(c);
    } else if (!e.code || !e.text[0]) {
        abort();
    }
    free(text);
    return 0;
}
