//! What the current thread is, and whether a future may be dropped on it now.

use std::cell::Cell;

/// What a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Unknown to the program.
    Unknown,
    /// A thread of the executor's, which said so in its start hook.
    Worker,
    /// Starts the executor, spawns, and drops the owner.
    Driver,
    /// Wakes, aborts and spawns from outside.
    Foreign,
}

struct Here {
    role: Cell<Role>,
    /// How many spawns this thread is in.
    spawning: Cell<u32>,
    /// Whether it is dropping the owner.
    shutting_down: Cell<bool>,
}

thread_local! {
    static HERE: Here = const {
        Here { role: Cell::new(Role::Unknown), spawning: Cell::new(0), shutting_down: Cell::new(false) }
    };
}

/// From now on, this thread is that.
pub fn set(role: Role) {
    HERE.with(|here| here.role.set(role));
}

/// Runs a spawn: a task that is refused is dropped in it.
pub fn spawning<T>(spawn: impl FnOnce() -> T) -> T {
    HERE.with(|here| here.spawning.set(here.spawning.get() + 1));
    let spawned = spawn();
    HERE.with(|here| here.spawning.set(here.spawning.get() - 1));
    spawned
}

/// Runs the owner's drop: the tasks that are left are dropped in it.
pub fn shutting_down<T>(shut_down: impl FnOnce() -> T) -> T {
    HERE.with(|here| here.shutting_down.set(true));
    let result = shut_down();
    HERE.with(|here| here.shutting_down.set(false));
    result
}

/// Whether a future may be dropped on this thread now. `is_local`: the executor runs its tasks on the driver's thread only.
pub fn may_drop(is_local: bool) -> bool {
    HERE.try_with(|here| {
        here.spawning.get() > 0
            || match here.role.get() {
                Role::Worker => !is_local,
                Role::Driver => is_local || here.shutting_down.get(),
                Role::Foreign | Role::Unknown => false,
            }
    })
    // A thread of the executor's has told its role before any task made another thread-local.
    .unwrap_or(false)
}
