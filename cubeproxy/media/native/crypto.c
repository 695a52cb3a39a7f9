/* Finding libcrypto: the one named in CUBEPROXY_LIBCRYPTO, the system's, or the one inside another library.
 *
 * The last is the binding of the pylibsrtp wheel, which carries and exports a whole libcrypto. It is an
 * extension module, so it also wants one data symbol of the interpreter (functions are bound
 * lazily and never called): a dummy of that name stands below. */
#include "crypto.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFINE(type, name, arguments) type(*name) arguments;
CRYPTO_FUNCTIONS(DEFINE)
#undef DEFINE

#ifndef CUBEPROXY_LIBRARY /* there the interpreter is */
__attribute__((visibility("default"))) char _Py_NoneStruct[64];
#endif

/* The first function that the library lacks, NULL when it has all of them. */
static const char *bind(void *library)
{
#define BIND(type, name, arguments) \
    if (!(*(void **)&name = dlsym(library, #name))) return #name;
    CRYPTO_FUNCTIONS(BIND)
#undef BIND
    return NULL;
}

static int try_library(const char *path, char *why, size_t size)
{
    void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (!library) {
        snprintf(why, size, "%s", dlerror());
        return 0;
    }
    const char *missing = bind(library);
    if (missing) {
        snprintf(why, size, "%s lacks %s", path, missing);
        dlclose(library);
        return 0;
    }
    const char *name = strrchr(path, '/');
    snprintf(why, size, "%s in %s", OpenSSL_version(0), name ? name + 1 : path);
    return 1;
}

int crypto_open(const char *hint, char *why, size_t size)
{
    const char *chosen = getenv("CUBEPROXY_LIBCRYPTO");
    if (chosen && *chosen)
        return try_library(chosen, why, size);
    const char *places[] = {"libcrypto.so.3", "libcrypto.so", hint};
    for (size_t place = 0; place < sizeof places / sizeof *places; place++)
        if (places[place] && *places[place] && try_library(places[place], why, size))
            return 1;
    return 0;
}
