/* The packet path of one session: datagram in, datagram out, no socket. cubeproxy/media/relay.py in C. */
#ifndef CUBEPROXY_SESSION_H
#define CUBEPROXY_SESSION_H

#include "board.h"
#include "leg.h"
#include "numbering.h"
#include "reports.h"

struct direction {
    struct numbering numbering;
    int8_t types[128]; /* payload types of the source leg and what the sink leg calls them, -1 for none */
    int16_t audio;     /* payload type of the codec as the source calls it */
    uint8_t passes;
    uint8_t opaque; /* packets go on octet by octet: somebody else has their keys */
};

struct session {
    struct leg legs[2];
    struct direction directions[2]; /* from leg 0, from leg 1 */
    uint64_t *own_words;            /* counters that nobody shares, NULL when they are in a slot */
    struct reporter *reporters;     /* of both legs, NULL while RTCP is dropped */
};

struct datagram {
    uint8_t *data; /* TAIL_ROOM octets may be written behind `length` */
    size_t length;
    const struct address *to;
};

/* `words`: those of both legs, or NULL. False when there is no memory. */
int session_init(struct session *session, uint64_t *words);
void session_clear(struct session *session);

/* The negotiated session, or the next one. False when there is no memory for its keys: such a leg passes nothing. */
int session_update(struct session *session, const struct spec specs[2], double now);

/* Turn a datagram from `source` on a leg's RTP port into what the other leg sends, in place. False when nothing does. */
int session_receive(struct session *session, int leg, struct datagram *datagram, const struct address *source, double now);

/* A datagram on a leg's RTCP port: true when the other leg sends it from its own, which it never does where packets are
 * opened, for RTCP describes the stream on its own side only. There it ends, or is dropped. */
int session_receive_rtcp(struct session *session, int leg, struct datagram *datagram, const struct address *source,
                         double now);

/* Terminate RTCP from now on instead of dropping it: see reports.h. To be called before any update. False when there is no
 * memory. */
int session_report_every(struct session *session, double interval, double now, double wall);
/* A leg's report, written to `out` (MAX_REPORT + TAIL_ROOM octets); 0 when there is none to be sent now. The `last` one
 * is due at once, and takes leave. */
size_t session_report(struct session *session, int leg, uint8_t *out, const struct address **to, double now, int last);

#endif
