/* cubeproxy-media-worker: the media worker of cubeproxy, native.
 *
 *   cubeproxy-media-worker [options] FD        serve the seam whose descriptor is FD
 *   cubeproxy-media-worker [options] --check   say which back end would run, and why, and end
 *   cubeproxy-media-worker --hook              the packet path alone, on standard input and output, for tests
 *
 *   --backend auto|io_uring|epoll   (auto: io_uring where the kernel allows it)
 *   --wait MICROSECONDS             that packets may wait for others (default 1000)
 *   --crypto PATH                   a library with libcrypto inside, should the system have none
 *   --realtime                      ask the kernel for real-time priority
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "crypto.h"
#include "hook.h"
#include "srtp.h"
#include "worker.h"

enum { USAGE = 2, NO_CRYPTO = 3, NO_BACKEND = 4 };

struct options {
    const char *backend, *crypto;
    unsigned wait; /* us */
    int seam, check, hook, realtime;
};

static int parse(int count, char **arguments, struct options *options)
{
    *options = (struct options){.backend = "auto", .wait = 1000, .seam = -1};
    for (int place = 1; place < count; place++) {
        const char *word = arguments[place], *value = place + 1 < count ? arguments[place + 1] : NULL;
        if (!strcmp(word, "--check"))
            options->check = 1;
        else if (!strcmp(word, "--hook"))
            options->hook = 1;
        else if (!strcmp(word, "--realtime"))
            options->realtime = 1;
        else if (!strcmp(word, "--backend") && value)
            options->backend = arguments[++place];
        else if (!strcmp(word, "--crypto") && value)
            options->crypto = arguments[++place];
        else if (!strcmp(word, "--wait") && value)
            options->wait = (unsigned)strtoul(arguments[++place], NULL, 10);
        else if (word[0] >= '0' && word[0] <= '9')
            options->seam = (int)strtol(word, NULL, 10);
        else
            return 0;
    }
    return (options->check || options->hook || options->seam >= 0) && options->wait <= 100000;
}

/* Ask for real-time priority: true when it was given. The lowest one is enough to come before all that has none. */
static int hurry(void)
{
    struct sched_param priority = {.sched_priority = 1};
    return !sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &priority);
}

/* No core (it would hold keys), all descriptors we may have, and no signal meant for signalling. */
static void settle(int realtime)
{
    struct rlimit limit = {0, 0};
    setrlimit(RLIMIT_CORE, &limit);
    if (!getrlimit(RLIMIT_NOFILE, &limit)) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    if (realtime)
        hurry(); /* where it is permitted */
}

/* Start what was asked for; with `auto` the best that starts. `why` says what became of it. */
static const struct backend *choose(struct worker *worker, const char *wanted, char *why, size_t size)
{
    char refusal[128] = "";
    if (strcmp(wanted, "epoll") != 0) {
        if (uring_backend.start(worker, refusal, sizeof refusal)) {
            snprintf(why, size, "io_uring");
            return &uring_backend;
        }
        snprintf(why, size, "io_uring does not work here: %s", refusal);
        if (strcmp(wanted, "auto") != 0)
            return NULL;
    }
    char epoll_refusal[128] = "";
    if (!epoll_backend.start(worker, epoll_refusal, sizeof epoll_refusal)) {
        snprintf(why, size, "epoll does not work here: %s", epoll_refusal);
        return NULL;
    }
    snprintf(why, size, refusal[0] ? "epoll, since io_uring does not work here: %s" : "epoll", refusal);
    return &epoll_backend;
}

int main(int count, char **arguments)
{
    struct options options;
    if (!parse(count, arguments, &options)) {
        fprintf(stderr, "usage: %s [--backend auto|io_uring|epoll] [--wait MICROSECONDS] [--crypto PATH] [--realtime] "
                        "FD | --check | --hook\n", arguments[0]);
        return USAGE;
    }
    char crypto[256], why[320];
    if (!crypto_open(options.crypto, crypto, sizeof crypto) || !srtp_start()) {
        fprintf(stderr, "no libcrypto that can be used: %s\n", crypto);
        return NO_CRYPTO;
    }
    if (options.hook)
        return hook_run();
    static struct worker worker;
    worker_init(&worker, options.seam, options.wait);
    if (!options.check)
        settle(options.realtime);
    worker.backend = choose(&worker, options.backend, why, sizeof why);
    if (!worker.backend) {
        fprintf(stderr, "%s\n", why);
        return NO_BACKEND;
    }
    if (options.check) {
        const char *priority = !options.realtime ? "" : hurry() ? "; real-time priority" : "; no real-time priority, not permitted";
        printf("%s; %s%s\n", why, crypto, priority);
        return 0;
    }
    worker_run(&worker);
    return 0;
}
