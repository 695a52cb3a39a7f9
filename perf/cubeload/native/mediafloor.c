/* mediafloor CALLS HOST HOST PORT PEER PEER PORT: what sockets alone cost. A relay without cryptography, numbering or
 * statistics: what comes on a port of one side leaves by the port opposite, octet by octet, through connected sockets.
 * Call n has PORT + 2n on both sides, and so have its peers. Swept by epoll every millisecond, as the engine's own epoll
 * back end does; one receive and one send for each packet. Ends with its standard input. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 4096, PASSES = 8, ROOM = 2048 };
static const long SWEEP = 1000000; /* ns */

static int open_port(const char *host, int port, const char *peer, int peer_port)
{
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}, remote = local;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    inet_pton(AF_INET, host, &local.sin_addr);
    inet_pton(AF_INET, peer, &remote.sin_addr);
    remote.sin_port = htons((uint16_t)peer_port);
    if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof local) ||
        connect(fd, (struct sockaddr *)&remote, sizeof remote)) {
        perror("socket");
        exit(1);
    }
    return fd;
}

static void watch(int set, int fd, int out)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)fd << 32 | (uint32_t)out};
    if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event)) {
        perror("epoll_ctl");
        exit(1);
    }
}

/* One datagram of every socket that has one. False when the input has ended. */
static int sweep(int set)
{
    static struct epoll_event events[EVENTS];
    static char packet[ROOM];
    for (int pass = 0, count = 1; count && pass < PASSES; pass++) {
        count = epoll_wait(set, events, EVENTS, 0);
        for (int place = 0; place < count; place++) {
            int fd = (int)(events[place].data.u64 >> 32), out = (int)(uint32_t)events[place].data.u64;
            if (out == fd)
                return 0;
            ssize_t length = recv(fd, packet, sizeof packet, MSG_DONTWAIT);
            if (length > 0)
                send(out, packet, (size_t)length, MSG_DONTWAIT);
        }
    }
    return 1;
}

int main(int count, char **arguments)
{
    if (count != 8) {
        fprintf(stderr, "usage: mediafloor CALLS HOST HOST PORT PEER PEER PORT\n");
        return 2;
    }
    int set = epoll_create1(0), calls = atoi(arguments[1]), port = atoi(arguments[4]), peers = atoi(arguments[7]);
    for (int call = 0; call < calls; call++) {
        int access = open_port(arguments[2], port + 2 * call, arguments[5], peers + 2 * call);
        int core = open_port(arguments[3], port + 2 * call, arguments[6], peers + 2 * call);
        watch(set, access, core);
        watch(set, core, access);
    }
    watch(set, STDIN_FILENO, STDIN_FILENO);
    printf("ready\n");
    fflush(stdout);
    for (struct timespec pause = {0, SWEEP}; sweep(set); nanosleep(&pause, NULL))
        ;
    return 0;
}
