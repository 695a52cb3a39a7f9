/* The packet path without sockets or clock, driven over standard input and output by tests. */
#ifndef CUBEPROXY_HOOK_H
#define CUBEPROXY_HOOK_H

int hook_run(void);

#endif
