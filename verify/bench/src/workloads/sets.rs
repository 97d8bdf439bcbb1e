//! Tasks in groups, and what tells them to stop: each family's own set, scope and token.

use std::iter::repeat_with;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Wake, Waker};

use futures::stream::{FuturesUnordered, StreamExt};

use super::{nanoseconds_each, sum_below, warm_up};
use crate::contestants::polyexec::OurPool;
use crate::contestants::tokio::Tokio;
use crate::contestants::{Named, Pool, named};
use crate::row::{Contestant, WORKERS};

/// A way to spawn tasks that are ready at once, and to wait for all of them.
trait Group: Named + 'static {
    type Pool: Pool;

    /// From inside of a task. Gives the sum of the outputs.
    fn run(tasks: u64) -> impl Future<Output = u64> + Send;
}

/// Groups of `size`, one after another.
#[derive(Clone, Copy)]
pub struct Groups {
    pub groups: u64,
    pub size: u64,
}

impl Groups {
    fn on<G: Group>(self) -> Contestant {
        Contestant::named::<G>(move || {
            let Self { groups, size } = self;
            let pool = G::Pool::start(WORKERS);
            warm_up(&pool);
            let (time, sum) = nanoseconds_each(groups * size, || {
                pool.run(async move {
                    let mut sum = 0;
                    for _ in 0..groups {
                        sum += G::run(size).await;
                    }
                    sum
                })
            });
            assert_eq!(sum, groups * sum_below(size));
            time
        })
    }

    /// Joined in the order of their ends.
    pub fn sets(self) -> [Contestant; 3] {
        [self.on::<OurSet>(), self.on::<TokioSet>(), self.on::<TokioUnordered>()]
    }

    /// tokio has no scope: a set that is joined to its end comes closest.
    pub fn scopes(self) -> [Contestant; 2] {
        [self.on::<OurScope>(), self.on::<TokioSet>()]
    }
}

macro_rules! groups {
    ($($kind:ident: $name:literal, $package:literal, $pool:ty, |$tasks:ident| $run:block;)*) => { $(
        struct $kind;

        named!($kind: $name, $package);

        impl Group for $kind {
            type Pool = $pool;

            async fn run($tasks: u64) -> u64 $run
        }
    )* };
}

groups! {
    OurSet: "polyexec JoinSet", "polyexec", OurPool, |tasks| {
        let mut set = polyexec::JoinSet::new();
        for i in 0..tasks {
            set.spawn(async move { i });
        }
        let mut sum = 0;
        while let Some(output) = set.join_next().await {
            sum += output.expect("no task panics");
        }
        sum
    };
    TokioSet: "tokio JoinSet", "tokio", Tokio, |tasks| {
        let mut set = tokio::task::JoinSet::new();
        for i in 0..tasks {
            set.spawn(async move { i });
        }
        let mut sum = 0;
        while let Some(output) = set.join_next().await {
            sum += output.expect("no task panics");
        }
        sum
    };
    TokioUnordered: "tokio, FuturesUnordered", "tokio", Tokio, |tasks| {
        let mut handles: FuturesUnordered<_> = (0..tasks).map(|i| tokio::spawn(async move { i })).collect();
        let mut sum = 0;
        while let Some(output) = handles.next().await {
            sum += output.expect("no task panics");
        }
        sum
    };
    OurScope: "polyexec scope", "polyexec", OurPool, |tasks| {
        let sum = polyexec::scope(async |s| {
            let handles: Vec<_> = (0..tasks).map(|i| s.spawn(async move { i })).collect();
            let mut sum = 0;
            for handle in handles {
                sum += handle.await.expect("no child panics");
            }
            sum
        });
        sum.await.expect("no child panics")
    };
}

/// A token that cancels.
trait Token: Named + 'static {
    type Token;

    fn new() -> Self::Token;
    fn child(token: &Self::Token) -> Self::Token;
    fn cancel(token: &Self::Token);
    fn cancelled(token: &Self::Token) -> impl Future<Output = ()>;
}

macro_rules! tokens {
    ($($kind:ident: $name:literal, $package:literal, $token:ty;)*) => { $(
        struct $kind;

        named!($kind: $name, $package);

        impl Token for $kind {
            type Token = $token;

            fn new() -> $token {
                <$token>::new()
            }

            fn child(token: &$token) -> $token {
                token.child_token()
            }

            fn cancel(token: &$token) {
                token.cancel();
            }

            fn cancelled(token: &$token) -> impl Future<Output = ()> {
                token.cancelled()
            }
        }
    )* };
}

tokens! {
    OurToken: "polyexec", "polyexec", polyexec::CancellationToken;
    TokioToken: "tokio-util", "tokio-util", tokio_util::sync::CancellationToken;
}

#[derive(Default)]
struct Counts(AtomicU64);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Waiters for one token, without an executor.
#[derive(Clone, Copy)]
pub struct Waiters(pub u64);

impl Waiters {
    fn on<T: Token>(self) -> Contestant {
        Contestant::named::<T>(move || {
            let (token, counts) = (T::new(), Arc::<Counts>::default());
            let waker = Waker::from(counts.clone());
            let mut cx = Context::from_waker(&waker);
            let mut waiters: Vec<Pin<Box<_>>> =
                repeat_with(|| Box::pin(T::cancelled(&token))).take(self.0 as usize).collect();
            let (time, ready) = nanoseconds_each(self.0, || {
                assert!(waiters.iter_mut().all(|waiter| waiter.as_mut().poll(&mut cx).is_pending()));
                T::cancel(&token);
                waiters.iter_mut().filter_map(|waiter| waiter.as_mut().poll(&mut cx).is_ready().then_some(())).count()
            });
            assert_eq!((ready as u64, counts.0.load(Relaxed)), (self.0, self.0));
            time
        })
    }

    pub fn contestants(self) -> [Contestant; 2] {
        [self.on::<OurToken>(), self.on::<TokioToken>()]
    }
}

/// Children of one token at a time.
#[derive(Clone, Copy)]
pub struct Children(pub u64);

impl Children {
    fn on<T: Token>(self) -> Contestant {
        Contestant::named::<T>(move || {
            let parent = T::new();
            let mut children = Vec::with_capacity(self.0 as usize);
            let (time, ()) = nanoseconds_each(self.0, || {
                children.extend(repeat_with(|| T::child(&parent)).take(self.0 as usize));
                children.clear();
            });
            time
        })
    }

    pub fn contestants(self) -> [Contestant; 2] {
        [self.on::<OurToken>(), self.on::<TokioToken>()]
    }
}
