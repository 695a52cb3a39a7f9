/* Who may send which index, and which of the packets that arrive are new: the state around `transform`.
 *
 * SRTCP costs nothing before its first packet: its keys are derived then, from the master key that is kept for that. */
#include "srtp.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "rtp.h"
#include "transform.h"
#include "window.h"

struct srtp_sender {
    struct transform transform;
    struct transform *rtcp; /* NULL before the first report */
    struct master_key key;
    uint32_t rtcp_index;    /* of the report sent last, 0 before any */
    struct window window; /* a second line of defence: no index is ever sent twice */
    uint64_t left;        /* packets that the key may still protect */
    uint32_t ssrc;
};

struct source {
    uint32_t ssrc;
    struct window window;
};

struct sources {
    struct source *list;
    int count;
};

struct srtp_receiver {
    struct transform transform;
    struct transform *rtcp; /* NULL before the first report */
    struct master_key key;
    struct sources rtp, reports; /* each with replay lists of its own (RFC 3711 3.4) */
    int64_t index;
};

int same_key(const struct master_key *first, const struct master_key *second)
{
    if (!first || !second)
        return first == second;
    return first->suite == second->suite && first->mki_length == second->mki_length &&
           !memcmp(first->mki, second->mki, first->mki_length) &&
           !memcmp(first->master, second->master, master_length(first->suite));
}

/* The transform for reports, made when the first one comes or goes; NULL when it cannot be. */
static struct transform *rtcp_transform(struct transform **place, const struct master_key *key, int sending)
{
    if (!*place && (*place = calloc(1, sizeof **place)) && !transform_init(*place, key, PROTOCOL_SRTCP, sending)) {
        free(*place);
        *place = NULL;
    }
    return *place;
}

static void rtcp_clear(struct transform *rtcp)
{
    if (rtcp) {
        transform_clear(rtcp);
        free(rtcp);
    }
}

struct srtp_sender *srtp_sender_new(const struct master_key *key, uint32_t ssrc)
{
    struct srtp_sender *sender = calloc(1, sizeof *sender);
    if (sender && !transform_init(&sender->transform, key, PROTOCOL_SRTP, 1)) {
        free(sender);
        return NULL;
    }
    if (sender) {
        sender->window.newest = -1;
        sender->left = key->lifetime;
        sender->ssrc = ssrc;
        sender->key = *key;
    }
    return sender;
}

void srtp_sender_free(struct srtp_sender *sender)
{
    if (sender) {
        transform_clear(&sender->transform);
        rtcp_clear(sender->rtcp);
        explicit_bzero(sender, sizeof *sender);
        free(sender);
    }
}

int srtp_protect(struct srtp_sender *sender, uint8_t *packet, size_t *length)
{
    if (!sender->left || *length > MAX_CLEAR || get32(packet + 8) != sender->ssrc)
        return 0;
    int64_t index = window_estimate(&sender->window, get16(packet + 2));
    if (!window_allows(&sender->window, index) ||
        !transform_protect(&sender->transform, packet, RTP_HEADER, length, index))
        return 0;
    window_add(&sender->window, index);
    sender->left--;
    return 1;
}

int64_t srtp_sender_index(const struct srtp_sender *sender) { return sender->window.newest; }

void srtp_sender_resume(struct srtp_sender *sender, int64_t index)
{
    window_add(&sender->window, index);
    sender->left = sender->left > (uint64_t)index + 1 ? sender->left - (uint64_t)index - 1 : 0;
}

int srtcp_protect(struct srtp_sender *sender, uint8_t *packet, size_t *length)
{
    struct transform *rtcp = rtcp_transform(&sender->rtcp, &sender->key, 1);
    if (!rtcp || *length > MAX_CLEAR || get32(packet + 4) != sender->ssrc || sender->rtcp_index >= 0x7FFFFFFF)
        return 0;
    return transform_protect_rtcp(rtcp, packet, length, ++sender->rtcp_index);
}

uint32_t srtcp_sender_index(const struct srtp_sender *sender) { return sender->rtcp_index; }

void srtcp_sender_resume(struct srtp_sender *sender, uint32_t index) { sender->rtcp_index = index; }

struct srtp_receiver *srtp_receiver_new(const struct master_key *key)
{
    struct srtp_receiver *receiver = calloc(1, sizeof *receiver);
    if (receiver && !transform_init(&receiver->transform, key, PROTOCOL_SRTP, 0)) {
        free(receiver);
        return NULL;
    }
    if (receiver)
        receiver->key = *key;
    return receiver;
}

void srtp_receiver_free(struct srtp_receiver *receiver)
{
    if (receiver) {
        transform_clear(&receiver->transform);
        rtcp_clear(receiver->rtcp);
        free(receiver->rtp.list);
        free(receiver->reports.list);
        explicit_bzero(receiver, sizeof *receiver);
        free(receiver);
    }
}

static struct source *find(const struct sources *sources, uint32_t ssrc)
{
    for (int place = 0; place < sources->count; place++)
        if (sources->list[place].ssrc == ssrc)
            return &sources->list[place];
    return NULL;
}

static struct source *adopt(struct sources *sources, uint32_t ssrc)
{
    size_t count = (size_t)sources->count + 1;
    struct source *list = realloc(sources->list, count * sizeof *list);
    if (!list)
        return NULL;
    sources->list = list;
    sources->count = (int)count;
    list[count - 1].ssrc = ssrc;
    list[count - 1].window.newest = -1;
    return &list[count - 1];
}

/* Where the payload of a packet begins, 0 when it cannot be one, or is of a source too many; its source, NULL when it
 * is a new one. */
static size_t look(const struct srtp_receiver *receiver, const uint8_t *packet, size_t length, struct source **source)
{
    const struct transform *transform = &receiver->transform;
    size_t trailer = (size_t)transform->tag + transform->mki_length;
    if (length < RTP_HEADER + trailer || length > MAX_PROTECTED + (size_t)transform->mki_length)
        return 0;
    *source = find(&receiver->rtp, get32(packet + 8));
    if (!*source && receiver->rtp.count >= MAX_SOURCES)
        return 0;
    return rtp_header_length(packet, length - trailer);
}

enum srtp_verdict srtp_unprotect(struct srtp_receiver *receiver, uint8_t *packet, size_t *length)
{
    struct source *source = NULL;
    size_t start = look(receiver, packet, *length, &source);
    if (!start)
        return SRTP_MALFORMED;
    struct transform *transform = &receiver->transform;
    uint32_t ssrc = get32(packet + 8);
    int64_t index = source ? window_estimate(&source->window, get16(packet + 2)) : get16(packet + 2);
    if (source && !window_allows(&source->window, index))
        return SRTP_REPLAYED;
    if (!transform_unprotect(transform, packet, start, length, index))
        return SRTP_FORGED;
    if (!source && !(source = adopt(&receiver->rtp, ssrc)))
        return SRTP_MALFORMED;
    window_add(&source->window, index);
    receiver->index = source->window.newest;
    return SRTP_OK;
}

enum srtp_verdict srtp_search(struct srtp_receiver *receiver, uint8_t *packet, size_t *length, int first, int end)
{
    struct source *source = NULL;
    size_t start = look(receiver, packet, *length, &source);
    if (!start)
        return SRTP_MALFORMED;
    int64_t last = source ? source->window.newest : -1;
    uint32_t ssrc = get32(packet + 8);
    for (int rollover = first; rollover < end; rollover++) {
        int64_t index = (int64_t)rollover << 16 | get16(packet + 2);
        if (index > last && transform_unprotect(&receiver->transform, packet, start, length, index))
            return srtp_receiver_resume(receiver, ssrc, index) ? SRTP_OK : SRTP_MALFORMED;
    }
    return SRTP_FORGED;
}

enum srtp_verdict srtcp_unprotect(struct srtp_receiver *receiver, uint8_t *packet, size_t *length)
{
    struct transform *rtcp = rtcp_transform(&receiver->rtcp, &receiver->key, 0);
    if (!rtcp)
        return SRTP_MALFORMED;
    size_t trailer = SRTCP_INDEX + (size_t)rtcp->tag + rtcp->mki_length;
    if (*length < SRTCP_HEADER + trailer || *length > MAX_PROTECTED + (size_t)rtcp->mki_length)
        return SRTP_MALFORMED;
    int64_t index = transform_rtcp_index(rtcp, packet, *length);
    if (index < 0)
        return SRTP_FORGED; /* UNENCRYPTED_SRTCP is never negotiated */
    uint32_t ssrc = get32(packet + 4);
    struct source *source = find(&receiver->reports, ssrc);
    if (!source && receiver->reports.count >= MAX_SOURCES)
        return SRTP_MALFORMED;
    if (source && !window_allows(&source->window, index))
        return SRTP_REPLAYED;
    if (!transform_unprotect_rtcp(rtcp, packet, length, (uint32_t)index))
        return SRTP_FORGED;
    if (!source && !(source = adopt(&receiver->reports, ssrc)))
        return SRTP_MALFORMED;
    window_add(&source->window, index);
    return SRTP_OK;
}

int64_t srtp_receiver_index(const struct srtp_receiver *receiver) { return receiver->index; }

int srtp_receiver_began(const struct srtp_receiver *receiver) { return receiver->rtp.count != 0; }

int srtp_receiver_resume(struct srtp_receiver *receiver, uint32_t ssrc, int64_t index)
{
    struct source *source = find(&receiver->rtp, ssrc);
    if (!source && !(source = adopt(&receiver->rtp, ssrc)))
        return 0;
    source->window.newest = -1;
    window_add(&source->window, index);
    receiver->index = index;
    return 1;
}
