//! The list of all properties. The tests, the table and the program are generated from it.

use crate::properties::*;
use crate::{Needs, Property};

/// Passes all properties to the macro `$then`, after `$args`.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_property {
    ($then:path, $args:tt) => {
        $then! { $args
            // After a property: `unwinds` if it needs unwinding panics, `local` if it needs local futures.
            spawn::p01_every_accepted_task_ends_exactly_once,
            spawn::p02_spawn_never_polls_inline,
            spawn::p03_spawn_works_from_everywhere,
            spawn::p04_after_shutdown_a_spawn_resolves_and_drops_its_future_once,
            spawn::p05_futures_and_outputs_of_any_size_and_alignment_work,
            spawn::p06_one_allocation_a_task,
            spawn::p07_failure_to_get_a_thread_leaves_the_executor_usable,
            spawn::p08_task_ids_are_unique,
            wake::p09_a_wake_while_idle_brings_a_poll,
            wake::p10_a_wake_during_a_poll_brings_exactly_one_more,
            wake::p11_many_wakes_while_queued_bring_one_poll,
            wake::p12_a_foreign_wake_happens_before_the_poll,
            wake::p13_wake_wake_by_ref_and_clones_are_equal,
            wake::p14_a_wake_after_the_end_does_nothing,
            wake::p15_a_self_wake_before_ready_brings_no_poll,
            wake::p16_waking_inside_a_wake_or_a_drop_cannot_deadlock,
            poll::p17_never_two_polls_at_once,
            poll::p18_never_polled_after_ready_a_panic_or_an_abort,
            poll::p19_the_address_is_stable,
            poll::p20_idle_costs_nothing,
            poll::p21_what_a_poll_wrote_is_visible_in_the_next,
            join::p22_the_output_is_delivered_exactly_once,
            join::p23_the_handle_resolves_only_after_the_future_was_dropped,
            join::p24_polled_again_the_newest_waker_is_woken,
            join::p25_a_poll_after_ready_panics_as_documented unwinds,
            join::p26_completion_against_poll_never_loses_the_join_wake,
            join::p27_join_works_from_a_foreign_thread_and_from_another_executor,
            join::p28_is_finished_is_monotone_and_the_next_poll_is_ready,
            join::p29_the_join_waker_is_dropped_at_completion_or_with_the_handle,
            join::p30_self_join_and_mutual_join_leak_nothing,
            detach::p31_dropping_the_handle_at_any_moment_and_place_detaches,
            detach::p32_a_detached_output_is_dropped_exactly_once,
            detach::p33_a_forgotten_handle_leaks_the_cell_at_most,
            abort::p34_aborted_before_the_first_poll_it_is_dropped_unpolled,
            abort::p35_an_abort_during_a_poll_is_in_force_at_its_end,
            abort::p36_an_abort_after_completion_keeps_the_output,
            abort::p37_abort_is_idempotent_from_many_threads,
            abort::p38_abort_and_drop_of_the_handle_drop_the_future_with_no_other_wake,
            abort::p39_abort_against_wake_against_completion_has_one_outcome,
            abort::p40_abort_works_from_the_own_poll_and_the_own_drop,
            abort::p41_the_future_is_dropped_on_the_executor_not_by_the_aborter,
            panic::p42_a_panic_in_poll_reaches_the_joiner_with_its_payload unwinds,
            panic::p43_workers_survive_at_full_strength unwinds,
            panic::p44_a_panic_in_the_drop_of_a_future_is_contained unwinds,
            panic::p45_a_panic_in_the_drop_of_an_output_is_contained unwinds,
            panic::p46_a_panic_in_the_drop_of_a_payload_is_contained unwinds,
            panic::p47_a_panic_in_a_join_waker_leaves_the_other_tasks_alone unwinds,
            panic::p48_a_double_panic_aborts_the_process unwinds,
            panic::p49_a_panic_ends_the_process_only_where_panics_abort,
            drop_order::p50_the_future_is_dropped_once_before_the_cell_is_freed,
            drop_order::p51_a_drop_may_spawn_wake_abort_and_join,
            drop_order::p52_local_futures_are_dropped_on_their_home_thread local,
            drop_order::p53_no_user_code_runs_under_an_internal_lock,
            shutdown::p54_every_future_is_dropped_when_the_owners_drop_returns,
            shutdown::p55_the_owners_drop_inside_its_own_task_does_not_deadlock,
            shutdown::p56_a_foreign_wake_against_the_owners_drop_is_safe,
            shutdown::p57_lifecycles_grow_no_threads_files_or_memory,
            shutdown::p58_pending_joiners_resolve,
            shutdown::p59_wake_cascades_in_drops_end,
            blocking::p60_a_nested_block_on_works,
            blocking::p61_park_and_unpark_of_the_users_are_harmless,
            blocking::p62_two_executors_wake_each_other,
            blocking::p63_one_task_that_blocks_leaves_the_others_running,
            blocking::p64_tasks_that_all_block_in_join_still_progress,
            fairness::p65_a_task_that_wakes_itself_delays_others_by_64_polls_at_most,
            fairness::p66_two_tasks_that_wake_each_other_delay_others_by_64_polls_at_most,
            fairness::p67_a_task_from_outside_waits_for_64_polls_at_most,
            blocking::p68_a_task_just_woken_runs_though_its_waker_blocks,
            threads::p69_names_stack_sizes_and_hooks,
            threads::p70_wakers_and_executors_survive_in_thread_local_destructors,
            threads::p71_the_thread_count_returns_to_where_it_was,
            waker::p72_will_wake_is_true_for_clones_never_across_tasks,
            waker::p73_counts_balance_over_random_clones_and_drops,
            waker::p74_a_waker_may_outlive_its_executor,
            scale::p75_a_million_live_tasks_complete,
            scale::p76_a_task_is_woken_100_000_times_from_8_threads,
            scale::p77_a_chain_of_100_000_handles_is_dropped,
            scale::p77_a_spawn_chain_a_million_deep,
            scale::p78_cells_return_to_zero,
            fairness::p79_what_is_always_ready_yields_after_128_operations,
            fairness::p79_what_is_always_ready_delays_others_by_128_operations_at_most,
            fairness::p79_what_is_always_ready_ends_with_its_executor,
            fairness::p79_what_is_unconstrained_does_not_yield,
            shutdown::p82_a_destructor_in_a_shutdown_is_in_its_executors_context,
            panic::p83_a_future_that_panicked_is_dropped_while_its_thread_is_panicking unwinds,
            blocking::p84_waits_nest_to_a_bound_and_never_end_the_process unwinds,
            memory::p85_the_memory_of_a_large_future_or_output_goes_with_it,
            sets::p88_a_join_set_gives_each_result_once_and_aborts_what_is_left,
            sets::p89_a_join_set_with_a_limit_runs_all_and_never_more_at_a_time,
            sets::p90_the_tasks_of_a_join_set_end_with_their_executor,
            sets::p91_a_cancelled_token_ends_all_that_wait_for_it,
            scope::p92_the_children_of_a_scope_end_before_it,
            scope::p93_a_panic_in_a_scope_goes_on_when_the_others_have_ended unwinds,
            borrowing::p94_children_that_borrow_end_before_their_scope,
            borrowing::p95_a_panic_of_a_child_that_borrows_goes_on_when_all_have_ended unwinds,
            borrowing::p96_a_shutdown_ends_children_that_borrow_before_their_scope,
            task_locals::p97_task_locals_are_of_one_task,
            task_locals::p98_task_locals_are_inherited_on_request,
            task_locals::p99_a_task_knows_itself,
            observers::p100_an_observer_sees_every_poll_and_the_end,
            observers::p101_an_observer_sees_a_panic unwinds,
            observers::p102_an_observer_sees_every_wake_and_who_waits,
            observers::p103_an_observer_that_panics_harms_nobody unwinds,
            observers::p104_a_fresh_waker_is_cloned_anew,
        }
    };
}

macro_rules! table {
    ({} $($group:ident::$property:ident $($needs:ident)?,)*) => {
        pub(crate) const ALL: &[Property] = &[$(Property {
            name: stringify!($property),
            needs: table!(@ $($needs)?),
            check: $group::$property,
        }),*];
    };
    (@ unwinds) => { Needs::Unwinding };
    (@ local) => { Needs::LocalTasks };
    (@) => { Needs::Nothing };
}

__each_property!(table, {});

/// Generates a test of each property, for the executor that a closure starts. See the [crate].
#[macro_export]
macro_rules! suite {
    (start: $start:expr $(, $($more:tt)*)?) => {
        $crate::__suite! { new, $start $(, $($more)*)? }
    };
    (start_local: $start:expr $(, $($more:tt)*)?) => {
        $crate::__suite! { new_local, $start $(, $($more)*)? }
    };
    ($start:expr $(,)?) => {
        $crate::suite! { start: $start }
    };
}

/// `$new` is the constructor of both `Subject` and `Fixture`. It decides whether the owner must be `Send`.
#[doc(hidden)]
#[macro_export]
macro_rules! __suite {
    (
        $new:ident, $start:expr
        $(, start_with: $start_with:expr)?
        $(, without: { $($left_out:ident: $reason:literal),* $(,)? })?
        $(,)?
    ) => {
        fn subject(test: &'static str) -> $crate::Subject {
            let subject = $crate::Subject::$new(
                || {
                    let owner = ($start)();
                    let handle = owner.handle();
                    $crate::Fixture::$new(owner, handle)
                },
                move || $crate::__relaunch(concat!(module_path!(), "::"), test),
            );
            $(let subject = subject.with_threads(|options| {
                let owner = ($start_with)(options)?;
                let handle = owner.handle();
                Ok($crate::Fixture::$new(owner, handle))
            });)?
            subject
        }

        const WITHOUT: &[(&str, &str)] = &[$($((stringify!($left_out), $reason)),*)?];

        $crate::__each_property!($crate::__tests, {});
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ({} $($group:ident::$property:ident $($needs:ident)?,)*) => {$(
        #[test]
        fn $property() {
            let name = stringify!($property);
            match $crate::check(name, subject(name), WITHOUT) {
                $crate::Outcome::Held => {}
                $crate::Outcome::LeftOut(reason) => println!("{name}: left out, {reason}"),
            }
        }
    )*};
}
