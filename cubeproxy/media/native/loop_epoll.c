/* The back end for every kernel: sockets swept once in `wait` microseconds.
 *
 * A sweep asks epoll which sockets have something, reads one datagram of each, and asks again until none has:
 * level-triggered, the second question is how the first one's sockets leave the ready list anyway. One that is there
 * again has several: they are read together, while all that the call needs is in the caches. Between sweeps it
 * sleeps. When nothing came, it waits in epoll instead, so that an idle worker sleeps and a first packet is
 * served at once. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "lines.h"
#include "worker.h"

enum { EVENTS = 4096, PASSES = 8, SEVERAL = 8 };

static int set = -1;
static double next_sweep; /* s */
static int idle = 1;
static struct port *closed; /* ports of which this pass may still hold an event */

static int start(struct worker *worker, char *why, size_t size)
{
    (void)worker;
    set = epoll_create1(EPOLL_CLOEXEC);
    if (set < 0)
        snprintf(why, size, "%s", strerror(errno));
    return set >= 0;
}

static void watch(struct worker *worker, struct port *port)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = port};
    if (epoll_ctl(set, EPOLL_CTL_ADD, port->fd, &event))
        worker_fault(worker, "a media socket cannot be watched");
}

static void forget(struct worker *worker, struct port *port)
{
    (void)worker;
    epoll_ctl(set, EPOLL_CTL_DEL, port->fd, NULL);
    port->next = closed;
    closed = port;
}

static void watch_seam(struct worker *worker)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(set, EPOLL_CTL_ADD, worker->seam, &event);
}

static void forget_seam(struct worker *worker) { epoll_ctl(set, EPOLL_CTL_DEL, worker->seam, NULL); }

/* One datagram of a port; false when there was none. */
static int serve(struct port *port, double now)
{
    static uint8_t buffer[MAX_DATAGRAM + TAIL_ROOM];
    struct address source;
    socklen_t size = sizeof source;
    ssize_t length = recvfrom(port->fd, buffer, MAX_DATAGRAM, MSG_DONTWAIT, &source.any, &size);
    if (length < 0)
        return 0; /* nothing there any more, or an ICMP error that tells us nothing */
    struct datagram datagram = {buffer, (size_t)length, NULL};
    if (!port_receive(port, &datagram, &source, now))
        return 1;
    int line = line_to(port->call, 1 - port->leg, datagram.to);
    if (line >= 0)
        length = send(line, datagram.data, datagram.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    else
        length = sendto(port->call->ports[2 - 2 * port->leg].fd, datagram.data, datagram.length,
                        MSG_DONTWAIT | MSG_NOSIGNAL, &datagram.to->any, address_length(datagram.to));
    if (length < 0) /* without room or route, or with an ICMP error, the packet is lost, and that is all */
        word_add(port->call->session.legs[1 - port->leg].words, UNSENT, 1);
    return 1;
}

static void bury(void)
{
    for (struct port *port; (port = closed);) {
        closed = port->next;
        port_gone(port);
    }
}

/* How many datagrams to read of a port now: several when it had more than the one that the pass before took. */
static int share_of(struct port *port, uint8_t number)
{
    int again = port->armed == (uint8_t)(number - 1);
    port->armed = number;
    return again ? SEVERAL : 1;
}

/* Commands first, so that a packet never meets a session older than the command that was sent before it. Then every
 * socket that has something, a few datagrams at the most: a busy port cannot keep the others waiting. */
static int pass(struct worker *worker, int timeout)
{
    static uint8_t number; /* of this pass: ports keep it in `armed` */
    static struct epoll_event events[EVENTS];
    int count = epoll_wait(set, events, EVENTS, timeout), packets = 0;
    for (int place = 0; place < count; place++)
        if (!events[place].data.ptr && !worker->orphaned)
            worker_read_seam(worker);
    double now = clock_now();
    number++;
    for (int place = 0; place < count; place++) {
        struct port *port = events[place].data.ptr;
        if (port && port->fd >= 0) {
            packets++;
            for (int left = share_of(port, number); left && serve(port, now); left--)
                ;
        }
    }
    bury();
    return packets;
}

static void sleep_until_sweep(unsigned wait)
{
    double now = clock_now(), left = next_sweep - now;
    if (left > 0 && left <= wait * 1e-6) {
        struct timespec pause = {0, (long)(left * 1e9)};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    next_sweep = (left > 0 ? next_sweep : now) + wait * 1e-6;
}

static void turn(struct worker *worker)
{
    int packets = 0;
    bury(); /* what was closed for its silence */
    if (idle) {
        packets = pass(worker, (int)(TICK * 1000));
        next_sweep = clock_now() + worker->wait * 1e-6;
    } else {
        sleep_until_sweep(worker->wait);
    }
    for (int count = 1, passes = 0; count && passes < PASSES; passes++)
        packets += count = pass(worker, 0);
    idle = !packets;
}

static void finish(struct worker *worker)
{
    (void)worker;
    bury();
}

const struct backend epoll_backend = {
    .name = "epoll",
    .start = start,
    .watch = watch,
    .forget = forget,
    .watch_seam = watch_seam,
    .forget_seam = forget_seam,
    .turn = turn,
    .finish = finish,
};
