/* Two ceilings of this machine: `machine read THREADS BYTES`, bytes/s of a sweep through an array; `machine fma THREADS`,
   FLOP/s of multiply-adds that never leave the registers.

   Built on demand by machine.py. Prints one figure a round; the largest is the ceiling:
   whatever else ran on the machine can only have made a round slower. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define ROUNDS 12
#ifdef __AVX512F__
#define LANES 16          /* floats of one register */
#elif defined __AVX__
#define LANES 8
#else
#define LANES 4
#endif
#define CHAINS 12         /* independent sums: latency x units of any current core, and few enough for 16 registers */
#define STEPS 20000000L

typedef float floats __attribute__((vector_size(LANES * 4)));
typedef int64_t words __attribute__((vector_size(64)));

typedef struct { pthread_t thread; const words *from; size_t count; int64_t sum; float product; double began, ended; } part;

static pthread_barrier_t start, end;

static double now(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return moment.tv_sec + moment.tv_nsec / 1e9;
}

static void sweep(part *mine) {
    words a = {0}, b = {0}, c = {0}, d = {0};
    for (size_t at = 0; at + 4 <= mine->count; at += 4) {
        __builtin_prefetch(mine->from + at + 64);
        a ^= mine->from[at]; b ^= mine->from[at + 1]; c ^= mine->from[at + 2]; d ^= mine->from[at + 3];
    }
    a ^= b ^ c ^ d;
    mine->sum += a[0] + a[7];
}

static void multiply(part *mine) {
    floats sums[CHAINS], one, small;
    for (int lane = 0; lane < LANES; lane++) { one[lane] = 0.999999f; small[lane] = 1e-7f; }
    for (int chain = 0; chain < CHAINS; chain++) sums[chain] = small * (float)chain;
    for (long step = 0; step < STEPS; step++) {
#pragma GCC unroll 16
        for (int chain = 0; chain < CHAINS; chain++) sums[chain] = sums[chain] * one + small;
    }
    for (int chain = 0; chain < CHAINS; chain++) mine->product += sums[chain][0];
}

static void (*work)(part *);

static void *labour(void *given) {
    part *mine = given;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&start);
        mine->began = now();
        work(mine);
        mine->ended = now();
        pthread_barrier_wait(&end);
    }
    return NULL;
}

int main(int count, char **given) {
    int reads = count == 4 && !strcmp(given[1], "read"), threads = count > 2 ? atoi(given[2]) : 0;
    if (threads < 1 || (!reads && (count != 3 || strcmp(given[1], "fma")))) {
        fprintf(stderr, "usage: machine read THREADS BYTES | machine fma THREADS\n");
        return 2;
    }
    size_t bytes = reads ? strtoull(given[3], NULL, 10) : 0, each = bytes / sizeof(words) / threads;
    words *array = NULL;
    if (reads) {
        array = aligned_alloc(2 << 20, (bytes + (2 << 20) - 1) & ~(size_t)((2 << 20) - 1));
        if (!array) { perror("machine"); return 1; }
        madvise(array, bytes, MADV_HUGEPAGE);
        memset(array, 1, bytes);
    }
    work = reads ? sweep : multiply;
    double amount = reads ? (double)each * threads * sizeof(words) : 2.0 * LANES * CHAINS * STEPS * threads;
    part *parts = calloc(threads, sizeof *parts);
    pthread_barrier_init(&start, NULL, threads + 1);
    pthread_barrier_init(&end, NULL, threads + 1);
    for (int at = 0; at < threads; at++) {
        parts[at].from = array + at * each;
        parts[at].count = each;
        if (pthread_create(&parts[at].thread, NULL, labour, &parts[at])) { perror("machine"); return 1; }
    }
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&start);
        pthread_barrier_wait(&end);
        double began = parts[0].began, ended = parts[0].ended;
        for (int at = 1; at < threads; at++) {
            if (parts[at].began < began) began = parts[at].began;
            if (parts[at].ended > ended) ended = parts[at].ended;
        }
        printf("%.6g\n", amount / (ended - began));
    }
    int64_t kept = 0;
    for (int at = 0; at < threads; at++) {
        pthread_join(parts[at].thread, NULL);
        kept += parts[at].sum + (parts[at].product > 1e30f);
    }
    fprintf(stderr, "%lld\n", (long long)kept); /* the results are used, so that no work is left out */
    return 0;
}
