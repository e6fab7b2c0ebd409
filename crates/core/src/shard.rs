//! Dealing shards to runners: minimal movement, balanced by probe rate. Pure; driven by `nanomon-dealer`.
//!
//! A shard is one hash bucket of one pool ([`crate::slot::bucket`]). Runners are equal; a shard weighs the runs per
//! second of its monitors, and a little for itself, so that empty shards are spread too. First the shards without a
//! fit owner go, the heaviest first, each to the runner that has least; where that leaves all runners within
//! [`TOLERANCE`] of their mean nothing else moves. Otherwise shards go from the fullest runner to the emptiest until all
//! are within it, and on to half of it as far as shards of the right size are found, so that the next small change of
//! rates moves nothing. What is out of balance because one shard weighs too much stays as it is.

use std::collections::BTreeSet;

/// How far from the mean a runner may be, as a part of the mean, before shards are moved.
pub const TOLERANCE: f64 = 0.1;

/// A runner that is alive. All have the same capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runner {
    /// The runner's id.
    pub id: i16,
    /// It is leaving: it gets nothing, and what it has goes to others as soon as there are any.
    pub draining: bool,
}

/// One shard gets a new owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The shard.
    pub bucket: u16,
    /// Its owner up to now, dead or alive.
    pub from: Option<i16>,
    /// Its owner from now on: alive and not draining.
    pub to: i16,
}

/// Deals the shards of one pool. Returns the moves in ascending order of shard, each shard at most once.
///
/// - `live`: the runners alive; who is not among them is dead. Their order does not matter.
/// - `owners`: for each shard its owner: during a handover the one it is handed to.
/// - `rates`: for each shard the runs per second of its monitors; what is missing, negative or NaN is taken as 0.
///
/// If there is a runner that is alive and not draining, every shard has such an owner afterwards; else nothing moves.
/// The same input gives the same moves, and dealing again after the moves gives none.
pub fn deal(live: &[Runner], owners: &[Option<i16>], rates: &[f64]) -> Vec<Move> {
    let fit: BTreeSet<i16> = live.iter().filter(|runner| !runner.draining).map(|runner| runner.id).collect();
    // An id that is listed twice, once as draining, is draining.
    let fit: Vec<i16> = fit.into_iter().filter(|id| !live.iter().any(|r| r.id == *id && r.draining)).collect();
    if fit.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(&fit, owners, weights(rates, owners.len()));
    table.adopt_orphans();
    table.balance();
    let dealt = table.hands.iter().zip(&fit).flat_map(|(hand, id)| hand.shards.iter().map(move |shard| (*shard, *id)));
    let mut moves: Vec<Move> = dealt
        .filter(|(shard, id)| owners[*shard] != Some(*id))
        .map(|(shard, to)| Move { bucket: shard as u16, from: owners[shard], to })
        .collect();
    moves.sort_unstable_by_key(|change| change.bucket);
    moves
}

/// Weights as whole numbers, so that sums do not depend on their order: micro-runs per second, plus a hundredth of the
/// mean for the shard itself.
fn weights(rates: &[f64], count: usize) -> Vec<u64> {
    const MICRO: f64 = 1e6;
    const RATE_MAX: f64 = 1e6;
    let mut weights: Vec<u64> = rates
        .iter()
        .map(|rate| if rate.is_nan() { 0 } else { (rate.clamp(0.0, RATE_MAX) * MICRO).round() as u64 })
        .chain(std::iter::repeat(0))
        .take(count)
        .collect();
    let own = (weights.iter().sum::<u64>() / (100 * count.max(1) as u64)).max(1);
    for weight in &mut weights {
        *weight += own;
    }
    weights
}

/// What one runner has.
#[derive(Debug, Default)]
struct Hand {
    load: u64,
    /// Shards by number.
    shards: Vec<usize>,
    /// It has too much, but no shard that another could better have: left out of the balance.
    stuck: bool,
}

#[derive(Debug)]
struct Table {
    weights: Vec<u64>,
    hands: Vec<Hand>,
    orphans: Vec<usize>,
}

/// The bounds of a balanced load.
struct Band {
    low: f64,
    high: f64,
}

impl Band {
    fn around(mean: f64, tolerance: f64) -> Self {
        Self { low: mean * (1.0 - tolerance), high: mean * (1.0 + tolerance) }
    }

    fn holds(&self, load: u64) -> bool {
        (self.low..=self.high).contains(&(load as f64))
    }
}

impl Table {
    /// `fit` is sorted.
    fn new(fit: &[i16], owners: &[Option<i16>], weights: Vec<u64>) -> Self {
        let mut hands: Vec<Hand> = fit.iter().map(|_| Hand::default()).collect();
        let mut orphans = Vec::new();
        for (shard, owner) in owners.iter().enumerate() {
            match owner.and_then(|id| fit.binary_search(&id).ok()) {
                Some(at) => {
                    hands[at].shards.push(shard);
                    hands[at].load += weights[shard];
                }
                None => orphans.push(shard),
            }
        }
        Self { weights, hands, orphans }
    }

    /// Gives each shard without a fit owner to the runner that has least.
    fn adopt_orphans(&mut self) {
        let mut orphans = std::mem::take(&mut self.orphans);
        orphans.sort_unstable_by_key(|shard| (std::cmp::Reverse(self.weights[*shard]), *shard));
        for shard in orphans {
            let Some(hand) = self.hands.iter_mut().min_by_key(|hand| (hand.load, hand.shards.len())) else { return };
            hand.shards.push(shard);
            hand.load += self.weights[shard];
        }
    }

    /// Moves shards from the fullest to the emptiest. Each move makes the difference between the two smaller, hence the
    /// sum of squares, hence it ends.
    fn balance(&mut self) {
        let mut moved = false;
        while let Some((from, to, mean)) = self.extremes() {
            let wide = Band::around(mean, TOLERANCE);
            let narrow = Band::around(mean, TOLERANCE / 2.0);
            let (full, empty) = (self.hands[from].load, self.hands[to].load);
            if wide.holds(full) && wide.holds(empty) {
                if !moved || (narrow.holds(full) && narrow.holds(empty)) {
                    return;
                }
                let Some(at) = self.fitting(from, to, narrow.low, narrow.high) else { return };
                self.pass(from, at, to);
            } else if let Some(at) = self.fitting(from, to, wide.low, narrow.high).or_else(|| self.halving(from, to)) {
                self.pass(from, at, to);
                moved = true;
            } else {
                self.hands[from].stuck = true;
            }
        }
    }

    /// The fullest and the emptiest runner and the mean load of those that are not stuck; `None` if fewer than two are.
    fn extremes(&self) -> Option<(usize, usize, f64)> {
        let free = || self.hands.iter().enumerate().filter(|(_, hand)| !hand.stuck);
        let (from, _) = free().max_by_key(|(at, hand)| (hand.load, std::cmp::Reverse(*at)))?;
        let (to, _) = free().min_by_key(|(at, hand)| (hand.load, *at))?;
        let mean = free().map(|(_, hand)| hand.load).sum::<u64>() as f64 / free().count() as f64;
        (from != to).then_some((from, to, mean))
    }

    /// The heaviest shard that leaves the giver at or above `low` and the taker at or below `high`. As not both are
    /// within these bounds beforehand, it is lighter than the difference between the two.
    fn fitting(&self, from: usize, to: usize, low: f64, high: f64) -> Option<usize> {
        let (full, empty) = (self.hands[from].load, self.hands[to].load);
        self.best(from, |weight| {
            let fits = (full - weight) as f64 >= low && (empty + weight) as f64 <= high;
            fits.then_some(weight)
        })
    }

    /// The shard that comes nearest to making both equal.
    fn halving(&self, from: usize, to: usize) -> Option<usize> {
        let gap = self.hands[from].load - self.hands[to].load;
        self.best(from, |weight| (weight < gap).then(|| u64::MAX - (2 * weight).abs_diff(gap)))
    }

    /// The place in the hand of the shard with the highest score; of equal ones that with the lowest number.
    fn best(&self, from: usize, score: impl Fn(u64) -> Option<u64>) -> Option<usize> {
        let scored = self.hands[from].shards.iter().enumerate();
        scored
            .filter_map(|(at, shard)| Some((score(self.weights[*shard])?, std::cmp::Reverse(*shard), at)))
            .max()
            .map(|(.., at)| at)
    }

    fn pass(&mut self, from: usize, at: usize, to: usize) {
        let shard = self.hands[from].shards.swap_remove(at);
        self.hands[from].load -= self.weights[shard];
        self.hands[to].shards.push(shard);
        self.hands[to].load += self.weights[shard];
    }
}

#[cfg(test)]
mod tests;
