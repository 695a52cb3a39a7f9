#include "session.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "rtp.h"

enum { COMFORT_NOISE = 13 }; /* static, RFC 3389: goes through when both legs have an 8 kHz codec */

int session_init(struct session *session, uint64_t *words)
{
    memset(session, 0, sizeof *session);
    if (!words && !(words = session->own_words = calloc(2 * LEG_WORDS, sizeof *words)))
        return 0;
    for (int leg = 0; leg < 2; leg++) {
        leg_init(&session->legs[leg], words + leg * LEG_WORDS);
        numbering_init(&session->directions[leg].numbering, session->legs[leg].words);
        memset(session->directions[leg].types, -1, sizeof session->directions[leg].types);
        session->directions[leg].audio = -1;
    }
    while (session->directions[0].numbering.ssrc == session->directions[1].numbering.ssrc)
        session->directions[1].numbering.ssrc = random32();
    return 1;
}

void session_clear(struct session *session)
{
    leg_clear(&session->legs[0]);
    leg_clear(&session->legs[1]);
    free(session->reporters);
    free(session->own_words);
    memset(session, 0, sizeof *session);
}

static void name_types(struct direction *direction, const struct spec *source, const struct spec *sink)
{
    int8_t *types = direction->types;
    memset(types, -1, sizeof direction->types);
    direction->audio = source->present ? source->payload_type : -1;
    if (!source->present)
        return;
    if (!sink->present) { /* nothing passes, but the source's packets are known as such */
        types[source->payload_type] = (int8_t)source->payload_type;
        if (source->dtmf >= 0)
            types[source->dtmf] = (int8_t)source->dtmf;
        return;
    }
    types[source->payload_type] = (int8_t)sink->payload_type;
    if (source->dtmf >= 0 && sink->dtmf >= 0)
        types[source->dtmf] = (int8_t)sink->dtmf;
    if (source->clock == 8000 && sink->clock == 8000 && types[COMFORT_NOISE] < 0)
        types[COMFORT_NOISE] = COMFORT_NOISE;
}

static void change_key(struct direction *direction, struct leg *sink, const struct master_key *old)
{
    struct numbering *numbering = &direction->numbering;
    if (!same_key(old, send_key(&sink->spec)))
        numbering_forget_late(numbering);
    numbering->ssrc = leg_protect_with(sink, sink->sender ? old : NULL, numbering->ssrc, random32());
}

static void update_direction(struct direction *direction, struct leg *source, struct leg *sink,
                             const struct master_key *old_key)
{
    struct numbering *numbering = &direction->numbering;
    name_types(direction, &source->spec, &sink->spec);
    direction->passes = source->spec.present && sink->spec.present && source->spec.receives && sink->spec.sends;
    direction->opaque = source->spec.opaque && sink->spec.opaque;
    if (sink->spec.present) {
        if (numbering->clock != sink->spec.clock) {
            numbering->clock = sink->spec.clock;
            numbering->join = 1;
        }
        numbering->least_step = (uint32_t)((uint64_t)sink->spec.clock * sink->spec.ptime / 1000);
    }
    change_key(direction, sink, old_key);
}

static int same_place(int has_first, const struct address *first, int has_second, const struct address *second)
{
    return has_first == has_second && (!has_first || address_equal(first, second));
}

/* Whether a peer is somewhere else now. */
static int moved(const struct spec *old, const struct spec *new)
{
    return old->present != new->present || !same_place(old->has_remote, &old->remote, new->has_remote, &new->remote) ||
           !same_place(old->has_rtcp, &old->rtcp, new->has_rtcp, &new->rtcp);
}

int session_update(struct session *session, const struct spec specs[2], double now)
{
    struct leg *legs = session->legs;
    struct spec before[2] = {legs[0].spec, legs[1].spec};
    int done = leg_update(&legs[0], &specs[0], now);
    done &= leg_update(&legs[1], &specs[1], now);
    update_direction(&session->directions[0], &legs[0], &legs[1], send_key(&before[1]));
    update_direction(&session->directions[1], &legs[1], &legs[0], send_key(&before[0]));
    for (int leg = 0; session->reporters && leg < 2; leg++)
        reporter_renegotiated(&session->reporters[leg], moved(&before[leg], &specs[leg]));
    explicit_bzero(before, sizeof before);
    for (int leg = 0; leg < 2; leg++)
        done &= !legs[leg].spec.has_send_key || legs[leg].sender;
    return done;
}

/* Protect what stands at `datagram` and count it as sent. */
static int send_out(struct leg *source, struct leg *sink, struct datagram *datagram, int64_t index)
{
    size_t octets = datagram->length - RTP_HEADER;
    if (sink->spec.has_send_key) {
        if (!sink->sender || !srtp_protect(sink->sender, datagram->data, &datagram->length)) {
            word_add(source->words, MALFORMED, 1);
            return 0;
        }
        index = srtp_sender_index(sink->sender);
    }
    word_add(sink->words, SENT, 1);
    word_add(sink->words, SENT_OCTETS, octets);
    word_set(sink->words, INDEX_OUT, (uint64_t)index);
    datagram->to = &sink->peer;
    return 1;
}

static int forward(struct direction *direction, struct leg *source, struct leg *sink, struct datagram *datagram,
                   const struct address *from)
{
    size_t octets = datagram->length - RTP_HEADER;
    word_add(source->words, RECEIVED, 1);
    word_add(source->words, RECEIVED_OCTETS, octets);
    if (source->unsettled)
        leg_learn(source, from);
    if (!direction->passes || !address_known(&sink->peer))
        return 0;
    word_add(sink->words, SENT, 1);
    word_add(sink->words, SENT_OCTETS, octets);
    datagram->to = &sink->peer;
    return 1;
}

/* RTCP or SRTCP of a session that is not opened, on hold too (RFC 3264 5.1). Its port teaches nothing; its host must be
 * known. */
static int forward_rtcp(struct leg *source, struct leg *sink, struct datagram *datagram, const struct address *from,
                        int muxed)
{
    if (!is_rtcp(datagram->data, datagram->length)) {
        word_add(source->words, MALFORMED, 1);
        return 0;
    }
    if (!address_known(&source->accepts) || !address_same_host(from, &source->accepts)) {
        word_add(source->words, STRANGERS, 1);
        return 0;
    }
    word_add(source->words, RTCP_RECEIVED, 1);
    const struct address *to = muxed ? &sink->peer : leg_rtcp_peer(sink);
    if (!to || !address_known(to))
        return 0;
    word_add(sink->words, RTCP_SENT, 1);
    datagram->to = to;
    return 1;
}

int session_receive(struct session *session, int leg, struct datagram *datagram, const struct address *from, double now)
{
    struct leg *source = &session->legs[leg], *sink = &session->legs[1 - leg];
    struct direction *direction = &session->directions[leg];
    struct numbering *numbering = &direction->numbering;
    uint8_t *packet = datagram->data;
    if (direction->opaque && is_rtcp(packet, datagram->length))
        return forward_rtcp(source, sink, datagram, from, 1);
    if (!leg_open(source, packet, &datagram->length, from, now)) {
        if (source->muxed && is_rtcp(packet, datagram->length))
            session_receive_rtcp(session, leg, datagram, from, now);
        return 0;
    }
    if (direction->opaque)
        return forward(direction, source, sink, datagram, from);
    size_t start, end;
    if (!rtp_payload(packet, datagram->length, &start, &end)) {
        word_add(source->words, MALFORMED, 1);
        return 0;
    }
    uint16_t sequence = get16(packet + 2);
    uint32_t timestamp = get32(packet + 4);
    if (!numbering_take(numbering, get32(packet + 8), sequence))
        return 0;
    int kind = packet[1] & 0x7F, type = direction->types[kind];
    if (type < 0) {
        word_add(source->words, MALFORMED, 1);
        return 0;
    }
    word_add(source->words, RECEIVED, 1);
    word_add(source->words, RECEIVED_OCTETS, end - start);
    if (numbering->fresh) {
        if (source->unsettled || !address_equal(from, &source->peer))
            leg_learn(source, from);
        if (kind == direction->audio)
            numbering_measure(numbering, timestamp, now);
    }
    if (!direction->passes || !address_known(&sink->peer)) {
        numbering->join = 1;
        return 0;
    }
    uint8_t marker = packet[1] & 0x80;
    if (numbering->fresh && numbering->join && kind == direction->audio)
        marker = 0x80; /* a joined stream: resynchronise (RFC 3551 4.1) */
    struct place place = numbering->fresh ? numbering_place(numbering, timestamp, now)
                                          : numbering_place_late(numbering, sequence, timestamp);
    datagram->data = packet + start - RTP_HEADER; /* CSRC list and extension stay behind */
    datagram->length = end - start + RTP_HEADER;
    datagram->data[0] = 0x80;
    datagram->data[1] = (uint8_t)(type | marker);
    put16(datagram->data + 2, (uint32_t)place.index & 0xFFFF);
    put32(datagram->data + 4, place.timestamp);
    put32(datagram->data + 8, numbering->ssrc);
    return send_out(source, sink, datagram, place.index);
}

int session_receive_rtcp(struct session *session, int leg, struct datagram *datagram, const struct address *source,
                         double now)
{
    if (session->directions[leg].opaque)
        return forward_rtcp(&session->legs[leg], &session->legs[1 - leg], datagram, source, 0);
    if (session->reporters)
        reporter_receive(&session->reporters[leg], datagram->data, datagram->length, source, now);
    else
        leg_reject(&session->legs[leg], datagram->data, datagram->length);
    return 0;
}

int session_report_every(struct session *session, double interval, double now, double wall)
{
    struct reporter *reporters = calloc(2, sizeof *reporters);
    if (!reporters)
        return 0;
    for (int leg = 0; leg < 2; leg++)
        reporter_init(&reporters[leg], &session->legs[leg], &session->directions[leg].numbering,
                      &session->directions[1 - leg].numbering, interval, now, wall);
    session->reporters = reporters;
    return 1;
}

size_t session_report(struct session *session, int leg, uint8_t *out, const struct address **to, double now, int last)
{
    if (!session->reporters || session->directions[leg].opaque)
        return 0;
    return reporter_report(&session->reporters[leg], out, to, now, last);
}
