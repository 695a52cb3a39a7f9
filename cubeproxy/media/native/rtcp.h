/* The packets of an RTCP compound, by the length rules of RFC 3550 A.2 (cubeproxy/protocols/rtcp.py in C). */
#ifndef CUBEPROXY_RTCP_H
#define CUBEPROXY_RTCP_H

#include <stddef.h>
#include <stdint.h>

enum { SENDER_REPORT = 200, RECEIVER_REPORT = 201, SOURCE_DESCRIPTION = 202, GOODBYE = 203 };
enum { SENDER_INFO = 24, REPORT_BLOCK = 24 }; /* octets */

struct rtcp_packet {
    const uint8_t *body; /* after the first word, without padding */
    size_t length;
    uint8_t kind, entries;
};

/* Whether a datagram is a compound that can be believed: to the last octet, and all of it before any of it. */
int rtcp_fits(const uint8_t *data, size_t length);

/* The packet at `*place`, which moves on; false at the end. For what fits. */
int rtcp_next(const uint8_t *data, size_t length, size_t *place, struct rtcp_packet *packet);

/* The report blocks of a sender or receiver report; there are `entries` of them. */
static inline const uint8_t *rtcp_blocks(const struct rtcp_packet *packet)
{
    return packet->body + (packet->kind == SENDER_REPORT ? SENDER_INFO : 4);
}

#endif
