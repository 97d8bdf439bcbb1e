//! What a task should do: a machine of plain fields for one thread. Written from the documentation, not from the code.

use crate::operations::{Action, Birth, Joiner, Leftover, Plan, PollEnd, Script, Step};

/// What a user can observe, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The woken task came to its executor.
    Scheduled,
    Polled,
    FutureDropped,
    OutputDropped,
    Woken(Joiner),
    Joined(Joined),
    Ran(Became),
}

/// What the handle answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    Pending,
    Output,
    Cancelled,
    ShutDown,
    Rejected,
    Panicked(&'static str),
    /// It was polled once too often.
    PolledAfterReady,
}

/// What `run` answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Became {
    Finished,
    Waiting,
    Again,
}

pub(crate) const POLL: &str = "the poll panics";
pub(crate) const DROP: &str = "the drop of the future panics";

pub(crate) struct Model {
    plan: Plan,
    /// What has happened since this was last taken.
    pub(crate) events: Vec<Event>,
    /// The future exists.
    future: bool,
    /// There is a `Task`, in the queue.
    queued: Option<Queued>,
    /// That `Task` was leaked.
    task_is_forgotten: bool,
    /// The future is being polled, or dropped for good.
    busy: bool,
    /// Another poll is owed.
    woken: bool,
    aborted: bool,
    /// A shutdown found the task owned by a thread.
    told_to_end: bool,
    over: bool,
    /// Until it is taken.
    result: Option<Joined>,
    handle: Option<Handle>,
    handle_is_forgotten: bool,
    join_waker: Option<Joiner>,
    wakers: usize,
    forgotten_wakers: usize,
    abort_handles: usize,
    table: Option<Table>,
    /// Calls that hold on to the task until they return.
    calls: usize,
    freed: bool,
}

/// Who owns the future while the task is in the queue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Queued {
    /// The `Task`: it is new, or was woken in its poll.
    Owning,
    /// None: it was woken while it was idle.
    Woken,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Handle {
    Plain,
    AbortsOnDrop,
}

#[derive(Default)]
struct Table {
    has_task: bool,
    closed: bool,
}

impl Model {
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut model = Self {
            plan: plan.clone(),
            events: Vec::new(),
            future: true,
            queued: Some(Queued::Owning),
            task_is_forgotten: false,
            busy: false,
            woken: false,
            aborted: false,
            told_to_end: false,
            over: false,
            result: None,
            handle: Some(Handle::Plain),
            handle_is_forgotten: false,
            join_waker: None,
            wakers: 0,
            forgotten_wakers: 0,
            abort_handles: 0,
            table: plan.in_table.then(Table::default),
            calls: 0,
            freed: false,
        };
        match plan.birth {
            Birth::New | Birth::Local | Birth::Spawned | Birth::Named => {}
            Birth::Refused => model.refuse(Joined::Rejected),
            Birth::TooLate => model.refuse(Joined::ShutDown),
            Birth::GivenBack => {
                (model.queued, model.handle, model.over, model.freed) = (None, None, true, true);
                model.drop_future();
            }
        }
        model
    }

    /// The spawner doesn't have the handle yet.
    fn refuse(&mut self, why: Joined) {
        self.queued = None;
        let handle = self.handle.take();
        self.calls += 1;
        self.busy = true;
        let panicked = self.drop_future();
        self.calls -= 1;
        (self.busy, self.over) = (false, true);
        self.result = Some(if panicked { Joined::Panicked(DROP) } else { why });
        self.handle = handle;
    }

    pub(crate) fn step(&mut self, step: &Step) {
        match step {
            Step::Run(script) => self.run(script),
            Step::Do(action) => self.perform(*action, false),
        }
    }

    pub(crate) fn end(&mut self, leftover: Leftover) {
        match leftover {
            Leftover::Task => self.perform(Action::DropTask, false),
            Leftover::Handle => {
                if self.plan.looks_in_the_end {
                    self.perform(Action::Join(Joiner::A), false);
                }
                self.perform(Action::DropHandle, false);
            }
            Leftover::Wakers => (0..self.wakers).for_each(|_| self.perform(Action::DropWaker(0), false)),
            Leftover::AbortHandles => {
                (0..self.abort_handles).for_each(|_| self.perform(Action::DropAbortHandle(0), false));
            }
            Leftover::Table => {
                self.table = None;
                self.free_if_unreferenced();
            }
        }
    }

    pub(crate) fn is_queued(&self) -> bool {
        self.queued.is_some() && !self.task_is_forgotten
    }

    /// What the handle should say, if there is one.
    pub(crate) fn is_finished(&self) -> bool {
        self.over
    }

    pub(crate) fn has_handle(&self) -> bool {
        self.handle.is_some()
    }

    pub(crate) fn abort_handles(&self) -> usize {
        self.abort_handles
    }

    pub(crate) fn is_in_table(&self) -> bool {
        self.table.as_ref().is_some_and(|table| table.has_task)
    }

    pub(crate) fn is_freed(&self) -> bool {
        self.freed
    }

    /// Whether the task has the waker of `joiner`.
    pub(crate) fn holds(&self, joiner: Joiner) -> bool {
        self.join_waker == Some(joiner)
    }

    /// Whether nothing has been forgotten, so that in the end nothing may be left.
    pub(crate) fn must_be_freed(&self) -> bool {
        !self.handle_is_forgotten && !self.task_is_forgotten && self.forgotten_wakers == 0
    }

    fn run(&mut self, script: &Script) {
        if !self.take_task() {
            return;
        }
        self.calls += 1;
        let became = self.run_taken(script);
        self.events.push(Event::Ran(became));
        self.calls -= 1;
        self.free_if_unreferenced();
    }

    fn run_taken(&mut self, script: &Script) -> Became {
        if self.over {
            return Became::Finished;
        }
        if self.table.as_ref().is_some_and(|table| table.closed) {
            self.cancel(Joined::ShutDown);
            return Became::Finished;
        }
        if let Some(why) = self.to_be_cancelled() {
            return self.finish(|model| model.cancel(why));
        }
        (self.busy, self.woken) = (true, false);
        self.events.push(Event::Polled);
        for action in &script.actions {
            self.perform(*action, true);
        }
        match script.end {
            PollEnd::Ready => self.finish(Self::ready),
            PollEnd::Panic => self.finish(|model| {
                // The handle gets the first panic.
                model.drop_future();
                model.complete(Joined::Panicked(POLL));
            }),
            PollEnd::Pending => self.pending(),
        }
    }

    fn to_be_cancelled(&self) -> Option<Joined> {
        match (self.told_to_end, self.aborted) {
            (true, _) => Some(Joined::ShutDown),
            (false, true) => Some(Joined::Cancelled),
            (false, false) => None,
        }
    }

    fn ready(&mut self) {
        if self.drop_future() {
            self.drop_output();
            self.complete(Joined::Panicked(DROP));
        } else {
            self.complete(Joined::Output);
        }
    }

    fn pending(&mut self) -> Became {
        if let Some(why) = self.to_be_cancelled() {
            return self.finish(|model| model.cancel(why));
        }
        if self.woken {
            (self.busy, self.queued) = (false, Some(Queued::Owning));
            return Became::Again;
        }
        // Without a table, nothing may be left that could wake it.
        if self.table.is_none() && self.others() == 0 {
            self.drop_future();
            (self.busy, self.freed) = (false, true);
            return Became::Finished;
        }
        match &mut self.table {
            Some(table) if table.closed => return self.finish(|model| model.cancel(Joined::ShutDown)),
            Some(table) => table.has_task = true,
            None => {}
        }
        self.busy = false;
        Became::Waiting
    }

    /// The run in which a task ends takes it off the table.
    fn finish(&mut self, end: impl FnOnce(&mut Self)) -> Became {
        end(self);
        if let Some(table) = &mut self.table {
            table.has_task = false;
        }
        Became::Finished
    }

    fn cancel(&mut self, why: Joined) {
        self.busy = true;
        let result = if self.drop_future() { Joined::Panicked(DROP) } else { why };
        self.complete(result);
    }

    fn complete(&mut self, result: Joined) {
        (self.busy, self.over) = (false, true);
        if self.handle.is_none() && !self.handle_is_forgotten {
            if result == Joined::Output {
                self.drop_output();
            }
            return;
        }
        self.result = Some(result);
        match self.join_waker.take() {
            // It is over: to wake it does nothing.
            None | Some(Joiner::Own(_)) => {}
            Some(Joiner::Task) => self.events.push(Event::Woken(Joiner::Task)),
            Some(plain) => {
                self.events.push(Event::Woken(plain));
                self.perform_all(self.plan.join_wake.clone());
            }
        }
    }

    /// Whether the drop panics.
    fn drop_future(&mut self) -> bool {
        assert!(std::mem::replace(&mut self.future, false), "the model drops a future twice");
        self.events.push(Event::FutureDropped);
        self.perform_all(self.plan.future_drop.clone());
        self.plan.future_drop_panics
    }

    fn drop_output(&mut self) {
        self.events.push(Event::OutputDropped);
        self.perform_all(self.plan.output_drop.clone());
    }

    fn wake(&mut self) {
        if self.over || self.busy || self.queued.is_some() {
            self.woken = true;
        } else {
            self.queued = Some(Queued::Woken);
            self.events.push(Event::Scheduled);
        }
    }

    fn abort(&mut self) {
        self.aborted = true;
        self.wake();
    }

    fn perform_all(&mut self, actions: Vec<Action>) {
        for action in actions {
            self.perform(action, false);
        }
    }

    fn perform(&mut self, action: Action, in_poll: bool) {
        let has_waker = self.wakers > 0;
        match action {
            Action::WakeSelf if in_poll => self.wake(),
            Action::KeepWaker if in_poll => self.wakers += 1,
            Action::WakeSelf | Action::KeepWaker => {}
            Action::CloneWaker(_) if has_waker => self.wakers += 1,
            Action::WakeByRef(_) | Action::WakeElsewhere(_) if has_waker => self.wake(),
            Action::WakeByValue(_) if has_waker => {
                self.wake();
                self.wakers -= 1;
                self.free_if_unreferenced();
            }
            Action::DropWaker(_) if has_waker => {
                self.wakers -= 1;
                self.free_if_unreferenced();
            }
            Action::ForgetWaker(_) if has_waker => {
                self.wakers -= 1;
                self.forgotten_wakers += 1;
            }
            Action::CloneWaker(_)
            | Action::WakeByRef(_)
            | Action::WakeElsewhere(_)
            | Action::WakeByValue(_)
            | Action::DropWaker(_)
            | Action::ForgetWaker(_) => {}
            Action::Abort if self.handle.is_some() => self.abort(),
            Action::KeepAbortHandle if self.handle.is_some() => self.abort_handles += 1,
            Action::AbortBy(_) if self.abort_handles > 0 => self.abort(),
            Action::DropAbortHandle(_) if self.abort_handles > 0 => {
                self.abort_handles -= 1;
                self.free_if_unreferenced();
            }
            Action::Abort | Action::KeepAbortHandle | Action::AbortBy(_) | Action::DropAbortHandle(_) => {}
            Action::Join(Joiner::Own(_)) if !has_waker => {}
            Action::Join(joiner) => self.join(joiner),
            Action::AbortOnDrop => self.handle = self.handle.map(|_| Handle::AbortsOnDrop),
            Action::Detach => self.handle = self.handle.map(|_| Handle::Plain),
            Action::DropHandle => self.drop_handle(),
            Action::ForgetHandle => self.handle_is_forgotten |= self.handle.take().is_some(),
            Action::DropTask => self.drop_task(),
            Action::ForgetTask => self.task_is_forgotten |= self.is_queued(),
            Action::Close => self.close(),
        }
    }

    fn join(&mut self, joiner: Joiner) {
        if self.handle.is_none() {
            return;
        }
        let joined = if !self.over {
            // All of its own wakers are the same.
            self.join_waker = Some(if let Joiner::Own(_) = joiner { Joiner::Own(0) } else { joiner });
            Joined::Pending
        } else {
            self.result.take().unwrap_or(Joined::PolledAfterReady)
        };
        self.events.push(Event::Joined(joined));
        if joined == Joined::Output {
            self.drop_output();
        }
    }

    fn drop_handle(&mut self) {
        let Some(kind) = self.handle.take() else { return };
        self.calls += 1;
        if kind == Handle::AbortsOnDrop {
            self.abort();
        }
        self.join_waker = None;
        if self.result.take() == Some(Joined::Output) {
            self.drop_output();
        }
        self.calls -= 1;
        self.free_if_unreferenced();
    }

    /// Takes the `Task` from the queue, if it is there.
    fn take_task(&mut self) -> bool {
        let is_queued = self.is_queued();
        if is_queued {
            self.queued = None;
        }
        is_queued
    }

    fn drop_task(&mut self) {
        if !self.take_task() {
            return;
        }
        self.calls += 1;
        if !self.over && !self.busy {
            self.cancel(Joined::ShutDown);
        }
        self.calls -= 1;
        self.free_if_unreferenced();
    }

    fn close(&mut self) {
        let Some(table) = &mut self.table else { return };
        table.closed = true;
        if !table.has_task {
            return;
        }
        self.calls += 1;
        if self.busy || self.queued == Some(Queued::Owning) {
            self.told_to_end = true;
        } else if !self.over {
            self.cancel(Joined::ShutDown);
        }
        if let Some(table) = &mut self.table {
            table.has_task = false;
        }
        self.calls -= 1;
        self.free_if_unreferenced();
    }

    /// References to the task, except those of running calls.
    fn others(&self) -> usize {
        usize::from(self.queued.is_some())
            + usize::from(self.handle.is_some() || self.handle_is_forgotten)
            + usize::from(matches!(self.join_waker, Some(Joiner::Own(_))))
            + usize::from(self.is_in_table())
            + self.wakers
            + self.forgotten_wakers
            + self.abort_handles
    }

    fn free_if_unreferenced(&mut self) {
        if self.calls == 0 && self.others() == 0 && !self.freed {
            self.freed = true;
            if self.future {
                self.drop_future();
            }
        }
    }
}
