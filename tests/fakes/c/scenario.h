/* What both fake driver libraries share: the scenario file and the ways in which a call can misbehave.
 *
 * A scenario is lines of `key = value`, each key once, `#` starting a comment line. It lies beside the library as
 * `scenario`, or where FAKE_DRIVER_SCENARIO points. See README.md for the keys.
 */
#ifndef FAKE_SCENARIO_H
#define FAKE_SCENARIO_H

#define _GNU_SOURCE /* dladdr */
#include <ctype.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* `later` replaces the value that many seconds after the library was loaded: `FIRST then LATER after SECONDS`. */
struct entry {
    char *key, *value, *later;
    double after;
};

struct name {
    const char *name;
    int code;
};

static struct entry *entries;
static size_t entry_count;
static struct timespec loaded;

static double elapsed(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - loaded.tv_sec) + (double)(now.tv_nsec - loaded.tv_nsec) / 1e9;
}

static int compare_entries(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

static char *trimmed(char *text) {
    while (isspace((unsigned char)*text)) text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1])) *--end = 0;
    return text;
}

static void read_scenario(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "fake driver: no scenario at %s\n", path);
        return;
    }
    char line[4096];
    while (fgets(line, sizeof line, file)) {
        char *equals = strchr(line, '='), *key = trimmed(line);
        if (!equals || *key == '#') continue;
        *equals = 0;
        entries = realloc(entries, (entry_count + 1) * sizeof *entries);
        entries[entry_count].key = strdup(trimmed(key));
        struct entry *made = &entries[entry_count++];
        made->value = strdup(trimmed(equals + 1));
        made->later = NULL;
        char *then = strstr(made->value, " then "), *after = then ? strstr(then, " after ") : NULL;
        if (!after) continue;
        made->after = atof(after + 7);
        *then = *after = 0;
        made->later = trimmed(then + 6);
        made->value = trimmed(made->value);
    }
    fclose(file);
    qsort(entries, entry_count, sizeof *entries, compare_entries);
}

static const char *look(const char *key) {
    struct entry wanted = {.key = (char *)key};
    struct entry *found = entry_count ? bsearch(&wanted, entries, entry_count, sizeof *entries, compare_entries) : NULL;
    if (!found) return NULL;
    return found->later && elapsed() >= found->after ? found->later : found->value;
}

static const char *look_in(const char *prefix, const char *name) {
    char key[256];
    snprintf(key, sizeof key, "%s.%s", prefix, name);
    return look(key);
}

static int number_of(const char *text, const struct name *names) {
    for (; names->name; names++)
        if (!strcmp(text, names->name)) return names->code;
    return (int)strtol(text, NULL, 0);
}

/* Does what the value says: `hang`, `linger` (a hang that keeps its pipes open when killed, as in the kernel), `crash`, `sleep SECONDS` and then success, or an error by name or number. */
static int behave(const char *value, const struct name *names) {
    if (!strcmp(value, "hang"))
        for (;;) pause();
    if (!strcmp(value, "linger")) {
        if (!fork()) {
            setsid();
            sleep(8);
            _exit(0);
        }
        for (;;) pause();
    }
    if (!strcmp(value, "crash")) raise(SIGSEGV);
    if (!strncmp(value, "sleep ", 6)) {
        double seconds = atof(value + 6);
        struct timespec rest = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
        nanosleep(&rest, NULL);
        return 0;
    }
    return number_of(value, names);
}

/* What the scenario orders for a function, of this device first: by its symbol, then by the name without `_v2`. */
static int ordered(const char *prefix, const char *symbol, const struct name *names) {
    char base[128];
    snprintf(base, sizeof base, "%s", symbol);
    char *suffix = strrchr(base, '_');
    if (suffix && suffix[1] == 'v' && isdigit((unsigned char)suffix[2])) *suffix = 0;
    const char *value = NULL;
    if (prefix) {
        value = look_in(prefix, symbol);
        if (!value) value = look_in(prefix, base);
    }
    if (!value) value = look(symbol);
    if (!value) value = look(base);
    return value ? behave(value, names) : 0;
}

/* Called by each library's constructor; `library` is the prefix of its `load` key. */
static void load_scenario(void *inside, const char *library) {
    clock_gettime(CLOCK_MONOTONIC, &loaded);
    const char *named = getenv("FAKE_DRIVER_SCENARIO");
    Dl_info here;
    char path[4096] = "scenario";
    if (named) {
        snprintf(path, sizeof path, "%s", named);
    } else if (dladdr(inside, &here) && here.dli_fname && strrchr(here.dli_fname, '/')) {
        int folder = (int)(strrchr(here.dli_fname, '/') - here.dli_fname);
        snprintf(path, sizeof path, "%.*s/scenario", folder, here.dli_fname);
    }
    read_scenario(path);
    const char *value = look_in(library, "load");
    static const struct name none[] = {{NULL, 0}};
    if (value) behave(value, none);
}

#endif
