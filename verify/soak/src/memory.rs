//! The bytes that are allocated, and whether they grow with the tasks. The program's global allocator is here.

use std::alloc::System;

use cap::Cap;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Bytes that are allocated now, by the whole program.
pub fn allocated() -> u64 {
    ALLOCATOR.allocated() as u64
}

/// The memory at rest, epoch after epoch.
#[derive(Debug)]
pub struct Floor {
    /// Lifecycles so far, and bytes.
    samples: Vec<(u64, u64)>,
}

/// The number of stretches of a run.
const STRETCHES: usize = 10;

/// Fewer samples than this say nothing.
const ENOUGH: usize = 2 * STRETCHES;

impl Floor {
    /// Makes room for the samples in advance: otherwise they would count themselves.
    pub fn with_room(samples: usize) -> Self {
        Self { samples: Vec::with_capacity(samples) }
    }

    /// Notes the allocated bytes after this number of lifecycles.
    pub fn note(&mut self, lifecycles: u64, bytes: u64) {
        if self.samples.len() < self.samples.capacity() {
            self.samples.push((lifecycles, bytes));
        }
    }

    /// Bytes a thousand tasks by which the memory at rest grows: the median rise from the least of one tenth of the
    /// samples to the least of the next. What is kept for use again comes and goes, and is above the least; a table
    /// that grows once, since there were never so many threads before, is one rise of nine; a leak is in each of them.
    /// `None` if there are too few samples.
    pub fn slope(&self) -> Option<f64> {
        if self.samples.len() < ENOUGH {
            return None;
        }
        let stretch = |number: usize| {
            let end = |number: usize| number * self.samples.len() / STRETCHES;
            &self.samples[end(number)..end(number + 1)]
        };
        let least = |number| stretch(number).iter().copied().min_by_key(|(_, bytes)| *bytes);
        let rise = |number| {
            let ((from, low), (to, high)) = (least(number)?, least(number + 1)?);
            Some((high as f64 - low as f64) / ((to - from) as f64 / 1000.0))
        };
        let mut rises: Vec<f64> = (0..STRETCHES - 1).filter_map(rise).collect();
        rises.sort_by(f64::total_cmp);
        rises.get(rises.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slope(bytes: impl Fn(u64) -> u64) -> f64 {
        let mut floor = Floor::with_room(100);
        (1..=100).for_each(|epoch| floor.note(epoch * 10_000, bytes(epoch)));
        floor.slope().unwrap()
    }

    #[test]
    fn a_leak_is_a_slope_and_what_comes_and_goes_is_none() {
        assert_eq!(slope(|_| 5_000_000), 0.0);
        assert_eq!(slope(|epoch| 5_000_000 + 40_000 * (epoch % 7)), 0.0);
        assert_eq!(slope(|epoch| 5_000_000 + if epoch > 33 { 40_000 } else { 0 }), 0.0);
        assert!((slope(|epoch| 5_000_000 + 20 * epoch) - 2.0).abs() < 0.01);
    }

    #[test]
    fn few_samples_say_nothing() {
        let mut floor = Floor::with_room(100);
        (0..19).for_each(|epoch| floor.note(epoch, epoch));
        assert_eq!(floor.slope(), None);
    }

    #[test]
    fn what_is_allocated_is_seen() {
        let before = allocated();
        let bytes = vec![0_u8; 1 << 24];
        assert!(allocated() >= before + (1 << 23));
        drop(bytes);
    }
}
