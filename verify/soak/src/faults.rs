//! The faults that are injected, by name, and how often each was. When and where is decided in `plan`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! faults {
    ($($fault:ident: $what:literal, $rate:literal;)*) => {
        /// Something that is done to an executor.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "`what` says it")]
        pub enum Fault { $($fault,)* }

        impl Fault {
            /// All of them, in the order of the report.
            pub const ALL: &'static [Self] = &[$(Self::$fault,)*];

            /// What is done.
            pub fn what(self) -> &'static str {
                match self { $(Self::$fault => $what,)* }
            }

            /// How often.
            pub fn rate(self) -> &'static str {
                match self { $(Self::$fault => $rate,)* }
            }
        }
    };
}

faults! {
    PanicInPoll: "panic in a poll", "0.2 %";
    PanicInFutureDrop: "panic in a future's drop", "0.2 %";
    PanicInOutputDrop: "panic in an output's drop", "0.2 %";
    PanicInWake: "panic in a join waker's wake", "0.2 %";
    PanicInWakerDrop: "panic in a join waker's drop", "0.2 %";
    PanicInStartHook: "panic in a thread's start hook", "1 in 4 threads";
    PanicInStopHook: "panic in a thread's stop hook", "1 in 4 threads";
    AbortBySpawner: "abort by the spawner", "1 %";
    AbortByTask: "abort by another task", "1 %";
    AbortByForeign: "abort by a foreign thread", "1 %";
    AbortInPoll: "abort by the task's own poll", "1 %";
    AbortAfter: "abort after completion", "1 %";
    DropBefore: "handle dropped before the run", "6.7 %";
    DropDuring: "handle dropped during the run", "6.7 %";
    DropAfter: "handle dropped after the run", "6.6 %";
    SlowPoll: "slow poll of 50 µs or 10 ms", "0.1 %";
    VerySlowPoll: "the latter of these", "all, or about 500 a run";
    BlockedWorker: "one worker blocked, from a random point to the end", "1 in 4 epochs";
    ForeignWake: "wake from a foreign thread", "15 % of tasks";
    LateWakes: "100 wakes after completion", "0.2 %";
    StoredWaker: "waker stored for the whole run", "10,000 a run";
    PingPong: "pair of tasks that wake each other", "5 % of units";
    JoinChain: "chain of tasks that join, up to six deep", "4 % of units";
    ForkJoin: "task that spawns and joins up to 16", "6 % of units";
    NestedJoin: "task that blocks in `join`", "0.1 % of units";
    ForeignSpawn: "spawn from a foreign thread", "1 % of units";
    LocalFuture: "future that isn't `Send`", "10 % of units";
    DroppedBusy: "owner dropped in the middle of the work", "1 in 2 epochs";
    DroppedAtRest: "owner dropped when all tasks were over", "1 in 2 epochs";
    Storm: "spawn, wake and abort from a foreign thread while the owner is dropped", "24 a thread and epoch";
}

/// Which faults may be injected.
#[derive(Clone, Copy, Debug)]
pub struct FaultSet(u64);

impl FaultSet {
    /// Every fault but `left_out`.
    pub fn without(left_out: impl IntoIterator<Item = Fault>) -> Self {
        Self(left_out.into_iter().fold(u64::MAX, |set, fault| set & !(1 << fault as u64)))
    }

    /// Whether `fault` may be injected.
    pub fn has(self, fault: Fault) -> bool {
        self.0 & 1 << fault as u64 != 0
    }
}

/// How often each fault was injected.
#[derive(Debug)]
pub struct Counts([AtomicU64; Fault::ALL.len()]);

impl Counts {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    /// Counts one.
    pub fn add(&self, fault: Fault) {
        self.0[fault as usize].fetch_add(1, Relaxed);
    }

    /// The count so far.
    pub fn get(&self, fault: Fault) -> u64 {
        self.0[fault as usize].load(Relaxed)
    }

    /// Adds another one's counts.
    pub fn add_all(&self, other: &Self) {
        for (sum, count) in self.0.iter().zip(&other.0) {
            sum.fetch_add(count.load(Relaxed), Relaxed);
        }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self::new()
    }
}
