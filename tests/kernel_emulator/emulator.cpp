// A GPU of one multiprocessor on the CPU, for tests: one fibre per thread, one block at a time, orders and moments drawn at random.
//
// Warps are taken in random order and each runs as far as it can, so that a missing barrier shows. A background copy lands at once or
// at the wait, by the toss of a coin, so that a missing wait and an early overwrite show. Shared memory starts as NaN. Every global access
// must lie in a declared range and be aligned. Not modelled: bank conflicts, register limits, the rounding of the fast exp2 and rsqrt.
// The second half is the part of the driver's interface that the launcher uses; its "machine code" is the path of a shared library.
#include <dlfcn.h>
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "primitives.h"

namespace {
enum State { READY, AT_WARP, AT_BLOCK, DONE };
enum Operation { NONE, SYNC, SHUFFLE, MATRICES, MATRICES_TRANSPOSED, MULTIPLY };
constexpr int STACK_BYTES = 128 << 10, MOST_SWITCHES = 200'000'000;

struct Copy { u32 to; const u16* from; bool is_real; int group; };
struct Thread {
    ucontext_t context;  // only to begin with: jumps are faster, for they leave the signal mask alone
    jmp_buf jump;
    bool is_begun;
    std::unique_ptr<char[]> stack{new char[STACK_BYTES]};
    State state;
    Operation operation;
    u32 from, *r, b_0, b_1;
    const u32* a;
    float x, *sum;
    int lanes, groups;
    bool is_half;
    std::vector<Copy> copies;
};
struct Range { const char *begin, *end; bool is_writable; };

std::vector<Range> ranges;
std::vector<u8> shared_bytes;
std::vector<std::unique_ptr<Thread>> threads;
std::mt19937 random_number;
jmp_buf scheduler;
std::string error;
int current, n_threads, tile, head, sequence, n_tiles;
long switches;
void (*entry)(void**);
void** entry_arguments;

void leave(State state) {
    Thread& self = *threads[current];
    self.state = state;
    if (!_setjmp(self.jump)) _longjmp(scheduler, 1);
}
__attribute__((noinline)) void resume(Thread& thread) {
    if (_setjmp(scheduler)) return;
    if (thread.is_begun) _longjmp(thread.jump, 1);
    thread.is_begun = true;
    setcontext(&thread.context);
}
void fail(const std::string& what) {
    if (error.empty()) error = what + " (thread " + std::to_string(current) + ", block " + std::to_string(tile) + ")";
    leave(DONE);
}
void check_global(const void* at, int bytes, bool is_write) {
    const char* p = (const char*)at;
    if ((size_t)p % bytes) fail("a misaligned global access");
    for (const Range& range : ranges)
        if (p >= range.begin && p + bytes <= range.end && (!is_write || range.is_writable)) return;
    fail(is_write ? "a global write out of bounds" : "a global read out of bounds");
}
u8* shared_at(u32 at, u32 bytes) {
    if (at % bytes) fail("a misaligned shared access");
    if (at + bytes > shared_bytes.size()) fail("a shared access out of bounds");
    return shared_bytes.data() + at;
}
void land(const Copy& copy) {
    if (copy.is_real) memcpy(shared_at(copy.to, 16), copy.from, 16);
    else memset(shared_at(copy.to, 16), 0, 16);
}
void meet(Operation operation) {
    threads[current]->operation = operation;
    leave(AT_WARP);
}

void load_all_matrices(int warp, bool is_transposed) {
    u16 elements[4][8][8];
    for (int l = 0; l < 32; l++) memcpy(elements[l / 8][l % 8], shared_bytes.data() + threads[warp * 32 + l]->from, 16);
    for (int l = 0; l < 32; l++)
        for (int m = 0; m < 4; m++) {
            const int row = l / 4, column = l % 4 * 2;
            const u16 first = is_transposed ? elements[m][column][row] : elements[m][row][column];
            const u16 second = is_transposed ? elements[m][column + 1][row] : elements[m][row][column + 1];
            threads[warp * 32 + l]->r[m] = first | (u32)second << 16;
        }
}
void multiply_all(int warp) {
    float a[16][16], b[16][8];
    for (int l = 0; l < 32; l++) {
        const Thread& thread = *threads[warp * 32 + l];
        const int row = l / 4, column = l % 4 * 2;
        for (int e = 0; e < 2; e++) {
            for (int i = 0; i < 4; i++)
                a[row + 8 * (i & 1)][column + e + 8 * (i >> 1)] = widen_element((u16)(thread.a[i] >> 16 * e), thread.is_half);
            b[column + e][row] = widen_element((u16)(thread.b_0 >> 16 * e), thread.is_half);
            b[column + e + 8][row] = widen_element((u16)(thread.b_1 >> 16 * e), thread.is_half);
        }
    }
    for (int l = 0; l < 32; l++)
        for (int i = 0; i < 4; i++) {
            const int row = l / 4 + 8 * (i >> 1), column = l % 4 * 2 + (i & 1);
            float sum = 0.0f;
            for (int k = 0; k < 16; k++) sum += a[row][k] * b[k][column];
            threads[warp * 32 + l]->sum[i] += sum;
        }
}
void perform(int warp) {
    Thread& leader = *threads[warp * 32];
    for (int l = 0; l < 32; l++) {
        const Thread& thread = *threads[warp * 32 + l];
        if (thread.state != AT_WARP || thread.operation != leader.operation) {
            error = "the lanes of a warp do not meet at the same instruction";
            return;
        }
    }
    if (leader.operation == SHUFFLE) {
        float given[32];
        for (int l = 0; l < 32; l++) given[l] = threads[warp * 32 + l]->x;
        for (int l = 0; l < 32; l++) threads[warp * 32 + l]->x = given[l ^ leader.lanes];
    } else if (leader.operation == MULTIPLY) {
        multiply_all(warp);
    } else if (leader.operation != SYNC) {
        load_all_matrices(warp, leader.operation == MATRICES_TRANSPOSED);
    }
    for (int l = 0; l < 32; l++) threads[warp * 32 + l]->state = READY;
}

// Run one warp until all of its lanes wait for the block or are done.
void run_warp(int warp) {
    while (error.empty()) {
        bool is_stuck = true, is_meeting = false;
        const int turn = random_number() % 32;
        for (int l = 0; l < 32 && error.empty(); l++) {
            current = warp * 32 + (l ^ turn);
            Thread& thread = *threads[current];
            if (thread.state == READY) {
                resume(thread);
                if (++switches > MOST_SWITCHES) error = "the kernel does not end";
                is_stuck = false;
            }
            is_meeting |= thread.state == AT_WARP;
        }
        if (is_stuck && !is_meeting) return;
        if (is_meeting && error.empty()) perform(warp);
    }
}
void thread_main() {
    entry(entry_arguments);
    leave(DONE);
}
void run_block() {
    shared_bytes.clear();
    while ((int)threads.size() < n_threads) threads.emplace_back(new Thread);
    for (int i = 0; i < n_threads; i++) {
        Thread& thread = *threads[i];
        thread.state = READY, thread.is_begun = false, thread.groups = 0, thread.copies.clear();
        getcontext(&thread.context);
        thread.context.uc_stack = {thread.stack.get(), 0, STACK_BYTES};
        thread.context.uc_link = nullptr;
        makecontext(&thread.context, thread_main, 0);
    }
    while (error.empty()) {
        std::vector<int> warps;
        for (int w = 0; w < n_threads / 32; w++) warps.push_back(w);
        std::shuffle(warps.begin(), warps.end(), random_number);
        for (int warp : warps) run_warp(warp);
        int n_done = 0;
        for (int i = 0; i < n_threads; i++) n_done += threads[i]->state == DONE;
        if (n_done == n_threads || !error.empty()) return;
        if (n_done) error = "a barrier that not all threads reach";
        for (int i = 0; i < n_threads; i++) threads[i]->state = READY;
    }
}
}  // namespace

extern "C" {
int thread_index() { return current; }
int tile_index() { return tile; }
int head_index() { return head; }
int sequence_index() { return sequence; }
bool is_last_tile() { return tile + 1 == n_tiles; }
u32 emulate_shared_memory(int bytes) {
    if (shared_bytes.empty()) shared_bytes.assign(bytes, 0xff);
    return 0;
}
void block_barrier() { leave(AT_BLOCK); }
void warp_barrier() { meet(SYNC); }
float shuffle_xor(float x, int lanes) {
    Thread& self = *threads[current];
    self.x = x, self.lanes = lanes;
    meet(SHUFFLE);
    return self.x;
}
void copy_async(u32 to, const u16* from, bool is_real) {
    if (is_real) check_global(from, 16, false);
    shared_at(to, 16);
    Thread& self = *threads[current];
    const Copy copy{to, from, is_real, self.groups};
    if (random_number() & 1) land(copy);
    else self.copies.push_back(copy);
}
void copies_commit() { threads[current]->groups++; }
void emulate_copies_wait(int pending) {
    Thread& self = *threads[current];
    std::vector<Copy> later;
    for (const Copy& copy : self.copies)
        if (copy.group < self.groups - pending) land(copy);
        else later.push_back(copy);
    self.copies = later;
}
i64 load_i64(const i64* from) { check_global(from, 8, false); return *from; }
Chunk load_global(const void* from) { check_global(from, 16, false); Chunk c; memcpy(&c, from, 16); return c; }
void store_global(u16* to, Chunk c) { check_global(to, 16, true); memcpy(to, &c, 16); }
Chunk load_shared(u32 from) { Chunk c; memcpy(&c, shared_at(from, 16), 16); return c; }
void store_shared(u32 to, Chunk c) { memcpy(shared_at(to, 16), &c, 16); }
u32 load_shared_word(u32 from) { u32 word; memcpy(&word, shared_at(from, 4), 4); return word; }
void store_shared_word(u32 to, u32 word) { memcpy(shared_at(to, 4), &word, 4); }
void emulate_load_matrices(u32* r, u32 from, bool is_transposed) {
    shared_at(from, 16);
    Thread& self = *threads[current];
    self.from = from, self.r = r;
    meet(is_transposed ? MATRICES_TRANSPOSED : MATRICES);
}
void emulate_multiply_add(float* sum, const u32* a, u32 b_0, u32 b_1, bool is_half) {
    Thread& self = *threads[current];
    self.sum = sum, self.a = a, self.b_0 = b_0, self.b_1 = b_1, self.is_half = is_half;
    meet(MULTIPLY);
}

// For the tests: which memory a kernel may touch, the order of things, and what went wrong.
void emulator_reset(unsigned seed) { ranges.clear(), error.clear(), switches = 0, random_number.seed(seed); }
void emulator_allow(const void* begin, i64 bytes, bool is_writable) {
    ranges.push_back({(const char*)begin, (const char*)begin + bytes, is_writable});
}
const char* emulator_error() { return error.c_str(); }

// The driver.
int fake_capability = 90, fake_launch_status = 0, fake_launches = 0;
void* fake_stream = nullptr;
int cuInit(unsigned) { return 0; }
int cuGetErrorString(int status, const char** text) { *text = status == 719 ? "unspecified launch failure" : "some failure"; return 0; }
int cuCtxGetCurrent(void** context) { *context = (void*)1; return 0; }
int cuCtxSetCurrent(void*) { return 0; }
int cuDevicePrimaryCtxRetain(void** context, int) { *context = (void*)1; return 0; }
int cuModuleLoadData(void** module, const void* image) {
    *module = dlopen((const char*)image, RTLD_NOW | RTLD_LOCAL);
    return *module ? 0 : 200;
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
    *function = dlsym(module, (std::string("emulated_") + name).c_str());
    return *function ? 0 : 500;
}
int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned threads_x, unsigned threads_y, unsigned threads_z,
                   unsigned shared, void* stream, void** arguments, void** extra) {
    fake_launches++, fake_stream = stream;
    if (fake_launch_status || threads_y != 1 || threads_z != 1 || shared || extra) return fake_launch_status ? fake_launch_status : 1;
    entry = (void (*)(void**))function, entry_arguments = arguments, n_threads = threads_x, n_tiles = x;
    for (sequence = 0; sequence < (int)z; sequence++)
        for (head = 0; head < (int)y; head++)
            for (tile = 0; tile < (int)x && error.empty(); tile++) run_block();
    return error.empty() ? 0 : 719;
}
}
