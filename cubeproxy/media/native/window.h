/* The index of a stream's packets and which of them were seen (RFC 3711 3.3.1 and 3.3.2). */
#ifndef CUBEPROXY_WINDOW_H
#define CUBEPROXY_WINDOW_H

#include <stdint.h>

#include "srtp.h"

struct window {
    int64_t newest; /* highest index seen, -1 before any */
    uint64_t seen[REPLAY_WINDOW / 64]; /* a ring: bit (index mod window), valid for the last window of indices */
};

/* Index (rollover counter * 65536 + sequence) of a packet after `newest`. */
static inline int64_t window_estimate(const struct window *window, uint16_t sequence)
{
    if (window->newest < 0)
        return sequence;
    int64_t rollovers = window->newest >> 16;
    int32_t last = (int32_t)(window->newest & 0xFFFF);
    if (last < 0x8000) {
        if (sequence - last > 0x8000 && rollovers)
            rollovers--;
    } else if (last - 0x8000 > sequence) {
        rollovers++;
    }
    return rollovers << 16 | sequence;
}

/* Whether an index may still come: not seen, and not older than the window can tell. */
static inline int window_allows(const struct window *window, int64_t index)
{
    if (index > window->newest)
        return 1;
    if (window->newest - index >= REPLAY_WINDOW)
        return 0;
    return !(window->seen[index / 64 % (REPLAY_WINDOW / 64)] >> (index % 64) & 1);
}

static inline void window_add(struct window *window, int64_t index)
{
    if (index - window->newest >= REPLAY_WINDOW || window->newest < 0) {
        for (int word = 0; word < REPLAY_WINDOW / 64; word++)
            window->seen[word] = 0;
        window->newest = index;
    }
    while (window->newest < index) {
        window->newest++;
        window->seen[window->newest / 64 % (REPLAY_WINDOW / 64)] &= ~(1ULL << (window->newest % 64));
    }
    window->seen[index / 64 % (REPLAY_WINDOW / 64)] |= 1ULL << (index % 64);
}

#endif
