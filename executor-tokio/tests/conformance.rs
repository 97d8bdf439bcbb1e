//! The conformance suite on tokio's runtimes. What they can't hold is left out with the reason; `docs/reliability.md` has a table.

use polyexec_conformance::ThreadOptions;
use polyexec_tokio::Tokio;
use tokio::runtime::Builder;

mod multi_thread {
    use super::*;

    fn with(options: ThreadOptions) -> std::io::Result<Tokio> {
        let ThreadOptions { name, stack_size, on_start, on_stop } = options;
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).thread_name(name).thread_stack_size(stack_size);
        builder.on_thread_start(move || on_start()).on_thread_stop(move || on_stop()).build().map(Tokio::from)
    }

    polyexec_conformance::suite! {
        start: || Tokio::from(Builder::new_multi_thread().worker_threads(2).build().unwrap()),
        start_with: with,
        without: {
            p06_one_allocation_a_task: "tokio allocates a task of its own beside each of ours",
            p07_failure_to_get_a_thread_leaves_the_executor_usable: "without a thread, tokio panics",
            p65_a_task_that_wakes_itself_delays_others_by_64_polls_at_most: "its tasks run at the same time",
            p66_two_tasks_that_wake_each_other_delay_others_by_64_polls_at_most: "its tasks run at the same time",
            p67_a_task_from_outside_waits_for_64_polls_at_most: "its tasks run at the same time",
            p68_a_task_just_woken_runs_though_its_waker_blocks: "no worker steals the task in another one's LIFO slot",
            p69_names_stack_sizes_and_hooks: "a hook that panics ends the thread",
            p79_what_is_always_ready_delays_others_by_128_operations_at_most: "its tasks run at the same time",
        },
    }
}

mod current_thread {
    use super::*;

    polyexec_conformance::suite! {
        start: || Tokio::from(Builder::new_current_thread().build().unwrap()),
        without: {
            p06_one_allocation_a_task: "tokio allocates a task of its own beside each of ours",
            p07_failure_to_get_a_thread_leaves_the_executor_usable: "it has no threads of its own",
            p20_idle_costs_nothing: "nothing runs while a task blocks, as one does here first",
            p58_pending_joiners_resolve: "nothing runs while a task blocks",
            p60_a_nested_block_on_works: "nothing runs while a task blocks",
            p63_one_task_that_blocks_leaves_the_others_running: "nothing runs while a task blocks",
            p64_tasks_that_all_block_in_join_still_progress: "nothing runs while a task blocks",
            p68_a_task_just_woken_runs_though_its_waker_blocks: "nothing runs while a task blocks",
            p69_names_stack_sizes_and_hooks: "it has no threads of its own",
            p71_the_thread_count_returns_to_where_it_was: "nothing runs while a task blocks, as some do here first",
            p84_waits_nest_to_a_bound_and_never_end_the_process: "nothing runs while a task blocks",
            p94_children_that_borrow_end_before_their_scope: "nothing runs while a task or a scope's body blocks",
            p95_a_panic_of_a_child_that_borrows_goes_on_when_all_have_ended: "nothing runs while a scope's body blocks",
            p96_a_shutdown_ends_children_that_borrow_before_their_scope: "nothing runs while a scope's body blocks",
            p97_task_locals_are_of_one_task: "nothing runs while a task blocks",
            p98_task_locals_are_inherited_on_request: "nothing runs while a task blocks",
            p99_a_task_knows_itself: "nothing runs while a task blocks",
        },
    }
}
