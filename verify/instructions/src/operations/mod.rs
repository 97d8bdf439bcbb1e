//! What is counted. Each operation is done as often as it is told, on one thread, and checks that it was done.

mod block_on;
mod core_task;
mod local;
mod mailbox;
mod waker;

pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// One line, for the help.
    pub(crate) about: &'static str,
    pub(crate) run: fn(u64),
}

/// Sorted, as the baseline is.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "block-on-poll",
        about: "core's block_on: a poll of a future that wakes itself",
        run: block_on::poll,
    },
    Operation {
        name: "block-on-ready",
        about: "core's block_on: a call, with a future that is ready",
        run: block_on::ready,
    },
    Operation {
        name: "block-on-ready-facade",
        about: "the facade's block_on: a call, with a future that is ready",
        run: block_on::ready_facade,
    },
    Operation {
        name: "core-spawn-run-drop",
        about: "core alone: a task is spawned and run, its handle dropped",
        run: core_task::spawn_run_drop,
    },
    Operation {
        name: "local-cross-wake",
        about: "Local: a task wakes another one, which is polled",
        run: local::cross_wake,
    },
    Operation {
        name: "local-self-wake",
        about: "Local: a task wakes itself, and is polled again",
        run: local::self_wake,
    },
    Operation {
        name: "local-spawn-current-join",
        about: "Local: polyexec::spawn in a task, which awaits the output",
        run: local::spawn_current_join,
    },
    Operation {
        name: "local-spawn-join",
        about: "Local: a handle's spawn, and its output is awaited",
        run: local::spawn_join,
    },
    Operation {
        name: "local-spawn-local-join",
        about: "Local: a handle's spawn_local, and its output is awaited",
        run: local::spawn_local_join,
    },
    Operation { name: "waker-clone-drop", about: "a task's waker is cloned and dropped", run: waker::clone_drop },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_can_be_done_any_number_of_times() {
        for operation in OPERATIONS {
            for times in [1, 2, 3, 1_000] {
                (operation.run)(times);
            }
        }
    }

    #[test]
    fn names_are_sorted_and_one_word() {
        assert!(OPERATIONS.is_sorted_by(|one, next| one.name < next.name));
        assert!(OPERATIONS.iter().all(|operation| !operation.name.contains(char::is_whitespace)));
    }
}
