//! What an event is, as two words: a time, a kind, and what the kind needs.

use polyexec_core::observe::{End, PollOutcome, WakeEffect, WorkerEvent};

/// An event of one thread, packed.
///
/// The first word has the kind in its lowest byte, a detail in the next, and the time above: ticks of the clock since the timeline
/// was made, which come around after a day at three ticks a nanosecond. Of the second word, the lower 40 bits are a task or a
/// worker's number, and the upper 24 a duration or a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Spawned {
        task: u64,
    },
    Polled {
        task: u64,
        outcome: PollOutcome,
        ticks: u64,
    },
    Woken {
        task: u64,
        effect: WakeEffect,
    },
    Ended {
        task: u64,
        end: End,
    },
    Worker {
        worker: u64,
        event: WorkerEvent,
    },
    /// The events that follow are of this thread.
    Thread {
        number: u64,
    },
}

const TIME_SHIFT: u32 = 16;
/// When the times come around.
const TIME_BITS: u32 = u64::BITS - TIME_SHIFT;
const TASK_BITS: u32 = 40;

/// A number of up to 63 bits as 24: six bits of a shift, eighteen of the leading digits.
const MANTISSA_BITS: u32 = 18;

fn pack_number(number: u64) -> u64 {
    let shift = (u64::BITS - number.leading_zeros()).saturating_sub(MANTISSA_BITS);
    u64::from(shift) << MANTISSA_BITS | number >> shift
}

fn unpack_number(packed: u64) -> u64 {
    (packed & ((1 << MANTISSA_BITS) - 1)) << (packed >> MANTISSA_BITS)
}

impl Record {
    pub(super) fn pack(self, now: u64) -> [u64; 2] {
        let (kind, detail, task, number) = match self {
            Self::Spawned { task } => (0, 0, task, 0),
            Self::Polled { task, outcome, ticks } => (1, of_outcome(outcome), task, ticks),
            Self::Woken { task, effect } => (2, of_effect(effect), task, 0),
            Self::Ended { task, end } => (3, of_end(end), task, 0),
            Self::Worker { worker, event } => {
                let (detail, from, tasks) = of_worker(event);
                (4 + detail, from, worker, tasks)
            }
            Self::Thread { number } => (15, 0, number, 0),
        };
        let task = task & ((1 << TASK_BITS) - 1);
        [now << TIME_SHIFT | detail << 8 | kind, pack_number(number) << TASK_BITS | task]
    }

    /// The record and its time, the latest one before `now`. `None` if the words are no record.
    pub(super) fn unpack([first, second]: [u64; 2], now: u64) -> Option<(u64, Self)> {
        let age = now.wrapping_sub(first >> TIME_SHIFT) & ((1 << TIME_BITS) - 1);
        let (kind, detail) = (first & 0xff, first >> 8 & 0xff);
        let (task, number) = (second & ((1 << TASK_BITS) - 1), unpack_number(second >> TASK_BITS));
        let record = match kind {
            0 => Self::Spawned { task },
            1 => Self::Polled { task, outcome: to_outcome(detail)?, ticks: number },
            2 => Self::Woken { task, effect: to_effect(detail)? },
            3 => Self::Ended { task, end: to_end(detail)? },
            15 => Self::Thread { number: task },
            _ => Self::Worker { worker: task, event: to_worker(kind - 4, detail, number)? },
        };
        Some((now.saturating_sub(age), record))
    }
}

fn of_outcome(outcome: PollOutcome) -> u64 {
    match outcome {
        PollOutcome::WokeItself => 1,
        PollOutcome::Ready => 2,
        PollOutcome::Panicked => 3,
        _ => 0,
    }
}

fn to_outcome(detail: u64) -> Option<PollOutcome> {
    [PollOutcome::Pending, PollOutcome::WokeItself, PollOutcome::Ready, PollOutcome::Panicked]
        .get(detail as usize)
        .copied()
}

fn of_effect(effect: WakeEffect) -> u64 {
    match effect {
        WakeEffect::Queued => 0,
        WakeEffect::OwnPoll => 1,
        _ => 2,
    }
}

fn to_effect(detail: u64) -> Option<WakeEffect> {
    [WakeEffect::Queued, WakeEffect::OwnPoll, WakeEffect::Noted].get(detail as usize).copied()
}

fn of_end(end: End) -> u64 {
    match end {
        End::Ready => 0,
        End::Panicked => 1,
        End::Aborted => 2,
        End::ShutDown => 3,
        End::Refused => 4,
        _ => 5,
    }
}

fn to_end(detail: u64) -> Option<End> {
    [End::Ready, End::Panicked, End::Aborted, End::ShutDown, End::Refused, End::Unreachable]
        .get(detail as usize)
        .copied()
}

/// The kind, from whom, and how many.
fn of_worker(event: WorkerEvent) -> (u64, u64, u64) {
    match event {
        WorkerEvent::Started => (0, 0, 0),
        WorkerEvent::Stopped => (1, 0, 0),
        WorkerEvent::Parked => (2, 0, 0),
        WorkerEvent::Unparked => (3, 0, 0),
        // A number beyond the byte is the byte's largest.
        WorkerEvent::Stole { from, tasks } => (4, from.min(0xff) as u64, tasks as u64),
        WorkerEvent::TookShared { tasks } => (5, 0, tasks as u64),
        _ => (6, 0, 0),
    }
}

fn to_worker(kind: u64, from: u64, tasks: u64) -> Option<WorkerEvent> {
    Some(match kind {
        0 => WorkerEvent::Started,
        1 => WorkerEvent::Stopped,
        2 => WorkerEvent::Parked,
        3 => WorkerEvent::Unparked,
        4 => WorkerEvent::Stole { from: from as usize, tasks: tasks as usize },
        5 => WorkerEvent::TookShared { tasks: tasks as usize },
        6 => WorkerEvent::HandedOver,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_comes_back() {
        let task = (1 << TASK_BITS) - 1;
        let mut records = vec![
            Record::Spawned { task },
            Record::Thread { number: 7 },
            Record::Worker { worker: 3, event: WorkerEvent::HandedOver },
            Record::Worker { worker: 3, event: WorkerEvent::Started },
            Record::Worker { worker: 3, event: WorkerEvent::Stopped },
            Record::Worker { worker: 3, event: WorkerEvent::Parked },
            Record::Worker { worker: 3, event: WorkerEvent::Unparked },
            Record::Worker { worker: 3, event: WorkerEvent::Stole { from: 2, tasks: 9 } },
            Record::Worker { worker: 3, event: WorkerEvent::TookShared { tasks: 90 } },
        ];
        records.extend((0..).map_while(to_outcome).map(|outcome| Record::Polled { task, outcome, ticks: 77 }));
        records.extend((0..).map_while(to_effect).map(|effect| Record::Woken { task, effect }));
        records.extend((0..).map_while(to_end).map(|end| Record::Ended { task, end }));
        for record in records {
            assert_eq!(Record::unpack(record.pack(1_000_000), 1_000_000), Some((1_000_000, record)));
        }
    }

    #[test]
    fn times_come_around_and_long_durations_are_rounded() {
        let later = (1 << TIME_BITS) + 5;
        let record = Record::Spawned { task: 1 };
        assert_eq!(Record::unpack(record.pack(later - 10), later), Some((later - 10, record)));
        for ticks in [0, 1, 262_143, 262_144, 3_600_000_000_000, u64::MAX >> 1] {
            let back = unpack_number(pack_number(ticks));
            assert!(back <= ticks && ticks - back <= ticks >> (MANTISSA_BITS - 1), "{ticks} came back as {back}");
            assert!(pack_number(ticks) < 1 << (u64::BITS - TASK_BITS));
        }
    }
}
