/* Numbers in network order, and one bound: what a datagram may be long. */
#ifndef CUBEPROXY_BYTES_H
#define CUBEPROXY_BYTES_H

#include <stddef.h>
#include <stdint.h>

enum {
    MAX_DATAGRAM = 2048,  /* octets read of a datagram; the rest of a longer one is cut off and the packet refused */
    TAIL_ROOM = 160,      /* octets behind a datagram: the longest tag and master key identifier that we append */
};

static inline uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }

static inline uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t get64(const uint8_t *p) { return (uint64_t)get32(p) << 32 | get32(p + 4); }

static inline void put16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static inline void put32(uint8_t *p, uint32_t value)
{
    put16(p, value >> 16);
    put16(p + 2, value);
}

static inline void put64(uint8_t *p, uint64_t value)
{
    put32(p, (uint32_t)(value >> 32));
    put32(p + 4, (uint32_t)value);
}

#endif
