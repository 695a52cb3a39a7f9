/* One leg as signalling negotiated it: cubeproxy.protocols.values.StreamSpec, as far as a relay needs it. */
#ifndef CUBEPROXY_SPEC_H
#define CUBEPROXY_SPEC_H

#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "srtp.h"

struct spec {
    struct master_key send_key, receive_key;
    struct address remote, rtcp;
    uint32_t clock; /* Hz */
    int16_t dtmf;   /* payload type of telephone-event, -1 when not negotiated */
    uint8_t payload_type;
    uint16_t ptime; /* ms */
    uint8_t present, sends, receives, latch, has_remote, has_rtcp, has_send_key, has_receive_key;
    uint8_t opaque; /* the codec is "pass-through" */
    uint8_t joins;  /* the peer's rollover counter is found by trying */
};

/* Octets that are read from the front; a read beyond the end gives zeros and sets `broken`. */
struct reader {
    const uint8_t *at, *end;
    int broken;
};

const uint8_t *read_octets(struct reader *reader, size_t count);
uint64_t read_number(struct reader *reader, int octets);

/* The encoding of cubeproxy/media/speccodec.py. False when it is broken. */
int spec_read(struct reader *reader, struct spec *spec);
void spec_read_key(struct reader *reader, struct master_key *key);

static inline const struct master_key *send_key(const struct spec *spec)
{
    return spec->has_send_key ? &spec->send_key : NULL;
}

static inline const struct master_key *receive_key(const struct spec *spec)
{
    return spec->has_receive_key ? &spec->receive_key : NULL;
}

#endif
