/* The back end for kernels with io_uring (Linux 6.1 and later, where it is not forbidden).
 *
 * Every socket has one standing request to receive (multishot), which fills buffers of a common ring. A turn is one
 * system call: it sends what the turn before made, waits for the next sweep, once in `wait`, and returns with all
 * packets that came. A packet is changed where it was received and sent from there; its buffer goes back
 * when the kernel has taken the send, which is inside the next call, since sends never wait (MSG_DONTWAIT).
 *
 * Two rules: nothing unsubmitted may refer to a socket that is being closed, whose number may be another's next, so
 * `flush` comes before any command and before any close; and a call lives until the kernel has given up the last of its
 * standing requests. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "lines.h"
#include "uring.h"
#include "worker.h"

enum {
    ENTRIES = 1024,
    COMPLETIONS = 32768, /* more than there are standing requests: all may end at once */
    BUFFERS = 4096, /* a turn of a worker that is behind takes hundreds; without one, a standing request ends */
    BATCH = 1024, /* completions that end a wait before its time */
    GROUP = 1,
    NAME = sizeof(struct sockaddr_in6),
    FRONT = sizeof(struct received) + NAME, /* before the datagram in a buffer */
    ROOM = FRONT + MAX_DATAGRAM,            /* what the kernel may fill */
    STRIDE = (ROOM + TAIL_ROOM + 63) / 64 * 64,
};

/* The low bits of user data that is no port, for a port's address is aligned. Above TAG_SEND stand leg and call. */
enum tag { TAG_SEND = 1, TAG_SEAM = 2, TAG_CANCEL = 3, TAG_BITS = 7, LEG_BIT = 8, CALL_SHIFT = 4 };

struct outgoing {
    struct msghdr head;
    struct iovec part;
    struct address to;
};

static struct uring ring;
static struct worker *served;
static uint8_t *memory;                    /* BUFFERS times STRIDE octets */
static struct outgoing outgoing[BUFFERS];  /* a send for each buffer */
static struct msghdr shape = {.msg_namelen = NAME}; /* how multishot receives lay out a buffer */
static uint16_t sending[BUFFERS];          /* buffers whose send is not submitted yet */
static unsigned sends;
static struct port *starved;               /* ports whose request ended and must be made again */
static int bound; /* whether something that is not submitted yet refers to a socket by its number */
static int idle = 1;
static double next_sweep; /* s */

static void give_back(uint16_t number) { uring_return(&ring, memory + (size_t)number * STRIDE, ROOM, number); }

static void arm(struct port *port)
{
    struct sqe *entry = uring_entry(&ring);
    entry->opcode = OP_RECVMSG;
    entry->flags = SQE_BUFFER_SELECT;
    entry->priority = RECV_MULTISHOT;
    entry->fd = port->fd;
    entry->address = (uintptr_t)&shape;
    entry->length = 1;
    entry->buffer_group = GROUP;
    entry->user_data = (uintptr_t)port;
    port->armed = 1;
    bound = 1;
}

static void cancel(uint64_t user_data)
{
    struct sqe *entry = uring_entry(&ring);
    entry->opcode = OP_ASYNC_CANCEL;
    entry->flags = SQE_SKIP_SUCCESS;
    entry->address = user_data;
    entry->user_data = TAG_CANCEL;
}

/* Submit, wait, and take back the buffers whose sends are done. */
static void enter(unsigned least, unsigned wait)
{
    unsigned queued = sends;
    uring_publish(&ring);
    uring_enter(&ring, least, wait);
    if (ring.filled != ring.submitted)
        return; /* the kernel was short of memory: the rest goes with the next call */
    for (unsigned place = 0; place < queued; place++)
        give_back(sending[place]);
    sends = 0;
    bound = 0;
    uring_publish(&ring);
}

static void flush(void)
{
    for (int tries = 0; tries < 100 && bound; tries++)
        enter(0, 0);
}

static void watch(struct worker *worker, struct port *port)
{
    (void)worker;
    arm(port);
}

static void forget(struct worker *worker, struct port *port)
{
    (void)worker;
    flush();
    if (port->armed) {
        cancel((uintptr_t)port);
        return;
    }
    for (struct port **place = &starved; *place; place = &(*place)->next)
        if (*place == port) {
            *place = port->next;
            break;
        }
    port_gone(port);
}

static void watch_seam(struct worker *worker)
{
    struct sqe *entry = uring_entry(&ring);
    entry->opcode = OP_POLL_ADD;
    entry->fd = worker->seam;
    entry->length = POLL_MULTISHOT;
    entry->op_flags = 1; /* POLLIN; the end of the other side is always told */
    entry->user_data = TAG_SEAM;
}

static void forget_seam(struct worker *worker)
{
    (void)worker;
    cancel(TAG_SEAM); /* it is found by its tag: the seam may be closed before this is submitted */
}

static void queue(struct port *port, const struct datagram *datagram, uint16_t number)
{
    struct sqe *entry = uring_entry(&ring);
    entry->flags = SQE_SKIP_SUCCESS;
    entry->op_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    entry->user_data = port->call->number << CALL_SHIFT | (port->leg ? 0 : LEG_BIT) | TAG_SEND;
    sending[sends++] = number;
    bound = 1;
    int line = line_to(port->call, 1 - port->leg, datagram->to);
    if (line >= 0) {
        entry->opcode = OP_SEND;
        entry->fd = line;
        entry->address = (uintptr_t)datagram->data;
        entry->length = (uint32_t)datagram->length;
        return;
    }
    struct outgoing *out = &outgoing[number];
    out->to = *datagram->to;
    out->part = (struct iovec){datagram->data, datagram->length};
    out->head = (struct msghdr){
        .msg_name = &out->to, .msg_namelen = address_length(&out->to), .msg_iov = &out->part, .msg_iovlen = 1};
    entry->opcode = OP_SENDMSG;
    entry->fd = port->call->ports[2 - 2 * port->leg].fd;
    entry->address = (uintptr_t)&out->head;
    entry->length = 1;
}

/* A datagram in a buffer: to be sent on from there, or done with. */
static void serve(struct port *port, uint16_t number, int32_t result, double now)
{
    uint8_t *buffer = memory + (size_t)number * STRIDE;
    struct datagram datagram = {buffer + FRONT, (size_t)result - FRONT, NULL};
    if (result >= (int32_t)FRONT && port->fd >= 0) {
        const struct address *source = (const struct address *)(buffer + sizeof(struct received));
        if (port_receive(port, &datagram, source, now)) {
            queue(port, &datagram, number);
            return;
        }
    }
    give_back(number);
}

static void complete(struct cqe done, double now, int *packets)
{
    if (done.user_data & TAG_BITS) { /* the seam was read before */
        if ((done.user_data & TAG_BITS) == TAG_SEND) /* without room or route, or with an ICMP error: lost, and that is all */
            call_unsent(served, done.user_data >> CALL_SHIFT, (done.user_data & LEG_BIT) != 0);
        return;
    }
    struct port *port = (struct port *)(uintptr_t)done.user_data;
    if (done.flags & CQE_BUFFER) {
        serve(port, (uint16_t)(done.flags >> CQE_BUFFER_SHIFT), done.result, now);
        ++*packets;
    }
    if (done.flags & CQE_MORE)
        return;
    port->armed = 0;
    if (port->fd < 0) {
        port_gone(port);
    } else { /* no buffer was left, or an ICMP error */
        port->next = starved;
        starved = port;
    }
}

/* Commands come before the packets of a turn: a packet never meets a session older than the command that was sent
 * before it. */
static void obey_first(struct worker *worker, uint32_t count)
{
    for (uint32_t place = 0; place < count && !worker->orphaned; place++) {
        const struct cqe *done = uring_peek(&ring, place);
        if (done->user_data != TAG_SEAM)
            continue;
        int again = !(done->flags & CQE_MORE);
        flush();
        worker_read_seam(worker);
        if (again && !worker->orphaned)
            watch_seam(worker);
    }
}

/* Packets wait for others until the next sweep, once in `wait`; when the worker is behind, for none. A wait that ended
 * with each few packets would wake the worker more often than it pays. */
static void wait_for_sweep(unsigned wait)
{
    double now = clock_now(), left = next_sweep - now;
    int early = left > 0 && left <= wait * 1e-6;
    enter(BATCH, early ? (unsigned)(left * 1e6) : 0);
    next_sweep = (early ? next_sweep : now) + wait * 1e-6;
}

static void turn(struct worker *worker)
{
    int packets = 0;
    if (idle && !uring_ready(&ring)) {
        enter(1, (unsigned)(TICK * 1e6));
        next_sweep = clock_now() + worker->wait * 1e-6;
    } else if (!uring_ready(&ring)) {
        wait_for_sweep(worker->wait);
    }
    uint32_t count = uring_ready(&ring);
    obey_first(worker, count);
    double now = clock_now();
    for (; count; count--)
        complete(uring_next(&ring), now, &packets);
    idle = !packets;
    if (starved) {
        flush(); /* what is sent gives its buffer back */
        for (struct port *port; (port = starved);) {
            starved = port->next;
            arm(port);
        }
    }
}

static void finish(struct worker *worker)
{
    (void)worker;
    int packets = 0;
    for (int tries = 0; tries < 100 && calls_left(); tries++) {
        enter(1, 10000);
        for (uint32_t count = uring_ready(&ring); count; count--)
            complete(uring_next(&ring), 0, &packets);
    }
}

/* Whether a standing receive works as it must: a datagram to ourselves comes with buffer and source, and more may come. */
static int probe(void)
{
    int pair[2], good = 0;
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair))
        return 0;
    struct port port = {.fd = pair[0]};
    arm(&port);
    if (send(pair[1], "probe", 5, 0) == 5 && uring_enter(&ring, 1, 1000000) == 0 && uring_ready(&ring)) {
        struct cqe done = uring_next(&ring);
        good = done.flags & CQE_BUFFER && done.flags & CQE_MORE && done.result == (int32_t)FRONT + 5;
        if (done.flags & CQE_BUFFER)
            give_back((uint16_t)(done.flags >> CQE_BUFFER_SHIFT));
        uring_publish(&ring);
        cancel((uintptr_t)&port);
        for (int more = 1; more && uring_enter(&ring, 1, 1000000) == 0;)
            while (more && uring_ready(&ring))
                more = (uring_next(&ring).flags & CQE_MORE) != 0;
    }
    close(pair[0]);
    close(pair[1]);
    return good;
}

static int start(struct worker *worker, char *why, size_t size)
{
    served = worker;
    int error = uring_open(&ring, ENTRIES, COMPLETIONS);
    if (!error && (error = uring_provide(&ring, GROUP, BUFFERS)))
        uring_close(&ring);
    if (error) {
        snprintf(why, size, "%s", error == EINVAL ? "the kernel is older than Linux 6.1" : strerror(error));
        return 0;
    }
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE; /* all of it now: what is used later grows nothing */
    memory = mmap(NULL, (size_t)BUFFERS * STRIDE, PROT_READ | PROT_WRITE, flags, -1, 0);
    memset(outgoing, 0, sizeof outgoing);
    if (memory == MAP_FAILED) {
        uring_close(&ring);
        snprintf(why, size, "no memory for buffers");
        return 0;
    }
    for (uint16_t number = 0; number < BUFFERS; number++)
        give_back(number);
    uring_publish(&ring);
    if (!probe()) {
        uring_close(&ring);
        snprintf(why, size, "standing receives do not work");
        return 0;
    }
    return 1;
}

const struct backend uring_backend = {
    .name = "io_uring",
    .start = start,
    .watch = watch,
    .forget = forget,
    .watch_seam = watch_seam,
    .forget_seam = forget_seam,
    .turn = turn,
    .finish = finish,
};
