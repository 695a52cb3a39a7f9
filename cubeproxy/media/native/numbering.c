/* One rule above all: no sequence number goes out twice, for under SRTP that would use a keystream twice. */
#include "numbering.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "board.h"

enum { WINDOW = 128, DROPOUT = 3000 }; /* packets that may be overtaken; a gap that is a new beginning (RFC 3550 A.1) */

uint32_t random32(void)
{
    uint32_t value;
    if (getrandom(&value, sizeof value, 0) != sizeof value)
        abort(); /* without randomness nothing may be sent */
    return value;
}

void numbering_init(struct numbering *numbering, uint64_t *words)
{
    memset(numbering, 0, sizeof *numbering);
    numbering->words = words;
    numbering->clock = 8000;
    numbering->least_step = 160;
    numbering->fresh = numbering->join = 1;
    numbering->restart = -1;
    numbering->ssrc = random32() | 1;
    /* Well inside the first half: RFC 3711 3.3.1 guesses the rollover wrongly near the wrap. */
    numbering->last = random32() % 0x4000 + 0x1000;
    numbering->timestamp = random32();
}

/* A sender that we did not know, or one that counts anew. */
static void begin(struct numbering *numbering, uint32_t source, uint16_t sequence)
{
    numbering->source = source;
    numbering->highest = numbering->first = 0x10000 | sequence; /* room below for packets overtaken at the start */
    numbering->seen = 1;
    numbering->lost_before = numbering->words[LOST];
    numbering->known = numbering->fresh = numbering->join = 1;
    numbering->restart = -1;
    numbering->transit = 0;
}

static int late(struct numbering *numbering, int behind)
{
    unsigned __int128 bit = (unsigned __int128)1 << behind;
    if (numbering->seen & bit) {
        word_add(numbering->words, REPLAYS, 1);
        return 0;
    }
    numbering->seen |= bit;
    word_add(numbering->words, LATE, 1);
    int64_t position = numbering->highest - behind;
    if (position > numbering->first && numbering->words[LOST])
        word_set(numbering->words, LOST, numbering->words[LOST] - 1);
    return position >= numbering->floor && !numbering->join;
}

/* Overtaken, repeated, or a jump. A jump counts when the next packet confirms it (RFC 3550 A.1). */
static int irregular(struct numbering *numbering, uint16_t sequence, int step)
{
    int behind = step ? 0x10000 - step : 0;
    if (behind < WINDOW) {
        numbering->fresh = 0;
        return late(numbering, behind);
    }
    if (sequence == numbering->restart) {
        begin(numbering, numbering->source, sequence);
        return 1;
    }
    numbering->restart = (sequence + 1) & 0xFFFF;
    word_add(numbering->words, LATE, 1);
    return 0;
}

int numbering_take(struct numbering *numbering, uint32_t source, uint16_t sequence)
{
    if (source != numbering->source || !numbering->known) {
        begin(numbering, source, sequence);
        return 1;
    }
    int step = (sequence - (int)(numbering->highest & 0xFFFF)) & 0xFFFF;
    if (step == 0 || step >= DROPOUT)
        return irregular(numbering, sequence, step);
    numbering->highest += step;
    numbering->seen = (step < WINDOW ? numbering->seen << step : 0) | 1;
    if (step > 1)
        word_add(numbering->words, LOST, (uint64_t)step - 1);
    numbering->restart = -1;
    numbering->fresh = 1;
    return 1;
}

void numbering_measure(struct numbering *numbering, uint32_t timestamp, double now)
{
    uint32_t transit = (uint32_t)(uint64_t)(now * numbering->clock) - timestamp;
    if (numbering->transit) {
        uint32_t difference = transit - numbering->transit;
        if (difference > 0x7FFFFFFF)
            difference = -difference;
        uint64_t jitter = numbering->words[JITTER];
        word_set(numbering->words, JITTER, jitter + difference - ((jitter + 8) >> 4));
    }
    numbering->transit = transit;
}

/* Go on after the last packet that went out; nothing from before may follow. */
static void join(struct numbering *numbering, uint32_t timestamp, double now)
{
    numbering->timestamp_offset = numbering->timestamp - timestamp;
    if (numbering->sent_at != 0) {
        double units = (now - numbering->sent_at) * numbering->clock;
        uint64_t passed = units > numbering->least_step ? (uint64_t)units : numbering->least_step;
        numbering->timestamp_offset += (uint32_t)passed;
        numbering->floor = numbering->highest;
    }
    numbering->offset = numbering->last + 1 - numbering->highest;
    numbering->join = 0;
}

struct place numbering_place(struct numbering *numbering, uint32_t timestamp, double now)
{
    if (numbering->join)
        join(numbering, timestamp, now);
    numbering->last = numbering->highest + numbering->offset;
    numbering->sent_at = now;
    numbering->timestamp = timestamp + numbering->timestamp_offset;
    return (struct place){numbering->last, numbering->timestamp};
}

struct place numbering_place_late(const struct numbering *numbering, uint16_t sequence, uint32_t timestamp)
{
    int behind = ((int)(numbering->highest & 0xFFFF) - sequence) & 0xFFFF;
    return (struct place){numbering->highest - behind + numbering->offset, timestamp + numbering->timestamp_offset};
}

void numbering_forget_late(struct numbering *numbering) { numbering->floor = numbering->highest + 1; }
