#include "board.h"

#include <sys/mman.h>
#include <sys/stat.h>

int board_open(struct board *board, int descriptor)
{
    struct stat status;
    if (fstat(descriptor, &status) || status.st_size < (off_t)(8 * SLOT_WORDS))
        return 0;
    size_t slots = (size_t)status.st_size / (8 * SLOT_WORDS);
    void *memory = mmap(NULL, slots * 8 * SLOT_WORDS, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED)
        return 0;
    if (board->words)
        munmap(board->words, (size_t)board->slots * 8 * SLOT_WORDS);
    board->words = memory;
    board->slots = (uint32_t)slots;
    return 1;
}

uint64_t *board_claim(struct board *board, uint32_t slot, uint64_t session)
{
    if (slot >= board->slots)
        return NULL;
    uint64_t *words = board->words + (size_t)slot * SLOT_WORDS;
    for (int word = 0; word < SLOT_WORDS; word++)
        __atomic_store_n(&words[word], 0, __ATOMIC_RELAXED);
    __atomic_store_n(&words[0], session, __ATOMIC_RELEASE);
    return words + 8;
}
