/* io_uring as the kernel defines it, as far as it is used here: no header of the build machine is needed, however old
 * it is, and no library. */
#ifndef CUBEPROXY_URING_H
#define CUBEPROXY_URING_H

#include <stddef.h>
#include <stdint.h>

enum {
    SETUP_CQSIZE = 1 << 3,
    SETUP_CLAMP = 1 << 4,
    SETUP_SUBMIT_ALL = 1 << 7,
    SETUP_SINGLE_ISSUER = 1 << 12,
    SETUP_DEFER_TASKRUN = 1 << 13, /* Linux 6.1: completions are made when we wait, not when a packet interrupts us */

    FEATURE_SINGLE_MMAP = 1 << 0,
    FEATURE_EXT_ARG = 1 << 8,
    FEATURE_CQE_SKIP = 1 << 11,

    OP_POLL_ADD = 6,
    OP_SENDMSG = 9,
    OP_RECVMSG = 10,
    OP_ASYNC_CANCEL = 14,
    OP_SEND = 26,

    SQE_BUFFER_SELECT = 1 << 5,
    SQE_SKIP_SUCCESS = 1 << 6, /* no completion for what went well */
    RECV_MULTISHOT = 1 << 1,   /* in `priority` */
    POLL_MULTISHOT = 1 << 0,   /* in `length` */

    CQE_BUFFER = 1 << 0,
    CQE_MORE = 1 << 1,
    CQE_BUFFER_SHIFT = 16,
};

struct sqe {
    uint8_t opcode, flags;
    uint16_t priority;
    int32_t fd;
    uint64_t offset, address;
    uint32_t length, op_flags;
    uint64_t user_data;
    uint16_t buffer_group, personality;
    uint16_t address_length, pad;
    uint64_t more[2];
};

struct cqe {
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
};

/* A buffer in a ring of provided buffers; the ring's tail lies over `tail` of the first. */
struct ring_buffer {
    uint64_t address;
    uint32_t length;
    uint16_t number, tail;
};

/* What a multishot recvmsg puts in front of a datagram; source address and payload follow. */
struct received {
    uint32_t name_length, control_length, payload_length, flags;
};

_Static_assert(sizeof(struct sqe) == 64 && sizeof(struct cqe) == 16, "layout of the kernel");
_Static_assert(sizeof(struct ring_buffer) == 16 && sizeof(struct received) == 16, "layout of the kernel");

struct uring {
    int fd;
    struct sqe *sqes;
    struct cqe *cqes;
    uint32_t *sq_head, *sq_tail, *cq_head, *cq_tail;
    uint32_t sq_mask, cq_mask, sq_entries;
    uint32_t filled;    /* our tail: entries made */
    uint32_t submitted; /* of them, what the kernel has taken */
    struct ring_buffer *buffers;
    uint32_t buffer_mask;
    uint16_t buffer_tail;
};

/* 0, or the errno. */
int uring_open(struct uring *ring, uint32_t entries, uint32_t completions);
int uring_provide(struct uring *ring, uint16_t group, uint32_t buffers); /* a power of two of them */
void uring_close(struct uring *ring);

/* An entry to fill in, all zeros; what is there already is submitted when there is no room. */
struct sqe *uring_entry(struct uring *ring);
/* Submit all entries and wait until `least` completions are there or `wait` microseconds have passed. */
int uring_enter(struct uring *ring, unsigned least, unsigned wait);
/* Give a buffer back; the kernel sees it after uring_publish. */
void uring_return(struct uring *ring, void *buffer, uint32_t length, uint16_t number);
void uring_publish(struct uring *ring);

static inline uint32_t uring_ready(const struct uring *ring)
{
    return __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) - *ring->cq_head;
}

/* A completion that waits, the oldest being number 0. */
static inline const struct cqe *uring_peek(const struct uring *ring, uint32_t number)
{
    return &ring->cqes[(*ring->cq_head + number) & ring->cq_mask];
}

static inline struct cqe uring_next(struct uring *ring)
{
    struct cqe taken = ring->cqes[*ring->cq_head & ring->cq_mask];
    __atomic_store_n(ring->cq_head, *ring->cq_head + 1, __ATOMIC_RELEASE);
    return taken;
}

#endif
