//! The operations on one task, and their random generation. Knows neither the task nor the model.

use proptest::collection::vec;
use proptest::prelude::*;

/// What a case decides before the task is made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) birth: Birth,
    /// Whether the task is run through a table.
    pub(crate) in_table: bool,
    /// What the future does when it is dropped, and whether it panics at the end of that.
    pub(crate) future_drop: Vec<Action>,
    pub(crate) future_drop_panics: bool,
    /// The same for the output.
    pub(crate) output_drop: Vec<Action>,
    pub(crate) output_drop_panics: bool,
    /// The same for the two plain join wakers, when they are woken.
    pub(crate) join_wake: Vec<Action>,
    pub(crate) join_wake_panics: bool,
    /// Whether the handle is polled before it is dropped in the end.
    pub(crate) looks_in_the_end: bool,
    /// The order in which everything left by the steps is dropped.
    pub(crate) ending: [Leftover; 5],
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Birth {
    New,
    Local,
    Spawned,
    Named,
    /// The executor can't take it.
    Refused,
    /// The executor has shut down.
    TooLate,
    /// The executor can't take it, and the spawner takes the future back.
    GivenBack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leftover {
    Task,
    Handle,
    Wakers,
    AbortHandles,
    Table,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Runs the task, if it is in the queue.
    Run(Script),
    Do(Action),
}

/// What a poll does.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) actions: Vec<Action>,
    pub(crate) end: PollEnd,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum PollEnd {
    Pending,
    Ready,
    Panic,
}

/// An operation that is possible at any time, also inside the task's poll and destructors.
///
/// Without its object it does nothing. A number is an index into a list, modulo the length.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    /// Wakes through the waker of the poll. Only in a poll.
    WakeSelf,
    /// Keeps a clone of the waker of the poll. Only in a poll.
    KeepWaker,
    CloneWaker(usize),
    DropWaker(usize),
    ForgetWaker(usize),
    WakeByRef(usize),
    WakeByValue(usize),
    /// By reference, in the middle of the poll of another task.
    WakeElsewhere(usize),
    Abort,
    KeepAbortHandle,
    AbortBy(usize),
    DropAbortHandle(usize),
    /// Polls the handle.
    Join(Joiner),
    /// Makes it a handle that aborts when it is dropped.
    AbortOnDrop,
    /// Makes it a plain handle again.
    Detach,
    DropHandle,
    ForgetHandle,
    /// Drops the task that is in the queue.
    DropTask,
    /// Leaks it, so that it never runs.
    ForgetTask,
    /// Closes the table.
    Close,
}

/// The waker with which the handle is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joiner {
    /// A plain waker.
    A,
    /// Another one.
    B,
    /// Another task.
    Task,
    /// The task itself, through one of the wakers that were kept.
    Own(usize),
}

fn joiner() -> impl Strategy<Value = Joiner> {
    prop_oneof![
        3 => Just(Joiner::A),
        3 => Just(Joiner::B),
        3 => Just(Joiner::Task),
        1 => (0..4usize).prop_map(Joiner::Own),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let place = || 0..4usize;
    prop_oneof![
        4 => Just(Action::WakeSelf),
        6 => Just(Action::KeepWaker),
        2 => place().prop_map(Action::CloneWaker),
        4 => place().prop_map(Action::DropWaker),
        4 => place().prop_map(Action::WakeByRef),
        4 => place().prop_map(Action::WakeByValue),
        3 => place().prop_map(Action::WakeElsewhere),
        3 => Just(Action::Abort),
        2 => Just(Action::KeepAbortHandle),
        1 => place().prop_map(Action::AbortBy),
        2 => place().prop_map(Action::DropAbortHandle),
        7 => joiner().prop_map(Action::Join),
        1 => Just(Action::AbortOnDrop),
        1 => Just(Action::Detach),
        2 => Just(Action::DropHandle),
        1 => Just(Action::DropTask),
        3 => Just(Action::Close),
        // Seldom: what is forgotten is never freed, and shows less.
        1 => prop_oneof![
            6 => Just(Action::WakeSelf),
            1 => place().prop_map(Action::ForgetWaker),
            1 => Just(Action::ForgetHandle),
            1 => Just(Action::ForgetTask),
        ],
    ]
}

fn script() -> impl Strategy<Value = Script> {
    let end = prop_oneof![7 => Just(PollEnd::Pending), 2 => Just(PollEnd::Ready), 1 => Just(PollEnd::Panic)];
    (vec(action(), 0..5), end).prop_map(|(actions, end)| Script { actions, end })
}

/// Half of the time the task has been polled already, and is woken: most of what is rare begins there.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![2 => script().prop_map(Step::Run), 3 => action().prop_map(Step::Do)];
    (any::<bool>(), vec(step, 0..24)).prop_map(|(is_woken, mut steps)| {
        if is_woken {
            let first = Script { actions: Vec::from([Action::KeepWaker]), end: PollEnd::Pending };
            steps.splice(0..0, [Step::Run(first), Step::Do(Action::WakeByRef(0))]);
        }
        steps
    })
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    use Leftover::*;
    let birth = prop_oneof![
        8 => Just(Birth::New),
        2 => Just(Birth::Local),
        2 => Just(Birth::Spawned),
        1 => Just(Birth::Named),
        1 => Just(Birth::Refused),
        1 => Just(Birth::TooLate),
        1 => Just(Birth::GivenBack),
    ];
    let few = || prop_oneof![3 => Just(Vec::new()), 1 => vec(action(), 1..4)];
    let seldom = || proptest::bool::weighted(0.1);
    let ending = Just([Task, Handle, Wakers, AbortHandles, Table]).prop_shuffle();
    let drops = (few(), seldom(), few(), seldom(), few(), seldom());
    (birth, any::<bool>(), drops, any::<bool>(), ending).prop_map(
        |(birth, in_table, drops, looks_in_the_end, ending)| {
            let (future_drop, future_drop_panics, output_drop, output_drop_panics, join_wake, join_wake_panics) = drops;
            Plan {
                birth,
                in_table,
                future_drop,
                future_drop_panics,
                output_drop,
                output_drop_panics,
                join_wake,
                join_wake_panics,
                looks_in_the_end,
                ending,
            }
        },
    )
}
