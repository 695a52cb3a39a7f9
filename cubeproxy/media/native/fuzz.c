/* What may come over the seam and from the network, fed to the parsers and the packet path: libFuzzer's entry, and a small
 * driver for compilers that have no libFuzzer. Built by `make fuzz`, with the sanitizers; never part of the product.
 *
 * An input is records: a head of three octets (what it is, and its length), then that many octets. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "crypto.h"
#include "seam.h"
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COMMAND = 0, DATAGRAM = 1, REPORT = 2, TELL = 3 }; /* bits 0 and 1 of the first octet; bit 2 is the leg, 3 the source */

static void start(void)
{
    char why[256];
    static int started;
    if (!started && (!crypto_open(NULL, why, sizeof why) || !srtp_start()))
        abort();
    started = 1;
}

/* Leg 0 with SRTP, leg 1 in the clear, both known: most of the path is open to leg 1. */
static void establish(struct session *session)
{
    struct spec specs[2] = {{.present = 1, .sends = 1, .receives = 1, .has_remote = 1, .clock = 8000, .ptime = 20}};
    specs[0].dtmf = 101;
    specs[1] = specs[0];
    specs[0].has_send_key = specs[0].has_receive_key = 1;
    specs[0].send_key = specs[0].receive_key = (struct master_key){.suite = AES_CM_128_HMAC_SHA1_80, .lifetime = 1ULL << 48};
    address_parse(&specs[0].remote, "127.0.0.1", 4000);
    address_parse(&specs[1].remote, "127.0.0.2", 5000);
    session_report_every(session, 0.001, 1, 1e9);
    session_update(session, specs, 1);
}

static void feed(struct session *session, int what, const uint8_t *data, size_t length, double now)
{
    struct command command;
    struct address source;
    int leg = what >> 2 & 1;
    address_parse(&source, leg ? "127.0.0.2" : "127.0.0.1", (uint16_t)((leg ? 5000 : 4000) + (what >> 3 & 1)));
    if ((what & 3) == COMMAND) {
        if (!command_parse(data, length, &command) && command.kind == UPDATE)
            session_update(session, command.specs, now);
        return;
    }
    /* As long as it must be, so that a sanitizer sees the first octet too far. */
    uint8_t *copy = malloc((length < MAX_REPORT ? MAX_REPORT : length) + TAIL_ROOM);
    memcpy(copy, data, length);
    struct datagram datagram = {copy, length, NULL};
    const struct address *to;
    if ((what & 3) == DATAGRAM)
        session_receive(session, leg, &datagram, &source, now);
    else if ((what & 3) == REPORT)
        session_receive_rtcp(session, leg, &datagram, &source, now);
    else
        session_report(session, leg, copy, &to, now, what >> 3 & 1);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session session;
    double now = 1;
    start();
    if (!session_init(&session, NULL))
        return 0;
    establish(&session);
    while (size >= 3) {
        size_t length = get16(data + 1);
        if (length > size - 3)
            length = size - 3;
        if (length > MAX_DATAGRAM)
            length = MAX_DATAGRAM;
        feed(&session, data[0], data + 3, length, now += 0.02);
        data += 3 + length;
        size -= 3 + length;
    }
    session_clear(&session);
    return 0;
}

#ifdef DRIVER
enum { SEEDS = 256, MOST = 8192 };

static struct {
    uint8_t data[MOST];
    size_t size;
} seeds[SEEDS];
static unsigned count;
static uint64_t state = 1;

static uint32_t below(uint32_t bound) /* xorshift64*, the same in every run of a seed */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)(state * 2685821657736338717ULL >> 32) % bound;
}

static size_t mutate(uint8_t *data, size_t size)
{
    for (uint32_t times = 1 + below(6); times; times--) {
        uint32_t place = size ? below((uint32_t)size) : 0, length = 1 + below(16);
        const uint8_t *other = seeds[below(count)].data;
        switch (below(6)) {
        case 0:
            if (size)
                data[place] ^= (uint8_t)(1 << below(8));
            break;
        case 1:
            if (size)
                data[place] = (uint8_t)(below(2) ? below(256) : (uint8_t[]){0, 1, 0x7F, 0x80, 0xFF, 0x90}[below(6)]);
            break;
        case 2: /* cut something out */
            if (place + length < size) {
                memmove(data + place, data + place + length, size - place - length);
                size -= length;
            }
            break;
        case 3: /* put something in */
            if (size + length < MOST) {
                memmove(data + place + length, data + place, size - place);
                memcpy(data + place, other + below(64), length);
                size += length;
            }
            break;
        case 4:
            size = place;
            break;
        default: /* another's records behind ours */
            if (size + 512 < MOST) {
                memcpy(data + size, other, 512);
                size += 512;
            }
        }
    }
    return size;
}

static void load(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file && count < SEEDS) {
        seeds[count].size = fread(seeds[count].data, 1, MOST, file);
        count++;
    }
    if (file)
        fclose(file);
}

/* -runs=N -seed=N FILE...: as libFuzzer has them, but files for a folder. */
int main(int argc, char **argv)
{
    static uint8_t data[MOST];
    unsigned long runs = 10000;
    for (int place = 1; place < argc; place++) {
        if (!strncmp(argv[place], "-runs=", 6))
            runs = strtoul(argv[place] + 6, NULL, 10);
        else if (!strncmp(argv[place], "-seed=", 6))
            state = strtoull(argv[place] + 6, NULL, 10) * 2 + 1;
        else
            load(argv[place]);
    }
    if (!count)
        seeds[count++].size = 64;
    for (unsigned long run = 0; run < runs; run++) {
        unsigned chosen = below(count);
        memcpy(data, seeds[chosen].data, MOST);
        size_t size = run < count ? seeds[run].size : mutate(data, seeds[chosen].size);
        uint8_t *exact = malloc(size + !size);
        memcpy(exact, run < count ? seeds[run].data : data, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    printf("%lu inputs\n", runs);
    return 0;
}
#endif
