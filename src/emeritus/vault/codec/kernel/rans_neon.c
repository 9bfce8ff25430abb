/* The loops of rans.h for NEON on AArch64: four lanes to a register, two registers to a mask. */
#include "rans.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#include "rans_shuffles.h"

enum { VECTORS = RANS_LANES / 4 };

static inline uint32x4_t look_up(uint32x4_t index, const uint32_t *table)
{
    uint32x4_t found = vdupq_n_u32(table[vgetq_lane_u32(index, 0)]);
    found = vsetq_lane_u32(table[vgetq_lane_u32(index, 1)], found, 1);
    found = vsetq_lane_u32(table[vgetq_lane_u32(index, 2)], found, 2);
    return vsetq_lane_u32(table[vgetq_lane_u32(index, 3)], found, 3);
}

/* One bit for each of eight lanes whose mask is set. */
static inline unsigned bits(uint32x4_t first, uint32x4_t second)
{
    static const uint16_t weights[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    uint16x8_t both = vcombine_u16(vmovn_u32(first), vmovn_u32(second));
    return vaddvq_u16(vandq_u16(both, vld1q_u16(weights)));
}

/* A step of eight lanes, two registers: their states move on; what the table says of each goes to `slots`. */
static inline void step(const struct rans_decoder *with, uint32x4_t *x, uint32x4_t *slots, const uint8_t **words)
{
    const uint32x4_t low = vdupq_n_u32(RANS_TOTAL - 1);
    uint32x4_t wanting[2];
    for (int each = 0; each < 2; each++) {
        slots[each] = look_up(vandq_u32(x[each], low), with->slots);
        x[each] = vmlaq_u32(vandq_u32(vshrq_n_u32(slots[each], 8), low), vshrq_n_u32(slots[each], 20),
                            vshrq_n_u32(x[each], RANS_BITS));
        wanting[each] = vcltq_u32(x[each], vdupq_n_u32(RANS_LOW));
    }
    unsigned mask = bits(wanting[0], wanting[1]);
    uint8x16_t spread = vld1q_u8((const uint8_t *)rans_spread[mask]);
    uint16x8_t next = vreinterpretq_u16_u8(vqtbl1q_u8(vld1q_u8(*words), spread));
    *words += 2 * __builtin_popcount(mask);
    for (int each = 0; each < 2; each++)
        x[each] = vshlq_u32(x[each], vreinterpretq_s32_u32(vandq_u32(wanting[each], vdupq_n_u32(16))));
    x[0] = vorrq_u32(x[0], vmovl_u16(vget_low_u16(next)));
    x[1] = vorrq_u32(x[1], vmovl_u16(vget_high_u16(next)));
}

static void decode(struct rans_stream *one, struct rans_stream *other)
{
    (void)other; /* sixteen registers of one keep the machine busy */
    uint32x4_t x[VECTORS], slots[VECTORS];
    const uint8_t *words = one->words, *rest = one->rest;
    uint8_t *out = one->out;
    size_t done = 0;
    for (int each = 0; each < VECTORS; each++)
        x[each] = vld1q_u32(one->states + 4 * each);
    for (; done < one->rounds && one->end - words >= RANS_ROUND; done++) {
        for (int each = 0; each < VECTORS; each += 2)
            step(&one->with, x + each, slots + each, &words);
        for (int each = 0; each < 8; each++) { /* 8 symbols: the even of one register, the odd of another */
            const uint32x4_t *even = &slots[(each & 3) + 8 * (each >> 2)];
            uint16x8_t symbols = vreinterpretq_u16_u32(vsliq_n_u32(even[0], even[4], 16));
            if (rest) {
                uint16x8_t around = vmovl_u8(vld1_u8(rest));
                around = vsliq_n_u16(around, around, 8);
                symbols = vbslq_u16(vdupq_n_u16(0x807f), around, vshlq_n_u16(symbols, 7));
                vst1q_u8(out, vreinterpretq_u8_u16(symbols));
                rest += 8;
                out += 16;
            } else {
                vst1_u8(out, vmovn_u16(symbols));
                out += 8;
            }
        }
    }
    for (int each = 0; each < VECTORS; each++)
        vst1q_u32(one->states + 4 * each, x[each]);
    one->words = words;
    rans_advance(one, done);
}

/* Eight lanes, two registers, take a symbol each, and shed a word first where they are full. */
static inline void take(const struct rans_coder *with, uint32x4_t *x, const uint32x4_t *symbols, uint8_t **end)
{
    uint32x4_t frequency[2], start[2], full[2];
    float32x4_t reciprocal[2];
    for (int each = 0; each < 2; each++) {
        uint32x4_t packed = look_up(symbols[each], with->packed);
        reciprocal[each] = vreinterpretq_f32_u32(look_up(symbols[each], (const uint32_t *)with->reciprocal));
        frequency[each] = vandq_u32(packed, vdupq_n_u32(0xffff));
        start[each] = vshrq_n_u32(packed, 16);
        full[each] = vcgeq_u32(x[each], vshlq_n_u32(frequency[each], 32 - RANS_BITS));
    }
    unsigned mask = bits(full[0], full[1]);
    uint8x16_t shed = vreinterpretq_u8_u16(vcombine_u16(vmovn_u32(x[0]), vmovn_u32(x[1])));
    vst1q_u8(*end - 16, vqtbl1q_u8(shed, vld1q_u8((const uint8_t *)rans_to_top[mask]))); /* below: written over later */
    *end -= 2 * __builtin_popcount(mask);
    for (int each = 0; each < 2; each++) {
        int32x4_t down = vnegq_s32(vreinterpretq_s32_u32(vandq_u32(full[each], vdupq_n_u32(16))));
        uint32x4_t state = vshlq_u32(x[each], down);
        float32x4_t near = vmulq_f32(vcvtq_f32_u32(state), reciprocal[each]);
        uint32x4_t quotient = vcvtq_u32_f32(near); /* right, or one too small */
        uint32x4_t left = vmlsq_u32(state, quotient, frequency[each]);
        uint32x4_t small = vcgeq_u32(left, frequency[each]);
        quotient = vsubq_u32(quotient, small);
        left = vsubq_u32(left, vandq_u32(small, frequency[each]));
        x[each] = vaddq_u32(vshlq_n_u32(quotient, RANS_BITS), vaddq_u32(left, start[each]));
    }
}

static uint8_t *encode(const struct rans_coder *with, uint32_t *states, const uint8_t *symbols, size_t rounds,
                       uint8_t *end)
{
    uint32x4_t x[VECTORS];
    for (int each = 0; each < VECTORS; each++)
        x[each] = vld1q_u32(states + 4 * each);
    while (rounds-- > 0)
        for (int eighth = 7; eighth >= 0; eighth--) { /* of the lanes: half h, b, and two registers of j */
            const uint8_t *from = symbols + rounds * RANS_LANES + 32 * (size_t)(eighth >> 2) + 16 * (size_t)(eighth & 1);
            uint8x16_t sixteen = vld1q_u8(from);
            uint32x4_t its[2];
            for (int each = 0; each < 2; each++) {
                uint8x8_t eight = each ? vget_high_u8(sixteen) : vget_low_u8(sixteen);
                uint32x4_t pairs = vreinterpretq_u32_u16(vmovl_u8(eight));
                its[each] = eighth & 2 ? vshrq_n_u32(pairs, 16) : vandq_u32(pairs, vdupq_n_u32(0xffff));
            }
            take(with, x + 2 * eighth, its, &end);
        }
    for (int each = 0; each < VECTORS; each++)
        vst1q_u32(states + 4 * each, x[each]);
    return end;
}

static void split16(const uint8_t *numbers, size_t count, uint8_t *symbols, uint8_t *rest)
{
    size_t at = 0;
    for (; at + 8 <= count; at += 8) {
        uint16x8_t number = vreinterpretq_u16_u8(vld1q_u8(numbers + 2 * at));
        vst1_u8(symbols + at, vmovn_u16(vshrq_n_u16(number, 7)));
        uint16x8_t sign = vandq_u16(vshrq_n_u16(number, 8), vdupq_n_u16(0x80));
        vst1_u8(rest + at, vmovn_u16(vorrq_u16(vandq_u16(number, vdupq_n_u16(0x7f)), sign)));
    }
    rans_scalar.split16(numbers + 2 * at, count - at, symbols + at, rest + at);
}

const struct rans_loops rans_neon = {decode, encode, split16};
#endif
