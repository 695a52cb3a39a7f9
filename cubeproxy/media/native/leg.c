#include "leg.h"

#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "rtp.h"

static const double OVERLAP = 2.0;        /* s that a replaced key still verifies */
static const double RESTART_WINDOW = 5.0; /* s after an update in which a peer may set its rollover counter back to 0 */
static const double RESTART_SILENCE = 0.2; /* s without a verified packet before that is tried */
static const double RESTART_PAUSE = 0.02;  /* s between two tries, whatever is sprayed at us */
static const double SEARCH_PAUSE = 0.02;   /* s between two searches */
enum { JOINED = 64, SEARCHES = 3000 }; /* counters that are tried where a stream is joined late; searches under one key */
enum { MAX_USED = 64 }; /* keys remembered; beyond, every change of key takes a fresh SSRC */

void leg_init(struct leg *leg, uint64_t *words)
{
    memset(leg, 0, sizeof *leg);
    leg->words = words;
}

void leg_clear(struct leg *leg)
{
    srtp_receiver_free(leg->receiver);
    srtp_receiver_free(leg->old);
    srtp_receiver_free(leg->rival);
    srtp_sender_free(leg->sender);
    if (leg->used.keys)
        explicit_bzero(leg->used.keys, leg->used.count * sizeof *leg->used.keys);
    free(leg->used.keys);
    explicit_bzero(leg, sizeof *leg);
}

/* Begin to look for the peer's counter under a new key. */
static void search_anew(struct leg *leg)
{
    struct search *search = &leg->search;
    memset(search, 0, sizeof *search);
    search->joins = leg->spec.joins;
    if (leg->old && srtp_receiver_began(leg->old)) {
        int kept = (int)(srtp_receiver_index(leg->old) >> 16);
        search->first = kept > 0 ? kept - 1 : 0;
        search->end = kept + 2;
    }
    if (search->joins) {
        search->first = 0;
        search->end = search->end > JOINED ? search->end : JOINED;
    }
    search->left = search->end ? SEARCHES : 0;
}

static int verify_with(struct leg *leg, const struct master_key *old, const struct master_key *new, double now)
{
    if (same_key(old, new)) {
        if (leg->receiver)
            leg->restart_until = now + RESTART_WINDOW;
        return 1;
    }
    struct srtp_receiver *back =
        leg->old && new && now < leg->old_until && same_key(&leg->old_key, new) ? leg->old : NULL;
    if (leg->receiver) {
        if (!back)
            srtp_receiver_free(leg->old);
        leg->old = leg->receiver;
        leg->old_key = *old;
        leg->old_until = now + OVERLAP;
    } else if (back) {
        leg->old = NULL;
    }
    srtp_receiver_free(leg->rival);
    leg->rival = NULL;
    leg->receiver = back;
    search_anew(leg);
    return !new || back || (leg->receiver = srtp_receiver_new(new)) != NULL;
}

static int same_remote(const struct spec *first, const struct spec *second)
{
    return first->has_remote == second->has_remote &&
           (!first->has_remote || address_equal(&first->remote, &second->remote));
}

int leg_update(struct leg *leg, const struct spec *spec, double now)
{
    struct spec old = leg->spec;
    leg->spec = *spec;
    if (!spec->present || !old.present || !same_remote(spec, &old) || !address_known(&leg->peer)) {
        memset(&leg->peer, 0, sizeof leg->peer);
        if (spec->present && spec->has_remote && address_sendable(&spec->remote))
            leg->peer = spec->remote;
        leg->accepts = leg->peer;
        leg->unsettled = spec->present && spec->latch;
    } else if (spec->latch != old.latch) {
        leg->unsettled = spec->latch;
    }
    leg->muxed = leg->reports && spec->present && spec->has_remote && spec->has_rtcp &&
                 address_equal(&spec->rtcp, &spec->remote);
    int done = verify_with(leg, receive_key(&old), receive_key(spec), now);
    if (spec->opaque) { /* what comes now is for somebody else to open */
        srtp_receiver_free(leg->old);
        leg->old = NULL;
    }
    explicit_bzero(&old, sizeof old);
    return done;
}

/* Whether the key protected something of ours before; it counts as used from now on. */
static int use_key(struct used_keys *used, const struct master_key *key)
{
    for (unsigned place = 0; place < used->count; place++)
        if (used->keys[place].suite == key->suite &&
            !memcmp(used->keys[place].master, key->master, master_length(key->suite)))
            return 1;
    if (used->count >= MAX_USED)
        return 1;
    struct used_key *keys = realloc(used->keys, (used->count + 1) * sizeof *keys);
    if (!keys)
        return 1;
    used->keys = keys;
    keys[used->count].suite = key->suite;
    memcpy(keys[used->count].master, key->master, sizeof key->master);
    used->count++;
    return 0;
}

uint32_t leg_protect_with(struct leg *leg, const struct master_key *old, uint32_t ssrc, uint32_t fresh_ssrc)
{
    const struct master_key *new = send_key(&leg->spec);
    if (new && leg->sender && same_key(old, new))
        return ssrc;
    if (leg->sender)
        leg->rtcp_index = srtcp_sender_index(leg->sender);
    srtp_sender_free(leg->sender);
    leg->sender = NULL;
    if (new) {
        if (use_key(&leg->used, new))
            ssrc = fresh_ssrc;
        leg->sender = srtp_sender_new(new, ssrc);
        if (leg->sender)
            srtcp_sender_resume(leg->sender, leg->rtcp_index);
    }
    return ssrc;
}

const struct address *leg_rtcp_peer(struct leg *leg)
{
    const struct spec *spec = &leg->spec;
    if (!spec->present || !address_known(&leg->peer))
        return NULL;
    if (spec->has_rtcp && spec->has_remote && address_equal(&leg->peer, &spec->remote))
        return address_sendable(&spec->rtcp) ? &spec->rtcp : NULL;
    leg->next = leg->peer;
    in_port_t *port = leg->next.any.sa_family == AF_INET6 ? &leg->next.v6.sin6_port : &leg->next.v4.sin_port;
    *port = htons((uint16_t)(ntohs(*port) + 1));
    return *port ? &leg->next : NULL;
}

void leg_reject(struct leg *leg, const uint8_t *datagram, size_t length)
{
    if (!is_rtcp(datagram, length))
        word_add(leg->words, MALFORMED, 1);
    else if (!leg->muxed)
        word_add(leg->words, RTCP_DROPPED, 1);
}

enum srtp_verdict leg_open_rtcp(struct leg *leg, uint8_t *datagram, size_t *length, double now)
{
    if (!leg->receiver)
        return SRTP_MALFORMED;
    enum srtp_verdict verdict = srtcp_unprotect(leg->receiver, datagram, length);
    if (verdict == SRTP_FORGED && leg->old && now < leg->old_until)
        return srtcp_unprotect(leg->old, datagram, length);
    return verdict;
}

static int verifies(struct srtp_receiver *receiver, uint8_t *datagram, size_t *length)
{
    return receiver && srtp_unprotect(receiver, datagram, length) == SRTP_OK;
}

static int open_clear(struct leg *leg, uint8_t *datagram, size_t *length, const struct address *source, double now)
{
    if (!leg->unsettled && !(address_known(&leg->accepts) && address_equal(source, &leg->accepts))) {
        word_add(leg->words, STRANGERS, 1);
        return 0;
    }
    if (leg->old && now < leg->old_until && verifies(leg->old, datagram, length))
        return 1; /* was on its way when the leg became clear */
    if (*length > MAX_CLEAR) {
        word_add(leg->words, MALFORMED, 1);
        return 0;
    }
    return 1;
}

/* Whether the packet verifies with the same key at rollover 0: some peers reset the counter over a re-INVITE that keeps
 * the key. It also makes packets from the call's beginning acceptable again, so it is tried only just after an
 * update, only once the first 65536 packets are over, and only while the peer is silent otherwise. The context
 * before is kept: if the peer is still there, its next packet brings it back. */
static int try_restart(struct leg *leg, uint8_t *datagram, size_t *length, double now)
{
    if (!leg->receiver || !leg->spec.has_receive_key || srtp_receiver_index(leg->receiver) < 0x10000)
        return 0;
    leg->verified_at = now - RESTART_SILENCE + RESTART_PAUSE;
    struct srtp_receiver *trial = srtp_receiver_new(&leg->spec.receive_key);
    if (!verifies(trial, datagram, length)) {
        srtp_receiver_free(trial);
        return 0;
    }
    srtp_receiver_free(leg->rival);
    leg->rival = leg->receiver;
    leg->receiver = trial;
    leg->verified_at = now;
    return 1;
}

/* Whether the packet verifies under the context that a restart displaced: then there was no restart. */
static int return_rival(struct leg *leg, uint8_t *datagram, size_t *length)
{
    if (!verifies(leg->rival, datagram, length))
        return 0;
    srtp_receiver_free(leg->receiver);
    leg->receiver = leg->rival;
    leg->rival = NULL;
    return 1;
}

/* The packet at another rollover counter than the one that we expect. */
static int find_counter(struct leg *leg, uint8_t *datagram, size_t *length, const struct address *source, double now)
{
    struct search *search = &leg->search;
    if (!search->left || now < search->at || !leg->receiver)
        return 0;
    if (search->joins ? !(address_known(&leg->peer) && address_equal(source, &leg->peer))
                      : srtp_receiver_began(leg->receiver))
        return 0;
    search->left--;
    search->at = now + SEARCH_PAUSE;
    if (srtp_search(leg->receiver, datagram, length, search->first, search->end) != SRTP_OK)
        return 0;
    leg->verified_at = now;
    word_set(leg->words, INDEX_IN, (uint64_t)srtp_receiver_index(leg->receiver));
    return 1;
}

/* A tag that did not verify: the key before, a rollover counter that we do not know, or one set back. */
static int second_look(struct leg *leg, uint8_t *datagram, size_t *length, const struct address *source, double now)
{
    if (return_rival(leg, datagram, length))
        return 1;
    if (now < leg->old_until && verifies(leg->old, datagram, length))
        return 1;
    if (find_counter(leg, datagram, length, source, now))
        return 1;
    if (now < leg->restart_until && now - leg->verified_at > RESTART_SILENCE && try_restart(leg, datagram, length, now))
        return 1;
    word_add(leg->words, AUTH_FAILURES, 1);
    return 0;
}

int leg_open(struct leg *leg, uint8_t *datagram, size_t *length, const struct address *source, double now)
{
    if (!is_rtp(datagram, *length)) {
        leg_reject(leg, datagram, *length);
        return 0;
    }
    if (!leg->spec.has_receive_key)
        return open_clear(leg, datagram, length, source, now);
    if (!leg->receiver) { /* no memory for it when the key came */
        word_add(leg->words, MALFORMED, 1);
        return 0;
    }
    switch (srtp_unprotect(leg->receiver, datagram, length)) {
    case SRTP_OK:
        leg->verified_at = now;
        word_set(leg->words, INDEX_IN, (uint64_t)srtp_receiver_index(leg->receiver));
        return 1;
    case SRTP_REPLAYED:
        if (return_rival(leg, datagram, length) || find_counter(leg, datagram, length, source, now))
            return 1;
        word_add(leg->words, REPLAYS, 1);
        return 0;
    case SRTP_FORGED:
        return second_look(leg, datagram, length, source, now);
    default:
        word_add(leg->words, MALFORMED, 1);
        return 0;
    }
}

void leg_learn(struct leg *leg, const struct address *source)
{
    if (leg->receiver) {
        leg->peer = *source;
    } else if (leg->unsettled) {
        leg->peer = leg->accepts = *source;
        leg->unsettled = 0;
    }
}
