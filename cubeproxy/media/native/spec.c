#include "spec.h"

#include <string.h>

enum {
    PRESENT = 1 << 0,
    SENDS = 1 << 1,
    RECEIVES = 1 << 2,
    LATCH = 1 << 3,
    SEND_KEY = 1 << 4,
    RECEIVE_KEY = 1 << 5,
    REMOTE = 1 << 6,
    RTCP = 1 << 7,
    DTMF = 1 << 8,
    JOINS = 1 << 9,
};

const uint8_t *read_octets(struct reader *reader, size_t count)
{
    static const uint8_t zeros[256];
    if (reader->broken || (size_t)(reader->end - reader->at) < count) {
        reader->broken = 1;
        return count <= sizeof zeros ? zeros : NULL;
    }
    reader->at += count;
    return reader->at - count;
}

uint64_t read_number(struct reader *reader, int octets)
{
    const uint8_t *data = read_octets(reader, (size_t)octets);
    uint64_t value = 0;
    for (int place = 0; place < octets; place++)
        value = value << 8 | data[place];
    return value;
}

static void read_address(struct reader *reader, struct address *address)
{
    char host[256];
    size_t length = read_number(reader, 1);
    memcpy(host, read_octets(reader, length), length);
    host[length] = 0;
    uint16_t port = (uint16_t)read_number(reader, 2);
    if (!address_parse(address, host, port))
        reader->broken = 1;
}

void spec_read_key(struct reader *reader, struct master_key *key)
{
    key->suite = (uint8_t)read_number(reader, 1);
    key->mki_length = (uint8_t)read_number(reader, 1);
    key->lifetime = read_number(reader, 8);
    if (!key->lifetime)
        key->lifetime = 1ULL << 48;
    if (key->suite >= SUITES || key->mki_length > MAX_MKI) {
        reader->broken = 1;
        key->suite = key->mki_length = 0;
    }
    memcpy(key->mki, read_octets(reader, key->mki_length), key->mki_length);
    memcpy(key->master, read_octets(reader, master_length(key->suite)), master_length(key->suite));
}

static const char PASS_THROUGH[] = "pass-through";

int spec_read(struct reader *reader, struct spec *spec)
{
    memset(spec, 0, sizeof *spec);
    unsigned flags = (unsigned)read_number(reader, 2);
    spec->payload_type = (uint8_t)read_number(reader, 1);
    spec->dtmf = (int16_t)read_number(reader, 1);
    spec->ptime = (uint16_t)read_number(reader, 2);
    spec->clock = (uint32_t)read_number(reader, 4);
    read_number(reader, 1); /* channels: both legs carry the same codec */
    if (!(flags & PRESENT))
        return !reader->broken;
    spec->present = 1;
    spec->sends = (flags & SENDS) != 0;
    spec->receives = (flags & RECEIVES) != 0;
    spec->latch = (flags & LATCH) != 0;
    spec->joins = (flags & JOINS) != 0;
    spec->has_remote = (flags & REMOTE) != 0;
    spec->has_send_key = (flags & SEND_KEY) != 0;
    spec->has_receive_key = (flags & RECEIVE_KEY) != 0;
    if (!(flags & DTMF))
        spec->dtmf = -1;
    if (spec->payload_type > 127 || spec->dtmf > 127)
        reader->broken = 1;
    size_t length = read_number(reader, 1);
    const uint8_t *name = read_octets(reader, length);
    spec->opaque = length == sizeof PASS_THROUGH - 1 && !memcmp(name, PASS_THROUGH, length);
    spec->has_rtcp = (flags & RTCP) != 0;
    if (spec->has_remote)
        read_address(reader, &spec->remote);
    if (spec->has_rtcp)
        read_address(reader, &spec->rtcp);
    if (spec->has_send_key)
        spec_read_key(reader, &spec->send_key);
    if (spec->has_receive_key)
        spec_read_key(reader, &spec->receive_key);
    return !reader->broken;
}
