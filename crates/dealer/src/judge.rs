//! Who is dead: judged by silence, carefully. Pure.
//!
//! After an outage of PostgreSQL every heartbeat is old, also those of the healthy. So whoever judges first needs a full
//! timeout of reads of its own without interruption; and not more than half of a pool's runners are declared dead in one
//! round, unless they stay silent for long.

use std::time::{Duration, Instant};

/// No heartbeat for so long: dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(6);
/// Silent for so long: dead, whatever the others are.
pub const SURELY_DEAD_AFTER: Duration = Duration::from_secs(30);

/// A member of a pool, as it looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member {
    /// Its id.
    pub id: i16,
    /// Time since its last heartbeat, by PostgreSQL's clock.
    pub silent: Duration,
}

/// The judge; remembers since when it has read without interruption.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judge {
    reading_since: Option<Instant>,
    read_at: Option<Instant>,
}

impl Judge {
    /// The members were read, or whatever shows that PostgreSQL can be reached.
    pub fn read(&mut self, now: Instant) {
        // A pause of our own (frozen, starved) is an interruption too.
        let paused = self.read_at.is_none_or(|at| now.saturating_duration_since(at) > DEAD_AFTER / 2);
        if paused || self.reading_since.is_none() {
            self.reading_since = Some(now);
        }
        self.read_at = Some(now);
    }

    /// A read failed, or the lease was lost.
    pub fn interrupted(&mut self) {
        *self = Self::default();
    }

    /// Whether silence may be judged by now.
    pub fn is_ready(&self, now: Instant) -> bool {
        self.reading_since.is_some_and(|since| now.saturating_duration_since(since) >= DEAD_AFTER)
    }

    /// The dead among a pool's members.
    pub fn dead(&self, members: &[Member], now: Instant) -> Vec<i16> {
        if !self.is_ready(now) {
            return Vec::new();
        }
        let silent: Vec<&Member> = members.iter().filter(|member| member.silent >= DEAD_AFTER).collect();
        let surely = |member: &&&Member| member.silent >= SURELY_DEAD_AFTER;
        if 2 * silent.len() > members.len() {
            return silent.iter().filter(surely).map(|member| member.id).collect();
        }
        silent.iter().map(|member| member.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn members(silent: &[u32]) -> Vec<Member> {
        silent.iter().enumerate().map(|(id, s)| Member { id: id as i16, silent: *s * S }).collect()
    }

    fn ready(start: Instant) -> (Judge, Instant) {
        let mut judge = Judge::default();
        let mut now = start;
        judge.read(now);
        for _ in 0..6 {
            now += S;
            judge.read(now);
        }
        (judge, now)
    }

    #[test]
    fn a_silent_one_is_dead_after_the_judges_own_full_timeout() {
        let start = Instant::now();
        let mut judge = Judge::default();
        judge.read(start);
        assert_eq!(
            judge.dead(&members(&[60, 0, 0]), start),
            Vec::<i16>::new(),
            "after an outage everybody has been silent"
        );
        let (judge, now) = ready(start);
        assert_eq!(judge.dead(&members(&[60, 0, 0]), now), [0]);
        assert_eq!(judge.dead(&members(&[5, 0, 0]), now), Vec::<i16>::new());
    }

    #[test]
    fn interruptions_and_own_pauses_start_again() {
        let (mut judge, now) = ready(Instant::now());
        judge.interrupted();
        judge.read(now);
        assert!(!judge.is_ready(now));
        let (mut judge, now) = ready(Instant::now());
        judge.read(now + 30 * S);
        assert!(!judge.is_ready(now + 30 * S), "frozen for 30 s");
    }

    #[test]
    fn not_more_than_half_at_once_unless_silent_for_long() {
        let (judge, now) = ready(Instant::now());
        assert_eq!(judge.dead(&members(&[7, 7, 0, 0]), now), [0, 1]);
        assert_eq!(judge.dead(&members(&[7, 7, 7, 0]), now), Vec::<i16>::new());
        assert_eq!(judge.dead(&members(&[31, 7, 7, 0]), now), [0]);
        assert_eq!(judge.dead(&members(&[7]), now), Vec::<i16>::new(), "the only one: nobody could take over");
        assert_eq!(judge.dead(&members(&[7, 0]), now), [0]);
    }
}
