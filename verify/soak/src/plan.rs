//! Decides what each task does, and what happens to it, from the seed, the epoch and the task's number alone.

use fastrand::Rng;

use crate::faults::{Fault, FaultSet};

/// What the handle of a task comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Joined.
    Join,
    /// Polled with a waker that panics when it is woken or dropped, later joined.
    JoinBadly(BadWaker),
    /// Dropped at once.
    DropBefore,
    /// Dropped later, when the spawner comes to it.
    DropDuring,
    /// Dropped when the task is over.
    DropAfter,
    /// Aborted by the spawner, at once or when it comes to it.
    AbortBySpawner {
        /// At once.
        now: bool,
    },
    /// Aborted by the next task that is polled for the first time.
    AbortByTask,
    /// Aborted by a foreign thread.
    AbortByForeign,
    /// Aborted by the task's own poll.
    AbortInPoll,
    /// Aborted when the task is over, then joined.
    AbortAfter,
}

/// Where a join waker panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadWaker {
    /// When it is woken.
    Wake,
    /// When it is dropped.
    Drop,
}

/// Where a task panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Panic {
    /// In the first poll.
    FirstPoll,
    /// In the poll that would be ready.
    LastPoll,
    /// In the future's drop.
    FutureDrop,
    /// In the output's drop.
    OutputDrop,
}

/// How long the first poll takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// No longer than it must.
    Quick,
    /// [`SHORT`].
    Slow,
    /// [`LONG`].
    VerySlow,
}

/// A slow poll, in microseconds.
pub const LONG: u64 = 10_000;

/// A slow poll where there have been too many of them, in microseconds.
pub const SHORT: u64 = 50;

/// The most polls of 10 ms that a run spends its time on, about five seconds of one thread. A run of 10⁸ lifecycles
/// would sleep for a quarter of an hour otherwise.
pub const LONG_POLLS: u64 = 500;

/// One task's life, as it is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What the handle comes to.
    pub fate: Fate,
    /// Where it panics.
    pub panic: Option<Panic>,
    /// How long its first poll takes.
    pub pace: Pace,
    /// How often it wakes itself.
    pub self_wakes: u8,
    /// How often a foreign thread has to wake it.
    pub foreign_wakes: u8,
    /// Whether that thread wakes it a hundred times more when it is over.
    pub late_wakes: bool,
    /// Whether its waker is stored for the whole run.
    pub stored: bool,
    /// A coin toss for further choices.
    pub coin: bool,
}

impl Plan {
    /// Ready at once, and joined.
    pub const CALM: Self = Self {
        fate: Fate::Join,
        panic: None,
        pace: Pace::Quick,
        self_wakes: 0,
        foreign_wakes: 0,
        late_wakes: false,
        stored: false,
        coin: false,
    };
}

/// Makes the plans of an epoch's tasks.
#[derive(Clone, Copy, Debug)]
pub struct Planner {
    /// The epoch's own seed.
    seed: u64,
    faults: FaultSet,
    /// Whether there are foreign threads.
    foreign: bool,
    /// One slow poll in this number is very slow.
    very_slow_in: u32,
}

impl Planner {
    /// The plans of an epoch of a run of `lifecycles` tasks.
    pub fn new(seed: u64, epoch: u64, faults: FaultSet, foreign: bool, lifecycles: u64) -> Self {
        let very_slow_in = (lifecycles / 1000).div_ceil(LONG_POLLS).clamp(1, u32::MAX.into()) as u32;
        Self { seed: mix(seed ^ mix(epoch)), faults, foreign, very_slow_in }
    }

    /// Whether `fault` may be injected.
    pub fn has(&self, fault: Fault) -> bool {
        self.faults.has(fault)
    }

    /// The choices of the spawning thread, or of a foreign one.
    pub fn rng(&self, of: u64) -> Rng {
        Rng::with_seed(mix(self.seed ^ mix(!of)))
    }

    /// The plan of a task.
    pub fn plan(&self, index: u32) -> Plan {
        let mut rng = Rng::with_seed(self.seed ^ u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut fate = self.fate(&mut rng);
        let mut panic = None;
        match rng.u32(0..1000) {
            0 | 1 if self.has(Fault::PanicInPoll) => {
                panic = Some(if rng.bool() { Panic::FirstPoll } else { Panic::LastPoll });
            }
            2 | 3 if self.has(Fault::PanicInFutureDrop) => panic = Some(Panic::FutureDrop),
            4 | 5 if self.has(Fault::PanicInOutputDrop) => panic = Some(Panic::OutputDrop),
            6 | 7 if self.has(Fault::PanicInWake) => fate = Fate::JoinBadly(BadWaker::Wake),
            8 | 9 if self.has(Fault::PanicInWakerDrop) => fate = Fate::JoinBadly(BadWaker::Drop),
            _ => {}
        }
        let pace = match rng.u32(0..1000) {
            0 if !self.has(Fault::SlowPoll) => Pace::Quick,
            0 if rng.u32(0..self.very_slow_in) == 0 => Pace::VerySlow,
            0 => Pace::Slow,
            _ => Pace::Quick,
        };
        let abroad = self.foreign && self.has(Fault::ForeignWake);
        let foreign_wakes = if abroad && rng.u32(0..100) < 15 { rng.u8(1..=2) } else { 0 };
        Plan {
            fate,
            panic,
            pace,
            self_wakes: if rng.bool() { rng.u8(0..4) } else { 0 },
            foreign_wakes,
            late_wakes: foreign_wakes > 0 && rng.u32(0..75) == 0 && self.has(Fault::LateWakes),
            stored: rng.u32(0..10) == 0 && self.has(Fault::StoredWaker),
            coin: rng.bool(),
        }
    }

    fn fate(&self, rng: &mut Rng) -> Fate {
        let (fault, fate) = match rng.u32(0..1000) {
            0..67 => (Fault::DropBefore, Fate::DropBefore),
            67..134 => (Fault::DropDuring, Fate::DropDuring),
            134..200 => (Fault::DropAfter, Fate::DropAfter),
            200..210 => (Fault::AbortBySpawner, Fate::AbortBySpawner { now: rng.bool() }),
            210..220 => (Fault::AbortByTask, Fate::AbortByTask),
            220..230 if self.foreign => (Fault::AbortByForeign, Fate::AbortByForeign),
            230..240 => (Fault::AbortInPoll, Fate::AbortInPoll),
            240..250 => (Fault::AbortAfter, Fate::AbortAfter),
            _ => return Fate::Join,
        };
        if self.has(fault) { fate } else { Fate::Join }
    }
}

/// Scatters neighbouring numbers (the finaliser of splitmix64).
pub fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_plans_and_another_has_others() {
        let of = |seed, epoch| Planner::new(seed, epoch, FaultSet::without([]), true, 1_000_000);
        let plans = |planner: Planner| (0..1000).map(|index| planner.plan(index)).collect::<Vec<_>>();
        assert_eq!(plans(of(1, 0)), plans(of(1, 0)));
        assert_ne!(plans(of(1, 0)), plans(of(2, 0)));
        assert_ne!(plans(of(1, 0)), plans(of(1, 1)));
    }

    #[test]
    fn the_rates_are_as_they_are_said_to_be() {
        let planner = Planner::new(7, 0, FaultSet::without([]), true, 100_000_000);
        let share = |is: &dyn Fn(Plan) -> bool| (0..100_000).filter(|index| is(planner.plan(*index))).count();
        let near = |count: usize, of: usize| assert!(count.abs_diff(of) < of / 5, "{count} instead of {of}");
        near(share(&|plan| matches!(plan.panic, Some(Panic::FirstPoll | Panic::LastPoll))), 200);
        near(share(&|plan| plan.panic.is_some() || matches!(plan.fate, Fate::JoinBadly(_))), 1000);
        near(share(&|plan| matches!(plan.fate, Fate::DropBefore | Fate::DropDuring | Fate::DropAfter)), 20_000);
        near(share(&|plan| plan.fate == Fate::AbortInPoll), 1000);
        near(share(&|plan| plan.pace != Pace::Quick), 100);
        near(share(&|plan| plan.foreign_wakes > 0), 15_000);
    }

    #[test]
    fn what_is_left_out_is_not_planned() {
        let planner = Planner::new(7, 0, FaultSet::without(Fault::ALL.iter().copied()), true, 1000);
        assert!(
            (0..10_000)
                .map(|index| planner.plan(index))
                .all(|plan| Plan { self_wakes: 0, coin: false, ..plan } == Plan::CALM)
        );
    }
}
