#include "uring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef __NR_io_uring_setup /* the same on every architecture */
#define __NR_io_uring_setup 425
#define __NR_io_uring_enter 426
#define __NR_io_uring_register 427
#endif

enum { ENTER_GETEVENTS = 1, ENTER_EXT_ARG = 1 << 3, REGISTER_PBUF_RING = 22 };
static const off_t MAP_RINGS = 0, MAP_ENTRIES = 0x10000000;

struct parameters {
    uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, reserved[3];
    struct {
        uint32_t head, tail, mask, entries, flags, dropped, array, reserved;
        uint64_t address;
    } sq;
    struct {
        uint32_t head, tail, mask, entries, overflow, cqes, flags, reserved;
        uint64_t address;
    } cq;
};

_Static_assert(sizeof(struct parameters) == 120, "layout of the kernel");

static void *map(int fd, size_t size, off_t offset)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
    return memory == MAP_FAILED ? NULL : memory;
}

int uring_open(struct uring *ring, uint32_t entries, uint32_t completions)
{
    struct parameters parameters = {
        .cq_entries = completions,
        .flags = SETUP_CQSIZE | SETUP_CLAMP | SETUP_SUBMIT_ALL | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN,
    };
    memset(ring, 0, sizeof *ring);
    ring->fd = (int)syscall(__NR_io_uring_setup, entries, &parameters);
    if (ring->fd < 0)
        return errno;
    uint32_t needed = FEATURE_SINGLE_MMAP | FEATURE_EXT_ARG | FEATURE_CQE_SKIP;
    size_t rings = parameters.cq.cqes + parameters.cq_entries * sizeof(struct cqe);
    size_t array = parameters.sq.array + parameters.sq_entries * sizeof(uint32_t);
    uint8_t *memory = (parameters.features & needed) == needed ? map(ring->fd, array > rings ? array : rings, MAP_RINGS) : NULL;
    ring->sqes = map(ring->fd, parameters.sq_entries * sizeof(struct sqe), MAP_ENTRIES);
    if (!memory || !ring->sqes) {
        uring_close(ring);
        return EOPNOTSUPP;
    }
    ring->sq_head = (uint32_t *)(memory + parameters.sq.head);
    ring->sq_tail = (uint32_t *)(memory + parameters.sq.tail);
    ring->cq_head = (uint32_t *)(memory + parameters.cq.head);
    ring->cq_tail = (uint32_t *)(memory + parameters.cq.tail);
    ring->cqes = (struct cqe *)(memory + parameters.cq.cqes);
    ring->sq_entries = parameters.sq_entries;
    ring->sq_mask = parameters.sq_entries - 1;
    ring->cq_mask = parameters.cq_entries - 1;
    for (uint32_t place = 0; place < parameters.sq_entries; place++)
        ((uint32_t *)(memory + parameters.sq.array))[place] = place;
    return 0;
}

int uring_provide(struct uring *ring, uint16_t group, uint32_t buffers)
{
    size_t size = buffers * sizeof(struct ring_buffer);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return errno;
    struct {
        uint64_t address;
        uint32_t entries;
        uint16_t group, flags;
        uint64_t reserved[3];
    } registration = {.address = (uintptr_t)memory, .entries = buffers, .group = group};
    if (syscall(__NR_io_uring_register, ring->fd, REGISTER_PBUF_RING, &registration, 1) < 0) {
        int error = errno;
        munmap(memory, size);
        return error;
    }
    ring->buffers = memory;
    ring->buffer_mask = buffers - 1;
    return 0;
}

void uring_close(struct uring *ring)
{
    close(ring->fd);
    ring->fd = -1;
}

int uring_enter(struct uring *ring, unsigned least, unsigned wait)
{
    struct {
        int64_t seconds, nanoseconds;
    } time = {wait / 1000000, (int64_t)(wait % 1000000) * 1000};
    struct {
        uint64_t mask;
        uint32_t mask_size, least_wait;
        uint64_t time;
    } argument = {.time = (uintptr_t)&time};
    __atomic_store_n(ring->sq_tail, ring->filled, __ATOMIC_RELEASE);
    long count = syscall(__NR_io_uring_enter, ring->fd, ring->filled - ring->submitted, least,
                         ENTER_GETEVENTS | ENTER_EXT_ARG, &argument, sizeof argument);
    /* Entries can be taken although the wait then ends with ETIME: the head says what happened. */
    ring->submitted = __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE);
    return count < 0 ? -errno : 0;
}

struct sqe *uring_entry(struct uring *ring)
{
    static struct sqe nowhere;
    for (int tries = 0; ring->filled - ring->submitted >= ring->sq_entries; tries++) {
        if (tries == 100)
            return &nowhere; /* a kernel without memory: this request is lost, the loop goes on */
        uring_enter(ring, 0, 0);
    }
    struct sqe *entry = &ring->sqes[ring->filled++ & ring->sq_mask];
    memset(entry, 0, sizeof *entry);
    return entry;
}

void uring_return(struct uring *ring, void *buffer, uint32_t length, uint16_t number)
{
    struct ring_buffer *place = &ring->buffers[ring->buffer_tail++ & ring->buffer_mask];
    place->address = (uintptr_t)buffer; /* field by field: `tail` of the first is the ring's own */
    place->length = length;
    place->number = number;
}

void uring_publish(struct uring *ring)
{
    __atomic_store_n(&ring->buffers[0].tail, ring->buffer_tail, __ATOMIC_RELEASE);
}
