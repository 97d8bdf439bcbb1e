//! The lines that a client has not received yet: bounded, since readers may be slow. Writes nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use event_listener::Event;
use parking_lot::Mutex;

/// A line, or a gap.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Line(Arc<str>),
    /// This many lines were dropped here.
    Lost(u64),
}

/// A bounded queue of lines for one client. Lines beyond the bound are dropped and counted, and the client is told.
///
/// Adding a line never waits: a slow reader delays only itself.
pub(crate) struct Outbox {
    most: usize,
    state: Mutex<State>,
    changed: Event,
}

#[derive(Default)]
struct State {
    /// At most `most` lines, then at most one gap. Once closed, also a last line.
    entries: VecDeque<Entry>,
    lines: usize,
    closed: bool,
}

impl Outbox {
    /// An outbox for `most` lines.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, state: Mutex::default(), changed: Event::new() }
    }

    /// Adds `line`, or counts it as dropped. Ignores lines after the end.
    pub(crate) fn put(&self, line: Arc<str>) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        if state.lines < self.most {
            state.lines += 1;
            state.entries.push_back(Entry::Line(line));
        } else if let Some(Entry::Lost(lost)) = state.entries.back_mut() {
            *lost += 1;
        } else {
            state.entries.push_back(Entry::Lost(1));
        }
        drop(state);
        self.changed.notify(1);
    }

    /// Accepts no more lines. The client still gets the present ones, and then `last`.
    pub(crate) fn close(&self, last: Option<Arc<str>>) {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.closed, true) {
            state.entries.extend(last.map(Entry::Line));
        }
        drop(state);
        self.changed.notify(usize::MAX);
    }

    /// Waits for entries, and takes all of them. `None` once closed and empty.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn take(&self) -> Option<VecDeque<Entry>> {
        loop {
            if let Some(taken) = self.try_take() {
                return taken;
            }
            let changed = self.changed.listen();
            // It may have changed before this listened.
            if let Some(taken) = self.try_take() {
                return taken;
            }
            changed.await;
        }
    }

    /// Takes all entries. `None` if the caller has to wait.
    fn try_take(&self) -> Option<Option<VecDeque<Entry>>> {
        let mut state = self.state.lock();
        if state.entries.is_empty() {
            return state.closed.then_some(None);
        }
        state.lines = 0;
        Some(Some(std::mem::take(&mut state.entries)))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use futures_lite::future::block_on;

    use super::*;

    fn line(n: u64) -> Arc<str> {
        n.to_string().into()
    }

    #[test]
    fn what_is_too_much_is_counted_in_its_place() {
        let outbox = Outbox::new(2);
        (1..=5).for_each(|n| outbox.put(line(n)));
        let taken: Vec<_> = block_on(outbox.take()).unwrap().into();
        assert_eq!(taken, [Entry::Line(line(1)), Entry::Line(line(2)), Entry::Lost(3)]);
        (6..=8).for_each(|n| outbox.put(line(n)));
        outbox.close(Some(line(9)));
        outbox.close(Some(line(10)));
        outbox.put(line(11));
        let taken: Vec<_> = block_on(outbox.take()).unwrap().into();
        assert_eq!(taken, [Entry::Line(line(6)), Entry::Line(line(7)), Entry::Lost(1), Entry::Line(line(9))]);
        assert_eq!(block_on(outbox.take()), None);
    }

    #[test]
    fn nothing_is_lost_uncounted() {
        const LINES: u64 = 20_000;
        let outbox = Outbox::new(16);
        thread::scope(|scope| {
            scope.spawn(|| {
                (0..LINES).for_each(|n| outbox.put(line(n)));
                outbox.close(None);
            });
            let mut next = 0;
            while let Some(entries) = block_on(outbox.take()) {
                for entry in entries {
                    match entry {
                        Entry::Line(text) => {
                            assert_eq!(text, line(next));
                            next += 1;
                        }
                        Entry::Lost(lost) => next += lost,
                    }
                }
            }
            assert_eq!(next, LINES);
        });
    }
}
