//! What a spawn costs: from outside, from a task, one at a time, in a chain.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use async_channel::Sender;

use super::{LocalWorkload, PoolWorkload, nanoseconds_each, sum_below};
use crate::contestants::{Local, Pool, Spawn};

/// A thread spawns tasks that are ready at once, then blocks until it has awaited them in order.
#[derive(Clone, Copy)]
pub struct FromOutside {
    pub tasks: u64,
}

impl PoolWorkload for FromOutside {
    fn measure<P: Pool>(&self, pool: &P) -> f64 {
        let (time, sum) = nanoseconds_each(self.tasks, || {
            let mut handles = Vec::with_capacity(self.tasks as usize);
            handles.extend((0..self.tasks).map(|i| pool.spawn(async move { i })));
            pool.block_on(sum_of(handles))
        });
        assert_eq!(sum, sum_below(self.tasks));
        time
    }
}

async fn sum_of(handles: Vec<impl Future<Output = u64>>) -> u64 {
    let mut sum = 0;
    for handle in handles {
        sum += handle.await;
    }
    sum
}

/// The same by a task; on a local executor by the future that it blocks on.
#[derive(Clone, Copy)]
pub struct FromTask {
    pub tasks: u64,
}

async fn spawn_and_await(executor: &impl Spawn, tasks: u64) -> u64 {
    let mut handles = Vec::with_capacity(tasks as usize);
    handles.extend((0..tasks).map(|i| executor.spawn(async move { i })));
    sum_of(handles).await
}

impl PoolWorkload for FromTask {
    fn measure<P: Pool>(&self, pool: &P) -> f64 {
        let (tasks, inside) = (self.tasks, pool.inside());
        let (time, sum) = nanoseconds_each(tasks, || pool.run(async move { spawn_and_await(&inside, tasks).await }));
        assert_eq!(sum, sum_below(tasks));
        time
    }
}

impl LocalWorkload for FromTask {
    fn measure<L: Local>(&self, local: &mut L) -> f64 {
        let inside = local.inside();
        let (time, sum) = nanoseconds_each(self.tasks, || local.run(spawn_and_await(&inside, self.tasks)));
        assert_eq!(sum, sum_below(self.tasks));
        time
    }
}

impl FromTask {
    /// The limit: as many boxed futures, kept, polled once each, and dropped.
    pub fn boxes(self) -> f64 {
        type Boxed = Pin<Box<dyn Future<Output = u64> + Send>>;
        let (time, sum) = nanoseconds_each(self.tasks, || {
            let mut cx = Context::from_waker(Waker::noop());
            let mut futures: Vec<Boxed> = Vec::with_capacity(self.tasks as usize);
            futures.extend((0..self.tasks).map(|i| Box::pin(async move { i }) as Boxed));
            let mut sum = 0;
            for mut future in futures {
                if let Poll::Ready(i) = future.as_mut().poll(&mut cx) {
                    sum += i;
                }
            }
            sum
        });
        assert_eq!(sum, sum_below(self.tasks));
        time
    }
}

/// A task spawns one and awaits it, again and again.
#[derive(Clone, Copy)]
pub struct OneByOne {
    pub tasks: u64,
}

impl PoolWorkload for OneByOne {
    fn measure<P: Pool>(&self, pool: &P) -> f64 {
        let (tasks, inside) = (self.tasks, pool.inside());
        let (time, sum) = nanoseconds_each(tasks, || {
            pool.run(async move {
                let mut sum = 0;
                for i in 0..tasks {
                    sum += inside.spawn(async move { i }).await;
                }
                sum
            })
        });
        assert_eq!(sum, sum_below(tasks));
        time
    }
}

/// Each task spawns the next one and ends; the last one tells.
#[derive(Clone, Copy)]
pub struct Chain {
    pub tasks: u64,
}

/// A task of the chain. A plain struct, since an `async fn` can't spawn itself without a box.
struct Link<S> {
    executor: S,
    number: u64,
    last: u64,
    done: Sender<u64>,
}

impl<S: Spawn + Clone + Send + 'static> Future for Link<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let Self { executor, number, last, done } = &*self;
        if number == last {
            done.try_send(*number).expect("somebody waits");
        } else {
            let next = Self { executor: executor.clone(), number: number + 1, last: *last, done: done.clone() };
            executor.detach(next);
        }
        Poll::Ready(())
    }
}

impl PoolWorkload for Chain {
    fn measure<P: Pool>(&self, pool: &P) -> f64 {
        let (done, end) = async_channel::bounded(1);
        let first = Link { executor: pool.inside(), number: 1, last: self.tasks, done };
        let (time, number) = nanoseconds_each(self.tasks, || {
            let first = pool.spawn(first);
            pool.block_on(async {
                first.await;
                end.recv().await
            })
        });
        assert_eq!(number, Ok(self.tasks));
        time
    }
}
