// The instructions that attention.cu is written in, as PTX for sm_80 and later. No header is included, so that the run-time
// compiler needs no include path. tests/kernel_emulator/primitives.h gives the same names to g++; keep the two alike.
// From outside comes IS_HALF: 1 for fp16 elements, 0 for bf16.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef long long i64;

struct Chunk { u32 word[4]; };  // 16 bytes: eight 16-bit elements or four floats

#define KERNEL(threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks)
#define DEVICE static __device__ __forceinline__
#define SHARED_MEMORY(name, bytes)                             \
    __shared__ __align__(128) u8 name##_bytes[bytes];          \
    const u32 name = (u32)__cvta_generic_to_shared(name##_bytes)

DEVICE int thread_index() { return threadIdx.x; }
DEVICE int tile_index() { return blockIdx.x; }
DEVICE int head_index() { return blockIdx.y; }
DEVICE int sequence_index() { return blockIdx.z; }
DEVICE bool is_last_tile() { return blockIdx.x + 1 == gridDim.x; }

DEVICE void block_barrier() { __syncthreads(); }
DEVICE void warp_barrier() { __syncwarp(); }
DEVICE float shuffle_xor(float x, int lanes) { return __shfl_xor_sync(0xffffffffu, x, lanes); }

// Copy 16 bytes from global to shared memory in the background, or write zeros without reading if not `is_real`.
DEVICE void copy_async(u32 to, const u16* from, bool is_real) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(is_real ? 16 : 0) : "memory");
}
DEVICE void copies_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Wait for this thread's own copies, except those of the `pending` groups committed last.
template <int pending> DEVICE void copies_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory"); }

DEVICE i64 load_i64(const i64* from) { return *from; }
DEVICE Chunk load_global(const void* from) {
    Chunk c;
    asm("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(c.word[0]), "=r"(c.word[1]), "=r"(c.word[2]), "=r"(c.word[3]) : "l"(from));
    return c;
}
DEVICE void store_global(u16* to, Chunk c) {
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};"
                 ::"l"(to), "r"(c.word[0]), "r"(c.word[1]), "r"(c.word[2]), "r"(c.word[3]) : "memory");
}
DEVICE Chunk load_shared(u32 from) {
    Chunk c;
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(c.word[0]), "=r"(c.word[1]), "=r"(c.word[2]), "=r"(c.word[3]) : "r"(from) : "memory");
    return c;
}
DEVICE void store_shared(u32 to, Chunk c) {
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};"
                 ::"r"(to), "r"(c.word[0]), "r"(c.word[1]), "r"(c.word[2]), "r"(c.word[3]) : "memory");
}
DEVICE u32 load_shared_word(u32 from) {
    u32 word;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(word) : "r"(from) : "memory");
    return word;
}
DEVICE void store_shared_word(u32 to, u32 word) { asm volatile("st.shared.u32 [%0], %1;" ::"r"(to), "r"(word) : "memory"); }

// Load four 8x8 matrices of 16-bit elements, spread over the warp; lane l gives the address of row l % 8 of matrix l / 8.
DEVICE void load_matrices(u32 (&r)[4], u32 from) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(from) : "memory");
}
DEVICE void load_matrices_transposed(u32 (&r)[4], u32 from) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(from) : "memory");
}

// sum [16 x 8] += a [16 x 16] b [16 x 8], spread over the warp (mma.m16n8k16).
DEVICE void multiply_add(float (&sum)[4], const u32 (&a)[4], u32 b_0, u32 b_1) {
#if IS_HALF
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"
#else
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
#endif
    asm volatile(MMA " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b_0), "r"(b_1));
}

DEVICE float as_float(u32 word) { return __uint_as_float(word); }
DEVICE u32 as_word(float x) { return __float_as_uint(x); }
DEVICE float minus_infinity() { return __uint_as_float(0xff800000u); }
DEVICE float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
DEVICE float rsqrt_fast(float x) {
    float y;
    asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
DEVICE float max_of(float a, float b) { return fmaxf(a, b); }

// Two elements in one word, the first in the low half.
DEVICE u32 pack(float first, float second) {
    u32 word;
#if IS_HALF
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
#else
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
#endif
    return word;
}
DEVICE void unpack(u32 word, float& first, float& second) {
#if IS_HALF
    asm("{.reg .b16 a, b; mov.b32 {a, b}, %2; cvt.f32.f16 %0, a; cvt.f32.f16 %1, b;}" : "=f"(first), "=f"(second) : "r"(word));
#else
    first = __uint_as_float(word << 16);
    second = __uint_as_float(word & 0xffff0000u);
#endif
}
