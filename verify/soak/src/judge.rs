//! Counts, in a task's record at rest, what must not have happened. Knows which results a handle may have.

use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Acquire;

use crate::figures::Figures;
use crate::log::Log;
use crate::record::{Custody, Ended, Record, Resolved};

/// What must not have happened in an epoch that is at rest, and how many tasks and polls there were.
pub fn judge(log: &Log) -> (Figures, Tally) {
    let (mut figures, mut tally) = (Figures::default(), Tally::default());
    for record in log.records.iter().filter(|record| record.is_spawned()) {
        task(record, &mut figures);
        tally.count(record);
    }
    figures.missing_drops += u64::from(log.bad_wakers.load(Acquire));
    figures.escaped_panics += u64::from(log.escaped_panics.load(Acquire));
    (figures, tally)
}

/// Wakes that were lost, in an epoch where nothing goes on any more: of tasks that were woken and not polled, that were
/// aborted and not dropped, and that wait for a task which is over.
pub fn lost_wakes(log: &Log) -> u64 {
    let lives = |record: &Record| record.is_spawned() && !record.is_over();
    let is_owed = |record: &Record| lives(record) && (get(&record.owed) != 0 || get(&record.aborted) != 0);
    let is_awaited = |record: &Record| match record.joiner.load(Acquire) {
        0 => false,
        joiner => {
            let is_unresolved = get(&record.custody) == Custody::Joined as u8 && get(&record.resolutions) == 0;
            record.is_over() && is_unresolved && lives(log.record(joiner - 1))
        }
    };
    log.records.iter().filter(|record| is_owed(record) || is_awaited(record)).count() as u64
}

/// What became of an epoch's tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Tally {
    pub lifecycles: u64,
    pub polls: u64,
    pub ready: u64,
    pub panicked: u64,
    /// Aborted or shut down before they were ready.
    pub dropped: u64,
    pub joined: u64,
}

impl Tally {
    fn count(&mut self, record: &Record) {
        self.lifecycles += 1;
        self.polls += u64::from(record.polls.load(Acquire));
        let ended = get(&record.ended);
        self.ready += u64::from(ended == Ended::Ready as u8);
        self.panicked += u64::from(ended == Ended::Panicked as u8);
        self.dropped += u64::from(ended == Ended::Not as u8);
        self.joined += u64::from(get(&record.resolutions) != 0);
    }

    /// Adds what `other` has.
    pub fn add(&mut self, other: &Self) {
        self.lifecycles += other.lifecycles;
        self.polls += other.polls;
        self.ready += other.ready;
        self.panicked += other.panicked;
        self.dropped += other.dropped;
        self.joined += other.joined;
    }
}

fn task(record: &Record, figures: &mut Figures) {
    let count = |counter: &AtomicU8| u64::from(get(counter));
    // The first may have begun before the abort was over.
    figures.double_polls += count(&record.bad_polls) + count(&record.polls_after_abort).saturating_sub(1);
    for (made, dropped) in [(1, count(&record.future_drops)), (count(&record.outputs), count(&record.output_drops))] {
        figures.missing_drops += u64::saturating_sub(made, dropped);
        figures.double_drops += u64::saturating_sub(dropped, made);
    }
    figures.wrong_thread_drops += count(&record.wrong_thread);
    figures.double_outputs += count(&record.deliveries).saturating_sub(1);
    if get(&record.custody) == Custody::Detached as u8 {
        return;
    }
    match count(&record.resolutions) {
        0 => figures.unresolved += 1,
        1 => {
            let resolved = get(&record.resolved);
            let due = due(record);
            if due.contains(&resolved) {
            } else if due == [Resolved::Ready as u8] {
                figures.missing_outputs += 1;
            } else {
                figures.wrong_results += 1;
            }
        }
        more => figures.double_outputs += more - 1,
    }
}

/// How the handle may resolve.
fn due(record: &Record) -> Vec<u8> {
    let is = |counter: &AtomicU8| get(counter) != 0;
    let (ready, panicked) = (get(&record.ended) == Ended::Ready as u8, get(&record.ended) == Ended::Panicked as u8);
    let due: &[Resolved] = if panicked || is(&record.drop_panicked) {
        &[Resolved::Panicked]
    } else if ready {
        &[Resolved::Ready]
    } else if is(&record.abort_asked) {
        &[Resolved::Cancelled, Resolved::ShutDown]
    } else {
        // The log accepts this result only while the owner is dropped, or after.
        &[Resolved::ShutDown]
    };
    due.iter().map(|due| *due as u8).collect()
}

fn get(counter: &AtomicU8) -> u8 {
    counter.load(Acquire)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(about: impl Fn(&Record)) -> Figures {
        let record = Record::default();
        record.spawn();
        about(&record);
        let mut figures = Figures::default();
        task(&record, &mut figures);
        figures
    }

    fn lived(record: &Record) {
        assert!(record.begin_poll());
        record.end(Ended::Ready);
        record.end_poll();
        record.future_drops.store(1, std::sync::atomic::Ordering::Relaxed);
        record.outputs.store(1, std::sync::atomic::Ordering::Relaxed);
        record.output_drops.store(1, std::sync::atomic::Ordering::Relaxed);
    }

    fn joined(record: &Record, how: Resolved) {
        record.set_custody(Custody::Joined);
        record.resolve(how);
    }

    #[test]
    fn a_life_as_it_should_be_is_no_figure() {
        assert!(judged(lived).are_zero());
        assert!(
            judged(|record| {
                lived(record);
                joined(record, Resolved::Ready)
            })
            .are_zero()
        );
    }

    #[test]
    fn what_must_not_happen_is_counted() {
        use std::sync::atomic::Ordering::Relaxed;
        let after = |change: &dyn Fn(&Record)| {
            judged(|record| {
                lived(record);
                change(record)
            })
        };
        assert_eq!(judged(|_| ()).missing_drops, 1);
        assert_eq!(after(&|record| record.future_drops.store(2, Relaxed)).double_drops, 1);
        assert_eq!(after(&|record| record.output_drops.store(0, Relaxed)).missing_drops, 1);
        assert_eq!(after(&|record| record.output_drops.store(3, Relaxed)).double_drops, 2);
        assert_eq!(after(&|record| record.wrong_thread.store(1, Relaxed)).wrong_thread_drops, 1);
        assert_eq!(after(&|record| assert!(!record.begin_poll())).double_polls, 1);
        assert_eq!(after(&|record| record.deliveries.store(2, Relaxed)).double_outputs, 1);
        assert_eq!(after(&|record| record.set_custody(Custody::Joined)).unresolved, 1);
        assert_eq!(after(&|record| joined(record, Resolved::Cancelled)).missing_outputs, 1);
        assert_eq!(
            after(&|record| {
                joined(record, Resolved::Ready);
                record.resolve(Resolved::Ready)
            })
            .double_outputs,
            1
        );
    }

    #[test]
    fn two_polls_at_once_are_one_too_many() {
        let record = Record::default();
        assert!(record.begin_poll());
        assert!(!record.begin_poll());
        record.end_poll();
        assert!(record.begin_poll());
        assert_eq!(get(&record.bad_polls), 1);
    }

    #[test]
    fn a_second_poll_after_an_abort_is_one_too_many() {
        let polled = |polls: usize| {
            judged(|record| {
                record.abort(|| ());
                for _ in 0..polls {
                    assert!(record.begin_poll());
                    record.end_poll();
                }
                record.future_drops.store(1, std::sync::atomic::Ordering::Relaxed);
            })
        };
        assert_eq!(polled(1).double_polls, 0);
        assert_eq!(polled(3).double_polls, 2);
    }

    #[test]
    fn a_result_must_have_a_reason() {
        let dropped = |record: &Record| record.future_drops.store(1, std::sync::atomic::Ordering::Relaxed);
        let cancelled = |record: &Record| {
            dropped(record);
            joined(record, Resolved::Cancelled)
        };
        assert_eq!(judged(cancelled).wrong_results, 1);
        assert_eq!(
            judged(|record| {
                record.abort(|| ());
                cancelled(record)
            })
            .wrong_results,
            0
        );
        assert_eq!(
            judged(|record| {
                dropped(record);
                joined(record, Resolved::ShutDown)
            })
            .wrong_results,
            0
        );
        assert_eq!(
            judged(|record| {
                dropped(record);
                joined(record, Resolved::Panicked)
            })
            .wrong_results,
            1
        );
        assert_eq!(
            judged(|record| {
                dropped(record);
                joined(record, Resolved::Oddly)
            })
            .wrong_results,
            1
        );
    }
}
