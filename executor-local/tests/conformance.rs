//! The conformance suite, on an executor that the test's thread drives: once as it is, and once with an observer, which checks
//! what it is told.

use polyexec_conformance::LegalOrder;
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

mod observed {
    use super::*;

    polyexec_conformance::suite! {
        start_local: || Local::builder().observer(LegalOrder).build(),
        without: {
            p06_one_allocation_a_task: "an observer allocates, too",
            p07_failure_to_get_a_thread_leaves_the_executor_usable: "it has no threads of its own",
            p57_lifecycles_grow_no_threads_files_or_memory: "it takes long, and once is enough",
            p63_one_task_that_blocks_leaves_the_others_running: "one thread runs all its tasks",
            p68_a_task_just_woken_runs_though_its_waker_blocks: "one thread runs all its tasks",
            p69_names_stack_sizes_and_hooks: "it has no threads of its own",
            p75_a_million_live_tasks_complete: "it takes long, and once is enough",
        },
    }
}
