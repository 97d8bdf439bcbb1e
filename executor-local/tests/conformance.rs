//! The conformance suite, on an executor that the test's thread drives.

use polyexec_local::Local;

polyexec_conformance::suite! {
    start_local: Local::new,
    without: {
        p07_failure_to_get_a_thread_leaves_the_executor_usable: "it has no threads of its own",
        p63_one_task_that_blocks_leaves_the_others_running: "one thread runs all its tasks",
        p68_a_task_just_woken_runs_though_its_waker_blocks: "one thread runs all its tasks",
        p69_names_stack_sizes_and_hooks: "it has no threads of its own",
    },
}
