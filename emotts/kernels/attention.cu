// Self-attention of short sequences, head dimension 64: the projection's output goes in as it is, the heads come out merged.
//
//   queries, keys = rotate(norm(.)) of qkv [tokens, 3, heads, 64];   out = softmax(scale queries keys^T) values
//
// One block computes ROWS query rows of one head of one sequence and walks over the keys in tiles of 64, keeping a running maximum
// and sum per row (Dao, "FlashAttention-2", 2023, arXiv 2307.08691, algorithm 1). Starts and lengths are read on the device, so
// that a captured graph serves every length. A sequence owns the rows from its start to the next one's; those past its length
// become zeros and are never read. Compiled at run time behind primitives.cu with these macros:
//   IS_HALF, HAS_NORM, HAS_ROPE   0 or 1
//   ROW_TILES                     tiles of 16 query rows per warp
//   ROW_WARPS, KEY_WARPS          warps along the rows, and along the 64 keys of a tile; the latter merge their sums at the end
//   MIN_BLOCKS                    blocks that must fit on one multiprocessor: bounds the registers

constexpr int HEAD_DIM = 64, TILE_KEYS = 64, ROW_BYTES = 2 * HEAD_DIM;
constexpr int ROWS = 16 * ROW_TILES * ROW_WARPS, THREADS = 32 * ROW_WARPS * KEY_WARPS, WARP_KEYS = TILE_KEYS / KEY_WARPS;
constexpr int QUERY_BYTES = ROWS * ROW_BYTES, TILE_BYTES = TILE_KEYS * ROW_BYTES, STAGE_BYTES = 2 * TILE_BYTES;
constexpr int PARTIAL_WORDS = ROW_TILES * 36;  // what a key warp hands over, per lane: 32 sums, 2 maxima, 2 denominators
static_assert(ROWS * 4 % THREADS == 0 && TILE_KEYS * 4 % THREADS == 0, "a whole warp must take part in every shuffle");
static_assert((KEY_WARPS - 1) * ROW_WARPS * PARTIAL_WORDS * 128 <= 2 * STAGE_BYTES, "the partial sums must fit");

// Place 16-byte chunk `chunk` (0 to 7) of a row so that eight rows of one column lie in different banks.
DEVICE u32 place(int row, int chunk) { return row * ROW_BYTES + ((chunk ^ (row & 7)) << 4); }

// A thread copies chunks c and c + 4 of its rows: the elements that rotation pairs, so that it can rotate what it copied itself.
template <int n_rows> DEVICE void copy_tile(u32 to, const u16* from, i64 stride, int first, int length) {
#pragma unroll
    for (int item = thread_index(); item < n_rows * 4; item += THREADS) {
        const int row = item >> 2, chunk = item & 3;
        const bool is_real = first + row < length;
        const u16* source = from + (is_real ? first + row : 0) * stride + chunk * 8;
        copy_async(to + place(row, chunk), source, is_real);
        copy_async(to + place(row, chunk + 4), source + 32, is_real);
    }
}

DEVICE void unpack_chunk(float (&x)[8], Chunk c) {
#pragma unroll
    for (int i = 0; i < 4; i++) unpack(c.word[i], x[2 * i], x[2 * i + 1]);
}

// RMS norm over a row (four threads hold it), then rotation by its position; rope [positions, 64] is 32 cosines and 32 sines.
template <int n_rows>
DEVICE void norm_and_rotate(u32 tile, int first, int length, const u16* weight, const float* rope, float epsilon) {
#if HAS_NORM || HAS_ROPE
#pragma unroll
    for (int item = thread_index(); item < n_rows * 4; item += THREADS) {
        const int row = item >> 2, chunk = item & 3;
        float low[8], high[8];
        unpack_chunk(low, load_shared(tile + place(row, chunk)));
        unpack_chunk(high, load_shared(tile + place(row, chunk + 4)));
#if HAS_NORM
        float squares = 0.0f, weight_low[8], weight_high[8];
        unpack_chunk(weight_low, load_global(weight + chunk * 8));
        unpack_chunk(weight_high, load_global(weight + chunk * 8 + 32));
#pragma unroll
        for (int i = 0; i < 8; i++) squares += low[i] * low[i] + high[i] * high[i];
        squares += shuffle_xor(squares, 1);
        squares += shuffle_xor(squares, 2);
        const float inverse = rsqrt_fast(squares * (1.0f / HEAD_DIM) + epsilon);
#pragma unroll
        for (int i = 0; i < 8; i++) low[i] *= inverse * weight_low[i], high[i] *= inverse * weight_high[i];
#endif
#if HAS_ROPE
        const i64 position = first + row < length ? first + row : 0;  // the table ends with the longest sequence
        const float* angles = rope + position * HEAD_DIM + chunk * 8;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const Chunk cosines = load_global(angles + 4 * half), sines = load_global(angles + 32 + 4 * half);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float cosine = as_float(cosines.word[i]), sine = as_float(sines.word[i]);
                const float a = low[4 * half + i], b = high[4 * half + i];
                low[4 * half + i] = a * cosine - b * sine;
                high[4 * half + i] = b * cosine + a * sine;
            }
        }
#endif
        Chunk out_low, out_high;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            out_low.word[i] = pack(low[2 * i], low[2 * i + 1]);
            out_high.word[i] = pack(high[2 * i], high[2 * i + 1]);
        }
        store_shared(tile + place(row, chunk), out_low);
        store_shared(tile + place(row, chunk + 4), out_high);
    }
#endif
}

// What a warp knows of its rows; lane l holds rows l / 4 and l / 4 + 8 of a tile of 16, and of 8 columns 2 (l % 4) and the next.
struct Rows {
    float sum[ROW_TILES][8][4];     // unnormalised output, 8 x 8 columns
    float maximum[ROW_TILES][2];    // of the scores, before the scale
    float denominator[ROW_TILES][2];  // this lane's columns only, until `finish`
};

DEVICE void attend(Rows& rows, const u32 (&queries)[ROW_TILES][4][4], u32 keys, u32 values, int first_key, int length,
                   float scale) {
    const int lane = thread_index() & 31, own = thread_index() / 32 / ROW_WARPS * WARP_KEYS;  // first key of this warp in the tile
    float scores[ROW_TILES][WARP_KEYS / 8][4] = {};
#pragma unroll
    for (int k = 0; k < 4; k++)
#pragma unroll
        for (int n = 0; n < WARP_KEYS / 16; n++) {
            u32 b[4];
            load_matrices(b, keys + place(own + n * 16 + (lane >> 4) * 8 + (lane & 7), k * 2 + ((lane >> 3) & 1)));
#pragma unroll
            for (int t = 0; t < ROW_TILES; t++) {
                multiply_add(scores[t][2 * n], queries[t][k], b[0], b[1]);
                multiply_add(scores[t][2 * n + 1], queries[t][k], b[2], b[3]);
            }
        }
    if (first_key + TILE_KEYS > length) {
        const int limit = length - first_key - own - (lane & 3) * 2;
#pragma unroll
        for (int n = 0; n < WARP_KEYS / 8; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int t = 0; t < ROW_TILES; t++)
                    if (n * 8 + (i & 1) >= limit) scores[t][n][i] = minus_infinity();
    }
#pragma unroll
    for (int t = 0; t < ROW_TILES; t++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float maximum = rows.maximum[t][half];
#pragma unroll
            for (int n = 0; n < WARP_KEYS / 8; n++)
                maximum = max_of(maximum, max_of(scores[t][n][2 * half], scores[t][n][2 * half + 1]));
            maximum = max_of(maximum, shuffle_xor(maximum, 1));
            maximum = max_of(maximum, shuffle_xor(maximum, 2));
            const float shift = maximum == minus_infinity() ? 0.0f : maximum * scale;  // a warp whose keys are all masked
            const float rescale = exp2_fast(rows.maximum[t][half] * scale - shift);
            float denominator = rows.denominator[t][half] * rescale;
#pragma unroll
            for (int n = 0; n < WARP_KEYS / 8; n++)
#pragma unroll
                for (int i = 2 * half; i < 2 * half + 2; i++) {
                    scores[t][n][i] = exp2_fast(scores[t][n][i] * scale - shift);
                    denominator += scores[t][n][i];
                }
#pragma unroll
            for (int n = 0; n < 8; n++) rows.sum[t][n][2 * half] *= rescale, rows.sum[t][n][2 * half + 1] *= rescale;
            rows.maximum[t][half] = maximum;
            rows.denominator[t][half] = denominator;
        }
#pragma unroll
    for (int k = 0; k < WARP_KEYS / 16; k++) {
        u32 weights[ROW_TILES][4];
#pragma unroll
        for (int t = 0; t < ROW_TILES; t++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                weights[t][i] = pack(scores[t][2 * k + i / 2][2 * (i & 1)], scores[t][2 * k + i / 2][2 * (i & 1) + 1]);
#pragma unroll
        for (int n = 0; n < 4; n++) {
            u32 b[4];
            load_matrices_transposed(b, values + place(own + k * 16 + (lane & 15), n * 2 + (lane >> 4)));
#pragma unroll
            for (int t = 0; t < ROW_TILES; t++) {
                multiply_add(rows.sum[t][2 * n], weights[t], b[0], b[1]);
                multiply_add(rows.sum[t][2 * n + 1], weights[t], b[2], b[3]);
            }
        }
    }
}

// Add up the lanes' denominators and, where several warps share the keys, their partial results through `shared`.
DEVICE void finish(Rows& rows, u32 shared, float scale) {
#pragma unroll
    for (int t = 0; t < ROW_TILES; t++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            rows.denominator[t][half] += shuffle_xor(rows.denominator[t][half], 1);
            rows.denominator[t][half] += shuffle_xor(rows.denominator[t][half], 2);
        }
#if KEY_WARPS > 1
    const int warp = thread_index() / 32, row_warp = warp % ROW_WARPS, key_warp = warp / ROW_WARPS;
    const u32 lane_at = shared + (thread_index() & 31) * 4;
    block_barrier();  // the keys and values that lay here have been read
    if (key_warp > 0) {
        const u32 at = lane_at + ((key_warp - 1) * ROW_WARPS + row_warp) * PARTIAL_WORDS * 128;
        for (int t = 0; t < ROW_TILES; t++) {
#pragma unroll
            for (int i = 0; i < 32; i++) store_shared_word(at + (t * 36 + i) * 128, as_word(rows.sum[t][i / 4][i % 4]));
#pragma unroll
            for (int half = 0; half < 2; half++) {
                store_shared_word(at + (t * 36 + 32 + half) * 128, as_word(rows.maximum[t][half]));
                store_shared_word(at + (t * 36 + 34 + half) * 128, as_word(rows.denominator[t][half]));
            }
        }
    }
    block_barrier();
    if (key_warp == 0)
        for (int other = 0; other < KEY_WARPS - 1; other++) {
            const u32 at = lane_at + (other * ROW_WARPS + row_warp) * PARTIAL_WORDS * 128;
#pragma unroll
            for (int t = 0; t < ROW_TILES; t++)
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    const float theirs = as_float(load_shared_word(at + (t * 36 + 32 + half) * 128));
                    const float maximum = max_of(rows.maximum[t][half], theirs);  // finite: the first warp has key 0
                    const float keep = exp2_fast((rows.maximum[t][half] - maximum) * scale);
                    const float take = exp2_fast((theirs - maximum) * scale);
                    const float denominator = as_float(load_shared_word(at + (t * 36 + 34 + half) * 128));
                    rows.denominator[t][half] = rows.denominator[t][half] * keep + denominator * take;
                    rows.maximum[t][half] = maximum;
#pragma unroll
                    for (int n = 0; n < 8; n++)
#pragma unroll
                        for (int i = 2 * half; i < 2 * half + 2; i++) {
                            const float sum = as_float(load_shared_word(at + (t * 36 + n * 4 + i) * 128));
                            rows.sum[t][n][i] = rows.sum[t][n][i] * keep + sum * take;
                        }
                }
        }
#endif
}

// Write a warp's rows through its own part of `shared`, so that every store is 16 bytes and a row is one line.
DEVICE void store_rows(const Rows& rows, u32 shared, u16* out, i64 stride, int first, int length) {
    const int lane = thread_index() & 31, first_row = thread_index() / 32 % ROW_WARPS * 16 * ROW_TILES;
#pragma unroll
    for (int t = 0; t < ROW_TILES; t++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = first_row + t * 16 + half * 8 + (lane >> 2);
            const float inverse = 1.0f / rows.denominator[t][half];
#pragma unroll
            for (int n = 0; n < 8; n++) {
                const u32 word = pack(rows.sum[t][n][2 * half] * inverse, rows.sum[t][n][2 * half + 1] * inverse);
                store_shared_word(shared + place(row, n) + (lane & 3) * 4, word);
            }
        }
    warp_barrier();
#pragma unroll
    for (int item = lane; item < ROW_TILES * 16 * 8; item += 32) {
        const int row = first_row + (item >> 3), chunk = item & 7;
        if (first + row < length) store_global(out + (first + row) * stride + chunk * 8, load_shared(shared + place(row, chunk)));
    }
}

KERNEL(THREADS, MIN_BLOCKS)
attention(const u16* qkv, u16* out, const i64* starts, const i64* lengths, const u16* query_weight, const u16* key_weight,
          const float* rope, i64 tokens, i64 qkv_stride, int heads, int n_sequences, int max_length, float scale, float epsilon) {
    SHARED_MEMORY(shared, QUERY_BYTES + 2 * STAGE_BYTES);
    const int head = head_index(), sequence = sequence_index(), first = tile_index() * ROWS;
    const i64 start = load_i64(starts + sequence);
    const i64 owned = (sequence + 1 < n_sequences ? load_i64(starts + sequence + 1) : tokens) - start;
    i64 bounded = load_i64(lengths + sequence);
    bounded = bounded < owned ? bounded : owned;
    bounded = bounded < max_length ? bounded : max_length;
    const int length = bounded < 0 ? 0 : (int)bounded;

    const i64 out_stride = (i64)heads * HEAD_DIM;
    out += start * out_stride + head * HEAD_DIM;
    const i64 zeros_from = first > length ? first : length;
    const i64 zeros_to = is_last_tile() || first + ROWS > owned ? owned : first + ROWS;
    for (i64 item = zeros_from * 8 + thread_index(); item < zeros_to * 8; item += THREADS)
        store_global(out + (item >> 3) * out_stride + (item & 7) * 8, Chunk{});
    if (first >= length) return;

    const u16* queries_from = qkv + start * qkv_stride + head * HEAD_DIM;
    const u16 *keys_from = queries_from + out_stride, *values_from = keys_from + out_stride;
    const u32 stages = shared + QUERY_BYTES;
    copy_tile<ROWS>(shared, queries_from, qkv_stride, first, length);
    copies_commit();
    copy_tile<TILE_KEYS>(stages, keys_from, qkv_stride, 0, length);
    copy_tile<TILE_KEYS>(stages + TILE_BYTES, values_from, qkv_stride, 0, length);
    copies_commit();

    copies_wait<1>();
    norm_and_rotate<ROWS>(shared, first, length, query_weight, rope, epsilon);
    block_barrier();
    u32 queries[ROW_TILES][4][4];
    const int lane = thread_index() & 31, first_row = thread_index() / 32 % ROW_WARPS * 16 * ROW_TILES;
#pragma unroll
    for (int t = 0; t < ROW_TILES; t++)
#pragma unroll
        for (int k = 0; k < 4; k++)
            load_matrices(queries[t][k], shared + place(first_row + t * 16 + (lane & 15), k * 2 + (lane >> 4)));

    Rows rows = {};
#pragma unroll
    for (int t = 0; t < ROW_TILES; t++) rows.maximum[t][0] = rows.maximum[t][1] = minus_infinity();
    for (int key = 0, stage = 0; key < length; key += TILE_KEYS, stage ^= 1) {
        const u32 here = stages + stage * STAGE_BYTES, other = stages + (stage ^ 1) * STAGE_BYTES;
        copies_wait<0>();
        norm_and_rotate<TILE_KEYS>(here, key, length, key_weight, rope, epsilon);
        block_barrier();  // this tile is whole, and nobody reads the other stage any more
        if (key + TILE_KEYS < length) {
            copy_tile<TILE_KEYS>(other, keys_from, qkv_stride, key + TILE_KEYS, length);
            copy_tile<TILE_KEYS>(other + TILE_BYTES, values_from, qkv_stride, key + TILE_KEYS, length);
            copies_commit();
        }
        attend(rows, queries, here, here + TILE_BYTES, key, length, scale);
    }
    finish(rows, stages, scale);
    if (thread_index() / 32 / ROW_WARPS == 0) store_rows(rows, shared, out, out_stride, first, length);
}
