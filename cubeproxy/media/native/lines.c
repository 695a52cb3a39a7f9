#include "lines.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RESERVE = 64, BUCKETS_A_TURN = 16, TRIES = 8 }; /* descriptors for the worker itself; 256 turns for all calls */
enum { WORTH_IT = 50 }; /* packets that a leg must have sent */

void lines_allow(struct worker *worker)
{
    struct rlimit limit;
    worker->lines_left = 0;
    if (!getrlimit(RLIMIT_NOFILE, &limit))
        worker->lines_left = (long)limit.rlim_cur - 4L * worker->board.slots - RESERVE;
}

static void copy_option(int from, int to, int level, int option)
{
    int value;
    socklen_t size = sizeof value;
    if (!getsockopt(from, level, option, &value, &size))
        setsockopt(to, level, option, &value, size);
}

/* Both sockets allow the sharing of their address only while the second is bound, so that nobody else joins them. */
static int share(int fd, int line, const struct address *local)
{
    int on = 1, off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(line, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int bound = !bind(line, &local->any, address_length(local));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &off, sizeof off);
    setsockopt(line, SOL_SOCKET, SO_REUSEADDR, &off, sizeof off);
    return bound;
}

/* A socket beside `fd`, connected to `peer`; -1 when there is none to be had. What arrives between bind and connect
 * waits in it with its source, and is judged by that like everything else. */
static int make(int fd, const struct address *peer)
{
    struct address local;
    socklen_t size = sizeof local;
    if (getsockname(fd, &local.any, &size) || local.any.sa_family != peer->any.sa_family)
        return -1;
    int line = socket(local.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (line < 0)
        return -1;
    if (local.any.sa_family == AF_INET6)
        copy_option(fd, line, IPPROTO_IPV6, IPV6_TCLASS);
    else
        copy_option(fd, line, IPPROTO_IP, IP_TOS);
    if (!share(fd, line, &local) || connect(line, &peer->any, address_length(peer))) {
        close(line);
        return -1;
    }
    return line;
}

/* Whether a datagram waits in a socket. */
static int waits(int fd)
{
    char octet;
    return recv(fd, &octet, sizeof octet, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

/* Not while packets wait in the other socket: those that come by the line would overtake them, by more than a receiver
 * makes good when the worker is far behind. False when it has to be tried again for that. */
static int follow(struct worker *worker, struct call *call, int leg)
{
    const struct address *peer = &call->session.legs[leg].peer;
    struct port *line = &call->ports[LINES + leg];
    if (!address_known(peer) || address_equal(peer, &call->connected[leg]) ||
        call->session.legs[leg].words[SENT] < WORTH_IT || (line->fd < 0 && worker->lines_left <= 0))
        return 1;
    if (waits(call->ports[2 * leg].fd))
        return 0;
    if (line->fd >= 0) {
        int moved = !connect(line->fd, &peer->any, address_length(peer));
        call->connected[leg] = moved ? *peer : (struct address){0};
    } else if ((line->fd = make(call->ports[2 * leg].fd, peer)) >= 0) {
        worker->lines_left--;
        call->connected[leg] = *peer;
        call->held++;
        worker->backend->watch(worker, line);
    }
    return 1;
}

void lines_make(struct worker *worker)
{
    if (!worker->sessions)
        return;
    for (int count = 0; count < BUCKETS_A_TURN; count++) {
        int done = 1;
        for (struct call *call = worker->calls[worker->next_bucket % BUCKETS]; call; call = call->next) {
            done &= follow(worker, call, 0);
            done &= follow(worker, call, 1);
        }
        if (!done && worker->tries++ < TRIES)
            return;
        worker->tries = 0;
        worker->next_bucket++;
    }
}
