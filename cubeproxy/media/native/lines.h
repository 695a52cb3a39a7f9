/* Lines: a second socket on a leg's RTP port, connected to where the leg's packets go.
 *
 * The kernel looks up route and source address once for a connected socket, and for an unconnected one with every
 * packet: a tenth of all that a packet costs. But a connected socket hears its peer only, and we must hear
 * a phone that moved, and count strangers. So both stand on one port: the kernel gives what the peer sends to the
 * line and everything else to the socket that signalling bound, and we treat both alike.
 *
 * A line is a luxury. Where it cannot be had, or until it is made, packets leave by the other socket. */
#ifndef CUBEPROXY_LINES_H
#define CUBEPROXY_LINES_H

#include "worker.h"

/* How many descriptors may be spent on lines, once the number of sessions is known: those always come first. */
void lines_allow(struct worker *worker);

/* Bring some calls' lines in step with where their legs send; called every turn, so that no turn takes long. */
void lines_make(struct worker *worker);

/* The descriptor of a line that goes to `to`, or -1. */
static inline int line_to(const struct call *call, int leg, const struct address *to)
{
    return address_equal(&call->connected[leg], to) ? call->ports[LINES + leg].fd : -1;
}

#endif
