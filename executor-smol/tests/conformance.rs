//! The conformance suite on async-executor. What it can't hold is left out with the reason; `docs/reliability.md` has a table.

use polyexec_smol::Smol;

polyexec_conformance::suite! {
    start: || Smol::with_threads(2).unwrap(),
    without: {
        p07_failure_to_get_a_thread_leaves_the_executor_usable: "its threads can't be configured",
        p06_one_allocation_a_task: "async-executor allocates a task of its own beside each of ours",
        p65_a_task_that_wakes_itself_delays_others_by_64_polls_at_most: "its tasks run at the same time",
        p66_two_tasks_that_wake_each_other_delay_others_by_64_polls_at_most: "its tasks run at the same time",
        p67_a_task_from_outside_waits_for_64_polls_at_most: "its tasks run at the same time",
        p79_what_is_always_ready_delays_others_by_128_operations_at_most: "its tasks run at the same time",
        p69_names_stack_sizes_and_hooks: "its threads can't be configured",
    },
}
