#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "lines.h"
#include "seam.h"

double clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double clock_wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void worker_init(struct worker *worker, int seam, unsigned wait)
{
    memset(worker, 0, sizeof *worker);
    worker->seam = seam;
    worker->wait = wait;
    worker->lease = worker->idle = 3600;
    worker->lease_end = clock_now() + worker->lease;
}

/* --- calls */

static struct call **find(struct worker *worker, uint64_t number)
{
    struct call **place = &worker->calls[number % BUCKETS];
    while (*place && (*place)->number != number)
        place = &(*place)->next;
    return place;
}

static unsigned left;

unsigned calls_left(void) { return left; }

void port_gone(struct port *port)
{
    struct call *call = port->call;
    if (--call->held == 0) {
        left--;
        session_clear(&call->session);
        free(call);
    }
}

static void tell_call(struct call *call, double now, int last);

static void call_close(struct worker *worker, struct call **place)
{
    struct call *call = *place;
    *place = call->next;
    worker->sessions--;
    call->held++; /* ours, until all are told */
    if (worker->interval > 0)
        tell_call(call, clock_now(), 1);
    for (int number = 0; number < PORTS; number++) {
        struct port *port = &call->ports[number];
        if (port->fd < 0)
            continue;
        worker->lines_left += number >= LINES;
        worker->backend->forget(worker, port);
        close(port->fd);
        port->fd = -1;
    }
    port_gone(&call->ports[0]);
}

static const char *call_open(struct worker *worker, const struct command *command, const int descriptors[4])
{
    struct call *call = *find(worker, command->session) ? NULL : calloc(1, sizeof *call);
    if (!call)
        return "a session that exists, or no memory for one";
    uint64_t *words = worker->board.words ? board_claim(&worker->board, command->slot, command->session) : NULL;
    if (!session_init(&call->session, words)) {
        free(call);
        return "no memory for a session";
    }
    if (worker->interval > 0 && !session_report_every(&call->session, worker->interval, clock_now(), clock_wall())) {
        session_clear(&call->session);
        free(call);
        return "no memory for reports";
    }
    call->number = command->session;
    call->held = 4;
    left++;
    for (uint8_t number = 0; number < 4; number++) {
        struct port *port = &call->ports[number];
        *port = (struct port){.call = call, .fd = descriptors[number], .leg = number / 2, .rtcp = number % 2};
        worker->backend->watch(worker, port);
    }
    for (uint8_t leg = 0; leg < 2; leg++)
        call->ports[LINES + leg] = (struct port){.call = call, .fd = -1, .leg = leg};
    call->next = worker->calls[call->number % BUCKETS];
    worker->calls[call->number % BUCKETS] = call;
    worker->sessions++;
    return NULL;
}

int port_receive(struct port *port, struct datagram *datagram, const struct address *source, double now)
{
    struct session *session = &port->call->session;
    if (!port->rtcp)
        return session_receive(session, port->leg, datagram, source, now);
    if (session_receive_rtcp(session, port->leg, datagram, source, now)) /* as rare as reports, and sent like them */
        sendto(port->call->ports[3 - 2 * port->leg].fd, datagram->data, datagram->length, MSG_DONTWAIT | MSG_NOSIGNAL,
               &datagram->to->any, address_length(datagram->to));
    return 0;
}

void call_unsent(struct worker *worker, uint64_t number, int leg)
{
    struct call *call = *find(worker, number);
    if (call)
        word_add(call->session.legs[leg].words, UNSENT, 1);
}

/* When a packet was accepted last, as far as these looks can tell. */
static double silent_since(struct call *call, double now)
{
    uint64_t heard = call->session.legs[0].words[RECEIVED] + call->session.legs[1].words[RECEIVED];
    if (heard != call->heard || call->heard_at == 0) {
        call->heard = heard;
        call->heard_at = now;
    }
    return call->heard_at;
}

/* --- reports */

static void tell_call(struct call *call, double now, int last)
{
    uint8_t data[MAX_REPORT + TAIL_ROOM];
    const struct address *to;
    for (int leg = 0; leg < 2; leg++) {
        size_t length = session_report(&call->session, leg, data, &to, now, last);
        const struct port *port = &call->ports[2 * leg + !call->session.legs[leg].muxed];
        if (length) /* without room or route a report is lost, and that is all */
            sendto(port->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL, &to->any, address_length(to));
    }
}

/* All calls once a TICK, but no more of them a turn than time has passed: a thousand reports at once would be heard. */
static void tell(struct worker *worker, double now)
{
    const double pace = BUCKETS / TICK; /* buckets a second */
    double due = (now - worker->told_at) * pace;
    unsigned count = due < BUCKETS ? (unsigned)due : BUCKETS;
    worker->told_at = due < BUCKETS ? worker->told_at + count / pace : now;
    for (; count; count--)
        for (struct call *call = worker->calls[worker->next_report++ % BUCKETS]; call; call = call->next)
            tell_call(call, now, 0);
}

/* --- the seam */

static void report(struct worker *worker, const uint8_t *data, size_t length)
{
    if (!worker->orphaned) /* about a full or broken seam its reader decides */
        send(worker->seam, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void beat(struct worker *worker, uint32_t number)
{
    uint8_t data[16];
    report(worker, data, beat_build(data, number, worker->sessions));
}

void worker_fault(struct worker *worker, const char *text)
{
    uint8_t data[512];
    report(worker, data, fault_build(data, sizeof data, text));
}

static void orphan(struct worker *worker, double now)
{
    worker->backend->forget_seam(worker);
    worker->orphaned = 1;
    close(worker->seam);
    if (!worker->lodger)
        signal(SIGTERM, SIG_DFL); /* a service manager that stops us now cuts no call that signalling still drains */
    for (int bucket = 0; bucket < BUCKETS; bucket++)
        for (struct call *call = worker->calls[bucket]; call; call = call->next)
            silent_since(call, now);
}

/* NULL, or why the command failed. Descriptors that stay with us are taken out of `descriptors`. */
static const char *obey(struct worker *worker, const struct command *command, int *descriptors, int *count, double now)
{
    struct call **place = find(worker, command->session);
    const char *failure;
    switch (command->kind) {
    case HELLO:
        worker->lease = command->lease / 1000.0;
        worker->idle = command->idle / 1000.0;
        worker->lease_end = now + worker->lease;
        if (*count != 1 || !board_open(&worker->board, descriptors[0]))
            return "no memory of counters came along";
        lines_allow(worker);
        return NULL;
    case OPEN:
        if (*count != 4)
            return "not four sockets for a session";
        failure = call_open(worker, command, descriptors);
        if (!failure)
            *count = 0;
        return failure;
    case UPDATE:
        return !*place || session_update(&(*place)->session, command->specs, now) ? NULL : "no memory for a key";
    case CLOSE:
        if (*place)
            call_close(worker, place);
        return NULL;
    case RENEW:
        worker->lease_end = now + worker->lease;
        beat(worker, command->number);
        return NULL;
    case REPORTS:
        worker->interval = command->interval / 1000.0;
        worker->told_at = now;
        return NULL;
    default:
        worker->done = 1;
        return NULL;
    }
}

static ssize_t receive(int seam, uint8_t *data, int *descriptors, int *count)
{
    union {
        char octets[CMSG_SPACE(MAX_DESCRIPTORS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {data, MAX_MESSAGE};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    *count = 0;
    ssize_t length = recvmsg(seam, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (length < 0)
        return length;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head))
        if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
            *count = (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(descriptors, CMSG_DATA(head), (size_t)*count * sizeof(int));
        }
    return length;
}

void worker_read_seam(struct worker *worker)
{
    static uint8_t data[MAX_MESSAGE];
    static struct command command;
    int descriptors[MAX_DESCRIPTORS], count;
    double now = clock_now();
    while (!worker->done && !worker->orphaned) {
        ssize_t length = receive(worker->seam, data, descriptors, &count);
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (length < 0 && errno == ECONNRESET)
            continue; /* signalling ended with reports of ours unread; what it had sent before still waits */
        if (length <= 0) {
            orphan(worker, now);
            break;
        }
        const char *failure = command_parse(data, (size_t)length, &command);
        if (!failure)
            failure = obey(worker, &command, descriptors, &count, now);
        while (count > 0)
            close(descriptors[--count]);
        if (failure) {
            char text[256];
            snprintf(text, sizeof text, "command failed: %s", failure);
            worker_fault(worker, text);
        }
    }
    explicit_bzero(data, sizeof data); /* keys came this way */
    explicit_bzero(&command, sizeof command);
}

/* --- being alone */

static void look(struct worker *worker, double now)
{
    if (now >= worker->lease_end)
        worker->done = 1;
    if (!worker->orphaned)
        return;
    for (int bucket = 0; bucket < BUCKETS; bucket++)
        for (struct call **place = &worker->calls[bucket]; *place;) {
            if (now - silent_since(*place, now) >= worker->idle)
                call_close(worker, place);
            else
                place = &(*place)->next;
        }
    if (!worker->sessions)
        worker->done = 1;
}

void worker_run(struct worker *worker)
{
    double next_look = 0;
    worker->backend->watch_seam(worker);
    beat(worker, 0);
    while (!worker->done) {
        worker->backend->turn(worker);
        lines_make(worker);
        double now = clock_now();
        if (worker->interval > 0)
            tell(worker, now);
        if (now >= next_look) {
            next_look = now + TICK;
            look(worker, now);
        }
    }
    for (int bucket = 0; bucket < BUCKETS; bucket++) /* no key outlives its call, not even for the moment of an exit */
        while (worker->calls[bucket])
            call_close(worker, &worker->calls[bucket]);
    worker->backend->finish(worker);
}
