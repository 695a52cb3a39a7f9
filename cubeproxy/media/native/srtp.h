/* SRTP (RFC 3711, RFC 7714): one sender or receiver for each direction of a leg.
 *
 * Packets are protected and unprotected where they lie. Nothing moves for a packet whose tag does
 * not verify, and such a packet is left as it came, so that another context may be tried. */
#ifndef CUBEPROXY_SRTP_H
#define CUBEPROXY_SRTP_H

#include <stddef.h>
#include <stdint.h>

/* In the order of cubeproxy.protocols.suites.Suite, whose positions travel over the seam. */
enum suite { AEAD_AES_256_GCM, AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_32, SUITES };

enum {
    MAX_MASTER = 46,
    MAX_MKI = 128,      /* RFC 4568 6.1 */
    MAX_CLEAR = 1356,   /* octets of a packet that can be protected: libsrtp's bounds in pylibsrtp, for the same */
    MAX_PROTECTED = 1500, /* behaviour of all back ends */
    MAX_SOURCES = 16,   /* SSRCs under one key; each costs a replay window */
    REPLAY_WINDOW = 1024,
};

struct master_key {
    uint64_t lifetime;  /* packets */
    uint8_t suite;
    uint8_t mki_length;
    uint8_t mki[MAX_MKI];
    uint8_t master[MAX_MASTER]; /* key || salt */
};

enum srtp_verdict { SRTP_OK, SRTP_FORGED, SRTP_REPLAYED, SRTP_MALFORMED };

struct srtp_sender;
struct srtp_receiver;

/* Once, after crypto_open. False when the library offers AES or SHA-1 no longer. */
int srtp_start(void);

size_t master_length(uint8_t suite);
int same_key(const struct master_key *first, const struct master_key *second);

/* NULL when libcrypto has no memory or refuses. */
struct srtp_sender *srtp_sender_new(const struct master_key *key, uint32_t ssrc);
void srtp_sender_free(struct srtp_sender *sender);
/* Protect `*length` octets at `packet`, a packet with a bare header; there must be TAIL_ROOM behind them. False when
 * it is too long, its index was used before, or the key's lifetime is over. */
int srtp_protect(struct srtp_sender *sender, uint8_t *packet, size_t *length);
int64_t srtp_sender_index(const struct srtp_sender *sender); /* of the newest packet sent */
/* The same for a compound RTCP packet of 8 octets or more, whose index counts from one. */
int srtcp_protect(struct srtp_sender *sender, uint8_t *packet, size_t *length);
/* Indices of SRTCP go on over a change of key (RFC 3711 3.4). */
uint32_t srtcp_sender_index(const struct srtp_sender *sender);
void srtcp_sender_resume(struct srtp_sender *sender, uint32_t index);

struct srtp_receiver *srtp_receiver_new(const struct master_key *key);
void srtp_receiver_free(struct srtp_receiver *receiver);
enum srtp_verdict srtp_unprotect(struct srtp_receiver *receiver, uint8_t *packet, size_t *length);
/* Try a packet that fails at the rollover counters from `first` to before `end`, and go on from the first where it
 * verifies. A source that is known is only ever moved forward. */
enum srtp_verdict srtp_search(struct srtp_receiver *receiver, uint8_t *packet, size_t *length, int first, int end);
enum srtp_verdict srtcp_unprotect(struct srtp_receiver *receiver, uint8_t *packet, size_t *length);
int64_t srtp_receiver_index(const struct srtp_receiver *receiver); /* of the packet verified last; 0 before any */
int srtp_receiver_began(const struct srtp_receiver *receiver);      /* whether any was */

/* Go on where another process left off: `index` counts as the newest that was sent or verified. */
void srtp_sender_resume(struct srtp_sender *sender, int64_t index);
int srtp_receiver_resume(struct srtp_receiver *receiver, uint32_t ssrc, int64_t index);

#endif
