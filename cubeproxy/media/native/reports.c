#include "reports.h"

#include <string.h>

#include "board.h"
#include "bytes.h"
#include "rtcp.h"
#include "rtp.h"

static const double COMPENSATION = 1.21828;   /* e - 3/2 (RFC 3550 6.3.1) */
static const double NTP_EPOCH = 2208988800.0; /* s from 1900 to 1970 */
enum { MAX_LOST = 0x7FFFFF };

/* RFC 7022 4.2, as base64 would write twelve random octets. */
static void draw_name(char name[17])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int place = 0; place < 16; place += 4) {
        uint32_t drawn = random32();
        for (int more = 0; more < 4; more++, drawn >>= 6)
            name[place + more] = alphabet[drawn & 63];
    }
    name[16] = 0;
}

static double draw_pause(const struct reporter *reporter)
{
    return reporter->interval * (0.5 + random32() / 4294967296.0) / COMPENSATION;
}

void reporter_init(struct reporter *reporter, struct leg *leg, const struct numbering *inbound,
                   const struct numbering *outbound, double interval, double now, double wall)
{
    memset(reporter, 0, sizeof *reporter);
    reporter->leg = leg;
    reporter->inbound = inbound;
    reporter->outbound = outbound;
    reporter->interval = interval;
    reporter->epoch = wall - now + NTP_EPOCH;
    reporter->next = now + draw_pause(reporter) / 2;
    reporter->ssrc = outbound->ssrc;
    draw_name(reporter->cname);
    leg->reports = 1;
}

void reporter_renegotiated(struct reporter *reporter, int moved)
{
    if (moved)
        memset(&reporter->learnt, 0, sizeof reporter->learnt);
    if (reporter->outbound->ssrc == reporter->ssrc)
        return;
    reporter->ssrc = reporter->outbound->ssrc;
    reporter->packets_before = reporter->leg->words[SENT];
    reporter->octets_before = reporter->leg->words[SENT_OCTETS];
}

/* Where reports go: as learnt, as signalled, or to the port next to that of the packets. NULL for nowhere. */
static const struct address *find_target(struct reporter *reporter)
{
    struct leg *leg = reporter->leg;
    if (!leg->spec.present || !address_known(&leg->peer))
        return NULL;
    if (leg->muxed)
        return &leg->peer;
    return address_known(&reporter->learnt) ? &reporter->learnt : leg_rtcp_peer(leg);
}

/* Whether a clear leg's peer reports from there; behind a NAT (`latch`) its port is not known beforehand. */
static int expected(struct reporter *reporter, const struct address *source)
{
    const struct leg *leg = reporter->leg;
    const struct address *target = find_target(reporter);
    if (target && address_equal(source, target))
        return 1;
    if (leg->spec.present && leg->spec.latch && !leg->unsettled && address_known(&leg->peer) &&
        address_same_host(source, &leg->peer)) {
        reporter->learnt = *source;
        return 1;
    }
    word_add(leg->words, STRANGERS, 1);
    return 0;
}

/* Whether a datagram is to be believed; then it is a clear compound of `*length` octets. */
static int open_report(struct reporter *reporter, uint8_t *datagram, size_t *length, const struct address *source, double now)
{
    struct leg *leg = reporter->leg;
    if (!leg->spec.has_receive_key)
        return expected(reporter, source);
    switch (leg_open_rtcp(leg, datagram, length, now)) {
    case SRTP_OK:
        break;
    case SRTP_REPLAYED:
        word_add(leg->words, REPLAYS, 1);
        return 0;
    default:
        word_add(leg->words, AUTH_FAILURES, 1);
        return 0;
    }
    const struct address *target = find_target(reporter);
    if (!target || !address_equal(source, target))
        reporter->learnt = *source;
    return 1;
}

static uint64_t ntp_time(const struct reporter *reporter, double now)
{
    return (uint64_t)((now + reporter->epoch) * 4294967296.0);
}

static void read_sender(struct reporter *reporter, const uint8_t *body, double now)
{
    uint32_t source = get32(body);
    if (reporter->inbound->known && source != reporter->inbound->source)
        return;
    reporter->has_sr = 1;
    reporter->sr_source = source;
    reporter->sr_middle = (uint32_t)(get64(body + 4) >> 16);
    reporter->sr_at = now;
}

/* What the peer says of what we send. */
static void read_block(struct reporter *reporter, const uint8_t *block, double now)
{
    uint64_t *words = reporter->leg->words;
    if (get32(block) != reporter->outbound->ssrc)
        return;
    uint32_t lost = get32(block + 4) & 0xFFFFFF, last_sr = get32(block + 16);
    word_set(words, PEER_LOST, lost > MAX_LOST ? 0 : lost);
    word_set(words, PEER_JITTER, get32(block + 12));
    if (!last_sr)
        return;
    uint32_t round_trip = (uint32_t)(ntp_time(reporter, now) >> 16) - last_sr - get32(block + 20);
    if (round_trip < 0x80000000) /* a clock that the peer rounds may give a little less than nothing */
        word_set(words, ROUND_TRIP, round_trip);
}

static void read_goodbye(struct reporter *reporter, const struct rtcp_packet *packet)
{
    for (int entry = 0; entry < packet->entries; entry++)
        if (get32(packet->body + entry * 4) == reporter->sr_source)
            reporter->has_sr = 0;
}

void reporter_receive(struct reporter *reporter, uint8_t *datagram, size_t length, const struct address *source, double now)
{
    struct leg *leg = reporter->leg;
    if (!is_rtcp(datagram, length)) {
        word_add(leg->words, MALFORMED, 1);
        return;
    }
    if (!open_report(reporter, datagram, &length, source, now))
        return;
    if (!rtcp_fits(datagram, length)) {
        word_add(leg->words, MALFORMED, 1);
        return;
    }
    word_add(leg->words, RTCP_RECEIVED, 1);
    struct rtcp_packet packet;
    for (size_t place = 0; rtcp_next(datagram, length, &place, &packet);) {
        if (packet.kind == SENDER_REPORT)
            read_sender(reporter, packet.body, now);
        if (packet.kind == SENDER_REPORT || packet.kind == RECEIVER_REPORT)
            for (int entry = 0; entry < packet.entries; entry++)
                read_block(reporter, rtcp_blocks(&packet) + entry * REPORT_BLOCK, now);
        else if (packet.kind == GOODBYE)
            read_goodbye(reporter, &packet);
    }
}

/* --- what we tell */

/* What became of the peer's packets: a block at `out`, or none when nothing came since the last report. */
static size_t write_block(struct reporter *reporter, uint8_t *out, double now)
{
    const uint64_t *words = reporter->leg->words;
    const struct numbering *numbers = reporter->inbound;
    uint64_t received = reporter->received;
    reporter->received = words[RECEIVED];
    if (!numbers->known || words[RECEIVED] == received)
        return 0;
    int64_t highest = numbers->highest - 0x10000;
    uint64_t lost = words[LOST] > numbers->lost_before ? words[LOST] - numbers->lost_before : 0;
    if (!reporter->has_told || reporter->about != numbers->source || reporter->about_first != numbers->first) {
        reporter->told = numbers->first - 0x10001;
        reporter->missed = 0;
    }
    int64_t due = highest - reporter->told;
    uint64_t missing = lost > reporter->missed ? lost - reporter->missed : 0;
    uint64_t fraction = due > 0 ? missing * 256 / (uint64_t)due : 0;
    int answers = reporter->has_sr && reporter->sr_source == numbers->source;
    reporter->has_told = 1;
    reporter->about = numbers->source;
    reporter->about_first = numbers->first;
    reporter->told = highest;
    reporter->missed = lost;
    put32(out, numbers->source);
    put32(out + 4, (uint32_t)(lost > MAX_LOST ? MAX_LOST : lost));
    out[4] = (uint8_t)(fraction > 255 ? 255 : fraction);
    put32(out + 8, (uint32_t)highest);
    put32(out + 12, (uint32_t)(words[JITTER] >> 4));
    put32(out + 16, answers ? reporter->sr_middle : 0);
    put32(out + 20, answers ? (uint32_t)((now - reporter->sr_at) * 65536) : 0);
    return REPORT_BLOCK;
}

/* Type, entries and length of a packet whose `octets` begin at `out`. */
static uint8_t *finish_packet(uint8_t *out, int kind, int entries, size_t octets)
{
    out[0] = (uint8_t)(0x80 | entries);
    out[1] = (uint8_t)kind;
    put16(out + 2, (uint32_t)(octets / 4 - 1));
    return out + octets;
}

static uint8_t *write_report(struct reporter *reporter, uint8_t *out, double now)
{
    const uint64_t *words = reporter->leg->words;
    const struct numbering *numbers = reporter->outbound;
    uint64_t sent = words[SENT], earlier = reporter->sent[1];
    int sender = sent != earlier && sent != reporter->packets_before;
    size_t head = sender ? 4 + SENDER_INFO : 8, block = write_block(reporter, out + head, now);
    reporter->sent[1] = reporter->sent[0];
    reporter->sent[0] = sent;
    put32(out + 4, reporter->ssrc);
    if (sender) {
        put64(out + 8, ntp_time(reporter, now));
        put32(out + 16, numbers->timestamp + (uint32_t)(uint64_t)((now - numbers->sent_at) * numbers->clock));
        put32(out + 20, (uint32_t)(sent - reporter->packets_before));
        put32(out + 24, (uint32_t)(words[SENT_OCTETS] - reporter->octets_before));
    }
    return finish_packet(out, sender ? SENDER_REPORT : RECEIVER_REPORT, block != 0, head + block);
}

static uint8_t *write_name(const struct reporter *reporter, uint8_t *out)
{
    size_t length = strlen(reporter->cname), octets = (8 + 2 + length) / 4 * 4 + 4; /* a zero at least ends the items */
    memset(out, 0, octets);
    put32(out + 4, reporter->ssrc);
    out[8] = 1; /* CNAME */
    out[9] = (uint8_t)length;
    memcpy(out + 10, reporter->cname, length);
    return finish_packet(out, SOURCE_DESCRIPTION, 1, octets);
}

size_t reporter_report(struct reporter *reporter, uint8_t *out, const struct address **to, double now, int last)
{
    struct leg *leg = reporter->leg;
    if (now < reporter->next && !last)
        return 0;
    reporter->next = now + draw_pause(reporter);
    *to = find_target(reporter);
    if (!*to || !(leg->words[SENT] || leg->words[RECEIVED]))
        return 0;
    uint8_t *end = write_name(reporter, write_report(reporter, out, now));
    if (last) {
        put32(end + 4, reporter->ssrc);
        end = finish_packet(end, GOODBYE, 1, 8);
    }
    size_t length = (size_t)(end - out);
    if (leg->spec.has_send_key && !(leg->sender && srtcp_protect(leg->sender, out, &length)))
        return 0;
    word_add(leg->words, RTCP_SENT, 1);
    return length;
}
