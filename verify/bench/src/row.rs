//! A row: one workload, the contestants that run it, and the bounds that ours is held to. Measures nothing itself.

use crate::bounds::{self, Bound};
use crate::contestants::async_executor::{AsyncExecutor, AsyncExecutorLocal, Smol, SmolLocal};
use crate::contestants::futures::{FuturesLocal, FuturesPool};
use crate::contestants::io::Io;
use crate::contestants::polyexec::{OurLocal, OurPool};
use crate::contestants::tokio::{Tokio, TokioCurrentThread, TokioLocal, TokioWithDrivers};
use crate::contestants::{Local, Named, Pool};
use crate::workloads::{IoWorkload, LocalIoWorkload, LocalWorkload, PoolWorkload, warm_up, warm_up_local};

/// Workers of every pool, unless a row is about their number.
pub const WORKERS: usize = 2;

/// One measurement: sets up, warms up, runs, checks the result, tears down, and gives the value in the row's unit.
pub type Measure = Box<dyn FnMut() -> f64>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Ours,
    Peer,
    /// No executor at all: what the work costs by itself.
    Limit,
}

pub struct Contestant {
    pub name: &'static str,
    pub package: Option<&'static str>,
    pub role: Role,
    pub measure: Measure,
}

impl Contestant {
    pub fn named<N: Named>(measure: impl FnMut() -> f64 + 'static) -> Self {
        let role = if N::PACKAGE == "polyexec" { Role::Ours } else { Role::Peer };
        Self { name: N::NAME, package: Some(N::PACKAGE), role, measure: Box::new(measure) }
    }
}

pub struct Row {
    pub name: &'static str,
    /// What is run, and what the clock sees of it.
    pub what: &'static str,
    pub unit: &'static str,
    pub contestants: Vec<Contestant>,
    pub bounds: &'static [Bound],
}

impl Row {
    /// A row without contestants. Its bounds come from their table.
    pub fn new(name: &'static str, unit: &'static str, what: &'static str) -> Self {
        Self { name, what, unit, contestants: Vec::new(), bounds: bounds::of(name) }
    }

    pub fn with(mut self, contestant: Contestant) -> Self {
        self.contestants.push(contestant);
        self
    }

    pub fn limit(self, name: &'static str, measure: impl FnMut() -> f64 + 'static) -> Self {
        self.with(Contestant { name, package: None, role: Role::Limit, measure: Box::new(measure) })
    }

    /// Every pool that has handles and a `block_on`.
    pub fn pools(self, workload: impl PoolWorkload) -> Self {
        self.with(on_pool::<OurPool>(workload, WORKERS))
            .with(on_pool::<Tokio>(workload, WORKERS))
            .with(on_pool::<AsyncExecutor>(workload, WORKERS))
            .with(on_pool::<FuturesPool>(workload, WORKERS))
    }

    /// Every pool that has sockets and timers.
    pub fn io(self, workload: impl IoWorkload) -> Self {
        self.with(on_io::<OurPool>(workload)).with(on_io::<TokioWithDrivers>(workload)).with(on_io::<Smol>(workload))
    }

    /// Every local executor that has sockets and timers.
    pub fn local_io(self, workload: impl LocalIoWorkload) -> Self {
        self.with(on_local::<OurLocal>(move |local| workload.measure(local)))
            .with(on_local::<TokioCurrentThread>(move |local| workload.measure(local)))
            .with(on_local::<SmolLocal>(move |local| workload.measure(local)))
    }

    pub fn locals(self, workload: impl LocalWorkload) -> Self {
        self.with(on_local::<OurLocal>(move |local| workload.measure(local)))
            .with(on_local::<TokioLocal>(move |local| workload.measure(local)))
            .with(on_local::<AsyncExecutorLocal>(move |local| workload.measure(local)))
            .with(on_local::<FuturesLocal>(move |local| workload.measure(local)))
    }
}

/// A new pool for each measurement, warmed up; its start and its end aren't measured.
pub fn on_pool<P: Pool>(workload: impl PoolWorkload, workers: usize) -> Contestant {
    on::<P>(workers, move |pool| workload.measure(pool))
}

fn on_io<P: Io>(workload: impl IoWorkload) -> Contestant {
    on::<P>(WORKERS, move |pool| workload.measure(pool))
}

fn on<P: Pool>(workers: usize, measure: impl Fn(&P) -> f64 + 'static) -> Contestant {
    Contestant::named::<P>(move || {
        let pool = P::start(workers);
        warm_up(&pool);
        measure(&pool)
    })
}

/// As [`on_pool`].
fn on_local<L: Local>(measure: impl Fn(&mut L) -> f64 + 'static) -> Contestant {
    Contestant::named::<L>(move || {
        let mut local = L::start();
        warm_up_local(&mut local);
        measure(&mut local)
    })
}
