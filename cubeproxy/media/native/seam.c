#include "seam.h"

#include <string.h>

#include "bytes.h"

const char *command_parse(const uint8_t *data, size_t length, struct command *command)
{
    struct reader reader = {data, data + length, 0};
    memset(command, 0, sizeof *command);
    if (read_number(&reader, 1) != SEAM_VERSION)
        return "another version of the media seam";
    command->kind = (enum kind)read_number(&reader, 1);
    switch (command->kind) {
    case HELLO:
        command->lease = (uint32_t)read_number(&reader, 4);
        command->idle = (uint32_t)read_number(&reader, 4);
        break;
    case OPEN:
        command->session = read_number(&reader, 8);
        command->slot = (uint32_t)read_number(&reader, 4);
        read_number(&reader, 4); /* address families: the sockets know theirs */
        break;
    case UPDATE:
        command->session = read_number(&reader, 8);
        if (!spec_read(&reader, &command->specs[0]) || !spec_read(&reader, &command->specs[1]))
            return "broken stream on the media seam";
        break;
    case CLOSE:
        command->session = read_number(&reader, 8);
        break;
    case RENEW:
        command->number = (uint32_t)read_number(&reader, 4);
        break;
    case REPORTS:
        command->interval = (uint32_t)read_number(&reader, 4);
        break;
    case SHUTDOWN:
        break;
    default:
        return "unknown kind on the media seam";
    }
    return reader.broken || reader.at != reader.end ? "broken message on the media seam" : NULL;
}

size_t beat_build(uint8_t *data, uint32_t number, uint32_t sessions)
{
    data[0] = SEAM_VERSION;
    data[1] = BEAT;
    put32(data + 2, number);
    put32(data + 6, sessions);
    return 10;
}

size_t fault_build(uint8_t *data, size_t size, const char *text)
{
    size_t length = strnlen(text, size - 2);
    data[0] = SEAM_VERSION;
    data[1] = FAULT;
    memcpy(data + 2, text, length);
    return 2 + length;
}
