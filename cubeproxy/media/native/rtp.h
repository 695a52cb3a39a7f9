/* What a datagram on a media port is, and where the payload of an RTP packet lies (RFC 3550 5, RFC 5761 4). */
#ifndef CUBEPROXY_RTP_H
#define CUBEPROXY_RTP_H

#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

enum { RTP_HEADER = 12 };

/* RFC 5761 4, with the least length: header and SSRC. */
static inline int is_rtcp(const uint8_t *data, size_t length)
{
    return length >= 8 && (data[0] & 0xC0) == 0x80 && data[1] >= 192 && data[1] <= 223;
}

static inline int is_rtp(const uint8_t *data, size_t length)
{
    return length >= RTP_HEADER && (data[0] & 0xC0) == 0x80 && !(data[1] >= 192 && data[1] <= 223);
}

/* Octets before the payload: fixed header, CSRC list, extension. 0 when they do not fit `length`, which is 12 or more. */
static inline size_t rtp_header_length(const uint8_t *packet, size_t length)
{
    size_t start = RTP_HEADER + (size_t)(packet[0] & 0x0F) * 4;
    if (packet[0] & 0x10) {
        if (length < start + 4)
            return 0;
        start += 4 + (size_t)get16(packet + start + 2) * 4;
    }
    return start <= length ? start : 0;
}

/* The payload of a clear packet, without padding; false when header and padding do not fit. */
static inline int rtp_payload(const uint8_t *packet, size_t length, size_t *start, size_t *end)
{
    *start = rtp_header_length(packet, length);
    *end = length;
    if (!*start)
        return 0;
    if (packet[0] & 0x20) {
        size_t padding = packet[length - 1];
        if (!padding || length < *start + padding)
            return 0;
        *end = length - padding;
    }
    return 1;
}

#endif
