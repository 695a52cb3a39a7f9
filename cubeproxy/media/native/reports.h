/* RTCP of one leg, received and sent: cubeproxy/media/reports.py in C; what it says there holds here. */
#ifndef CUBEPROXY_REPORTS_H
#define CUBEPROXY_REPORTS_H

#include "leg.h"
#include "numbering.h"

enum { MAX_REPORT = 128 }; /* octets of a compound of ours; TAIL_ROOM comes on top */

struct reporter {
    struct leg *leg;
    const struct numbering *inbound, *outbound;
    double interval, epoch, next; /* s */
    struct address learnt;        /* where verified reports came from */
    double sr_at;                 /* s, when the peer's last sender report came; with its SSRC and the middle of its time */
    uint32_t sr_source, sr_middle;
    uint32_t ssrc;
    uint64_t packets_before, octets_before; /* that went out under other SSRCs */
    uint64_t sent[2];             /* packets sent by the last report and by the one before */
    uint64_t received;            /* packets received by the last report */
    int64_t told, about_first;    /* highest sequence number of the last block, and the beginning of what it was about */
    uint64_t missed;              /* loss by then */
    uint32_t about;               /* SSRC of the last block */
    uint8_t has_sr, has_told;
    char cname[17];
};

void reporter_init(struct reporter *reporter, struct leg *leg, const struct numbering *inbound,
                   const struct numbering *outbound, double interval, double now, double wall);
void reporter_renegotiated(struct reporter *reporter, int moved);

/* A datagram that may be a report of the peer, changed in place. Counts what it is. */
void reporter_receive(struct reporter *reporter, uint8_t *datagram, size_t length, const struct address *source, double now);

/* The octets of a report written to `out` (MAX_REPORT + TAIL_ROOM), 0 when there is none to be sent now. `to` is
 * where it goes. The `last` one is due at once, and takes leave (RFC 3550 6.3.7). */
size_t reporter_report(struct reporter *reporter, uint8_t *out, const struct address **to, double now, int last);

#endif
