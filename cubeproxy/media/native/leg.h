/* One leg of a session: from whom we accept, under which key, and where we send. cubeproxy/media/leg.py in C;
 * what it says there holds here. */
#ifndef CUBEPROXY_LEG_H
#define CUBEPROXY_LEG_H

#include "address.h"
#include "spec.h"
#include "srtp.h"

struct used_keys { /* those that protected something of ours */
    struct used_key {
        uint8_t suite;
        uint8_t master[MAX_MASTER];
    } *keys;
    unsigned count;
};

struct search { /* cubeproxy/media/search.py in C; what it says there holds here */
    double at;      /* s: not before */
    int first, end; /* rollover counters */
    int left;       /* searches */
    uint8_t joins;
};

struct leg {
    uint64_t *words;
    struct address peer;     /* where packets go */
    struct address accepts;  /* the one source of a clear leg */
    struct address next;     /* the port next to the peer's, as asked for last */
    struct srtp_receiver *receiver;
    struct srtp_receiver *old;   /* the context before, until `old_until` */
    struct srtp_receiver *rival; /* the context that a restart of the peer's counter displaced */
    struct srtp_sender *sender;
    double old_until, restart_until, verified_at; /* s */
    struct master_key old_key;
    struct search search;
    uint32_t rtcp_index; /* of the last report under the key before: the next key's go on after it */
    struct used_keys used;
    struct spec spec;
    uint8_t unsettled; /* a clear leg that may still learn its source */
    uint8_t reports;   /* RTCP is terminated here, not dropped */
    uint8_t muxed;     /* and shares the port of the packets (RFC 5761) */
};

void leg_init(struct leg *leg, uint64_t *words);
void leg_clear(struct leg *leg);

/* Everything but the sending key, which needs our SSRC. False when there is no memory. */
int leg_update(struct leg *leg, const struct spec *spec, double now);
/* Take the spec's sending key, after `old`; the SSRC to send under from now on, which is `fresh_ssrc` when the key had
 * been used before another one. */
uint32_t leg_protect_with(struct leg *leg, const struct master_key *old, uint32_t ssrc, uint32_t fresh_ssrc);

/* Whether the leg accepts a datagram, which then is a clear packet of `*length` octets. Counts what it refuses. */
int leg_open(struct leg *leg, uint8_t *datagram, size_t *length, const struct address *source, double now);
/* An SRTCP packet under this key or, for a while, the one before; when it is good it is a clear compound. */
enum srtp_verdict leg_open_rtcp(struct leg *leg, uint8_t *datagram, size_t *length, double now);
/* Where RTCP goes: as signalled while packets go as signalled, else to the port next to theirs. NULL for nowhere. */
const struct address *leg_rtcp_peer(struct leg *leg);
/* Count what is not RTP. */
void leg_reject(struct leg *leg, const uint8_t *datagram, size_t length);
/* An accepted packet, newer than all before, came from elsewhere than we send to, or is the first. */
void leg_learn(struct leg *leg, const struct address *source);

#endif
