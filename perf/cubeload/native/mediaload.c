/* mediaload PLAN STREAMS SAMPLES PID: encrypted and clear streams through a relay, both ways, and what became of them.
 *
 * Every phone, and every far end in the core, is a socket of its own with a port of its own, as on a real network. A
 * packet leaves at the moment that its stream's phase within the packet interval says, alone: nothing collects
 * packets, unless the generator is late. When a packet came is told by the kernel's time stamp, taken when it was put
 * into the socket; so sockets need not be watched, and no wake-up of ours is charged to the relay that sent: a packet
 * is taken out 2.5 ms after it was sent, or with the next one should it not have come by then.
 *
 * What the phones say was encrypted before the run and comes in STREAMS; what the core says is made here. SRTP that comes
 * back for the first calls is written to SAMPLES, as (call, number by sequence, length, octets), to be checked by others.
 * CPU is what the scheduler has counted for all threads of PID between the first counted packet and the last.
 *
 * Prints one line of JSON. Numbers in PLAN and STREAMS are of this machine's byte order: they are made for one run. */
#include <arpa/inet.h>
#include <dirent.h>
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

enum { HEAD = 12, PAYLOAD = 160, ROOM = 512, REPORT_ROUNDS = 250, REPORT = 28, THREADS = 64, BEGIN = 16 };
static const int64_t LATE = 250000; /* ns behind the schedule that count as late */
static const int64_t TIMELY = 5000000; /* ns of delay that a call does not notice */
static const int64_t TAKEN = 2500000; /* ns after a packet was sent that its other end looks for it */
static const int64_t BEHIND = 2000000; /* ns that this may be late when packets are to be sent */
static const int64_t REST = 500000000; /* ns for which is listened when all is sent */

struct plan {
    uint32_t magic, calls, rounds, warm;
    uint32_t interval, stride, samples, reports; /* ns; octets of a cell; calls; reports of a phone in STREAMS */
};

enum { PHONE, CORE }; /* sides */

struct call {
    struct sockaddr_in relay[2], ours[2]; /* by side */
};

/* One packet of every round. Stream 2 * call + side is what that side says. */
struct event {
    uint32_t stream, offset; /* ns into the round */
};

struct endpoint { /* by the stream that it says; it hears the one beside it */
    int fd, reports; /* RTP, RTCP */
    int32_t base;    /* sequence number of round 0, -1 unknown (phones only) */
    uint32_t owed;   /* packets on their way here */
    uint32_t newest; /* round heard last */
};

static const struct plan *plan;
static const struct call *calls;
static const struct event *schedule;
static struct endpoint *endpoints;
static uint8_t *secure, *reports; /* cells of [round][place in the schedule], of [call][number]: length, octets */
static uint32_t *rank;            /* place of a phone's stream among those */
static uint32_t *position;        /* place of a stream in the schedule */
static int64_t *traces;           /* [round][place in the schedule]: 0, when it was sent (ns), or minus that once it was heard */
static uint32_t *latencies;       /* us * 10 */
static size_t latency_count;
static int64_t window_begin, window_end; /* ns in which packets per second are counted */
static uint64_t counted, in_window, timely, reports_heard, strange, repeated, overtaken, wrong, unsent, late;
static int64_t worst_lag, idle;
static int threads[THREADS], thread_count; /* the scheduler's figures of the relay's threads */
static FILE *samples;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now); /* what the kernel's stamps are in */
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Waiting leaves the core to its other thread, which may be the relay's. */
static void relax(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#endif
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int open_socket(const struct sockaddr_in *local, const struct sockaddr_in *peer, int above)
{
    struct sockaddr_in from = *local, to = *peer;
    int on = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    from.sin_port = htons((uint16_t)(ntohs(from.sin_port) + above));
    to.sin_port = htons((uint16_t)(ntohs(to.sin_port) + above));
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) ||
        bind(fd, (struct sockaddr *)&from, sizeof from) || connect(fd, (struct sockaddr *)&to, sizeof to))
        fail("socket");
    return fd;
}

static void open_threads(const char *pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%.16s/task", pid);
    DIR *folder = opendir(path);
    if (!folder)
        fail(path);
    for (struct dirent *entry; thread_count < THREADS && (entry = readdir(folder));) {
        snprintf(path, sizeof path, "/proc/%.16s/task/%.16s/schedstat", pid, entry->d_name);
        int fd = entry->d_name[0] == '.' ? -1 : open(path, O_RDONLY);
        if (fd >= 0)
            threads[thread_count++] = fd;
    }
    closedir(folder);
}

static uint64_t cpu_ns(void)
{
    uint64_t sum = 0;
    char text[128];
    for (int place = 0; place < thread_count; place++) {
        ssize_t length = pread(threads[place], text, sizeof text - 1, 0);
        text[length > 0 ? length : 0] = 0;
        sum += strtoull(text, NULL, 10);
    }
    return sum;
}

/* The stream's packet as the core says it: number of call and round in the payload. */
static void speak(uint8_t *packet, uint32_t call, uint32_t round)
{
    uint32_t words[5] = {htonl(0x80000000U | ((round + 1000) & 0xFFFF)), htonl(round * 160), htonl(0x5000 + call),
                         htonl(call), htonl(round)};
    memcpy(packet, words, sizeof words);
    memset(packet + sizeof words, (int)((call + round) & 0xFF), HEAD + PAYLOAD - sizeof words);
}

static int64_t *trace_of(uint32_t stream, uint32_t round)
{
    return &traces[(size_t)round * 2 * plan->calls + position[stream]];
}

static void say(int fd, const uint8_t *packet, size_t length)
{
    /* An ICMP error that waits is told instead of sending: once more, then. */
    if (send(fd, packet, length, MSG_DONTWAIT) < 0 && send(fd, packet, length, MSG_DONTWAIT) < 0)
        unsent++;
}

static const uint8_t *cell(const uint8_t *cells, size_t number, size_t *length)
{
    const uint8_t *place = cells + number * plan->stride;
    uint16_t octets;
    memcpy(&octets, place, sizeof octets);
    *length = octets;
    return place + sizeof octets;
}

/* A sender report (RFC 3550 6.4.1) every five seconds, as phones send it. */
static void say_report(uint32_t stream, uint32_t round)
{
    uint32_t call = stream / 2, number = round / REPORT_ROUNDS;
    size_t length = REPORT;
    if (stream % 2 == PHONE) {
        if (number >= plan->reports)
            return;
        const uint8_t *packet = cell(reports, (size_t)call * plan->reports + number, &length);
        say(endpoints[stream].reports, packet, length);
        return;
    }
    uint32_t words[REPORT / 4] = {htonl(0x80C80006), htonl(0x5000 + call), htonl(round), 0, htonl(round * 160),
                                  htonl(round), htonl(round * PAYLOAD)};
    say(endpoints[stream].reports, (const uint8_t *)words, sizeof words);
}

static void say_stream(uint32_t stream, uint32_t round, int64_t now)
{
    uint32_t call = stream / 2;
    *trace_of(stream, round) = now;
    endpoints[stream ^ 1].owed++;
    if (stream % 2 == PHONE) {
        size_t length;
        const uint8_t *packet = cell(secure, (size_t)round * plan->calls + rank[call], &length);
        say(endpoints[stream].fd, packet, length);
    } else {
        uint8_t spoken[HEAD + PAYLOAD];
        speak(spoken, call, round);
        say(endpoints[stream].fd, spoken, sizeof spoken);
    }
    if ((round + call) % REPORT_ROUNDS == 0)
        say_report(stream, round);
}

/* A packet of `stream` was heard, `when`. */
static void note(struct endpoint *endpoint, uint32_t stream, uint32_t round, int64_t when)
{
    int64_t *trace = round < plan->rounds ? trace_of(stream, round) : NULL;
    if (!trace || !*trace) {
        strange++;
        return;
    }
    if (*trace < 0) {
        repeated++;
        return;
    }
    int64_t delay = when > *trace ? when - *trace : 0;
    *trace = -*trace;
    endpoint->owed -= endpoint->owed > 0;
    if (when >= window_begin && when < window_end) {
        in_window++;
        timely += delay < TIMELY;
    }
    if (round < plan->warm)
        return;
    counted++;
    overtaken += round < endpoint->newest;
    endpoint->newest = round > endpoint->newest ? round : endpoint->newest;
    latencies[latency_count++] = (uint32_t)(delay / 100);
}

static void hear_core(struct endpoint *endpoint, uint32_t stream, const uint8_t *packet, size_t length, int64_t when)
{
    uint8_t expected[HEAD + PAYLOAD];
    uint32_t round;
    if (length != HEAD + PAYLOAD) {
        wrong++;
        return;
    }
    memcpy(&round, packet + HEAD + 4, sizeof round);
    round = ntohl(round);
    speak(expected, stream / 2, round);
    if (memcmp(packet + HEAD, expected + HEAD, PAYLOAD) != 0)
        wrong++; /* not what the phone of this call said */
    else
        note(endpoint, stream, round, when);
}

static void hear_phone(struct endpoint *endpoint, uint32_t stream, const uint8_t *packet, size_t length, int64_t when)
{
    if (length < HEAD) {
        wrong++;
        return;
    }
    uint16_t sequence = (uint16_t)(packet[2] << 8 | packet[3]);
    if (endpoint->base < 0)
        endpoint->base = sequence;
    uint32_t round = (uint16_t)(sequence - endpoint->base);
    if (stream / 2 < plan->samples) {
        uint32_t head[3] = {stream / 2, round, (uint32_t)length};
        fwrite(head, sizeof head, 1, samples);
        fwrite(packet, length, 1, samples);
    }
    note(endpoint, stream, round, when);
}

/* Take a packet that has come to the one who says `stream`; false when there is none. */
static int hear(uint32_t stream)
{
    static uint8_t packet[ROOM];
    union {
        char octets[CMSG_SPACE(sizeof(struct timespec))];
        struct cmsghdr align;
    } control;
    struct iovec part = {packet, sizeof packet};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct endpoint *endpoint = &endpoints[stream];
    ssize_t length = recvmsg(endpoint->fd, &message, MSG_DONTWAIT);
    if (length < 0)
        return errno != EAGAIN; /* an ICMP error is no packet, but one may stand behind it */
    struct timespec stamp = {0, 0};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_TIMESTAMPNS)
        memcpy(&stamp, CMSG_DATA(head), sizeof stamp);
    int64_t when = stamp.tv_sec ? stamp.tv_sec * 1000000000LL + stamp.tv_nsec : now_ns();
    (stream % 2 == PHONE ? hear_phone : hear_core)(endpoint, stream ^ 1, packet, (size_t)length, when);
    return 1;
}

static void hear_owed(uint32_t stream)
{
    while (endpoints[stream].owed && hear(stream))
        ;
}

/* Round 0 by few calls at a time: with nothing else on its way, what a phone hears first is that round, which tells
 * where the relay's own sequence numbers begin. */
static void begin(void)
{
    for (uint32_t first = 0; first < 2 * plan->calls; first += BEGIN) {
        uint32_t last = first + BEGIN < 2 * plan->calls ? first + BEGIN : 2 * plan->calls;
        for (uint32_t stream = first; stream < last; stream++)
            say_stream(stream, 0, now_ns());
        int64_t until = now_ns() + 300000000;
        for (int waiting = 1; waiting && now_ns() < until;) {
            waiting = 0;
            for (uint32_t stream = first; stream < last; stream++) {
                hear_owed(stream);
                waiting |= endpoints[stream].owed != 0;
            }
        }
    }
}

static int64_t wait_until(int64_t due)
{
    int64_t start = now_ns(), now = start;
    for (; now < due; now = now_ns())
        relax();
    idle += now - start;
    return now;
}

/* A place in the schedule, round after round. */
struct cursor {
    uint32_t round, place;
    int64_t base, due; /* ns: of round 0, of this place */
};

static void point(struct cursor *cursor)
{
    cursor->due = cursor->base + (int64_t)cursor->round * plan->interval + schedule[cursor->place].offset;
}

static uint32_t advance(struct cursor *cursor)
{
    uint32_t stream = schedule[cursor->place].stream;
    if (++cursor->place == 2 * plan->calls) {
        cursor->place = 0;
        cursor->round++;
    }
    point(cursor);
    return stream;
}

/* Calls begin one after the other, in the first third of the time that is not counted. */
static int speaks(uint32_t stream, uint32_t round)
{
    return (uint64_t)round * plan->calls * 3 >= (uint64_t)(stream / 2) * plan->warm;
}

static void send_next(struct cursor *sends, int64_t now)
{
    int64_t lag = now - sends->due;
    uint32_t round = sends->round, stream = advance(sends);
    if (round >= plan->warm) {
        worst_lag = lag > worst_lag ? lag : worst_lag;
        late += lag > LATE;
    }
    if (speaks(stream, round))
        say_stream(stream, round, now);
}

/* Send and listen by the schedule. The sending comes first when both are due, but what came must not pile up. */
static void follow(struct cursor *sends, struct cursor *reads, uint32_t last_round)
{
    while (sends->round < last_round) {
        int64_t now = wait_until(sends->due < reads->due ? sends->due : reads->due);
        if (now >= sends->due && now - reads->due < BEHIND)
            send_next(sends, now);
        else
            hear_owed(advance(reads) ^ 1);
    }
}

/* The share of a core that the relay had while packets were counted, in ns. */
static uint64_t run(void)
{
    begin();
    int64_t start = now_ns() + 1000000 - plan->interval;
    window_begin = start + (int64_t)plan->warm * plan->interval;
    window_end = start + (int64_t)plan->rounds * plan->interval;
    struct cursor sends = {1, 0, start, 0}, reads = {1, 0, start + TAKEN, 0};
    point(&sends);
    point(&reads);
    follow(&sends, &reads, plan->warm);
    uint64_t used = cpu_ns();
    idle = 0;
    follow(&sends, &reads, plan->rounds);
    wait_until(window_end);
    used = cpu_ns() - used;
    struct timespec pause = {0, 5000000};
    for (int64_t until = now_ns() + REST; now_ns() < until; nanosleep(&pause, NULL))
        for (uint32_t stream = 0; stream < 2 * plan->calls; stream++)
            while (hear(stream))
                ;
    for (uint32_t stream = 0; stream < 2 * plan->calls; stream++)
        for (char report[ROOM]; recv(endpoints[stream].reports, report, sizeof report, MSG_DONTWAIT) > 0;)
            reports_heard++;
    return used;
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

static const void *map(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &status))
        fail(path);
    const void *memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED)
        fail(path);
    close(fd);
    return memory;
}

/* Memory in large pages where there are any: what is sent next is then no miss of the page tables. */
static void *room(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fail("memory");
    madvise(memory, size, MADV_HUGEPAGE);
    memset(memory, 0, size);
    return memory;
}

/* STREAMS: of each call all rounds, then its reports. In here they stand in the order of sending. */
static void take_streams(const uint8_t *streams)
{
    size_t stride = plan->stride, a_call = ((size_t)plan->rounds + plan->reports) * stride;
    secure = room((size_t)plan->calls * plan->rounds * stride);
    reports = room((size_t)plan->calls * plan->reports * stride + 1);
    rank = room(plan->calls * sizeof *rank);
    position = room(2 * plan->calls * sizeof *position);
    for (uint32_t place = 0, number = 0; place < 2 * plan->calls; place++) {
        position[schedule[place].stream] = place;
        if (schedule[place].stream % 2 == PHONE)
            rank[schedule[place].stream / 2] = number++;
    }
    for (uint32_t call = 0; call < plan->calls; call++) {
        const uint8_t *from = streams + call * a_call;
        for (uint32_t round = 0; round < plan->rounds; round++)
            memcpy(secure + ((size_t)round * plan->calls + rank[call]) * stride, from + round * stride, stride);
        memcpy(reports + (size_t)call * plan->reports * stride, from + plan->rounds * stride, plan->reports * stride);
    }
}

static void prepare(char **arguments)
{
    plan = map(arguments[1]);
    if (plan->magic != 0x4D4C4F32)
        fail("plan");
    calls = (const struct call *)(plan + 1);
    schedule = (const struct event *)(calls + plan->calls);
    take_streams(map(arguments[2]));
    if (!(samples = fopen(arguments[3], "wb")))
        fail(arguments[3]);
    open_threads(arguments[4]);
    traces = room(2 * (size_t)plan->calls * plan->rounds * sizeof *traces);
    latencies = room(2 * (size_t)plan->calls * plan->rounds * sizeof *latencies);
    endpoints = room(2 * plan->calls * sizeof *endpoints);
    for (uint32_t place = 0; place < 2 * plan->calls; place++) { /* as they will be used: neighbours in memory */
        uint32_t stream = schedule[place].stream;
        const struct call *call = &calls[stream / 2];
        const struct sockaddr_in *ours = &call->ours[stream % 2], *relay = &call->relay[stream % 2];
        endpoints[stream] = (struct endpoint){open_socket(ours, relay, 0), open_socket(ours, relay, 1), -1, 0, 0};
    }
}

int main(int count, char **arguments)
{
    if (count != 5) {
        fprintf(stderr, "usage: mediaload PLAN STREAMS SAMPLES PID\n");
        return 2;
    }
    prepare(arguments);
    uint64_t used = run();
    fclose(samples);
    qsort(latencies, latency_count, sizeof *latencies, compare);
    uint64_t expected = 2ULL * plan->calls * (plan->rounds - plan->warm);
    double seconds = (double)(plan->rounds - plan->warm) * plan->interval / 1e9;
    printf("{\"expected\": %llu, \"arrived\": %llu, \"per_second\": %.0f, \"timely\": %.0f, \"reports\": %llu, \"cpu_s\": %.6f, \"p50_us\": %.1f, "
           "\"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, \"overtaken\": %llu, \"repeated\": %llu, "
           "\"strange\": %llu, \"wrong\": %llu, \"unsent\": %llu, \"late\": %.6f, \"lag_us\": %.1f, \"busy\": %.3f}\n",
           (unsigned long long)expected, (unsigned long long)counted, (double)in_window / seconds, (double)timely / seconds,
           (unsigned long long)reports_heard, (double)used / 1e9,
           percentile(0.5), percentile(0.99), percentile(0.999), percentile(1), (unsigned long long)overtaken,
           (unsigned long long)repeated, (unsigned long long)strange, (unsigned long long)wrong, (unsigned long long)unsent,
           (double)late / (double)expected, (double)worst_lag / 1000, 1 - (double)idle / 1e9 / seconds);
    return 0;
}
