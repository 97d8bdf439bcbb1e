//! What a thread owes after it changed a task's [`State`](super::state::State). Changes nothing itself.
//!
//! "Yours" in these enums is the thread that called the transition. README.md lists the states.

/// After a task was made ready to run.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnWake {
    /// Make a `Task`, whose reference is counted already, and give it to the executor's queue.
    Enqueue,
    /// Nothing: it is queued already, its running poll will requeue it, or it has completed.
    Nothing,
}

/// After a `Task` was taken from a queue.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnBegin {
    /// Poll the future; the stage is yours.
    Poll,
    /// The same, and tell the observer.
    PollObserved,
    /// Drop the future and complete; the stage is yours.
    Cancel,
    /// Nothing: a shutdown was faster, or the spawner took the future back.
    Nothing,
}

/// After a poll that was pending, before anything is changed.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnPending {
    /// Requeue the task as it is: it was woken during its poll, and nothing else has happened.
    Again,
    /// Tell the observer. Then end the poll.
    Tell,
    /// End the poll.
    End,
}

/// After a poll that was pending.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnEnd {
    /// Nothing: the task is idle. Neither the stage nor the `Task`'s reference is yours any more.
    Idle,
    /// Requeue the task, which was woken during its poll; the stage goes with the `Task`.
    Again,
    /// Insert the task in the executor's table, since it is about to be idle for the first time. Then end the poll again.
    Insert,
    /// Drop the future and complete; the stage is still yours.
    Cancel,
    /// Free the cell: it would be idle, and nothing could wake it. Yours was the last reference.
    Free,
}

/// After the result was stored.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnComplete {
    /// Take the join waker and wake it; the stage is the handle's. Then give your reference back.
    Wake,
    /// Nothing; the stage is the handle's, and your reference was given back.
    Nothing,
    /// Drop the result, since the handle is gone. Then give your reference back.
    Discard,
}

/// After a task was to end without a poll: by a shutdown, or by the drop of its `Task`.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnCancel {
    /// Drop the future and complete; the stage is yours. A shutdown's reference is counted already.
    Cancel,
    /// Nothing: it has completed, or another thread will cancel it.
    Nothing,
}

/// After an executor refused a task.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnTakeBack {
    /// Take the future out; the stage is yours for good.
    Take,
    /// Leave it: it was polled or cancelled meanwhile.
    Leave,
}

/// After the handle offered its waker, or reclaimed it.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnJoin {
    /// The task goes on.
    Pending,
    /// The task has completed; the stage is the handle's.
    Completed,
}

/// After the handle was dropped.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnDetach {
    /// Nothing; your reference was given back.
    Nothing,
    /// Take the join waker out, which is the handle's again. Then give your reference back.
    TakeWaker,
    /// Drop the result. Then give your reference back.
    Discard,
    /// Free the cell: yours was the last reference.
    Free,
}

/// Why a task was cancelled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    Aborted,
    ShutDown,
}
