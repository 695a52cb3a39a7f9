/* The engine as a library: what `cubeproxy.media.native.library` calls. The stand-alone program is the other face; both
 * are made of the same files.
 *
 * A session here has no socket and no clock: datagram in, datagram out. `engine_serve` is the whole worker, in the
 * thread that calls it. Nothing may be called by two threads at a time, for the transforms share their scratch
 * memory; one process serves once. */
#ifndef CUBEPROXY_FACE_H
#define CUBEPROXY_FACE_H

#include <stddef.h>
#include <stdint.h>

#define FACE __attribute__((visibility("default")))

struct session;

enum { FACE_ROOM = 4096, FACE_HOST = 46 }; /* octets that a datagram, and a host's name, may take */

struct face_datagram { /* mirrored in library.py */
    uint8_t data[FACE_ROOM];
    uint32_t length;
    uint16_t port;
    char host[FACE_HOST];
};

/* Once, before all else. NULL, or why there is no libcrypto; `hint` as for crypto_open. */
FACE const char *engine_start(const char *hint);

FACE struct session *engine_session_new(void); /* NULL without memory */
FACE void engine_session_free(struct session *session);
/* An UPDATE of the seam. NULL, or why it was refused. */
FACE const char *engine_session_update(struct session *session, const uint8_t *message, size_t length, double now);
FACE int engine_session_report_every(struct session *session, double interval, double now, double wall);
/* `datagram` holds what came and from whom, then what goes out and to whom; true when something does. */
FACE int engine_session_receive(struct session *session, int leg, int rtcp, struct face_datagram *datagram, double now);
FACE int engine_session_report(struct session *session, int leg, struct face_datagram *datagram, double now, int last);
FACE int engine_session_muxed(const struct session *session, int leg);
FACE const uint64_t *engine_session_words(const struct session *session, int leg);

/* NULL, or what is wrong with a message of the seam. */
FACE const char *engine_parse(const uint8_t *message, size_t length);

/* Serve the seam behind a descriptor until its other end says so or is gone with all sessions. NULL, or why not. */
FACE const char *engine_serve(int seam, const char *backend, unsigned wait);

#endif
