/* Requests and answers are frames: a 32-bit length in network order, then that many octets. The first octet of a request
 * says what it is:
 *
 *   'S'  a new session; no answer
 *   'U'  time (64-bit, ns), an UPDATE message of the seam; no answer
 *   'D'  leg, whether it is the RTCP port, time, address, datagram; the answer is empty, or address and datagram
 *   'C'  the answer is the words of both legs, in network order
 *   'R'  leg, whether what it sends, SSRC, index: go on after that index; no answer
 *   'T'  interval (32-bit, ms), time, time of day (64-bit, ns): terminate RTCP; no answer
 *   'Q'  leg, whether it is the last, time: the answer is empty, or address and report
 *   'K'  suite, label, octets, master key and salt: the answer is the session key derived (RFC 3711 4.3)
 *   'P'  index, suite, master key and salt, packet with a bare header: the answer is the packet protected
 *   'V'  the same for a protected packet: the answer is the clear one, or empty when the tag does not verify
 *   'p', 'v'  the same for RTCP
 *   'N'  a key as in UPDATE, SSRC: a sender and a receiver beside the session; no answer
 *   'O'  packet: the answer is what that sender makes of it, empty when it refuses
 *   'o'  the same for RTCP
 *   'I'  packet: the answer is the verdict of that receiver (one octet) and, when it is good, the clear packet
 *   'i'  the same for RTCP
 *
 * An address is: octets of the literal, the literal, port. */
#include "hook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "seam.h"
#include "session.h"
#include "transform.h"

enum { MAX_FRAME = 8192 };

static struct session session;
static int open_session;
static struct srtp_sender *lone_sender;
static struct srtp_receiver *lone_receiver;

static int read_all(uint8_t *data, size_t length)
{
    while (length) {
        ssize_t count = read(STDIN_FILENO, data, length);
        if (count <= 0)
            return 0;
        data += count;
        length -= (size_t)count;
    }
    return 1;
}

static void answer(const uint8_t *data, size_t length)
{
    static uint8_t frame[4 + MAX_FRAME];
    put32(frame, (uint32_t)length);
    memcpy(frame + 4, data, length);
    for (size_t done = 0; done < length + 4;) {
        ssize_t count = write(STDOUT_FILENO, frame + done, length + 4 - done);
        if (count <= 0)
            exit(1);
        done += (size_t)count;
    }
}

static double read_time(struct reader *reader) { return (double)read_number(reader, 8) * 1e-9; }

static void read_peer(struct reader *reader, struct address *address)
{
    char host[256];
    size_t length = read_number(reader, 1);
    memcpy(host, read_octets(reader, length), length);
    host[length] = 0;
    if (!address_parse(address, host, (uint16_t)read_number(reader, 2)))
        reader->broken = 1;
}

static const char *new_session(void)
{
    if (open_session)
        session_clear(&session);
    open_session = session_init(&session, NULL);
    return open_session ? NULL : "no memory";
}

static const char *update(struct reader *reader)
{
    struct command command;
    double now = read_time(reader);
    const char *failure = command_parse(reader->at, (size_t)(reader->end - reader->at), &command);
    if (failure)
        return failure;
    return session_update(&session, command.specs, now) ? NULL : "no memory for a key";
}

static size_t write_peer(uint8_t *out, const struct address *address)
{
    char host[INET6_ADDRSTRLEN] = "";
    int v6 = address->any.sa_family == AF_INET6;
    inet_ntop(address->any.sa_family, v6 ? (const void *)&address->v6.sin6_addr : &address->v4.sin_addr, host, sizeof host);
    size_t length = strlen(host);
    out[0] = (uint8_t)length;
    memcpy(out + 1, host, length);
    put16(out + 1 + length, ntohs(v6 ? address->v6.sin6_port : address->v4.sin_port));
    return length + 3;
}

static const char *receive(struct reader *reader)
{
    /* On the heap and as long as it must be, so that a sanitizer sees the first octet too far. */
    int leg = (int)read_number(reader, 1) & 1, rtcp = (int)read_number(reader, 1);
    double now = read_time(reader);
    struct address source;
    read_peer(reader, &source);
    size_t length = (size_t)(reader->end - reader->at);
    if (reader->broken || length > MAX_DATAGRAM)
        return "broken datagram";
    uint8_t *data = malloc(length + TAIL_ROOM), out[MAX_FRAME];
    if (!data)
        return "no memory";
    memcpy(data, reader->at, length);
    struct datagram datagram = {data, length, NULL};
    size_t size = 0;
    if ((rtcp ? session_receive_rtcp : session_receive)(&session, leg, &datagram, &source, now)) {
        size = write_peer(out, datagram.to);
        memcpy(out + size, datagram.data, datagram.length);
        size += datagram.length;
    }
    answer(out, size);
    free(data);
    return NULL;
}

static const char *report_every(struct reader *reader)
{
    double interval = (double)read_number(reader, 4) * 1e-3, now = read_time(reader), wall = read_time(reader);
    return session_report_every(&session, interval, now, wall) ? NULL : "no memory";
}

static void report(struct reader *reader)
{
    uint8_t data[MAX_REPORT + TAIL_ROOM], out[MAX_FRAME];
    const struct address *to;
    int leg = (int)read_number(reader, 1) & 1, last = (int)read_number(reader, 1);
    size_t length = session_report(&session, leg, data, &to, read_time(reader), last), size = 0;
    if (length) {
        size = write_peer(out, to);
        memcpy(out + size, data, length);
    }
    answer(out, length ? size + length : 0);
}

static void count(void)
{
    uint8_t out[2 * LEG_WORDS * 8];
    for (int word = 0; word < 2 * LEG_WORDS; word++)
        put64(out + word * 8, session.legs[word / LEG_WORDS].words[word % LEG_WORDS]);
    answer(out, sizeof out);
}

static const char *read_master(struct reader *reader, struct master_key *key)
{
    memset(key, 0, sizeof *key);
    key->suite = (uint8_t)read_number(reader, 1);
    key->lifetime = 1ULL << 48;
    if (key->suite >= SUITES)
        return "unknown suite";
    memcpy(key->master, read_octets(reader, master_length(key->suite)), master_length(key->suite));
    return reader->broken ? "broken key" : NULL;
}

static const char *derive(struct reader *reader)
{
    struct master_key key;
    uint8_t out[32];
    uint8_t label = (uint8_t)read_number(reader, 1);
    size_t octets = read_number(reader, 1);
    const char *failure = read_master(reader, &key);
    if (failure || octets > sizeof out || !transform_derive(&key, label, out, octets))
        return failure ? failure : "not derived";
    answer(out, octets);
    return NULL;
}

static const char *transform(struct reader *reader, enum protocol protocol, int sending)
{
    struct master_key key;
    struct transform made;
    static uint8_t packet[MAX_FRAME + TAIL_ROOM];
    int64_t index = (int64_t)read_number(reader, 8);
    const char *failure = read_master(reader, &key);
    size_t length = (size_t)(reader->end - reader->at);
    if (failure || length < 8 || !transform_init(&made, &key, protocol, sending))
        return failure ? failure : "no transform";
    memcpy(packet, reader->at, length);
    int done;
    if (protocol == PROTOCOL_SRTP)
        done = (sending ? transform_protect : transform_unprotect)(&made, packet, 12, &length, index);
    else
        done = (sending ? transform_protect_rtcp : transform_unprotect_rtcp)(&made, packet, &length, (uint32_t)index);
    answer(packet, done ? length : 0);
    transform_clear(&made);
    return NULL;
}

static const char *new_contexts(struct reader *reader)
{
    struct master_key key;
    spec_read_key(reader, &key);
    uint32_t ssrc = (uint32_t)read_number(reader, 4);
    if (reader->broken)
        return "broken key";
    srtp_sender_free(lone_sender);
    srtp_receiver_free(lone_receiver);
    lone_sender = srtp_sender_new(&key, ssrc);
    lone_receiver = srtp_receiver_new(&key);
    return lone_sender && lone_receiver ? NULL : "no memory";
}

static const char *through_sender(struct reader *reader, int (*protect)(struct srtp_sender *, uint8_t *, size_t *))
{
    size_t length = (size_t)(reader->end - reader->at);
    uint8_t *packet = lone_sender && length >= 12 ? malloc(length + TAIL_ROOM) : NULL;
    if (!packet)
        return "no sender, or no packet";
    memcpy(packet, reader->at, length);
    int done = protect(lone_sender, packet, &length);
    answer(packet, done ? length : 0);
    free(packet);
    return NULL;
}

static const char *through_receiver(struct reader *reader,
                                    enum srtp_verdict (*unprotect)(struct srtp_receiver *, uint8_t *, size_t *))
{
    size_t length = (size_t)(reader->end - reader->at);
    uint8_t *packet = lone_receiver ? malloc(1 + length) : NULL; /* as long as it must be: see `receive` */
    if (!packet)
        return "no receiver, or no memory";
    memcpy(packet + 1, reader->at, length);
    packet[0] = (uint8_t)unprotect(lone_receiver, packet + 1, &length);
    answer(packet, packet[0] == SRTP_OK ? 1 + length : 1);
    free(packet);
    return NULL;
}

static const char *resume(struct reader *reader)
{
    struct leg *leg = &session.legs[read_number(reader, 1) & 1];
    int sending = (int)read_number(reader, 1);
    uint32_t ssrc = (uint32_t)read_number(reader, 4);
    int64_t index = (int64_t)read_number(reader, 8);
    if (reader->broken || (sending ? !leg->sender : !leg->receiver))
        return "nothing to resume";
    if (sending)
        srtp_sender_resume(leg->sender, index);
    else if (!srtp_receiver_resume(leg->receiver, ssrc, index))
        return "no memory";
    return NULL;
}

static const char *serve(struct reader *reader)
{
    switch (read_number(reader, 1)) {
    case 'S':
        return new_session();
    case 'U':
        return open_session ? update(reader) : "no session";
    case 'D':
        return open_session ? receive(reader) : "no session";
    case 'C':
        if (open_session)
            count();
        return open_session ? NULL : "no session";
    case 'R':
        return open_session ? resume(reader) : "no session";
    case 'T':
        return open_session ? report_every(reader) : "no session";
    case 'Q':
        if (open_session)
            report(reader);
        return open_session ? NULL : "no session";
    case 'K':
        return derive(reader);
    case 'P':
        return transform(reader, PROTOCOL_SRTP, 1);
    case 'V':
        return transform(reader, PROTOCOL_SRTP, 0);
    case 'p':
        return transform(reader, PROTOCOL_SRTCP, 1);
    case 'v':
        return transform(reader, PROTOCOL_SRTCP, 0);
    case 'N':
        return new_contexts(reader);
    case 'O':
        return through_sender(reader, srtp_protect);
    case 'o':
        return through_sender(reader, srtcp_protect);
    case 'I':
        return through_receiver(reader, srtp_unprotect);
    case 'i':
        return through_receiver(reader, srtcp_unprotect);
    default:
        return "unknown request";
    }
}

int hook_run(void)
{
    uint8_t head[4];
    const char *failure = NULL;
    while (!failure && read_all(head, sizeof head)) {
        uint32_t length = get32(head);
        uint8_t *frame = length <= MAX_FRAME ? malloc(length + 1) : NULL;
        if (!frame || !read_all(frame, length))
            return 1;
        struct reader reader = {frame, frame + length, 0};
        failure = serve(&reader);
        free(frame);
    }
    if (open_session)
        session_clear(&session);
    srtp_sender_free(lone_sender);
    srtp_receiver_free(lone_receiver);
    if (failure)
        fprintf(stderr, "%s\n", failure);
    return failure != NULL;
}
