/* Who may send which index, and which of the packets that arrive are new: the state around `transform`. */
#include "srtp.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "rtp.h"
#include "transform.h"
#include "window.h"

struct srtp_sender {
    struct transform transform;
    struct window window; /* a second line of defence: no index is ever sent twice */
    uint64_t left;        /* packets that the key may still protect */
    uint32_t ssrc;
};

struct source {
    uint32_t ssrc;
    struct window window;
};

struct srtp_receiver {
    struct transform transform;
    struct source *sources;
    int count;
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

struct srtp_sender *srtp_sender_new(const struct master_key *key, uint32_t ssrc)
{
    struct srtp_sender *sender = calloc(1, sizeof *sender);
    if (sender && !transform_init(&sender->transform, key, 1)) {
        free(sender);
        return NULL;
    }
    if (sender) {
        sender->window.newest = -1;
        sender->left = key->lifetime;
        sender->ssrc = ssrc;
    }
    return sender;
}

void srtp_sender_free(struct srtp_sender *sender)
{
    if (sender) {
        transform_clear(&sender->transform);
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

struct srtp_receiver *srtp_receiver_new(const struct master_key *key)
{
    struct srtp_receiver *receiver = calloc(1, sizeof *receiver);
    if (receiver && !transform_init(&receiver->transform, key, 0)) {
        free(receiver);
        return NULL;
    }
    return receiver;
}

void srtp_receiver_free(struct srtp_receiver *receiver)
{
    if (receiver) {
        transform_clear(&receiver->transform);
        free(receiver->sources);
        free(receiver);
    }
}

static struct source *find(struct srtp_receiver *receiver, uint32_t ssrc)
{
    for (int place = 0; place < receiver->count; place++)
        if (receiver->sources[place].ssrc == ssrc)
            return &receiver->sources[place];
    return NULL;
}

static struct source *adopt(struct srtp_receiver *receiver, uint32_t ssrc)
{
    size_t count = (size_t)receiver->count + 1;
    struct source *sources = realloc(receiver->sources, count * sizeof *sources);
    if (!sources)
        return NULL;
    receiver->sources = sources;
    receiver->count = (int)count;
    sources[count - 1].ssrc = ssrc;
    sources[count - 1].window.newest = -1;
    return &sources[count - 1];
}

enum srtp_verdict srtp_unprotect(struct srtp_receiver *receiver, uint8_t *packet, size_t *length)
{
    struct transform *transform = &receiver->transform;
    size_t trailer = (size_t)transform->tag + transform->mki_length;
    if (*length < RTP_HEADER + trailer || *length > MAX_PROTECTED + (size_t)transform->mki_length)
        return SRTP_MALFORMED;
    size_t start = rtp_header_length(packet, *length - trailer);
    if (!start)
        return SRTP_MALFORMED;
    uint32_t ssrc = get32(packet + 8);
    struct source *source = find(receiver, ssrc);
    if (!source && receiver->count >= MAX_SOURCES)
        return SRTP_MALFORMED;
    int64_t index = source ? window_estimate(&source->window, get16(packet + 2)) : get16(packet + 2);
    if (source && !window_allows(&source->window, index))
        return SRTP_REPLAYED;
    if (!transform_unprotect(transform, packet, start, length, index))
        return SRTP_FORGED;
    if (!source && !(source = adopt(receiver, ssrc)))
        return SRTP_MALFORMED;
    window_add(&source->window, index);
    receiver->index = source->window.newest;
    return SRTP_OK;
}

int64_t srtp_receiver_index(const struct srtp_receiver *receiver) { return receiver->index; }

int srtp_receiver_resume(struct srtp_receiver *receiver, uint32_t ssrc, int64_t index)
{
    struct source *source = find(receiver, ssrc);
    if (!source && !(source = adopt(receiver, ssrc)))
        return 0;
    source->window.newest = -1;
    window_add(&source->window, index);
    receiver->index = index;
    return 1;
}
