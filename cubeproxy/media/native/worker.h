/* The worker: sessions with their sockets, the seam to signalling, and being alone. The behaviour is that of
 * cubeproxy/media/worker.py; the messages are those of cubeproxy/media/commands.py.
 *
 * One process, one thread, one loop: more cores take more workers, so that no lock stands between packets and a
 * crash takes the calls of one core only. */
#ifndef CUBEPROXY_WORKER_H
#define CUBEPROXY_WORKER_H

#include <stdint.h>

#include "session.h"

struct worker;

enum { PORTS = 6, LINES = 4, BUCKETS = 4096 };

/* A socket of a call, as a back end watches it. */
struct port {
    struct call *call;
    struct port *next; /* the back end's, in lists of its own */
    int fd;            /* -1 when it is closed, or a line that was not made */
    uint8_t leg, rtcp;
    uint8_t armed;     /* the back end's: whether the kernel still knows the port, or when it was served */
};

struct call {
    struct call *next; /* in its bucket */
    uint64_t number;
    uint64_t heard;    /* packets that both legs had accepted at `heard_at` */
    double heard_at;   /* s */
    int held;          /* ports that the back end may still hear of */
    struct port ports[PORTS];   /* RTP and RTCP of leg 0, then of leg 1; then the lines of both (see lines.h) */
    struct address connected[2]; /* where the line of each leg goes */
    struct session session;
};

/* How packets come and go. */
struct backend {
    const char *name;
    /* Make everything ready; false, and why not, when the kernel refuses. */
    int (*start)(struct worker *worker, char *why, size_t size);
    void (*watch)(struct worker *worker, struct port *port);
    /* The port's socket is about to be closed. port_gone is called when nothing more will come of it. */
    void (*forget)(struct worker *worker, struct port *port);
    void (*watch_seam)(struct worker *worker);
    void (*forget_seam)(struct worker *worker);
    /* Wait for packets, TICK at the most, serve them, then read the seam if it has something. */
    void (*turn)(struct worker *worker);
    /* Every port has been forgotten: see to it that all are gone. */
    void (*finish)(struct worker *worker);
};

extern const struct backend epoll_backend, uring_backend;

static const double TICK = 0.25; /* s between two looks at lease and idle sessions */

struct worker {
    const struct backend *backend;
    unsigned wait; /* us that packets may wait for others, so that one turn serves many */
    int seam;
    int orphaned, done;
    int lodger; /* in a process that is somebody else's: its signals are not ours */
    double lease, idle, lease_end; /* s */
    double interval;      /* s between reports of a leg, 0 while RTCP is dropped */
    double told_at;       /* s, until when the buckets' reports have been seen to */
    unsigned next_report; /* whose bucket is next */
    struct board board;
    unsigned sessions;
    long lines_left;      /* descriptors that lines may take */
    unsigned next_bucket; /* whose calls are looked at for lines next */
    unsigned tries;       /* how often that was in vain */
    struct call *calls[BUCKETS];
};

double clock_now(void); /* s, monotonic */

void worker_init(struct worker *worker, int seam, unsigned wait);
void worker_run(struct worker *worker);

/* For back ends. */
void worker_read_seam(struct worker *worker);
void port_gone(struct port *port);
unsigned calls_left(void); /* that still have ports, the closed ones included */
int port_receive(struct port *port, struct datagram *datagram, const struct address *source, double now);
void call_unsent(struct worker *worker, uint64_t number, int leg); /* the kernel did not take a packet of this leg */
void worker_fault(struct worker *worker, const char *text);

#endif
