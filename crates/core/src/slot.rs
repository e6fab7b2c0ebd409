//! Time slots: when a monitor runs, computed alike by everybody.
//!
//! Slots are `phase + k · interval` on the Unix clock, `phase = hash(uid)` scaled to the interval: independent of
//! restarts, replicas and reassignment, and evenly spread. The key of a result is the *whole Unix second* of its slot,
//! which is unique per series because intervals are at least one second.

use xxhash_rust::xxh3::xxh3_128;

/// Number of hash buckets ("shards") per pool.
pub const BUCKETS: u16 = 1024;

/// XXH3-128, seed 0, of the uid's 16 bytes: top 10 bits give the bucket, the low 64 bits the phase.
pub fn hash(uid: &[u8; 16]) -> u128 {
    xxh3_128(uid)
}

/// The shard of a monitor: the top 10 bits of its hash.
pub fn bucket(hash: u128) -> u16 {
    (hash >> 118) as u16
}

/// The phase in milliseconds: the hash's low 64 bits scaled to the interval (multiply-shift), floored to 10 ms.
pub fn phase_ms(hash: u128, interval_ms: u32) -> u32 {
    let scaled = (u128::from(hash as u64) * u128::from(interval_ms)) >> 64;
    (scaled as u32) / 10 * 10
}

/// A monitor's timetable. All times are Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Time between two slots, at least 1,000.
    pub interval_ms: u32,
    /// 0 ≤ phase < interval.
    pub phase_ms: u32,
}

impl Schedule {
    /// The timetable of the monitor with this hash.
    pub fn new(hash: u128, interval_ms: u32) -> Self {
        Self { interval_ms, phase_ms: phase_ms(hash, interval_ms) }
    }

    /// The first slot at or after `at`.
    pub fn next_at_or_after(&self, at: i64) -> i64 {
        let interval = i64::from(self.interval_ms);
        let since = (at - i64::from(self.phase_ms)).rem_euclid(interval);
        if since == 0 { at } else { at + interval - since }
    }

    /// The first slot strictly after `at`.
    pub fn next_after(&self, at: i64) -> i64 {
        self.next_at_or_after(at + 1)
    }

    /// The last slot at or before `at`.
    pub fn last_at_or_before(&self, at: i64) -> i64 {
        at - (at - i64::from(self.phase_ms)).rem_euclid(i64::from(self.interval_ms))
    }

    /// The first second from this one on that is no slot's key, so that what runs outside the schedule has a key of its own;
    /// `second` itself if every second near it is one (intervals about a second long).
    pub fn free_key(&self, second: i32) -> i32 {
        let is_free = |second: &i32| {
            let start = i64::from(*second) * 1000;
            self.count(start, start + 1000) == 0
        };
        (second..second.saturating_add(3)).find(is_free).unwrap_or(second)
    }

    /// How many slots lie in `[from, to)`.
    pub fn count(&self, from: i64, to: i64) -> i64 {
        if to <= from {
            return 0;
        }
        let first = self.next_at_or_after(from);
        if first >= to { 0 } else { (to - 1 - first) / i64::from(self.interval_ms) + 1 }
    }
}

/// The key under which a slot's result is stored: its whole Unix second.
pub fn key(slot_ms: i64) -> i32 {
    slot_ms.div_euclid(1000) as i32
}

/// How late a slot may start before it is missed: half an interval, at most 10 s.
pub fn grace_ms(interval_ms: u32) -> i64 {
    (i64::from(interval_ms) / 2).min(10_000)
}

/// The uid of a monitor that no API server named (standalone): stable for a namespace and name, so that deleting and making it
/// again keeps its slots.
pub fn stable_uid(namespace: &str, name: &str) -> [u8; 16] {
    // A namespace holds no '/', so the pair cannot be read in two ways.
    xxh3_128(format!("{namespace}/{name}").as_bytes()).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// uid, hash, bucket, phases at 1 s, 10 s, 60 s and 24 h. Made with another implementation of XXH3 (Python's
    /// xxhash): what is stored and what other versions compute depends on them for ever.
    const VECTORS: [(u128, u128, u16, [u32; 4]); 6] = [
        (0, 0xe518_9a95_99e3_f862_05ea_23ef_06e2_8b2d, 916, [20, 230, 1_380, 1_996_180]),
        (1, 0x9d09_e7ba_e416_05db_7fb1_5398_ec5f_f11d, 628, [490, 4_980, 29_920, 43_096_280]),
        (u128::MAX, 0x2c75_c396_ceb7_747b_e687_3ce6_5343_027f, 177, [900, 9_000, 54_030, 77_803_290]),
        (
            0x6ba7_b810_9dad_11d1_80b4_00c0_4fd4_30c8,
            0xcfc6_cd5b_b121_5ff0_d0f3_1c69_e489_28d1,
            831,
            [810, 8_160, 48_970, 70_520_500],
        ),
        (
            0xf47a_c10b_58cc_4372_a567_0e02_b2c3_d479,
            0xf80b_be75_642e_ad79_5daf_adef_8070_2d01,
            992,
            [360, 3_650, 21_950, 31_619_100],
        ),
        (
            0x0123_4567_89ab_4cde_8f01_2345_6789_abcd,
            0x88e9_fd25_748b_f83d_7759_05c3_b9de_594b,
            547,
            [460, 4_660, 27_970, 40_279_860],
        ),
    ];

    #[test]
    fn hashes_buckets_and_phases_are_fixed_for_ever() {
        for (uid, expected, shard, phases) in VECTORS {
            let hash = hash(&uid.to_be_bytes());
            assert_eq!(hash, expected, "{uid:032x}");
            assert_eq!(bucket(hash), shard, "{uid:032x}");
            assert_eq!([1_000, 10_000, 60_000, 86_400_000].map(|i| phase_ms(hash, i)), phases, "{uid:032x}");
        }
    }

    /// A version 4 UUID as Kubernetes makes them; reproducible. (Counted-up uids would spread a little less evenly: XXH3
    /// multiplies so short an input only once.)
    fn uid(n: u64) -> [u8; 16] {
        // SplitMix64
        let random = |n: u64| {
            let z = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            u128::from(z ^ z >> 31)
        };
        let bits = random(2 * n + 1) << 64 | random(2 * n + 2);
        *uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().as_bytes()
    }

    #[test]
    fn buckets_are_even() {
        const N: u64 = 200_000;
        let mut counts = vec![0_u32; usize::from(BUCKETS)];
        for n in 0..N {
            counts[usize::from(bucket(hash(&uid(n))))] += 1;
        }
        let expected = N as f64 / f64::from(BUCKETS);
        let chi: f64 = counts.iter().map(|c| (f64::from(*c) - expected).powi(2) / expected).sum();
        // 1,023 degrees of freedom: mean 1,023, standard deviation 45; five of them on either side.
        assert!((797.0..1_249.0).contains(&chi), "{chi}");
    }

    /// How many standard deviations the phases are away from evenness, by chi-square.
    fn unevenness(interval: u32, phases: impl ExactSizeIterator<Item = u32>) -> f64 {
        // Steps of 10 ms modulo 64, so that any residue class that the phases of a bucket could share is seen.
        let steps = interval_steps(interval);
        let classes = steps.len().min(64);
        let mut expected = vec![0.0; classes];
        for (step, share) in steps.iter().enumerate() {
            expected[step % classes] += share * phases.len() as f64;
        }
        let mut counts = vec![0_u32; classes];
        for phase in phases {
            assert!(phase < interval && phase % 10 == 0);
            counts[phase as usize / 10 % classes] += 1;
        }
        let chi: f64 = counts.iter().zip(&expected).map(|(c, e)| (f64::from(*c) - e).powi(2) / e).sum();
        let freedom = (classes - 1) as f64;
        (chi - freedom) / (2.0 * freedom).sqrt()
    }

    #[test]
    fn phases_are_even_within_one_bucket() {
        let hashes: Vec<u128> = (0..2_000_000).map(|n| hash(&uid(n))).collect();
        for interval in [1_000, 10_000, 1_024] {
            for shard in 0..4 {
                let mine: Vec<u128> = hashes.iter().copied().filter(|hash| bucket(*hash) == shard).collect();
                let even = unevenness(interval, mine.iter().map(|hash| phase_ms(*hash, interval)));
                assert!(even.abs() < 5.0, "bucket {shard}, {interval} ms: {even}");
                // What this guards against: bucket and phase from the same bits share a residue.
                let alike: Vec<u128> = hashes.iter().copied().filter(|hash| *hash as u16 % BUCKETS == shard).collect();
                let uneven = unevenness(interval, alike.iter().map(|h| (h % u128::from(interval)) as u32 / 10 * 10));
                assert!(uneven > 20.0, "bucket {shard}, {interval} ms: {uneven}");
            }
        }
    }

    /// The share of each 10 ms step of an interval; the last may be shorter.
    fn interval_steps(interval: u32) -> Vec<f64> {
        (0..interval.div_ceil(10)).map(|n| f64::from((interval - n * 10).min(10)) / f64::from(interval)).collect()
    }

    #[test]
    fn grace_is_half_an_interval_up_to_ten_seconds() {
        assert_eq!([1_000, 1_250, 10_000, 20_000, 86_400_000].map(grace_ms), [500, 625, 5_000, 10_000, 10_000]);
    }

    #[test]
    fn keys_are_whole_seconds_also_before_1970() {
        assert_eq!(
            [0, 999, 1_000, 1_763_900_000_123, -1, -1_000, -1_001].map(key),
            [0, 0, 1, 1_763_900_000, -1, -1, -2]
        );
    }

    fn schedules() -> impl Strategy<Value = Schedule> {
        (any::<u128>(), prop_oneof![1_000_u32..3_000, 1_000_u32..86_400_001]).prop_map(|(h, i)| Schedule::new(h, i))
    }

    proptest! {
        #[test]
        fn slots_agree_with_the_definition(
            schedule in schedules(),
            at in prop_oneof![-10_000_000_i64..10_000_000, 1_700_000_000_000_i64..1_800_000_000_000],
        ) {
            let interval = i64::from(schedule.interval_ms);
            let is_slot = |t: i64| (t - i64::from(schedule.phase_ms)) % interval == 0;
            let next = schedule.next_at_or_after(at);
            let after = schedule.next_after(at);
            let last = schedule.last_at_or_before(at);
            prop_assert!(is_slot(next) && is_slot(after) && is_slot(last));
            prop_assert!(at <= next && next < at + interval);
            prop_assert!(at < after && after <= at + interval);
            prop_assert!(at - interval < last && last <= at);
            prop_assert_eq!(next == at, is_slot(at));
            prop_assert_eq!(after, last + interval);
            prop_assert_eq!(schedule.last_at_or_before(after), after);
            prop_assert_eq!(schedule.next_at_or_after(last), last);
        }

        #[test]
        fn counts_agree_with_walking(schedule in schedules(), from in -1_000_000_i64..1_000_000, spans in -1_i64..60, rest in 0_i64..1_000) {
            let to = from + spans * i64::from(schedule.interval_ms) / 3 + rest;
            let mut naive = 0;
            let mut slot = schedule.next_at_or_after(from);
            while slot < to {
                naive += 1;
                slot = schedule.next_after(slot);
            }
            prop_assert_eq!(schedule.count(from, to), naive);
        }

        #[test]
        fn free_keys_are_near_and_no_slots(schedule in schedules(), second in 0_i32..1_800_000_000) {
            let free = schedule.free_key(second);
            prop_assert!((second..second + 3).contains(&free));
            let newest = schedule.last_at_or_before(i64::from(free) * 1000 + 999);
            prop_assert!(key(newest) != free || schedule.interval_ms < 2_000);
            let is_taken = |second: i32| key(schedule.last_at_or_before(i64::from(second) * 1000 + 999)) == second;
            prop_assert!((second..free).all(is_taken));
        }

        #[test]
        fn counts_add_up(schedule in schedules(), a in 0_i64..10_000_000_000, b in 0_i64..10_000_000_000, c in 0_i64..10_000_000_000) {
            let mut edges = [a, b, c];
            edges.sort_unstable();
            let [a, b, c] = edges;
            prop_assert_eq!(schedule.count(a, b) + schedule.count(b, c), schedule.count(a, c));
        }

        #[test]
        fn no_two_slots_share_a_key(schedule in schedules(), at in 0_i64..1_800_000_000_000) {
            let mut slot = schedule.next_at_or_after(at);
            for _ in 0..50 {
                let next = schedule.next_after(slot);
                prop_assert!(key(next) > key(slot));
                slot = next;
            }
        }

        #[test]
        fn phases_lie_within_the_interval(hash in any::<u128>(), interval in 1_000_u32..=86_400_000) {
            let phase = phase_ms(hash, interval);
            prop_assert!(phase < interval && phase.is_multiple_of(10));
        }
    }
}
