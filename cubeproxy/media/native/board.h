/* Counters in memory shared with signalling: the layout of cubeproxy/media/counters.py, which says what it means. */
#ifndef CUBEPROXY_BOARD_H
#define CUBEPROXY_BOARD_H

#include <stddef.h>
#include <stdint.h>

enum word {
    RECEIVED,
    RECEIVED_OCTETS,
    SENT,
    SENT_OCTETS,
    LOST,
    LATE,
    AUTH_FAILURES,
    REPLAYS,
    STRANGERS,
    MALFORMED,
    RTCP_DROPPED,
    JITTER,
    INDEX_IN,
    INDEX_OUT,
    RTCP_RECEIVED,
    RTCP_SENT,
    PEER_LOST,
    PEER_JITTER,
    ROUND_TRIP,
    UNSENT,
};

enum { LEG_WORDS = 24, SLOT_WORDS = 8 + 2 * LEG_WORDS };

struct board {
    uint64_t *words;
    uint32_t slots;
};

/* Map the memory behind a descriptor, which stays the caller's. */
int board_open(struct board *board, int descriptor);
/* Clear a slot for a session; the words of its leg 0, those of leg 1 follow. NULL when there is no such slot. */
uint64_t *board_claim(struct board *board, uint32_t slot, uint64_t session);

/* One writer, and readers who take a word as it is: relaxed and whole is all it takes. */
static inline void word_set(uint64_t *words, enum word word, uint64_t value)
{
    __atomic_store_n(&words[word], value, __ATOMIC_RELAXED);
}

static inline void word_add(uint64_t *words, enum word word, uint64_t value) { word_set(words, word, words[word] + value); }

#endif
