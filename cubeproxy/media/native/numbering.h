/* The numbers of one direction: cubeproxy/media/numbering.py in C; what it says there holds here. */
#ifndef CUBEPROXY_NUMBERING_H
#define CUBEPROXY_NUMBERING_H

#include <stdint.h>

struct numbering {
    uint64_t *words;         /* counters of the sender's leg */
    uint64_t lost_before;    /* packets that its predecessors had lost */
    unsigned __int128 seen;  /* bit n: highest - n has been taken */
    int64_t highest;         /* newest sequence number taken, counted on beyond 16 bits */
    int64_t first, floor;    /* of this sender; nothing below `floor` goes out any more */
    int64_t offset, last;    /* from the sender's numbers to ours; newest index that went out */
    double sent_at;          /* s */
    uint32_t source, ssrc;   /* the sender's SSRC and ours */
    uint32_t clock;          /* Hz */
    uint32_t least_step;     /* timestamp units */
    uint32_t timestamp, timestamp_offset, transit;
    int32_t restart;         /* the sequence number that would confirm a restart of the sender, -1 for none */
    uint8_t known, fresh, join;
};

struct place {
    int64_t index;
    uint32_t timestamp;
};

void numbering_init(struct numbering *numbering, uint64_t *words);
/* Whether this packet of the sender is to be used; counts loss, lateness and repetition. */
int numbering_take(struct numbering *numbering, uint32_t source, uint16_t sequence);
/* Interarrival jitter (RFC 3550 A.8), for packets that were taken as fresh. */
void numbering_measure(struct numbering *numbering, uint32_t timestamp, double now);
/* Where a packet goes that was just taken as fresh, and where one that newer ones overtook. */
struct place numbering_place(struct numbering *numbering, uint32_t timestamp, double now);
struct place numbering_place_late(const struct numbering *numbering, uint16_t sequence, uint32_t timestamp);
/* Refuse whatever was overtaken until now: the key that would protect it has changed. */
void numbering_forget_late(struct numbering *numbering);

uint32_t random32(void);

#endif
