//! The conformance suite, on pools of one, two and four workers. That of two has an observer, which checks what it is told.

use std::io;

use polyexec_conformance::{LegalOrder, ThreadOptions};
use polyexec_pool::Pool;

fn with(workers: usize, options: ThreadOptions) -> io::Result<Pool> {
    let ThreadOptions { name, stack_size, on_start, on_stop } = options;
    Pool::builder()
        .worker_threads(workers)
        .thread_name(name)
        .stack_size(stack_size)
        .on_thread_start(move || on_start())
        .on_thread_stop(move || on_stop())
        .build()
}

mod workers_1 {
    use super::*;

    polyexec_conformance::suite! {
        start: || Pool::builder().worker_threads(1).build().unwrap(),
        start_with: |options| with(1, options),
    }
}

mod workers_2 {
    use super::*;

    polyexec_conformance::suite! {
        start: || Pool::builder().worker_threads(2).observer(LegalOrder).build().unwrap(),
        start_with: |options| with(2, options),
        without: {
            p06_one_allocation_a_task: "an observer allocates, too",
            p57_lifecycles_grow_no_threads_files_or_memory: "it takes long, and one worker and four are enough",
            p65_a_task_that_wakes_itself_delays_others_by_64_polls_at_most: "its tasks run at the same time",
            p66_two_tasks_that_wake_each_other_delay_others_by_64_polls_at_most: "its tasks run at the same time",
            p67_a_task_from_outside_waits_for_64_polls_at_most: "its tasks run at the same time",
            p79_what_is_always_ready_delays_others_by_128_operations_at_most: "its tasks run at the same time",
        },
    }
}

mod workers_4 {
    use super::*;

    polyexec_conformance::suite! {
        start: || Pool::builder().worker_threads(4).build().unwrap(),
        start_with: |options| with(4, options),
        without: {
            p65_a_task_that_wakes_itself_delays_others_by_64_polls_at_most: "its tasks run at the same time",
            p66_two_tasks_that_wake_each_other_delay_others_by_64_polls_at_most: "its tasks run at the same time",
            p67_a_task_from_outside_waits_for_64_polls_at_most: "its tasks run at the same time",
            p79_what_is_always_ready_delays_others_by_128_operations_at_most: "its tasks run at the same time",
        },
    }
}
