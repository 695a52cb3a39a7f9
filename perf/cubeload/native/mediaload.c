/* mediaload PLAN SAMPLES: encrypted and clear streams through a relay, both ways, and what became of them.
 *
 * All calls share two sockets: that of the phones (SRTP) and that of the core (RTP); the relay's ports tell the calls
 * apart. What the phones say was encrypted before the run and comes with the plan; what the core says is made here.
 * The loop never sleeps: it sends what is due, and takes what has come.
 *
 * Prints one line of JSON. Packets of the first `warm` rounds are sent and not counted. SRTP that comes back for the
 * first calls is written to SAMPLES, as (call, number by sequence, length, octets), to be decrypted and checked by others.
 *
 * Numbers in PLAN are of this machine's byte order: it is made for one run and thrown away. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, HEAD = 12, PAYLOAD = 160, ROOM = 512, PORTS = 65536 };

struct plan {
    uint32_t magic, calls, rounds, warm, interval; /* interval in us */
    uint32_t stride, samples, reserved;
    struct sockaddr_in phones, core; /* to bind */
};

struct call {
    struct sockaddr_in access, core; /* the relay's ports */
};

/* One side: its socket, and what it knows of every call. */
struct side {
    int fd;
    int32_t *by_port;        /* relay's port -> call, -1 */
    int64_t *sent_at;        /* ns, [call * rounds + round] of what this side hears, written by the other */
    uint8_t *heard;          /* the same, whether it came */
    int32_t *base;           /* sequence number of round 0, -1 unknown (phones only) */
    uint32_t *newest;        /* round heard last */
    uint64_t sent, received, counted, strange, repeated, overtaken, wrong;
};

static const struct plan *plan;
static const struct call *calls;
static const uint8_t *secure; /* [call][round]: two octets of length, then the packet */
static struct side phones, core;
static uint32_t *latencies; /* us * 10 */
static size_t latency_count;
static FILE *samples;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void open_side(struct side *side, const struct sockaddr_in *local)
{
    size_t cells = (size_t)plan->calls * plan->rounds;
    int size = 32 << 20;
    side->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (setsockopt(side->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
        setsockopt(side->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(side->fd, (const struct sockaddr *)local, sizeof *local))
        fail("bind");
    side->by_port = malloc(PORTS * sizeof *side->by_port);
    memset(side->by_port, -1, PORTS * sizeof *side->by_port);
    side->sent_at = calloc(cells, sizeof *side->sent_at);
    side->heard = calloc(cells, 1);
    side->newest = calloc(plan->calls, sizeof *side->newest);
    side->base = malloc(plan->calls * sizeof *side->base);
    memset(side->base, -1, plan->calls * sizeof *side->base);
}

/* What the core says: number of call and round in the payload. */
static void speak(uint8_t *packet, uint32_t call, uint32_t round)
{
    uint32_t words[5] = {htonl(0x80000000U | ((round + 1000) & 0xFFFF)), htonl(round * 160), htonl(0x5000 + call),
                         htonl(call), htonl(round)};
    memcpy(packet, words, sizeof words);
    memset(packet + sizeof words, (int)((call + round) & 0xFF), HEAD + PAYLOAD - sizeof words);
}

static void send_all(struct side *side, struct mmsghdr *messages, unsigned count)
{
    for (unsigned done = 0; done < count;) {
        int sent = sendmmsg(side->fd, messages + done, count - done, 0);
        if (sent > 0) {
            side->sent += (unsigned)sent;
            done += (unsigned)sent;
        } else if (errno == ECONNREFUSED || errno == ENOBUFS || errno == EAGAIN) {
            done += errno == EAGAIN ? 0 : 1;
        } else {
            fail("sendmmsg");
        }
    }
}

/* Send up to BATCH steps of the schedule: call `i` is heard by the core, and the call opposite by its phone. */
static void send_steps(uint64_t first, unsigned count)
{
    static struct mmsghdr to_access[BATCH], to_core[BATCH];
    static struct iovec parts[2][BATCH];
    static uint8_t spoken[BATCH][HEAD + PAYLOAD];
    int64_t now = now_ns();
    for (unsigned step = 0; step < count; step++) {
        uint32_t round = (uint32_t)((first + step) / plan->calls), call = (uint32_t)((first + step) % plan->calls);
        uint32_t opposite = (call + plan->calls / 2) % plan->calls;
        const uint8_t *cell = secure + ((size_t)call * plan->rounds + round) * plan->stride;
        uint16_t length;
        memcpy(&length, cell, 2);
        parts[0][step] = (struct iovec){(void *)(cell + 2), length};
        speak(spoken[step], opposite, round);
        parts[1][step] = (struct iovec){spoken[step], HEAD + PAYLOAD};
        to_access[step].msg_hdr = (struct msghdr){.msg_name = (void *)&calls[call].access, .msg_namelen = sizeof(struct sockaddr_in), .msg_iov = &parts[0][step], .msg_iovlen = 1};
        to_core[step].msg_hdr = (struct msghdr){.msg_name = (void *)&calls[opposite].core, .msg_namelen = sizeof(struct sockaddr_in), .msg_iov = &parts[1][step], .msg_iovlen = 1};
        core.sent_at[(size_t)call * plan->rounds + round] = now;
        phones.sent_at[(size_t)opposite * plan->rounds + round] = now;
    }
    send_all(&phones, to_access, count);
    send_all(&core, to_core, count);
}

static void note(struct side *side, uint32_t call, uint32_t round, int64_t now)
{
    size_t cell = (size_t)call * plan->rounds + round;
    if (round >= plan->rounds || !side->sent_at[cell]) {
        side->strange++;
        return;
    }
    if (side->heard[cell]) {
        side->repeated++;
        return;
    }
    side->heard[cell] = 1;
    if (round < plan->warm)
        return;
    side->counted++;
    side->overtaken += round < side->newest[call];
    side->newest[call] = round > side->newest[call] ? round : side->newest[call];
    latencies[latency_count++] = (uint32_t)((now - side->sent_at[cell]) / 100);
}

static void hear_core(uint32_t call, const uint8_t *packet, size_t length, int64_t now)
{
    uint8_t expected[HEAD + PAYLOAD];
    uint32_t words[2];
    if (length != HEAD + PAYLOAD) {
        core.wrong++;
        return;
    }
    memcpy(words, packet + HEAD, sizeof words);
    uint32_t round = ntohl(words[1]);
    speak(expected, call, round);
    if (memcmp(packet + HEAD, expected + HEAD, PAYLOAD) != 0)
        core.wrong++; /* not what the phone of this call said */
    else
        note(&core, call, round, now);
}

static void hear_phones(uint32_t call, const uint8_t *packet, size_t length, int64_t now)
{
    uint16_t sequence = (uint16_t)(packet[2] << 8 | packet[3]);
    if (length < HEAD) {
        phones.wrong++;
        return;
    }
    if (phones.base[call] < 0) {
        phones.base[call] = sequence;
    }
    uint32_t round = (uint16_t)(sequence - phones.base[call]);
    if (call < plan->samples) {
        uint32_t head[3] = {call, round, (uint32_t)length};
        fwrite(head, sizeof head, 1, samples);
        fwrite(packet, length, 1, samples);
    }
    note(&phones, call, round, now);
}

static int receive(struct side *side, void (*hear)(uint32_t, const uint8_t *, size_t, int64_t))
{
    static struct mmsghdr messages[BATCH];
    static struct iovec parts[BATCH];
    static struct sockaddr_in sources[BATCH];
    static uint8_t buffers[BATCH][ROOM];
    for (int place = 0; place < BATCH; place++) {
        parts[place] = (struct iovec){buffers[place], ROOM};
        messages[place].msg_hdr = (struct msghdr){.msg_name = &sources[place], .msg_namelen = sizeof sources[place], .msg_iov = &parts[place], .msg_iovlen = 1};
    }
    int count = recvmmsg(side->fd, messages, BATCH, MSG_DONTWAIT, NULL);
    int64_t now = now_ns();
    for (int place = 0; place < count; place++) {
        int32_t call = side->by_port[ntohs(sources[place].sin_port)];
        side->received++;
        if (call < 0)
            side->strange++;
        else
            hear((uint32_t)call, buffers[place], messages[place].msg_len, now);
    }
    return count;
}

/* Round 0 by few calls at a time: with nothing else on its way, what a phone hears first is that round, which tells
 * where the relay's own sequence numbers begin. */
static void begin(void)
{
    for (uint32_t first = 0; first < plan->calls; first += BATCH / 2) {
        uint32_t count = plan->calls - first > BATCH / 2 ? BATCH / 2 : plan->calls - first;
        uint64_t before = phones.received + core.received;
        send_steps(first, count);
        for (int64_t until = now_ns() + 300000000; phones.received + core.received < before + 2 * count && now_ns() < until;) {
            receive(&core, hear_core);
            receive(&phones, hear_phones);
        }
    }
}

static void run(int64_t *worst_lag)
{
    begin();
    uint64_t steps = (uint64_t)plan->calls * plan->rounds, done = plan->calls;
    int64_t start = now_ns() + 1000000 - plan->interval * 1000LL, quiet = 0;
    int warm = 0;
    while (done < steps || now_ns() - quiet < 500000000) {
        int64_t now = now_ns();
        if (done < steps) {
            quiet = now;
            uint64_t due = now < start ? 0 : (uint64_t)(now - start) * plan->calls / ((uint64_t)plan->interval * 1000) + 1;
            due = due > steps ? steps : due < done ? done : due;
            if (done >= (uint64_t)plan->warm * plan->calls) {
                int64_t lag = now - start - (int64_t)(done * plan->interval * 1000 / plan->calls);
                *worst_lag = lag > *worst_lag ? lag : *worst_lag;
                if (!warm) {
                    warm = 1;
                    printf("{\"warm\": true}\n");
                    fflush(stdout);
                }
            }
            unsigned count = due - done > BATCH ? BATCH : (unsigned)(due - done);
            if (count)
                send_steps(done, count);
            done += count;
            if (done == steps) {
                printf("{\"sent\": true}\n");
                fflush(stdout);
            }
        }
        receive(&core, hear_core);
        receive(&phones, hear_phones);
    }
}

static int compare(const void *first, const void *second)
{
    uint32_t a = *(const uint32_t *)first, b = *(const uint32_t *)second;
    return a < b ? -1 : a > b;
}

static double percentile(double part)
{
    return latency_count ? latencies[(size_t)(part * (double)(latency_count - 1))] / 10.0 : 0;
}

int main(int count, char **arguments)
{
    struct stat status;
    int fd = count == 3 ? open(arguments[1], O_RDONLY) : -1;
    if (fd < 0 || fstat(fd, &status) || !(samples = fopen(arguments[2], "wb")))
        fail("usage: mediaload PLAN SAMPLES");
    plan = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (plan == MAP_FAILED || plan->magic != 0x4D4C4F31)
        fail("plan");
    calls = (const struct call *)(plan + 1);
    secure = (const uint8_t *)(calls + plan->calls);
    latencies = malloc(2 * (size_t)plan->calls * plan->rounds * sizeof *latencies);
    open_side(&phones, &plan->phones);
    open_side(&core, &plan->core);
    for (uint32_t call = 0; call < plan->calls; call++) {
        phones.by_port[ntohs(calls[call].access.sin_port)] = (int32_t)call;
        core.by_port[ntohs(calls[call].core.sin_port)] = (int32_t)call;
    }
    int64_t lag = 0;
    run(&lag);
    fclose(samples);
    qsort(latencies, latency_count, sizeof *latencies, compare);
    uint64_t expected = 2ULL * plan->calls * (plan->rounds - plan->warm), counted = phones.counted + core.counted;
    printf("{\"expected\": %llu, \"arrived\": %llu, \"loss\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
           "\"max_us\": %.1f, \"overtaken\": %llu, \"repeated\": %llu, \"strange\": %llu, \"wrong\": %llu, \"lag_us\": %.1f}\n",
           (unsigned long long)expected, (unsigned long long)counted, 1 - (double)counted / (double)expected,
           percentile(0.5), percentile(0.99), percentile(0.999), percentile(1), (unsigned long long)(phones.overtaken + core.overtaken),
           (unsigned long long)(phones.repeated + core.repeated), (unsigned long long)(phones.strange + core.strange),
           (unsigned long long)(phones.wrong + core.wrong), (double)lag / 1000);
    return 0;
}
