/* The session keys of one master key as prepared states of libcrypto, and what they do to a packet. SRTP and SRTCP have
 * keys of their own under one master key, so each is a transform. */
#ifndef CUBEPROXY_TRANSFORM_H
#define CUBEPROXY_TRANSFORM_H

#include "crypto.h"
#include "srtp.h"

struct transform {
    EVP_CIPHER_CTX *cipher;
    EVP_MD_CTX *inner, *outer; /* HMAC-SHA1 after the block of either pad; NULL for GCM */
    uint8_t salt[14];          /* 12 octets for GCM */
    uint8_t suite;
    uint8_t tag;               /* octets */
    uint8_t mki_length;
    uint8_t mki[MAX_MKI];
};

/* A session key of `length` octets, 32 at the most (RFC 3711 4.3). */
int transform_derive(const struct master_key *key, uint8_t label, uint8_t *out, size_t length);

enum protocol { PROTOCOL_SRTP = 0, PROTOCOL_SRTCP = 3 }; /* first label of key derivation (RFC 3711 4.3.2) */

int transform_init(struct transform *transform, const struct master_key *key, enum protocol protocol, int sending);
void transform_clear(struct transform *transform);

/* Encrypt from `start` on and append MKI and tag. `length` is that of the packet before and after. */
int transform_protect(struct transform *transform, uint8_t *packet, size_t start, size_t *length, int64_t index);

/* True when the tag verifies; only then is the packet decrypted and `length` changed. */
int transform_unprotect(struct transform *transform, uint8_t *packet, size_t start, size_t *length, int64_t index);

/* The same for RTCP: encrypted from the ninth octet on; the index travels in the packet, with the E bit. */
enum { SRTCP_HEADER = 8, SRTCP_INDEX = 4 };
int transform_protect_rtcp(struct transform *transform, uint8_t *packet, size_t *length, uint32_t index);
/* The index that an SRTCP packet claims, -1 when it claims not to be encrypted. `length` has been seen to fit. */
int64_t transform_rtcp_index(const struct transform *transform, const uint8_t *packet, size_t length);
int transform_unprotect_rtcp(struct transform *transform, uint8_t *packet, size_t *length, uint32_t index);

#endif
