//! Adapts another project's runtime: an executor on the thread pool of `futures`.
//!
//!     cargo run --release --example futures_pool
//!     cargo test --example futures_pool

use std::cell::Cell;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use futures_executor::ThreadPool;
use polyexec::executor::{HostedTasks, Rejected, Task, context};
use polyexec::{Executor, Handle, block_in_place, block_on};

/// The handle, which spawns from any thread.
#[derive(Clone)]
struct OnThreadPool(Arc<Shared>);

struct Shared {
    tasks: HostedTasks,
    /// The pool, and what each task holds until its end. `None` after the shutdown: a pool's threads live as long as its handles.
    pool: Mutex<Option<(ThreadPool, Sender<()>)>>,
}

thread_local! {
    /// Whether this is a thread of such a pool.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

impl Executor for OnThreadPool {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        let Some((pool, alive)) = self.0.pool.lock().unwrap().clone() else {
            return Err(Rejected::shut_down(task));
        };
        self.0.tasks.submit(task, Handle::new(self.clone()), |future| {
            pool.spawn_ok(async {
                let _alive = alive;
                future.await;
            });
        })
    }

    fn schedule(&self, task: Task) {
        self.0.tasks.schedule(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        let _context = context::enter(Handle::new(self.clone()));
        block_on(future);
    }
}

/// The executor itself. Dropping it ends every task, and waits for those that run, unless one of them drops it.
struct Owner {
    handle: OnThreadPool,
    /// Disconnected when no task is alive.
    tasks: Receiver<()>,
}

impl Owner {
    fn new(threads: usize) -> std::io::Result<Self> {
        let pool = ThreadPool::builder().pool_size(threads).after_start(|_| IS_WORKER.set(true)).create()?;
        let (alive, tasks) = channel();
        let shared = Shared { tasks: HostedTasks::new(), pool: Mutex::new(Some((pool, alive))) };
        Ok(Self { handle: OnThreadPool(Arc::new(shared)), tasks })
    }

    fn handle(&self) -> OnThreadPool {
        self.handle.clone()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let Shared { tasks, pool } = &*self.handle.0;
        tasks.close();
        // Not under the lock, which tasks may want meanwhile.
        let pool = pool.lock().unwrap().take();
        let pool = pool.map(|(pool, _)| pool);
        if !IS_WORKER.get() {
            // An error, since no task sends.
            _ = block_in_place(|| self.tasks.recv());
        }
        drop(pool);
    }
}

fn main() -> std::io::Result<()> {
    let executor = Owner::new(2)?;
    let tasks: Vec<_> = (1..=1_000).map(|n| executor.handle().spawn(polyexec_futures::count(n))).collect();
    let sum: u64 = executor.handle().block_on(async {
        let mut sum = 0;
        for task in tasks {
            sum += task.await.expect("a Counter doesn't fail");
        }
        sum
    });
    println!("1,000 Counters on the thread pool of futures; the sum of their results is {sum}");
    assert_eq!(sum, 500_500);
    Ok(())
}

#[cfg(test)]
polyexec_conformance::suite! {
    start: || Owner::new(2).unwrap(),
    without: {
        p06_one_allocation_a_task: "the pool allocates a task of its own beside each of ours, and the adapter more",
        p07_failure_to_get_a_thread_leaves_the_executor_usable: "its threads aren't configured",
        p60_a_nested_block_on_works: "no other thread takes over while one blocks",
        p64_tasks_that_all_block_in_join_still_progress: "no other thread takes over while one blocks",
        p65_a_task_that_wakes_itself_delays_others_by_64_polls_at_most: "its tasks run at the same time",
        p66_two_tasks_that_wake_each_other_delay_others_by_64_polls_at_most: "its tasks run at the same time",
        p67_a_task_from_outside_waits_for_64_polls_at_most: "its tasks run at the same time",
        p69_names_stack_sizes_and_hooks: "its threads aren't configured",
        p70_wakers_and_executors_survive_in_thread_local_destructors: "the pool doesn't join its threads, whose locals may outlive it",
        p71_the_thread_count_returns_to_where_it_was: "no other thread takes over while one blocks, as some do here first",
        p79_what_is_always_ready_delays_others_by_128_operations_at_most: "its tasks run at the same time",
        p84_waits_nest_to_a_bound_and_never_end_the_process: "no other thread takes over while one blocks",
        p94_children_that_borrow_end_before_their_scope: "no other thread takes over while one blocks",
        p98_task_locals_are_inherited_on_request: "no other thread takes over while one blocks",
        p99_a_task_knows_itself: "no other thread takes over while one blocks",
    },
}
