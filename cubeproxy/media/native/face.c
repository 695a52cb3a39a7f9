#include "face.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "crypto.h"
#include "seam.h"
#include "session.h"
#include "worker.h"

const char *engine_start(const char *hint)
{
    static char why[256];
    static int started;
    if (!started)
        started = crypto_open(hint, why, sizeof why) && srtp_start();
    return started ? NULL : why;
}

struct session *engine_session_new(void)
{
    struct session *session = calloc(1, sizeof *session);
    if (session && !session_init(session, NULL)) {
        free(session);
        return NULL;
    }
    return session;
}

void engine_session_free(struct session *session)
{
    session_clear(session);
    free(session);
}

const char *engine_parse(const uint8_t *message, size_t length)
{
    static struct command command;
    const char *failure = command_parse(message, length, &command);
    explicit_bzero(&command, sizeof command);
    return failure;
}

const char *engine_session_update(struct session *session, const uint8_t *message, size_t length, double now)
{
    struct command command;
    const char *failure = command_parse(message, length, &command);
    if (!failure && command.kind != UPDATE)
        failure = "not an update";
    if (!failure && !session_update(session, command.specs, now))
        failure = "no memory for a key";
    explicit_bzero(&command, sizeof command);
    return failure;
}

int engine_session_report_every(struct session *session, double interval, double now, double wall)
{
    return session_report_every(session, interval, now, wall);
}

static void write_datagram(struct face_datagram *datagram, const uint8_t *data, size_t length, const struct address *to)
{
    int v6 = to->any.sa_family == AF_INET6;
    memmove(datagram->data, data, length);
    datagram->length = (uint32_t)length;
    datagram->port = ntohs(v6 ? to->v6.sin6_port : to->v4.sin_port);
    inet_ntop(to->any.sa_family, v6 ? (const void *)&to->v6.sin6_addr : &to->v4.sin_addr, datagram->host, FACE_HOST);
}

int engine_session_receive(struct session *session, int leg, int rtcp, struct face_datagram *datagram, double now)
{
    struct address source;
    struct datagram moving = {datagram->data, datagram->length, NULL};
    datagram->host[FACE_HOST - 1] = 0;
    if (moving.length > MAX_DATAGRAM || !address_parse(&source, datagram->host, datagram->port))
        return 0;
    if (!(rtcp ? session_receive_rtcp : session_receive)(session, leg & 1, &moving, &source, now))
        return 0;
    write_datagram(datagram, moving.data, moving.length, moving.to);
    return 1;
}

int engine_session_report(struct session *session, int leg, struct face_datagram *datagram, double now, int last)
{
    const struct address *to;
    size_t length = session_report(session, leg & 1, datagram->data, &to, now, last);
    if (length)
        write_datagram(datagram, datagram->data, length, to);
    return length != 0;
}

int engine_session_muxed(const struct session *session, int leg) { return session->legs[leg & 1].muxed; }

const uint64_t *engine_session_words(const struct session *session, int leg) { return session->legs[leg & 1].words; }

const char *engine_serve(int seam, const char *backend, unsigned wait)
{
    static struct worker worker;
    static char why[160];
    static int served;
    if (__atomic_exchange_n(&served, 1, __ATOMIC_SEQ_CST))
        return "this process has served already";
    worker_init(&worker, seam, wait);
    worker.lodger = 1;
    worker.backend = strcmp(backend, "epoll") ? &uring_backend : &epoll_backend;
    const char *refusal = worker.backend->start(&worker, why, sizeof why) ? NULL : why;
    if (!refusal)
        worker_run(&worker);
    if (!worker.orphaned) { /* a process that ends does this for the other face */
        shutdown(seam, SHUT_RDWR); /* a ring may still hold the socket */
        close(seam);
    }
    return refusal;
}
