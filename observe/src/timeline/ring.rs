//! A thread's last events, in bounded memory. One thread writes; any thread reads at any time, without stopping the writer.
//!
//! An event is two words. The writer stores them, and then the count of events. A reader copies the words, and reads the count once
//! more: what the writer may have overwritten meanwhile, it leaves out.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::fence;

pub(super) struct Ring {
    words: Box<[[AtomicU64; 2]]>,
    /// Events so far. The place of the next is this, modulo the room.
    written: AtomicU64,
}

impl Ring {
    /// Room for this many events, which is a power of two.
    pub(super) fn new(events: usize) -> Self {
        assert!(events.is_power_of_two());
        Self { words: (0..events).map(|_| Default::default()).collect(), written: AtomicU64::new(0) }
    }

    /// For the ring's thread.
    #[inline]
    pub(super) fn push(&self, event: [u64; 2]) {
        // Relaxed: only this thread writes it.
        let written = self.written.load(Relaxed);
        // Release: pairs with the fence in `read`. A reader that sees one of the words below sees that the count had come so far.
        fence(Release);
        let place = &self.words[written as usize & (self.words.len() - 1)];
        place[0].store(event[0], Relaxed);
        place[1].store(event[1], Relaxed);
        // Release: pairs with the Acquire in `read`, which then sees the event.
        self.written.store(written + 1, Release);
    }

    /// The events that are there, oldest first, and how many were overwritten.
    pub(super) fn read(&self) -> (Vec<[u64; 2]>, u64) {
        let room = self.words.len() as u64;
        let end = self.written.load(Acquire);
        let begin = end.saturating_sub(room);
        let copy = |at: u64| {
            let place = &self.words[at as usize & (self.words.len() - 1)];
            [place[0].load(Relaxed), place[1].load(Relaxed)]
        };
        let mut events: Vec<_> = (begin..end).map(copy).collect();
        // Acquire: pairs with the fence in `push`. If a word was of a later event, the count below shows it.
        fence(Acquire);
        // The writer may be in the middle of the event after the last that it has counted.
        let intact = (self.written.load(Relaxed) + 1).saturating_sub(room).clamp(begin, end);
        events.drain(..(intact - begin) as usize);
        (events, intact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn the_oldest_events_give_way() {
        let ring = Ring::new(4);
        assert_eq!(ring.read(), (vec![], 0));
        for n in 0..3 {
            ring.push([n, n]);
        }
        assert_eq!(ring.read(), (vec![[0, 0], [1, 1], [2, 2]], 0));
        for n in 3..10 {
            ring.push([n, n]);
        }
        // One less than there is room for: the next may be half written.
        assert_eq!(ring.read(), (vec![[7, 7], [8, 8], [9, 9]], 7));
    }

    #[test]
    fn a_reader_sees_whole_events_in_order() {
        polyexec_conformance::watched!();
        let (ring, over) = (Ring::new(8), AtomicBool::new(false));
        std::thread::scope(|threads| {
            let reader = threads.spawn(|| {
                let mut last = 0;
                while !over.load(Relaxed) {
                    let (events, lost) = ring.read();
                    for (index, [one, other]) in events.iter().enumerate() {
                        assert_eq!(one, other, "half of one event and half of another");
                        assert_eq!(*one, lost + index as u64);
                    }
                    assert!(lost >= last);
                    last = lost;
                }
            });
            for n in 0..200_000 {
                ring.push([n, n]);
            }
            over.store(true, Relaxed);
            reader.join().unwrap();
        });
    }
}
