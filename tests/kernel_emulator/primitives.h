// The names of emotts/kernels/primitives.cu for g++: the same kernel source, one fibre per CUDA thread (emulator.cpp).
// What is arithmetic is done here; what touches memory or other threads goes through the emulator, which checks it.
// Without any standard header, which would take longer to read than the kernel.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef long long i64;

struct Chunk { u32 word[4]; };

#define KERNEL(threads, blocks) extern "C" void
#define DEVICE static inline
#define SHARED_MEMORY(name, bytes) const u32 name = emulate_shared_memory(bytes)

extern "C" {
int thread_index();
int tile_index();
int head_index();
int sequence_index();
bool is_last_tile();
u32 emulate_shared_memory(int bytes);
void block_barrier();
void warp_barrier();
float shuffle_xor(float x, int lanes);
void copy_async(u32 to, const u16* from, bool is_real);
void copies_commit();
void emulate_copies_wait(int pending);
i64 load_i64(const i64* from);
Chunk load_global(const void* from);
void store_global(u16* to, Chunk chunk);
Chunk load_shared(u32 from);
void store_shared(u32 to, Chunk chunk);
u32 load_shared_word(u32 from);
void store_shared_word(u32 to, u32 word);
void emulate_load_matrices(u32* r, u32 from, bool is_transposed);
void emulate_multiply_add(float* sum, const u32* a, u32 b_0, u32 b_1, bool is_half);
}

template <int pending> DEVICE void copies_wait() { emulate_copies_wait(pending); }
DEVICE void load_matrices(u32 (&r)[4], u32 from) { emulate_load_matrices(r, from, false); }
DEVICE void load_matrices_transposed(u32 (&r)[4], u32 from) { emulate_load_matrices(r, from, true); }

DEVICE float as_float(u32 word) { float x; __builtin_memcpy(&x, &word, 4); return x; }
DEVICE u32 as_word(float x) { u32 word; __builtin_memcpy(&word, &x, 4); return word; }
DEVICE float minus_infinity() { return -__builtin_inff(); }
DEVICE float exp2_fast(float x) { return __builtin_exp2f(x); }
DEVICE float rsqrt_fast(float x) { return 1.0f / __builtin_sqrtf(x); }
DEVICE float max_of(float a, float b) { return __builtin_fmaxf(a, b); }

DEVICE u16 round_element(float x, bool is_half) {
    u16 bits;
    if (is_half) { _Float16 half = (_Float16)x; __builtin_memcpy(&bits, &half, 2); return bits; }
    if (x != x) return 0x7fff;
    const u32 word = as_word(x);
    return (u16)((word + 0x7fffu + ((word >> 16) & 1)) >> 16);  // to nearest, ties to even
}
DEVICE float widen_element(u16 bits, bool is_half) {
    if (!is_half) return as_float((u32)bits << 16);
    _Float16 half; __builtin_memcpy(&half, &bits, 2); return (float)half;
}

#ifdef IS_HALF
DEVICE u32 pack(float first, float second) { return round_element(first, IS_HALF) | (u32)round_element(second, IS_HALF) << 16; }
DEVICE void unpack(u32 word, float& first, float& second) {
    first = widen_element((u16)word, IS_HALF), second = widen_element((u16)(word >> 16), IS_HALF);
}

DEVICE void multiply_add(float (&sum)[4], const u32 (&a)[4], u32 b_0, u32 b_1) {
    emulate_multiply_add(sum, a, b_0, b_1, IS_HALF);
}

// How the emulator enters a kernel: with the array of pointers to arguments that cuLaunchKernel takes.
template <int... i> struct Indices {};
template <class... A, int... i> DEVICE void enter(void (*kernel)(A...), void** arguments, Indices<i...>) {
    kernel(*(A*)arguments[i]...);
}
template <class... A> DEVICE void enter(void (*kernel)(A...), void** arguments) {
    enter(kernel, arguments, Indices<__integer_pack(sizeof...(A))...>());
}
#define ENTRY(kernel) extern "C" void emulated_##kernel(void** arguments) { enter(kernel, arguments); }
#endif
