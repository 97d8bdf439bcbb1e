//! A task is one allocation, its handle included, whether its executor's type is known or not. A `block_on` is none.

#![cfg(any(feature = "pool", feature = "threaded", feature = "local"))]

use std::sync::Arc;

use polyexec::Executor;

const TASKS: u64 = 1_000;
/// Queues and tables may get themselves a block now and then, for many tasks.
const SPARE: u64 = TASKS / 16;

/// Allocations of these spawns on this thread, after tables have grown and threads have started.
fn allocations(executor: &(impl Executor + Clone)) -> u64 {
    let round = || {
        let spawn_and_join = |n: u64| {
            let payload = [n; 20];
            let mut task = None;
            let spawned = allocation_counter::measure(|| {
                task = Some(executor.spawn(async move { payload.iter().sum::<u64>() }));
            });
            assert_eq!(executor.block_on(task.expect("just spawned")).unwrap(), 20 * n);
            spawned.count_total
        };
        (0..TASKS).map(spawn_and_join).sum::<u64>()
    };
    for _ in 0..3 {
        round();
    }
    round()
}

fn one_a_task(executor: impl Executor + Clone) {
    let known = allocations(&executor);
    assert!((TASKS..=TASKS + SPARE).contains(&known), "{known} for {TASKS} tasks on an executor of a known type");
    let executor: Arc<dyn Executor> = Arc::new(executor);
    let forgotten = allocations(&executor);
    assert!((TASKS..=TASKS + SPARE).contains(&forgotten), "{forgotten} for {TASKS} tasks on an `Arc<dyn Executor>`");
}

#[test]
#[cfg(feature = "pool")]
fn on_a_pool() {
    one_a_task(polyexec::Pool::new().unwrap().handle());
}

/// A fresh thread allocates for itself; a thread that is reused doesn't.
#[test]
#[cfg(feature = "threaded")]
fn on_reused_threads() {
    one_a_task(polyexec::Threaded::new().handle());
}

#[test]
#[cfg(feature = "local")]
fn on_a_local() {
    let local = polyexec::Local::new();
    one_a_task(local.handle());
}

/// A future that isn't `Send` takes no more.
#[test]
#[cfg(feature = "local")]
fn of_a_local_future() {
    use std::rc::Rc;

    let local = polyexec::Local::new();
    let round = || {
        let spawn_and_join = |n: u64| {
            let not_send = Rc::new(n);
            let mut task = None;
            let spawned = allocation_counter::measure(|| task = Some(local.spawn_local(async move { *not_send })));
            assert_eq!(local.block_on(task.expect("just spawned")).unwrap(), n);
            spawned.count_total
        };
        (0..TASKS).map(spawn_and_join).sum::<u64>()
    };
    round();
    let counted = round();
    assert!((TASKS..=TASKS + SPARE).contains(&counted), "{counted} for {TASKS} local tasks");
}

/// Outside of executors, and not inside of another one: a thread's first call makes what the others use.
#[test]
fn none_of_a_block_on() {
    use polyexec_futures::yield_now;

    async fn yields(n: u64) -> u64 {
        yield_now().await;
        n
    }

    fn none<F: Future<Output = u64>>(name: &str, block_on: fn(F) -> u64, future: fn(u64) -> F) {
        let call = || (0..TASKS).for_each(|n| assert_eq!(block_on(future(n)), n));
        call();
        let counted = allocation_counter::measure(call);
        assert_eq!(counted.count_total, 0, "{name}");
    }
    none("the facade's, of a future that is ready", polyexec::block_on, std::future::ready);
    none("core's, of a future that is ready", polyexec::block_on, std::future::ready);
    none("the facade's, of a future that is polled", polyexec::block_on, yields);
    none("core's, of a future that is polled", polyexec::block_on, yields);
}
