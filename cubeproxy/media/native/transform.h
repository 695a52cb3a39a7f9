/* The session keys of one master key as prepared states of libcrypto, and what they do to a packet. */
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

int transform_init(struct transform *transform, const struct master_key *key, int sending);
void transform_clear(struct transform *transform);

/* Encrypt from `start` on and append MKI and tag. `length` is that of the packet before and after. */
int transform_protect(struct transform *transform, uint8_t *packet, size_t start, size_t *length, int64_t index);

/* True when the tag verifies; only then is the packet decrypted and `length` changed. */
int transform_unprotect(struct transform *transform, uint8_t *packet, size_t start, size_t *length, int64_t index);

#endif
