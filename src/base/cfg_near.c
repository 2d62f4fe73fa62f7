#include "base/cfg_private.h"

#include <string.h>

enum { MAX_WORD = 40 };

static int fold(char c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c == '-' ? '_' : c;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Damerau–Levenshtein distance in its restricted form (optimal string alignment): insertions,
 * deletions, replacements and swaps of neighbours cost one each. */
static int distance(const char *a, size_t na, const char *b, size_t nb)
{
    int row[3][MAX_WORD + 1]; /* rows i - 2, i - 1 and i, in turn */
    for (size_t j = 0; j <= nb; j++)
        row[0][j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int *now = row[i % 3], *before = row[(i + 2) % 3], *two = row[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int differ = fold(a[i - 1]) != fold(b[j - 1]);
            now[j] = least(least(now[j - 1], before[j]) + 1, before[j - 1] + differ);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
                fold(a[i - 2]) == fold(b[j - 1]))
                now[j] = least(now[j], two[j - 2] + 1);
        }
    }
    return row[na % 3][nb];
}

struct cfg_nearest cfg_nearest_to(const char *word, size_t len)
{
    /* One mistake in three letters is still a misspelling; more is another word. */
    return (struct cfg_nearest){.word = word, .len = len, .distance = (int)len / 3 + 2};
}

void cfg_offer(struct cfg_nearest *n, const char *candidate)
{
    size_t len = strlen(candidate), both = len < n->len ? len : n->len;
    if (n->len > MAX_WORD || len > MAX_WORD || both == 0) return;
    int d = distance(n->word, n->len, candidate, len);
    /* "batchsize" for "batch": a whole word and something more is as near as it gets. */
    if (both >= 3 && d == (int)(len > n->len ? len - n->len : n->len - len) && d > 1 &&
        strncmp(n->word, candidate, both) == 0)
        d = 1;
    if (d >= n->distance || d >= (int)len) return;
    n->distance = d;
    n->best = candidate;
}
