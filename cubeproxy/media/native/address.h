/* An IPv4 or IPv6 address with its port, as the kernel wants it. */
#ifndef CUBEPROXY_ADDRESS_H
#define CUBEPROXY_ADDRESS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

struct address { /* all zeros: none */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

static inline int address_known(const struct address *address) { return address->any.sa_family != AF_UNSPEC; }

static inline socklen_t address_length(const struct address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

/* Flow label and scope are no part of who somebody is. */
static inline int address_equal(const struct address *first, const struct address *second)
{
    if (first->any.sa_family != second->any.sa_family)
        return 0;
    if (first->any.sa_family == AF_INET)
        return first->v4.sin_port == second->v4.sin_port && first->v4.sin_addr.s_addr == second->v4.sin_addr.s_addr;
    return first->v6.sin6_port == second->v6.sin6_port &&
           !memcmp(&first->v6.sin6_addr, &second->v6.sin6_addr, sizeof first->v6.sin6_addr);
}

static inline int address_same_host(const struct address *first, const struct address *second)
{
    struct address other = *second;
    if (first->any.sa_family == AF_INET6)
        other.v6.sin6_port = first->v6.sin6_port;
    else
        other.v4.sin_port = first->v4.sin_port;
    return address_equal(first, &other);
}

/* A literal as signalling writes it; false for anything else. */
static inline int address_parse(struct address *address, const char *host, uint16_t port)
{
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, host, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons(port);
        return 1;
    }
    if (inet_pton(AF_INET6, host, &address->v6.sin6_addr) != 1)
        return 0;
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = htons(port);
    return 1;
}

/* Hold as RFC 2543 spelt it, or port 0: nothing can be sent there. */
static inline int address_sendable(const struct address *address)
{
    static const struct in6_addr nowhere;
    if (address->any.sa_family == AF_INET)
        return address->v4.sin_port != 0 && address->v4.sin_addr.s_addr != 0;
    return address->any.sa_family == AF_INET6 && address->v6.sin6_port != 0 &&
           memcmp(&address->v6.sin6_addr, &nowhere, sizeof nowhere) != 0;
}

#endif
