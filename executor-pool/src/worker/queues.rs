//! Which task a worker runs next, of those that are in its reach without a search: its own, and its share of the injector's.

use polyexec_core::executor::{Task, is_polling};
use polyexec_core::observe::WorkerEvent;

use super::Worker;
use crate::policy::{BATCH, FLOOD, FLOOD_SHARE, INJECTOR_INTERVAL, MAX_LIFO_POLLS};
use crate::shared::Shared;
use crate::sleep::Queued;

impl Worker {
    /// Queues a task that became ready on this thread. If the running task woke or spawned it, it runs next, before those that
    /// wait.
    pub(super) fn push(&mut self, task: Task) {
        if self.defers_notifications {
            return self.queue.push(task);
        }
        let is_alone = self.queue.is_empty() && !self.remote.lifo.is_filled();
        if is_alone {
            // It runs next from the queue, too, which costs less.
            self.queue.push(task);
            self.shared.sleep.notify(Queued::Next);
        } else if !is_polling() {
            // The end of a task wakes its joiner. It may wait for others as well: those should end first.
            self.queue.push(task);
            self.shared.sleep.notify(Queued::Plenty);
        } else {
            self.lifo_pushes = self.lifo_pushes.wrapping_add(1).max(1);
            let before = self.remote.lifo.put(self.lifo_pushes, task);
            before.into_iter().for_each(|task| self.queue.push(task));
            self.shared.sleep.notify(Queued::Plenty);
        }
    }

    /// The next task without a search. `again`, which woke itself in its poll, goes behind what waits: no notification is
    /// due, since this worker will come to it.
    pub(super) fn next_task(&mut self, again: Option<Task>) -> Option<Task> {
        let injector_first = self.until_injector == 0;
        self.until_injector = if injector_first { INJECTOR_INTERVAL } else { self.until_injector } - 1;
        if let Some(again) = again {
            let is_alone = self.queue.is_empty() && !self.remote.lifo.is_filled();
            if is_alone && !injector_first && !self.shared.is_closed() {
                return Some(again);
            }
            self.queue.push(again);
        }
        if self.shared.is_closed() {
            return None;
        }
        injector_first
            .then(|| self.pop_injected())
            .flatten()
            .or_else(|| self.pop_lifo())
            .or_else(|| self.pop_queue())
            .or_else(|| self.remote.lifo.take())
            .or_else(|| self.take_batch())
    }

    /// The task of the LIFO slot, unless it is the queue's turn.
    fn pop_lifo(&mut self) -> Option<Task> {
        if self.lifo_polls == MAX_LIFO_POLLS {
            return None;
        }
        self.remote.lifo.take().inspect(|_| self.lifo_polls += 1)
    }

    fn pop_queue(&mut self) -> Option<Task> {
        self.lifo_polls = 0;
        self.queue.pop()
    }

    /// A task of the injector. If many wait (a flood), takes a share: one task per interval would be too slow.
    fn pop_injected(&mut self) -> Option<Task> {
        // This worker often runs out of local tasks, and takes its share then. So one task is enough now.
        if self.took_batch {
            self.took_batch = false;
            return self.pop_one_injected();
        }
        let flood = FLOOD.max(self.queue.len() / INJECTOR_INTERVAL as usize);
        self.take_injected(flood, FLOOD_SHARE).or_else(|| self.pop_one_injected())
    }

    fn pop_one_injected(&self) -> Option<Task> {
        let task = self.shared.injector.pop()?;
        self.shared.hooks.tell(self.index, WorkerEvent::TookShared { tasks: 1 });
        Some(task)
    }

    /// This worker's share of the injector, if at least a batch waits there.
    fn take_batch(&mut self) -> Option<Task> {
        self.took_batch = true;
        self.take_injected(BATCH, BATCH)
    }

    /// This worker's share of the injector's tasks, if it has `at_least` this many.
    pub(super) fn take_injected(&mut self, at_least: usize, at_most: usize) -> Option<Task> {
        let Shared { injector, workers, sleep, .. } = &*self.shared;
        if injector.len() < at_least {
            return None;
        }
        let (task, others) = injector.take(*workers, at_most, &self.queue)?;
        self.shared.hooks.tell(self.index, WorkerEvent::TookShared { tasks: 1 + others });
        if others > 0 {
            // A worker that was notified of them may have looked while they were in neither queue.
            sleep.notify(Queued::Plenty);
        }
        Some(task)
    }

    /// Defers notifications until [`notify_deferred`](Worker::notify_deferred).
    pub(super) fn defer_notifications(&mut self) {
        self.defers_notifications = true;
    }

    /// Notifies others of the tasks queued since, if there is more than one.
    pub(super) fn notify_deferred(&mut self) {
        self.defers_notifications = false;
        match self.queue.len() {
            0 => (),
            1 => self.shared.sleep.notify(Queued::Next),
            _ => self.shared.sleep.notify(Queued::Plenty),
        }
    }

    /// Moves the tasks of a detached worker to the injector: no other worker looks at its queue.
    pub(super) fn drain(&self) {
        while let Some(task) = self.take_own() {
            // If the pool has shut down, the task ends.
            drop(self.shared.inject(task));
        }
    }

    pub(super) fn take_own(&self) -> Option<Task> {
        self.queue.pop().or_else(|| self.remote.lifo.take())
    }
}
