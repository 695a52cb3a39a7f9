/* The seam's messages: version, kind, fields in network order (cubeproxy/media/commands.py). */
#ifndef CUBEPROXY_SEAM_H
#define CUBEPROXY_SEAM_H

#include <stddef.h>
#include <stdint.h>

#include "spec.h"

enum { SEAM_VERSION = 1, MAX_MESSAGE = 4096, MAX_DESCRIPTORS = 4 };
enum kind { HELLO = 1, OPEN, UPDATE, CLOSE, RENEW, SHUTDOWN, REPORTS, BEAT = 16, FAULT = 17 };

struct command {
    enum kind kind;
    uint64_t session;
    uint32_t slot;          /* OPEN */
    uint32_t lease, idle;   /* HELLO, ms */
    uint32_t number;        /* RENEW */
    uint32_t interval;      /* REPORTS, ms */
    struct spec specs[2];   /* UPDATE */
};

/* NULL, or what is wrong with the message. */
const char *command_parse(const uint8_t *data, size_t length, struct command *command);

size_t beat_build(uint8_t *data, uint32_t number, uint32_t sessions);
size_t fault_build(uint8_t *data, size_t size, const char *text);

#endif
