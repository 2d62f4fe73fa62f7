/* embed OUT NAME=FILE...: writes a C source with the content of files as arrays NAME and their
 * lengths NAME_len. Runs while ssfd is built. A FILE that is empty gives an array of length 0. */
#include <stdio.h>
#include <string.h>

static int embed(FILE *out, const char *name, int len, const char *path)
{
    FILE *in = path[0] ? fopen(path, "rb") : NULL;
    if (path[0] && !in) {
        perror(path);
        return -1;
    }
    unsigned long n = 0;
    fprintf(out, "const unsigned char %.*s[] = {", len, name);
    for (int c; in && (c = getc(in)) != EOF; n++)
        fprintf(out, "%s%d,", n % 24 ? "" : "\n", c);
    fprintf(out, "0};\nconst unsigned long %.*s_len = %lu;\n", len, name, n);
    int bad = in && ferror(in);
    if (in) fclose(in);
    return bad ? -1 : 0;
}

int main(int argc, char **argv)
{
    FILE *out = argc > 1 ? fopen(argv[1], "w") : NULL;
    if (!out) {
        fputs("embed: usage: embed OUT NAME=FILE...\n", stderr);
        return 64;
    }
    fputs("#include \"eval/report_parts.h\"\n\n", out);
    int bad = 0;
    for (int i = 2; i < argc && !bad; i++) {
        const char *equals = strchr(argv[i], '=');
        bad = !equals || embed(out, argv[i], (int)(equals - argv[i]), equals + 1);
    }
    return fclose(out) || bad ? 1 : 0;
}
