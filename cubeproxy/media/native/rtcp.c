#include "rtcp.h"

#include "bytes.h"

enum { CNAME = 1 };

/* 1 for a packet, 0 at the end, -1 for what is none. */
static int read_packet(const uint8_t *data, size_t length, size_t *place, struct rtcp_packet *packet)
{
    size_t left = length - *place;
    const uint8_t *head = data + *place;
    if (!left)
        return 0;
    if (left < 8 || (head[0] & 0xC0) != 0x80 || head[1] < 192 || head[1] > 223)
        return -1;
    size_t octets = (size_t)get16(head + 2) * 4;
    if (!octets || 4 + octets > left)
        return -1;
    *packet = (struct rtcp_packet){head + 4, octets, head[1], head[0] & 0x1F};
    if (head[0] & 0x20) { /* only the last packet may be padded */
        size_t padding = head[3 + octets];
        if (4 + octets != left || !padding || padding % 4 || padding > octets - 4)
            return -1;
        packet->length -= padding;
    }
    *place += 4 + octets;
    return 1;
}

/* The items of the first chunk up to a CNAME; what comes behind it is not read. */
static int description_fits(const struct rtcp_packet *packet)
{
    for (size_t place = 4; place < packet->length && packet->body[place];) {
        if (place + 2 > packet->length || place + 2 + packet->body[place + 1] > packet->length)
            return 0;
        if (packet->body[place] == CNAME)
            return 1;
        place += 2 + (size_t)packet->body[place + 1];
    }
    return 1;
}

static int body_fits(const struct rtcp_packet *packet)
{
    switch (packet->kind) {
    case SENDER_REPORT:
        return packet->length >= SENDER_INFO + (size_t)packet->entries * REPORT_BLOCK;
    case RECEIVER_REPORT:
        return packet->length >= 4 + (size_t)packet->entries * REPORT_BLOCK;
    case SOURCE_DESCRIPTION:
        return !packet->entries || description_fits(packet);
    case GOODBYE:
        return packet->length >= (size_t)packet->entries * 4;
    default:
        return 1;
    }
}

int rtcp_fits(const uint8_t *data, size_t length)
{
    struct rtcp_packet packet;
    size_t place = 0;
    int more, first = 1;
    while ((more = read_packet(data, length, &place, &packet)) > 0) {
        if ((first && packet.kind != SENDER_REPORT && packet.kind != RECEIVER_REPORT) || !body_fits(&packet))
            return 0;
        first = 0;
    }
    return !more && !first;
}

int rtcp_next(const uint8_t *data, size_t length, size_t *place, struct rtcp_packet *packet)
{
    return read_packet(data, length, place, packet) > 0;
}
